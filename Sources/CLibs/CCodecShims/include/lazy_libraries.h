#pragma once
#include <jxl/decode.h>
#include <jxl/encode.h>
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/dict.h>
#include <libavutil/frame.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <sndfile.h>

#include "shim_types.h"

// Libraries that are not linked but loaded when a codec needs them: what they depend on takes the loader longer than a small model
// to unpack, and a machine that lacks one still has the other codecs. A function that is called must be in its library's list.

// libavformat, with libavcodec and libavutil.
#define WC_LIBAV_FUNCTIONS(F) \
    F(av_bsf_free) F(av_bsf_init) F(av_bsf_list_parse_str) F(av_bsf_receive_packet) F(av_bsf_send_packet) F(av_dict_free) \
    F(av_dict_get) F(av_dict_set) F(av_find_input_format) F(av_frame_alloc) F(av_frame_free) F(av_frame_get_buffer) \
    F(av_frame_make_writable) F(av_frame_unref) F(av_free) F(av_freep) F(av_get_pix_fmt_name) F(av_guess_format) \
    F(av_log_default_callback) F(av_log_format_line2) F(av_log_set_callback) F(av_malloc) F(av_mallocz) F(av_packet_alloc) \
    F(av_packet_free) F(av_packet_get_side_data) F(av_packet_rescale_ts) F(av_packet_unref) F(av_pix_fmt_desc_get) \
    F(av_read_frame) F(av_strerror) F(av_version_info) F(av_write_frame) F(av_write_trailer) F(avcodec_alloc_context3) \
    F(avcodec_find_decoder_by_name) F(avcodec_find_encoder_by_name) F(avcodec_free_context) F(avcodec_get_name) \
    F(avcodec_open2) F(avcodec_parameters_from_context) F(avcodec_parameters_to_context) F(avcodec_receive_frame) \
    F(avcodec_receive_packet) F(avcodec_send_frame) F(avcodec_send_packet) F(avcodec_version) F(avformat_alloc_context) \
    F(avformat_alloc_output_context2) F(avformat_close_input) F(avformat_free_context) F(avformat_new_stream) \
    F(avformat_open_input) F(avformat_version) F(avformat_write_header) F(avio_alloc_context) F(avio_context_free) \
    F(avio_flush)

#define WC_LIBJXL_FUNCTIONS(F) \
    F(JxlColorEncodingSetToSRGB) F(JxlDecoderCloseInput) F(JxlDecoderCreate) F(JxlDecoderDestroy) F(JxlDecoderGetBasicInfo) \
    F(JxlDecoderGetFrameHeader) F(JxlDecoderProcessInput) F(JxlDecoderReleaseInput) F(JxlDecoderSetImageOutBuffer) \
    F(JxlDecoderSetInput) F(JxlDecoderSubscribeEvents) F(JxlEncoderAddImageFrame) F(JxlEncoderCloseInput) \
    F(JxlEncoderCreate) F(JxlEncoderDestroy) F(JxlEncoderFrameSettingsCreate) F(JxlEncoderFrameSettingsSetFloatOption) \
    F(JxlEncoderFrameSettingsSetOption) F(JxlEncoderGetError) F(JxlEncoderInitBasicInfo) F(JxlEncoderProcessOutput) \
    F(JxlEncoderSetBasicInfo) F(JxlEncoderSetColorEncoding) F(JxlEncoderSetFrameLossless) F(JxlEncoderVersion)

#define WC_LIBSNDFILE_FUNCTIONS(F) \
    F(sf_close) F(sf_command) F(sf_error) F(sf_error_number) F(sf_get_string) F(sf_open_virtual) F(sf_read_float) \
    F(sf_read_int) F(sf_set_string) F(sf_strerror) F(sf_version_string) F(sf_write_float) F(sf_write_int)

// The type of each is that of its declaration above.
#define WC_FUNCTION(name) __typeof__(name) *_Nonnull name;
#define WC_SENDABLE __attribute__((swift_attr("@Sendable")))

typedef struct { WC_LIBAV_FUNCTIONS(WC_FUNCTION) } WC_SENDABLE wc_libav;
typedef struct { WC_LIBJXL_FUNCTIONS(WC_FUNCTION) } WC_SENDABLE wc_libjxl;
typedef struct { WC_LIBSNDFILE_FUNCTIONS(WC_FUNCTION) } WC_SENDABLE wc_libsndfile;

/// The functions of a library of the version whose headers this was built with, loaded at the first call, on whatever thread; null
/// when it cannot be loaded, and then the message says why and names the package that has it.
const wc_libav *_Nullable wc_libav_load(wc_message *_Nonnull message);
const wc_libjxl *_Nullable wc_libjxl_load(wc_message *_Nonnull message);
const wc_libsndfile *_Nullable wc_libsndfile_load(wc_message *_Nonnull message);
