#pragma once
#include <stddef.h>
#include <stdint.h>

// Inner loops of the native target that need instructions of a processor: a Swift function cannot be compiled for several of them.

/// Sets of instructions that products of integers are compiled for, each faster than those before.
typedef enum {
    wc_instructions_portable = 0,
    wc_instructions_avx2 = 1,
    /// AVX-512 with products of bytes in fours.
    wc_instructions_avx512 = 2,
} __attribute__((enum_extensibility(closed))) wc_instructions;

/// The last that this processor has.
wc_instructions wc_best_instructions(void);

/// Columns of weights that lie together, and weights of a column that follow each other.
enum { wc_panel_columns = 16, wc_panel_depth = 4 };

/// What the weights of a product of integers are.
typedef struct {
    /// Number of columns and of weights in each.
    size_t columns, depth;
    /// Panels of 16 columns, of which each has, for four weights after four, those of column after column; zeros where columns or weights
    /// are missing.
    const int8_t *_Nonnull codes;
    /// For each column of the panels 128 times the sum of its weights.
    const int32_t *_Nonnull offsets;
    /// For each column of the panels what a code stands for.
    const float *_Nonnull scales;
    /// For each column of the panels what is added.
    const float *_Nonnull bias;
} wc_integer_weights;

/// C = A B, where the sums are exact and their scales and the bias come last: (sum * (row's scale * column's scale)) + bias.
///
/// A's codes have 128 added; a row's are followed by at least three readable bytes, which count for nothing. The result is the same bits
/// for all instructions.
///
/// - rows: number of rows, `stride` from one to the next.
/// - row_scales: what a code of each row stands for, `scale_step` (0 or 1) from one row to the next.
/// - c: rows x columns, `c_stride` from row to row.
void wc_multiply_integers(wc_instructions instructions, const wc_integer_weights *_Nonnull weights, size_t rows,
                          const uint8_t *_Nonnull a, size_t stride, const float *_Nonnull row_scales, size_t scale_step,
                          float *_Nonnull c, size_t c_stride);

/// One output of a depthwise convolution whose channels lie together: y[c] = start[c] + the sum over taps of x[offset + c] * w[tap, c].
///
/// - offsets: for each tap where its input lies, in channels from `x`.
/// - elements: for each tap the row of `weights` that belongs to it.
void wc_depthwise(float *_Nonnull y, const float *_Nullable start, const float *_Nonnull x, const float *_Nonnull weights,
                  size_t channels, const ptrdiff_t *_Nonnull offsets, const size_t *_Nonnull elements, size_t taps);

// Functions of each of `count` numbers, in their place, within a few units of the last digit.
void wc_exp(float *_Nonnull x, size_t count);
void wc_tanh(float *_Nonnull x, size_t count);
void wc_sigmoid(float *_Nonnull x, size_t count);
void wc_erf(float *_Nonnull x, size_t count);
/// x / 2 * (1 + erf(x / sqrt(2))).
void wc_gelu(float *_Nonnull x, size_t count);
/// x * sigmoid(alpha * x).
void wc_swish(float *_Nonnull x, size_t count, float alpha);
