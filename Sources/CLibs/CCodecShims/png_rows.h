#pragma once
#include "png_shim.h"

/// Bytes of a row in the file, without its filter byte.
size_t wc_png_row_bytes(wc_png_format format);

/// Bytes of a row of samples in memory.
size_t wc_png_sample_row_bytes(wc_png_format format);

/// Whether a row in the file is the samples themselves.
bool wc_png_rows_are_samples(wc_png_format format);

/// Samples to the file's row: left-justified, big-endian, packed from the high end of each byte.
void wc_png_pack_row(const void *samples, wc_png_format format, uint8_t *row);

void wc_png_unpack_row(const uint8_t *row, wc_png_format format, void *samples);

/// Bytes of the header that `wc_png_encode` writes, when a file begins with that of a picture of this format; else 0.
size_t wc_png_plain_header(const uint8_t *file, size_t size, wc_png_format format);

/// Reads a picture that is as `wc_png_encode` writes it without filters, faster than libpng does: `chunks` is what follows
/// the chunks of the header. False when it is anything else, or damaged: libpng then reads it, or says what is wrong.
/// `samples` has room as for `wc_png_decode`.
bool wc_png_read_plain(const uint8_t *chunks, size_t size, wc_png_format format, void *samples);
