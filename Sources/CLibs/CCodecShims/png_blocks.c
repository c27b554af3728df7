#include "block_deflate.h"
#include "png_rows.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

static void put_big_endian(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static bool write_chunk(wc_bytes *out, const char *type, const uint8_t *data, size_t size)
{
    if (!wc_bytes_reserve(out, size + 12))
        return false;
    uint8_t *chunk = out->data + out->size;
    put_big_endian(chunk, (uint32_t)size);
    memcpy(chunk + 4, type, 4);
    if (size)
        memcpy(chunk + 8, data, size);
    put_big_endian(chunk + 8 + size, libdeflate_crc32(0, chunk + 4, size + 4));
    out->size += size + 12;
    return true;
}

// The picture's rows as they are deflated: each begins with the number of its filter, none.
static uint8_t *make_rows(const void *samples, wc_png_format format, size_t size)
{
    size_t stride = 1 + wc_png_row_bytes(format);
    uint8_t *rows = malloc(size);
    for (size_t y = 0; rows && y < format.height; y++) {
        const uint8_t *line = (const uint8_t *)samples + y * wc_png_sample_row_bytes(format);
        uint8_t *row = rows + y * stride;
        row[0] = 0;
        if (wc_png_rows_are_samples(format))
            memcpy(row + 1, line, stride - 1);
        else
            wc_png_pack_row(line, format, row + 1);
    }
    return rows;
}

// A zlib stream (RFC 1950) of the rows.
static bool deflate_rows(const uint8_t *rows, size_t size, wc_bytes *stream)
{
    if (!wc_bytes_reserve(stream, 6))
        return false;
    // A window of 32 KB, and the slowest effort: nothing depends on either.
    stream->data[0] = 0x78;
    stream->data[1] = 0xda;
    stream->size = 2;
    if (!wc_block_deflate(rows, size, stream) || !wc_bytes_reserve(stream, 4))
        return false;
    put_big_endian(stream->data + stream->size, libdeflate_adler32(1, rows, size));
    stream->size += 4;
    return true;
}

bool wc_png_encode_blocks(const void *samples, wc_png_format format, wc_bytes *out)
{
    static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    // A chunk holds less than 2^31 bytes.
    const size_t longest_chunk = 1 << 30;
    size_t size = (1 + wc_png_row_bytes(format)) * format.height;
    wc_bytes stream = {0};
    uint8_t *rows = make_rows(samples, format, size);
    bool done = rows && deflate_rows(rows, size, &stream) && wc_bytes_reserve(out, stream.size + 128);
    free(rows);
    if (done) {
        memcpy(out->data + out->size, signature, sizeof signature);
        out->size += sizeof signature;
        uint8_t header[13] = {[8] = (uint8_t)format.depth};
        put_big_endian(header, format.width);
        put_big_endian(header + 4, format.height);
        done = write_chunk(out, "IHDR", header, sizeof header);
        uint8_t bits = (uint8_t)format.significant;
        if (format.significant != format.depth)
            done = done && write_chunk(out, "sBIT", &bits, 1);
        for (size_t start = 0; done && start < stream.size; start += longest_chunk) {
            size_t left = stream.size - start;
            done = write_chunk(out, "IDAT", stream.data + start, left < longest_chunk ? left : longest_chunk);
        }
        done = done && write_chunk(out, "IEND", NULL, 0);
    }
    wc_bytes_free(&stream);
    if (!done)
        wc_bytes_free(out);
    return done;
}
