#include "CNativeKernels.h"
#include "clones.h"

/// Channels that are computed at once, in a few registers.
enum { lanes = 32 };
typedef float vector __attribute__((vector_size(lanes * sizeof(float)), aligned(4)));

CLONES void wc_depthwise(float *y, const float *start, const float *x, const float *weights, size_t channels,
                         const ptrdiff_t *offsets, const size_t *elements, size_t taps)
{
#pragma clang fp contract(fast)
    size_t channel = 0;
    for (; channel + lanes <= channels; channel += lanes) {
        vector sums = {0};
        if (start) sums = *(const vector *)(start + channel);
        for (size_t tap = 0; tap < taps; tap++) {
            sums += *(const vector *)(x + offsets[tap] + channel) * *(const vector *)(weights + elements[tap] * channels + channel);
        }
        *(vector *)(y + channel) = sums;
    }
    if (channel == channels) return;
    for (size_t rest = channel; rest < channels; rest++) y[rest] = start ? start[rest] : 0;
    for (size_t tap = 0; tap < taps; tap++) {
        const float *input = x + offsets[tap], *factors = weights + elements[tap] * channels;
        for (size_t rest = channel; rest < channels; rest++) y[rest] += input[rest] * factors[rest];
    }
}
