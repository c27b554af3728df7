#pragma once
#include "lazy_libraries.h"

/// Error numbers that are macros too complex for Swift to import.
extern const int wc_averror_again, wc_averror_eof;

/// What libav says of an error number.
void wc_av_describe(int error, wc_message *message);

/// Keeps the first line that libav logs on this thread, at `level` or more serious, instead of printing any, until
/// `wc_av_log_end` returns it. libav only logs unknown encoder options and FFV1 checksum failures. Other threads log as
/// before.
void wc_av_log_begin(int level);
void wc_av_log_end(wc_message *message);

/// An output that appends to `bytes` and cannot seek; null when memory is short. Freed with `wc_avio_free`.
AVIOContext *wc_avio_append(wc_bytes *bytes);

/// Bytes in memory with a read position.
typedef struct {
    const uint8_t *data;
    size_t size;
    size_t position;
} wc_source;

/// A seekable input that reads `source`; null when memory is short. Freed with `wc_avio_free`.
AVIOContext *wc_avio_read(wc_source *source);

void wc_avio_free(AVIOContext **io);
