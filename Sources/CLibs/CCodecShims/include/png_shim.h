#pragma once
#include "shim_types.h"

/// A gray picture: `significant` bits of each sample mean something, `depth` (1, 2, 4, 8, 16) bits are in the file.
typedef struct {
    uint32_t width;
    uint32_t height;
    int significant;
    int depth;
} wc_png_format;

/// How the picture is deflated: zlib's strategy number, libpng's filter mask, level 0...9.
typedef struct {
    int strategy;
    int filters;
    int level;
} wc_png_effort;

extern const int wc_png_strategy_default, wc_png_strategy_filtered, wc_png_strategy_huffman, wc_png_strategy_rle;
extern const int wc_png_filter_none, wc_png_filter_sub, wc_png_filter_up, wc_png_filter_average, wc_png_filter_paeth,
    wc_png_filter_all;

/// Writes `samples` (row-major; one byte each up to 8 significant bits, else two in host order) as a PNG file to `out`.
/// libpng reports errors by longjmp, which must not cross Swift frames: so each whole operation is one C function.
bool wc_png_encode(const void *samples, wc_png_format format, wc_png_effort effort, wc_bytes *out, wc_message *message);

/// Writes a PNG file as `wc_png_encode` does, without filters, in blocks of deflate that end where another code pays
/// (`wc_block_deflate`); false when memory is short.
bool wc_png_encode_blocks(const void *samples, wc_png_format format, wc_bytes *out);

typedef enum {
    wc_png_done,
    /// A sound header of a picture of another format; the message says which.
    wc_png_other_picture,
    wc_png_failed,
} wc_png_result;

/// Reads the header of a PNG file and compares it with `format`.
wc_png_result wc_png_check(const uint8_t *file, size_t size, wc_png_format format, wc_message *message);

/// Reads a PNG file of exactly `format` into `samples`, which has room for width x height samples and `height` bytes more: in the
/// file a byte precedes each row.
wc_png_result wc_png_decode(const uint8_t *file, size_t size, wc_png_format format, void *samples, wc_message *message);

/// Most pixels of a picture that `wc_png_read_pixels` reads.
enum { wc_picture_most_pixels = 1 << 27 };

/// Pixels of one or three samples of 8 bits, row by row; `samples` is released with `wc_release`.
typedef struct {
    uint8_t *samples;
    uint32_t width, height;
} wc_picture;

/// Reads any PNG file as gray, or as red, green and blue.
bool wc_png_read_pixels(const uint8_t *file, size_t size, bool is_rgb, wc_picture *picture, wc_message *message);
