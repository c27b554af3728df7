// Times the native target's products of 8-bit integers beside OpenBLAS's of floats, one thread; prints rows of a table.
//
//     clang -O2 -ISources/CLibs/CNativeKernels/include benchmarks/graph/products.c Sources/CLibs/CNativeKernels/integers.c -ldl \
//         -o .build/products && .build/products
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "CNativeKernels.h"

typedef void sgemm_function(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);

static sgemm_function *sgemm;

static struct product {
    size_t rows, columns, depth;
    uint8_t *a;
    wc_integer_weights weights;
    float *floats_a, *floats_b, *c;
} product;

static void run(int kind)
{
    const float scale = 0.5f;
    int m = (int)product.rows, n = (int)product.columns, k = (int)product.depth;
    if (kind < 0) {
        sgemm(101, 111, 112, m, n, k, 1, product.floats_a, k, product.floats_b, k, 0, product.c, n);
    } else {
        wc_multiply_integers((wc_instructions)kind, &product.weights, product.rows, product.a, product.depth, &scale, 0, product.c,
                             product.columns);
    }
}

/// Billions of multiply-adds a second: the best of 15 series of about 20 million.
static double speed(int kind)
{
    double size = (double)product.rows * product.columns * product.depth, best = 0;
    for (int series = 0; series < 15; series++) {
        int times = 1 + (int)(2e7 / size);
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (int i = 0; i < times; i++) run(kind);
        clock_gettime(CLOCK_MONOTONIC, &end);
        double seconds = end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) * 1e-9;
        if (times * size / seconds > best) best = times * size / seconds;
    }
    return best * 1e-9;
}

int main(void)
{
    static const size_t sizes[][3] = {{16, 512, 128}, {64, 64, 576}, {196, 128, 512}, {784, 256, 256}, {3136, 24, 144}, {512, 512, 512}};
    void *library = dlopen("libopenblas.so.0", RTLD_NOW);
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    sgemm = (sgemm_function *)dlsym(library, "cblas_sgemm");
    ((void (*)(int))dlsym(library, "openblas_set_num_threads"))(1);
    printf("%s\n| rows x depth x columns | OpenBLAS, floats | AVX2 | AVX-512 |\n|---|---:|---:|---:|\n",
           ((const char *(*)(void))dlsym(library, "openblas_get_config"))());
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        product.rows = sizes[i][0], product.columns = sizes[i][1], product.depth = sizes[i][2];
        size_t panels = (product.columns + 15) / 16, quads = (product.depth + 3) / 4;
        product.a = calloc(product.rows * product.depth + 4, 1);
        product.weights = (wc_integer_weights){product.columns,
                                               product.depth,
                                               calloc(panels * quads, 64),
                                               calloc(panels * 16, sizeof(int32_t)),
                                               calloc(panels * 16, sizeof(float)),
                                               calloc(panels * 16, sizeof(float))};
        product.floats_a = calloc(product.rows * product.depth, sizeof(float));
        product.floats_b = calloc(product.columns * product.depth, sizeof(float));
        product.c = calloc(product.rows * product.columns, sizeof(float));
        printf("| %zu x %zu x %zu | %.0f |", product.rows, product.depth, product.columns, speed(-1));
        for (int kind = wc_instructions_avx2; kind <= wc_instructions_avx512; kind++) {
            if (kind <= (int)wc_best_instructions()) printf(" %.0f |", speed(kind));
        }
        printf("\n");
    }
    return 0;
}
