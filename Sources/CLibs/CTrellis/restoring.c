#include "../CNativeKernels/clones.h"
#include "CTrellis.h"

#pragma STDC FP_CONTRACT OFF

CLONES void wc_trellis_points(const uint8_t *restrict samples, const uint8_t *restrict unions, size_t count, int16_t zero,
                              int16_t *restrict points)
{
    for (size_t i = 0; i < count; i++) points[i] = (int16_t)(2 * samples[i] + unions[i] - zero);
}

CLONES void wc_trellis_weights(const int16_t *restrict points, size_t count, float step, float *restrict weights)
{
    for (size_t i = 0; i < count; i++) weights[i] = (float)points[i] * step;
}

static inline __attribute__((always_inline)) void add_centers(int16_t *restrict points, const int16_t *restrict earlier,
                                                              size_t channels, size_t distance, size_t taps,
                                                              const int16_t *restrict coefficients, int32_t largest)
{
    for (size_t c = 0; c < channels; c++) {
        int32_t sum = 64;
        for (size_t t = 0; t < taps; t++) sum += coefficients[t * channels + c] * earlier[c + (taps - 1 - t) * distance];
        // A point is two indices, a coefficient counts 64ths.
        int32_t center = sum >> 7;
        center = center < -largest ? -largest : center;
        center = center > largest ? largest : center;
        points[c] = (int16_t)(points[c] + 2 * center);
    }
}

CLONES void wc_trellis_add_centers(int16_t *points, size_t channels, size_t distance, size_t taps, const int16_t *coefficients, int32_t largest)
{
    const int16_t *earlier = points - taps * distance;
    switch (taps) {
    case 0: break;
    case 1: add_centers(points, earlier, channels, distance, 1, coefficients, largest); break;
    case 2: add_centers(points, earlier, channels, distance, 2, coefficients, largest); break;
    case 3: add_centers(points, earlier, channels, distance, 3, coefficients, largest); break;
    default: add_centers(points, earlier, channels, distance, 4, coefficients, largest);
    }
}
