#include "CNativeKernels.h"

#include <string.h>

// The same bits on every processor.
#pragma STDC FP_CONTRACT OFF

enum { columns = wc_panel_columns, depth = wc_panel_depth };

/// Rows that are computed before the next panels: their codes stay in the cache meanwhile.
enum { block_bytes = 1 << 17, least_block = 24 };

/// Four codes of a row as one number.
static inline uint32_t quad(const uint8_t *a)
{
    uint32_t four;
    memcpy(&four, a, sizeof four);
    return four;
}

/// Writes the sums of a row and a panel, of which only some columns may exist.
static inline __attribute__((always_inline)) void finish(const int32_t *sums, const wc_integer_weights *weights, size_t column,
                                                         float row_scale, float *c)
{
    float results[columns];
    for (size_t j = 0; j < columns; j++) {
        float scale = row_scale * weights->scales[column + j];
        results[j] = (float)(sums[j] - weights->offsets[column + j]) * scale + weights->bias[column + j];
    }
    size_t left = weights->columns - column;
    if (left >= columns) {
        memcpy(c, results, sizeof results);
    } else {
        memcpy(c, results, left * sizeof *c);
    }
}

static void portable(const wc_integer_weights *weights, size_t rows, const uint8_t *a, size_t stride, const float *row_scales,
                     size_t scale_step, float *c, size_t c_stride)
{
    size_t quads = (weights->depth + depth - 1) / depth;
    for (size_t column = 0; column < weights->columns; column += columns) {
        const int8_t *panel = weights->codes + column * quads * depth;
        for (size_t row = 0; row < rows; row++) {
            int32_t sums[columns] = {0};
            for (size_t k = 0; k < quads; k++) {
                for (size_t j = 0; j < columns; j++) {
                    for (size_t i = 0; i < depth; i++) {
                        sums[j] += a[row * stride + k * depth + i] * panel[(k * columns + j) * depth + i];
                    }
                }
            }
            finish(sums, weights, column, row_scales[row * scale_step], c + row * c_stride + column);
        }
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#define INLINE static inline __attribute__((always_inline))

/// Some rows and one panel. A product of two bytes needs 16 bits, and their sums of two 32: each column has two sums to the end.
INLINE AVX2 void tile_avx2(const int rows, const wc_integer_weights *weights, size_t quads, size_t column, const uint8_t *a,
                           size_t stride, const float *row_scales, size_t scale_step, float *c, size_t c_stride)
{
    const int8_t *panel = weights->codes + column * quads * depth;
    __m256i sums[2][4];
    for (int row = 0; row < rows; row++) {
        for (int part = 0; part < 4; part++) sums[row][part] = _mm256_setzero_si256();
    }
    for (size_t k = 0; k < quads; k++, panel += columns * depth) {
        __m256i b[4];
        for (int part = 0; part < 4; part++) {
            b[part] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(panel + 16 * part)));
        }
        for (int row = 0; row < rows; row++) {
            __m256i x = _mm256_cvtepu8_epi16(_mm_set1_epi32((int)quad(a + row * stride + k * depth)));
            for (int part = 0; part < 4; part++) {
                sums[row][part] = _mm256_add_epi32(sums[row][part], _mm256_madd_epi16(x, b[part]));
            }
        }
    }
    for (int row = 0; row < rows; row++) {
        int32_t joined[columns];
        for (int part = 0; part < 2; part++) {
            __m256i pairs = _mm256_hadd_epi32(sums[row][2 * part], sums[row][2 * part + 1]);
            _mm256_storeu_si256((__m256i *)(joined + 8 * part), _mm256_permute4x64_epi64(pairs, 0xD8));
        }
        finish(joined, weights, column, row_scales[row * scale_step], c + row * c_stride + column);
    }
}

static AVX2 void avx2(const wc_integer_weights *weights, size_t rows, const uint8_t *a, size_t stride, const float *row_scales,
                      size_t scale_step, float *c, size_t c_stride)
{
    size_t quads = (weights->depth + depth - 1) / depth;
    for (size_t column = 0; column < weights->columns; column += columns) {
        size_t row = 0;
        for (; row + 2 <= rows; row += 2) {
            tile_avx2(2, weights, quads, column, a + row * stride, stride, row_scales + row * scale_step, scale_step,
                      c + row * c_stride, c_stride);
        }
        if (row < rows) {
            tile_avx2(1, weights, quads, column, a + row * stride, stride, row_scales + row * scale_step, scale_step,
                      c + row * c_stride, c_stride);
        }
    }
}

/// Some rows and some panels that follow each other.
INLINE AVX512 void tile_avx512(const int rows, const int panels, const wc_integer_weights *weights, size_t quads, size_t column,
                               const uint8_t *a, size_t stride, const float *row_scales, size_t scale_step, float *c, size_t c_stride)
{
    const int8_t *codes = weights->codes + column * quads * depth;
    size_t step = columns * quads * depth;
    __m512i sums[8][4];
    for (int row = 0; row < rows; row++) {
        for (int panel = 0; panel < panels; panel++) sums[row][panel] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < quads; k++, codes += columns * depth) {
        __m512i b[4];
        for (int panel = 0; panel < panels; panel++) b[panel] = _mm512_loadu_si512(codes + panel * step);
        for (int row = 0; row < rows; row++) {
            __m512i x = _mm512_set1_epi32((int)quad(a + row * stride + k * depth));
            for (int panel = 0; panel < panels; panel++) {
                sums[row][panel] = _mm512_dpbusd_epi32(sums[row][panel], x, b[panel]);
            }
        }
    }
    for (int row = 0; row < rows; row++) {
        __m512 row_scale = _mm512_set1_ps(row_scales[row * scale_step]);
        for (int panel = 0; panel < panels; panel++) {
            size_t first = column + panel * columns;
            size_t left = weights->columns - first;
            __m512i exact = _mm512_sub_epi32(sums[row][panel], _mm512_loadu_si512(weights->offsets + first));
            __m512 scale = _mm512_mul_ps(row_scale, _mm512_loadu_ps(weights->scales + first));
            __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(exact), scale);
            __mmask16 mask = left >= columns ? 0xFFFF : (__mmask16)((1u << left) - 1);
            _mm512_mask_storeu_ps(c + row * c_stride + first, mask,
                                  _mm512_add_ps(product, _mm512_loadu_ps(weights->bias + first)));
        }
    }
}

/// All rows and some panels.
INLINE AVX512 void rows_avx512(const int panels, const wc_integer_weights *weights, size_t quads, size_t column, size_t rows,
                               const uint8_t *a, size_t stride, const float *row_scales, size_t scale_step, float *c, size_t c_stride)
{
#define TILE(count, width) \
    tile_avx512(count, width, weights, quads, column, a + row * stride, stride, row_scales + row * scale_step, scale_step, \
                c + row * c_stride, c_stride)
    size_t row = 0;
    if (panels <= 2) {
        for (; row + 8 <= rows; row += 8) TILE(8, panels);
        if (row + 4 <= rows) TILE(4, panels), row += 4;
        if (row + 2 <= rows) TILE(2, panels), row += 2;
    }
    for (; row < rows; row++) TILE(1, panels);
#undef TILE
}

static AVX512 void avx512(const wc_integer_weights *weights, size_t rows, const uint8_t *a, size_t stride, const float *row_scales,
                          size_t scale_step, float *c, size_t c_stride)
{
    size_t quads = (weights->depth + depth - 1) / depth, column = 0;
#define ROWS(panels) rows_avx512(panels, weights, quads, column, rows, a, stride, row_scales, scale_step, c, c_stride)
    // Few rows would wait for each sum: more columns at once fill the time.
    if (rows == 1) {
        for (; column + 3 * columns < weights->columns; column += 4 * columns) ROWS(4);
    }
    for (; column + columns < weights->columns; column += 2 * columns) ROWS(2);
    if (column < weights->columns) ROWS(1);
#undef ROWS
}
#endif

wc_instructions wc_best_instructions(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
        return wc_instructions_avx512;
    }
    if (__builtin_cpu_supports("avx2")) return wc_instructions_avx2;
#endif
    return wc_instructions_portable;
}

void wc_multiply_integers(wc_instructions instructions, const wc_integer_weights *weights, size_t rows, const uint8_t *a,
                          size_t stride, const float *row_scales, size_t scale_step, float *c, size_t c_stride)
{
    size_t block = weights->depth ? block_bytes / weights->depth : rows;
    if (block < least_block) block = least_block;
    for (size_t row = 0; row < rows; row += block) {
        size_t count = rows - row < block ? rows - row : block;
        const uint8_t *codes = a + row * stride;
        const float *scales = row_scales + row * scale_step;
        float *target = c + row * c_stride;
#if defined(__x86_64__)
        if (instructions == wc_instructions_avx512) {
            avx512(weights, count, codes, stride, scales, scale_step, target, c_stride);
            continue;
        }
        if (instructions == wc_instructions_avx2) {
            avx2(weights, count, codes, stride, scales, scale_step, target, c_stride);
            continue;
        }
#endif
        portable(weights, count, codes, stride, scales, scale_step, target, c_stride);
    }
}
