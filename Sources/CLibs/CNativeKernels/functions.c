#include <math.h>
#include <string.h>

#include "CNativeKernels.h"
#include "clones.h"

// Without branches and calls, so that loops become vectors. NaN stays NaN.

#define INLINE static inline __attribute__((always_inline))

INLINE float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE int32_t to_bits(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/// e^x = 2^n * e^r with |r| <= ln(2) / 2, whose polynomial is Cephes's.
INLINE float exponential(float x)
{
    float bounded = x > 89.0f ? 89.0f : x;
    bounded = bounded < -104.0f ? -104.0f : bounded;
    // The sum's last bits are the nearest integer.
    float sum = bounded * 1.44269504088896341f + 12582912.0f;
    float n = sum - 12582912.0f;
    int32_t whole = to_bits(sum) - 0x4B400000;
    float r = bounded - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    float y = p * (r * r) + r + 1.0f;
    // In two steps, so that neither leaves the range of exponents where the product does not.
    int32_t half = whole >> 1;
    y = y * from_bits((uint32_t)(half + 127) << 23) * from_bits((uint32_t)(whole - half + 127) << 23);
    return x != x ? x : y;
}

INLINE float logistic(float x) { return 1.0f / (1.0f + exponential(-x)); }

/// A quotient of polynomials, that of Eigen.
INLINE float hyperbolic_tangent(float x)
{
    float bounded = x > 7.90531110763549805f ? 7.90531110763549805f : x;
    bounded = bounded < -7.90531110763549805f ? -7.90531110763549805f : bounded;
    float s = bounded * bounded;
    float p = -2.76076847742355e-16f;
    p = p * s + 2.00018790482477e-13f;
    p = p * s - 8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * s + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    float y = bounded * p / q;
    float magnitude = x < 0 ? -x : x;
    y = magnitude > 9.02f ? (x < 0 ? -1.0f : 1.0f) : y;
    return magnitude < 0.0004f ? x : y;
}

/// A polynomial for small numbers, 1 - e^polynomial for others.
INLINE float error_function(float x)
{
    float t = x < 0 ? -x : x;
    float s = x * x;
    float far = -1.72853470e-5f * t + 3.83197126e-4f;
    float other = -3.88396438e-3f * t + 2.42546219e-2f;
    far = far * s + other;
    far = far * t - 1.06777877e-1f;
    far = far * t - 6.34846687e-1f;
    far = far * t - 1.28717512e-1f;
    far = far * t - t;
    // Beyond 4 it is 1.
    far = t > 4.0f ? 1.0f : 1.0f - exponential(far);
    float near = -5.96761703e-4f;
    near = near * s + 4.99119423e-3f;
    near = near * s - 2.67681349e-2f;
    near = near * s + 1.12819925e-1f;
    near = near * s - 3.76125336e-1f;
    near = near * s + 1.28379166e-1f;
    near = near * x + x;
    float signed_far = x < 0 ? -far : far;
    float y = t > 0.927734375f ? signed_far : near;
    return x != x ? x : y;
}

#define EACH(name, expression) \
    CLONES void name(float *x, size_t count) \
    { \
        for (size_t i = 0; i < count; i++) x[i] = expression; \
    }

EACH(wc_exp, exponential(x[i]))
EACH(wc_tanh, hyperbolic_tangent(x[i]))
EACH(wc_sigmoid, logistic(x[i]))
EACH(wc_erf, error_function(x[i]))
EACH(wc_gelu, 0.5f * x[i] * (1.0f + error_function(x[i] * 0.70710678f)))

CLONES void wc_swish(float *x, size_t count, float alpha)
{
    for (size_t i = 0; i < count; i++) x[i] = x[i] * logistic(alpha * x[i]);
}
