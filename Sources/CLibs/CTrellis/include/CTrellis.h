#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Inner loops of the trellis quantizer. In those of the search (TrellisSearch) vectors are shuffled: Swift's come out lane by lane, with
// branches that processors cannot foresee. Those of restoring (TrellisReader, TrellisRestoring) are compiled for several processors.
// Results are the same bits for all.

/// A trellis as Trellis.swift describes it, of 4 states or more.
typedef struct {
    uint32_t states;
    /// What the union and an odd k add to the shifted state.
    uint32_t union_taps, parity_taps;
} wc_trellis;

/// Most states of a trellis.
enum { wc_trellis_most_states = 256 };

/// For each weight what the best point of each of the four subsets costs, and in bit s of `aboves` whether that of subset s is the one above
/// the weight.
///
/// - positions: weights in steps, magnitudes below 2^22.
/// - rows: for each cell from -cells to cells - 1, four points at or below it, the costs of their bits and of those of the points four steps
///   above, and four numbers that count for nothing; beyond the ends the last four cells are repeated.
/// - metrics: receives four costs for each weight.
void wc_trellis_measure(const float *_Nonnull positions, size_t count, const float *_Nonnull rows, int32_t cells,
                        float *_Nonnull metrics, uint8_t *_Nonnull aboves);

/// Whether this processor has vectors of eight costs (AVX2).
bool wc_trellis_has_wide_vectors(void);

/// Goes on by some weights: adds to the costs of the cheapest ways to each state those of the cheapest way from there, then subtracts the
/// least of all, so that sums stay small.
///
/// - is_wide: whether vectors of eight costs are used, where there are as many; results are the same.
/// - costs: one for each state.
/// - metrics: four costs for each weight.
/// - decisions: receives for each weight states / 8 bytes (or one) in which a bit tells whether the way to a state came by an odd k: byte v has
///   from bit 0 those of states 4v to 4v + 3, from bit 4 those of the states half of all further.
void wc_trellis_advance(const wc_trellis *_Nonnull trellis, bool is_wide, float *_Nonnull costs, const float *_Nonnull metrics,
                        size_t count, uint8_t *_Nonnull decisions);

// MARK: - Restoring

/// Points of the grid of samples and unions: 2 * sample + union - zero.
void wc_trellis_points(const uint8_t *_Nonnull samples, const uint8_t *_Nonnull unions, size_t count, int16_t zero,
                       int16_t *_Nonnull points);

/// Weights of points: their products with the step.
void wc_trellis_weights(const int16_t *_Nonnull points, size_t count, float step, float *_Nonnull weights);

/// Adds to the points of a place twice the center that earlier places predict (WeightPrediction).
///
/// - points: one for each channel; those of the tap t lie (t + 1) * distance before them.
/// - taps: at most 4.
/// - coefficients: in 64ths, of magnitudes up to 128: one for each channel, tap after tap.
/// - largest: magnitude of a center.
void wc_trellis_add_centers(int16_t *_Nonnull points, size_t channels, size_t distance, size_t taps,
                            const int16_t *_Nonnull coefficients, int32_t largest);
