#include "CTrellis.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#pragma STDC FP_CONTRACT OFF

#define INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(16)));
typedef int32_t mask __attribute__((vector_size(16)));

INLINE vector load(const float *from)
{
    vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(float *to, vector v) { memcpy(to, &v, sizeof v); }

INLINE vector all(float x) { return (vector){x, x, x, x}; }

/// The less in each lane, the first where they are equal.
INLINE vector lesser(vector a, vector b)
{
#ifdef __SSE2__
    return __builtin_ia32_minps(b, a);
#else
    mask is_second = b < a;
    return (vector)(((mask)a & ~is_second) | ((mask)b & is_second));
#endif
}

/// A mask as four bits.
INLINE unsigned bits(mask m)
{
#ifdef __SSE2__
    return (unsigned)__builtin_ia32_movmskps((vector)m);
#else
    m &= (mask){1, 2, 4, 8};
    return (unsigned)(m[0] | m[1] | m[2] | m[3]);
#endif
}

INLINE float least(vector v)
{
    float a = v[1] < v[0] ? v[1] : v[0], b = v[3] < v[2] ? v[3] : v[2];
    return b < a ? b : a;
}

/// Lanes exchanged as the index changes by XOR.
INLINE vector exchanged(vector v, unsigned by)
{
    switch (by) {
    case 1: return __builtin_shufflevector(v, v, 1, 0, 3, 2);
    case 2: return __builtin_shufflevector(v, v, 2, 3, 0, 1);
    case 3: return __builtin_shufflevector(v, v, 3, 2, 1, 0);
    default: return v;
    }
}

INLINE vector evens(vector a, vector b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6); }
INLINE vector odds(vector a, vector b) { return __builtin_shufflevector(a, b, 1, 3, 5, 7); }

// MARK: - Points

INLINE float floored(float position)
{
    // Without a call: adding this rounds to the nearest.
    float nearest = position + 12582912.0f - 12582912.0f;
    return nearest > position ? nearest - 1 : nearest;
}

void wc_trellis_measure(const float *positions, size_t count, const float *rows, int32_t cells, float *metrics, uint8_t *aboves)
{
    for (size_t i = 0; i < count; i++) {
        int32_t cell = (int32_t)floored(positions[i]);
        int32_t inside = cell;
        if (cell < -cells) inside = -cells + (cell & 3);
        if (cell >= cells) inside = cells - 4 + (cell & 3);
        vector position = all(positions[i] - (float)(cell - inside));
        const float *row = rows + 16 * (ptrdiff_t)(inside + cells);
        vector below = position - load(row), above = below - all(4);
        vector first = below * below + load(row + 4), second = above * above + load(row + 8);
        store(metrics + 4 * i, lesser(first, second));
        aboves[i] = (uint8_t)bits(second < first);
    }
}

// MARK: - States

/// Polynomials 5 and 2: all states in one vector.
static void advance_four(float *costs, const float *metrics, size_t count, uint8_t *decisions)
{
    vector all = load(costs);
    for (size_t i = 0; i < count; i++) {
        vector m = load(metrics + 4 * i);
        // Each state's predecessors: 0 and 2, 2 and 0, 1 and 3, 3 and 1.
        vector even = __builtin_shufflevector(all, all, 0, 2, 1, 3) + __builtin_shufflevector(m, m, 0, 0, 2, 2);
        vector odd = __builtin_shufflevector(all, all, 2, 0, 3, 1) + __builtin_shufflevector(m, m, 1, 1, 3, 3);
        unsigned is_odd = bits(odd < even);
        decisions[i] = (uint8_t)((is_odd & 3) | (is_odd & 12) << 2);
        all = lesser(even, odd);
    }
    store(costs, all);
}

/// Polynomials 13 and 04: states 2i and 2i + 1 in lane i of two vectors.
static void advance_eight(float *costs, const float *metrics, size_t count, uint8_t *decisions)
{
    vector low = load(costs), high = load(costs + 4);
    for (size_t i = 0; i < count; i++) {
        vector m = load(metrics + 4 * i);
        vector even = evens(low, high), odd = odds(low, high);
        vector a = even + __builtin_shufflevector(m, m, 0, 0, 0, 0);
        vector b = exchanged(even, 2) + __builtin_shufflevector(m, m, 1, 1, 1, 1);
        vector c = exchanged(odd, 1) + __builtin_shufflevector(m, m, 2, 2, 2, 2);
        vector d = exchanged(odd, 3) + __builtin_shufflevector(m, m, 3, 3, 3, 3);
        decisions[i] = (uint8_t)(bits(b < a) | bits(d < c) << 4);
        low = lesser(a, b);
        high = lesser(c, d);
    }
    store(costs, low);
    store(costs + 4, high);
}

/// Sixteen states and more: those of even and of odd number in vectors of four.
static void advance_many(const wc_trellis *trellis, float *costs, const float *metrics, size_t count, uint8_t *decisions)
{
    enum { most = wc_trellis_most_states / 8 };
    vector even[most], odd[most], next[2 * most];
    unsigned vectors = trellis->states / 8;
    unsigned by_parity = trellis->parity_taps, by_union = trellis->union_taps & (trellis->states / 2 - 1);
    unsigned by_both = by_parity ^ by_union;
    memcpy(next, costs, trellis->states * sizeof *costs);
    for (size_t i = 0; i < count; i++) {
        for (unsigned v = 0; v < vectors; v++) {
            even[v] = evens(next[2 * v], next[2 * v + 1]);
            odd[v] = odds(next[2 * v], next[2 * v + 1]);
        }
        const float *m = metrics + 4 * i;
        for (unsigned v = 0; v < vectors; v++) {
            vector a = even[v] + all(m[0]);
            vector b = exchanged(even[v ^ by_parity >> 2], by_parity & 3) + all(m[1]);
            vector c = exchanged(odd[v ^ by_union >> 2], by_union & 3) + all(m[2]);
            vector d = exchanged(odd[v ^ by_both >> 2], by_both & 3) + all(m[3]);
            decisions[v] = (uint8_t)(bits(b < a) | bits(d < c) << 4);
            next[v] = lesser(a, b);
            next[vectors + v] = lesser(c, d);
        }
        decisions += vectors;
    }
    memcpy(costs, next, trellis->states * sizeof *costs);
}

#ifdef __x86_64__
/// The same in vectors of eight.
__attribute__((target("avx2"))) static void advance_many_avx2(const wc_trellis *trellis, float *costs, const float *metrics,
                                                              size_t count, uint8_t *decisions)
{
    enum { most = wc_trellis_most_states / 16 };
    __m256 even[most], odd[most], next[2 * most];
    unsigned vectors = trellis->states / 16;
    unsigned by_parity = trellis->parity_taps, by_union = trellis->union_taps & (trellis->states / 2 - 1);
    unsigned by_both = by_parity ^ by_union;
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    // Lanes exchanged as the index changes by XOR.
    const __m256i parity_lanes = _mm256_xor_si256(lanes, _mm256_set1_epi32(by_parity & 7));
    const __m256i union_lanes = _mm256_xor_si256(lanes, _mm256_set1_epi32(by_union & 7));
    const __m256i both_lanes = _mm256_xor_si256(lanes, _mm256_set1_epi32(by_both & 7));
    memcpy(next, costs, trellis->states * sizeof *costs);
    for (size_t i = 0; i < count; i++) {
        for (unsigned v = 0; v < vectors; v++) {
            even[v] = __builtin_shufflevector(next[2 * v], next[2 * v + 1], 0, 2, 4, 6, 8, 10, 12, 14);
            odd[v] = __builtin_shufflevector(next[2 * v], next[2 * v + 1], 1, 3, 5, 7, 9, 11, 13, 15);
        }
        const float *m = metrics + 4 * i;
        const __m256 m0 = _mm256_set1_ps(m[0]), m1 = _mm256_set1_ps(m[1]), m2 = _mm256_set1_ps(m[2]), m3 = _mm256_set1_ps(m[3]);
        for (unsigned v = 0; v < vectors; v++) {
            __m256 a = even[v] + m0;
            __m256 b = _mm256_permutevar8x32_ps(even[v ^ by_parity >> 3], parity_lanes) + m1;
            __m256 c = _mm256_permutevar8x32_ps(odd[v ^ by_union >> 3], union_lanes) + m2;
            __m256 d = _mm256_permutevar8x32_ps(odd[v ^ by_both >> 3], both_lanes) + m3;
            unsigned low = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(b, a, _CMP_LT_OQ));
            unsigned high = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(d, c, _CMP_LT_OQ));
            decisions[2 * v] = (uint8_t)((low & 15) | high << 4);
            decisions[2 * v + 1] = (uint8_t)(low >> 4 | (high & 0xf0));
            next[v] = _mm256_min_ps(b, a);
            next[vectors + v] = _mm256_min_ps(d, c);
        }
        decisions += 2 * vectors;
    }
    memcpy(costs, next, trellis->states * sizeof *costs);
}
#endif

bool wc_trellis_has_wide_vectors(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx2");
#else
    return false;
#endif
}

void wc_trellis_advance(const wc_trellis *trellis, bool is_wide, float *costs, const float *metrics, size_t count,
                        uint8_t *decisions)
{
    (void)is_wide;
    switch (trellis->states) {
    case 4: advance_four(costs, metrics, count, decisions); break;
    case 8: advance_eight(costs, metrics, count, decisions); break;
    default:
#ifdef __x86_64__
        if (is_wide) {
            advance_many_avx2(trellis, costs, metrics, count, decisions);
            break;
        }
#endif
        advance_many(trellis, costs, metrics, count, decisions);
    }
    float lowest = costs[0];
    for (unsigned v = 0; v < trellis->states; v += 4) {
        float other = least(load(costs + v));
        lowest = other < lowest ? other : lowest;
    }
    for (unsigned state = 0; state < trellis->states; state++) costs[state] -= lowest;
}
