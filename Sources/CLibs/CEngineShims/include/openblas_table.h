#pragma once
#include "onnxruntime_table.h"

// OpenBLAS is loaded when a network is run by kernels of our own. Its header is in none of the packages that running needs: the
// functions are declared here as its cblas.h has them.
typedef struct {
    /// Row-major (101) C = alpha A B + beta C; A and B as they are (111) or transposed (112).
    void (*_Nonnull sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *_Nonnull a,
                           int lda, const float *_Nonnull b, int ldb, float beta, float *_Nonnull c, int ldc);
    /// y = alpha A x + beta y with a row-major m x n matrix A, as it is (111) or transposed (112).
    void (*_Nonnull sgemv)(int order, int transpose, int m, int n, float alpha, const float *_Nonnull a, int lda,
                           const float *_Nonnull x, int step_x, float beta, float *_Nonnull y, int step_y);
    /// Threads that later calls use.
    void (*_Nonnull set_threads)(int count);
    /// The library's version and what it was built with.
    const char *_Nonnull (*_Nonnull configuration)(void);
} __attribute__((swift_attr("@Sendable"))) wc_openblas;

/// Loads OpenBLAS from a file, or by a name that the system's loader knows, at the first call; it stays loaded.
///
/// Returns null when it cannot be loaded or is something else, and then the message says so.
const wc_openblas *_Nullable wc_openblas_load(const char *_Nonnull file, wc_engine_message *_Nonnull message);
