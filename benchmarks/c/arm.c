/* The Jacobian of a UR5's tool position in its joint angles: column i is z_i x (tool - o_i), where
   joint i turns about the axis z_i through o_i.

   The twists of its joints are 0 and right angles, whose sines and cosines are exact here. */

#include "kernel.h"

#define JOINTS 6
#define ENTRIES (3 * JOINTS)
#define BLOCK 64

static const REAL A[JOINTS] = {0, -0.425, -0.39225, 0, 0, 0};
static const REAL D[JOINTS] = {0.089159, 0, 0, 0.10915, 0.09465, 0.0823};
static const REAL COS_ALPHA[JOINTS] = {0, 1, 1, 0, 0, 1};
static const REAL SIN_ALPHA[JOINTS] = {1, 0, 0, 1, -1, 0};

/* Fill n <= BLOCK Jacobians. */
static void jacobians(long n, const REAL *restrict q, REAL *restrict J) {
    REAL cosines[JOINTS][BLOCK], sines[JOINTS][BLOCK], entries[ENTRIES][BLOCK];

    /* Apart, because a cosine and a sine of one angle become sincos, which has no vector form. */
    for (int i = 0; i < JOINTS; i++) {
#pragma omp simd
        for (long pose = 0; pose < n; pose++) cosines[i][pose] = cos(q[pose * JOINTS + i]);
    }
    for (int i = 0; i < JOINTS; i++) {
#pragma omp simd
        for (long pose = 0; pose < n; pose++) sines[i][pose] = sin(q[pose * JOINTS + i]);
    }

#pragma omp simd
    for (long pose = 0; pose < n; pose++) {
        REAL x[3] = {1, 0, 0}, y[3] = {0, 1, 0}, z[3] = {0, 0, 1}, o[3] = {0, 0, 0};
        REAL axis[JOINTS][3], origin[JOINTS][3];
#pragma GCC unroll 6
        for (int i = 0; i < JOINTS; i++) {
            const REAL c = cosines[i][pose], s = sines[i][pose];
#pragma GCC unroll 3
            for (int k = 0; k < 3; k++) {
                axis[i][k] = z[k];
                origin[i][k] = o[k];
                const REAL ahead = c * x[k] + s * y[k], aside = c * y[k] - s * x[k];
                o[k] += D[i] * z[k] + A[i] * ahead;
                x[k] = ahead;
                y[k] = COS_ALPHA[i] * aside + SIN_ALPHA[i] * z[k];
                z[k] = COS_ALPHA[i] * z[k] - SIN_ALPHA[i] * aside;
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < JOINTS; i++) {
            const REAL *w = axis[i];
            const REAL p[3] = {o[0] - origin[i][0], o[1] - origin[i][1], o[2] - origin[i][2]};
            entries[0 * JOINTS + i][pose] = w[1] * p[2] - w[2] * p[1];
            entries[1 * JOINTS + i][pose] = w[2] * p[0] - w[0] * p[2];
            entries[2 * JOINTS + i][pose] = w[0] * p[1] - w[1] * p[0];
        }
    }

    for (long pose = 0; pose < n; pose++)
        for (int e = 0; e < ENTRIES; e++) J[pose * ENTRIES + e] = entries[e][pose];
}

KERNEL(jacobian) {
    const long n = sizes[0];

#pragma omp parallel for if (n * JOINTS >= PARALLEL_FROM)
    for (long start = 0; start < n; start += BLOCK) {
        const long left = n - start;
        jacobians(left < BLOCK ? left : BLOCK, in[0] + start * JOINTS, out[0] + start * ENTRIES);
    }
}
