/* The gradient of x0^2 + x1^3 + x2^4 + x3^5 + x4^6 over x0: only df/dx0 varies with it. */

#include "kernel.h"

KERNEL(gradient) {
    const long n = sizes[0];
    const REAL *restrict x0 = in[0];
    const REAL x1 = *in[1], x2 = *in[2], x3 = *in[3], x4 = *in[4];
    REAL *restrict df_dx0 = out[0];

#pragma omp parallel for simd if (parallel : n >= PARALLEL_FROM)
    for (long i = 0; i < n; i++) df_dx0[i] = 2 * x0[i];

    *out[1] = 3 * x1 * x1;
    *out[2] = 4 * x2 * x2 * x2;
    *out[3] = 5 * x3 * x3 * x3 * x3;
    *out[4] = 6 * x4 * x4 * x4 * x4 * x4;
}
