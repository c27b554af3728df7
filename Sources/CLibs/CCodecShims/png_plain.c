#include "png_rows.h"

#include <libdeflate.h>
#include <string.h>

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

// A chunk is its data's length, its type, the data, and the checksum of type and data.
typedef struct {
    const uint8_t *data;
    size_t size;
    bool is_data, is_end;
} Chunk;

static bool next_chunk(const uint8_t **position, const uint8_t *end, Chunk *chunk)
{
    const uint8_t *start = *position;
    if (end - start < 12)
        return false;
    size_t size = big_endian(start);
    if (size > (size_t)(end - start) - 12)
        return false;
    if (libdeflate_crc32(0, start + 4, size + 4) != big_endian(start + 8 + size))
        return false;
    *chunk = (Chunk){.data = start + 8,
                     .size = size,
                     .is_data = memcmp(start + 4, "IDAT", 4) == 0,
                     .is_end = memcmp(start + 4, "IEND", 4) == 0 && size == 0};
    *position = start + 12 + size;
    return true;
}

size_t wc_png_plain_header(const uint8_t *file, size_t size, wc_png_format format)
{
    static const uint8_t start[16] = {137, 'P', 'N', 'G', 13, 10, 26, 10, 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    const uint8_t *position = file + 8, *end = file + size;
    Chunk chunk;
    if (size < 33 || memcmp(file, start, sizeof start) != 0 || !next_chunk(&position, end, &chunk) ||
        big_endian(chunk.data) != format.width || big_endian(chunk.data + 4) != format.height ||
        chunk.data[8] != format.depth || big_endian(chunk.data + 8) << 8 != 0 || chunk.data[12] != 0)
        return 0;
    if (format.significant != format.depth) {
        const uint8_t *type = position + 4;
        if (!next_chunk(&position, end, &chunk) || memcmp(type, "sBIT", 4) != 0 || chunk.size != 1 ||
            chunk.data[0] != format.significant)
            return 0;
    }
    return (size_t)(position - file);
}

// The data of all IDAT chunks in one run: that of the only one, or a copy to be freed; null when anything else is there.
static const uint8_t *join_data(const uint8_t *chunks, size_t size, size_t *joined, uint8_t **copy)
{
    const uint8_t *position = chunks, *end = chunks + size, *data = NULL;
    size_t count = 0;
    Chunk chunk;
    while (next_chunk(&position, end, &chunk)) {
        if (chunk.is_end)
            return position == end ? data : NULL;
        if (!chunk.is_data)
            return NULL;
        if (!data) {
            data = chunk.data;
        } else {
            // What is left of the file bounds what is to come.
            if (!*copy && !(*copy = wc_allocate(size)))
                return NULL;
            if (data != *copy)
                data = memcpy(*copy, data, count);
            memcpy(*copy + count, chunk.data, chunk.size);
        }
        count += chunk.size;
        *joined = count;
    }
    return NULL;
}

static bool unpack_rows(const uint8_t *rows, wc_png_format format, void *samples)
{
    size_t stride = 1 + wc_png_row_bytes(format), line = wc_png_sample_row_bytes(format);
    for (size_t y = 0; y < format.height; y++)
        if (rows[y * stride] != 0)
            return false;
    for (size_t y = 0; y < format.height; y++) {
        const uint8_t *row = rows + y * stride + 1;
        uint8_t *target = (uint8_t *)samples + y * line;
        // In place, rows move towards the start.
        if (wc_png_rows_are_samples(format))
            memmove(target, row, line);
        else
            wc_png_unpack_row(row, format, target);
    }
    return true;
}

bool wc_png_read_plain(const uint8_t *chunks, size_t size, wc_png_format format, void *samples)
{
    size_t count = 0, used = 0, total = (1 + wc_png_row_bytes(format)) * format.height;
    uint8_t *copy = NULL;
    const uint8_t *data = join_data(chunks, size, &count, &copy);
    struct libdeflate_decompressor *inflater = data ? libdeflate_alloc_decompressor() : NULL;
    bool in_place = wc_png_rows_are_samples(format);
    uint8_t *rows = inflater ? in_place ? samples : wc_allocate(total) : NULL;
    bool done = rows &&
                libdeflate_zlib_decompress_ex(inflater, data, count, rows, total, &used, NULL) == LIBDEFLATE_SUCCESS &&
                used == count && unpack_rows(rows, format, samples);
    if (!in_place)
        wc_release(rows);
    if (inflater)
        libdeflate_free_decompressor(inflater);
    wc_release(copy);
    return done;
}
