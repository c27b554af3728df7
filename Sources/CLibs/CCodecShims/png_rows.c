#include "png_rows.h"

#include <string.h>

size_t wc_png_row_bytes(wc_png_format format)
{
    return ((size_t)format.width * (size_t)format.depth + 7) / 8;
}

size_t wc_png_sample_row_bytes(wc_png_format format)
{
    return (size_t)format.width * (format.significant > 8 ? 2 : 1);
}

bool wc_png_rows_are_samples(wc_png_format format)
{
    return format.depth == 8 && format.significant == 8;
}

void wc_png_pack_row(const void *samples, wc_png_format format, uint8_t *restrict row)
{
    size_t width = format.width;
    int shift = format.depth - format.significant;
    const uint8_t *restrict narrow = samples;
    if (format.depth == 16) {
        const uint16_t *restrict wide = samples;
        for (size_t x = 0; x < width; x++) {
            uint16_t value = (uint16_t)(wide[x] << shift);
            row[2 * x] = (uint8_t)(value >> 8);
            row[2 * x + 1] = (uint8_t)value;
        }
    } else if (format.depth == 8) {
        for (size_t x = 0; x < width; x++)
            row[x] = (uint8_t)(narrow[x] << shift);
    } else if (format.depth == 4) {
        for (size_t i = 0; i < width / 2; i++)
            row[i] = (uint8_t)(narrow[2 * i] << (4 + shift) | narrow[2 * i + 1] << shift);
        if (width & 1)
            row[width / 2] = (uint8_t)(narrow[width - 1] << (4 + shift));
    } else {
        memset(row, 0, wc_png_row_bytes(format));
        for (size_t bit = 0, x = 0; x < width; x++, bit += (size_t)format.depth)
            row[bit / 8] |= (uint8_t)(narrow[x] << (8 - format.depth - (int)(bit % 8)));
    }
}

void wc_png_unpack_row(const uint8_t *restrict row, wc_png_format format, void *samples)
{
    size_t width = format.width;
    int shift = format.depth - format.significant;
    uint8_t *restrict narrow = samples;
    if (format.depth == 16) {
        uint16_t *restrict wide = samples;
        for (size_t x = 0; x < width; x++)
            wide[x] = (uint16_t)((row[2 * x] << 8 | row[2 * x + 1]) >> shift);
    } else if (format.depth == 8) {
        for (size_t x = 0; x < width; x++)
            narrow[x] = (uint8_t)(row[x] >> shift);
    } else if (format.depth == 4) {
        for (size_t i = 0; i < width / 2; i++) {
            narrow[2 * i] = (uint8_t)(row[i] >> (4 + shift));
            narrow[2 * i + 1] = (uint8_t)((row[i] & 15) >> shift);
        }
        if (width & 1)
            narrow[width - 1] = (uint8_t)(row[width / 2] >> (4 + shift));
    } else if (format.depth == 2) {
        for (size_t i = 0; i < width / 4; i++)
            for (int part = 0; part < 4; part++)
                narrow[4 * i + (size_t)part] = (uint8_t)((row[i] >> (6 - 2 * part) & 3) >> shift);
        for (size_t x = width / 4 * 4; x < width; x++)
            narrow[x] = (uint8_t)((row[x / 4] >> (6 - 2 * (int)(x % 4)) & 3) >> shift);
    } else {
        for (size_t x = 0; x < width; x++)
            narrow[x] = row[x / 8] >> (7 - (int)(x % 8)) & 1;
    }
}
