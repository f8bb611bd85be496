/* Derivatives of the Black-Scholes price of a call, by hand.

   d1 = (log(S / K) + (r + sigma^2 / 2) T) / (sigma sqrt(T)),  d2 = d1 - sigma sqrt(T)
   price = S N(d1) - K exp(-r T) N(d2)

   What holds for every point is computed before the loop, and phi(d2) comes from
   S phi(d1) = K exp(-r T) phi(d2) without another exponential. */

#include "kernel.h"

#define SQRT_2 ((REAL)1.41421356237309504880)
#define SQRT_2_PI ((REAL)2.50662827463100050242)

/* erfc keeps every digit of a small N(x), as the frameworks' own does; erf is faster and loses
   them in the tail, where 1 + erf cancels. */
#pragma omp declare simd
static inline REAL normal_cdf(REAL x) {
#ifdef CDF_BY_ERF
    return (REAL)0.5 + (REAL)0.5 * erf(x / SQRT_2);
#else
    return (REAL)0.5 * erfc(-x / SQRT_2);
#endif
}

#pragma omp declare simd
static inline REAL normal_pdf(REAL x) { return exp((REAL)-0.5 * x * x) / SQRT_2_PI; }

KERNEL(gradient) {
    const long n = sizes[0];
    const REAL *restrict S = in[0];
    const REAL K = *in[1], T = *in[2], r = *in[3], sigma = *in[4];
    REAL *restrict dS = out[0], *restrict dK = out[1], *restrict dT = out[2];
    REAL *restrict dr = out[3], *restrict dsigma = out[4];

    const REAL sqrt_T = sqrt(T), total = sigma * sqrt_T, discount = exp(-r * T);
    const REAL per_total = 1 / total, drift = (r + sigma * sigma / 2) * T;

#pragma omp parallel for simd if (parallel : n >= PARALLEL_FROM)
    for (long i = 0; i < n; i++) {
        const REAL d1 = (log(S[i] / K) + drift) * per_total;
        const REAL discounted = discount * normal_cdf(d1 - total);
        const REAL vega = S[i] * normal_pdf(d1) * sqrt_T;
        dS[i] = normal_cdf(d1);
        dK[i] = -discounted;
        dT[i] = vega * sigma / (2 * T) + r * K * discounted;
        dr[i] = K * T * discounted;
        dsigma[i] = vega;
    }
}

/* Over S and sigma: what varies with one of them alone is computed once for each of its values. */
KERNEL(grid_gradient) {
    const long n = sizes[0], m = sizes[1];
    const REAL *restrict S = in[0], *restrict sigma = in[4];
    const REAL K = *in[1], T = *in[2], r = *in[3];
    REAL *restrict dS = out[0], *restrict dK = out[1], *restrict dT = out[2];
    REAL *restrict dr = out[3], *restrict dsigma = out[4];

    const REAL sqrt_T = sqrt(T), discount = exp(-r * T);

#pragma omp parallel for if (n * m >= PARALLEL_FROM)
    for (long i = 0; i < n; i++) {
        const REAL log_moneyness = log(S[i] / K) + r * T, S_sqrt_T = S[i] * sqrt_T;
        const long row = i * m;
#pragma omp simd
        for (long j = 0; j < m; j++) {
            const REAL total = sigma[j] * sqrt_T;
            const REAL d1 = log_moneyness / total + total / 2;
            const REAL discounted = discount * normal_cdf(d1 - total);
            const REAL vega = S_sqrt_T * normal_pdf(d1);
            dS[row + j] = normal_cdf(d1);
            dK[row + j] = -discounted;
            dT[row + j] = vega * sigma[j] / (2 * T) + r * K * discounted;
            dr[row + j] = K * T * discounted;
            dsigma[row + j] = vega;
        }
    }
}

/* The upper triangle, row by row, in the order S, K, T, r, sigma. */
KERNEL(hessian) {
    const long n = sizes[0];
    const REAL *restrict S = in[0];
    const REAL K = *in[1], T = *in[2], r = *in[3], sigma = *in[4];
    REAL *restrict SS = out[0], *restrict SK = out[1], *restrict ST = out[2];
    REAL *restrict Sr = out[3], *restrict Ssigma = out[4];
    REAL *restrict KK = out[5], *restrict KT = out[6], *restrict Kr = out[7];
    REAL *restrict Ksigma = out[8], *restrict TT = out[9], *restrict Tr = out[10];
    REAL *restrict Tsigma = out[11], *restrict rr = out[12], *restrict rsigma = out[13];
    REAL *restrict sigmasigma = out[14];

    const REAL sqrt_T = sqrt(T), total = sigma * sqrt_T, discount = exp(-r * T);
    const REAL per_total = 1 / total, per_sigma = 1 / sigma, per_K = 1 / K;
    const REAL rate = r + sigma * sigma / 2, drift = rate * T, dd_dr = sqrt_T * per_sigma;
    const REAL rate_per_total = rate * per_total, half_per_T = 1 / (2 * T);
    const REAL half_slope = sigma / (2 * sqrt_T);

#pragma omp parallel for simd if (parallel : n >= PARALLEL_FROM)
    for (long i = 0; i < n; i++) {
        const REAL d1 = (log(S[i] / K) + drift) * per_total, d2 = d1 - total;
        const REAL pdf = normal_pdf(d1), S_pdf = S[i] * pdf;
        const REAL discounted = discount * normal_cdf(d2), K_discounted = K * discounted;
        const REAL dd1_dT = rate_per_total - d1 * half_per_T, dd2_dT = dd1_dT - half_slope;
        const REAL S_pdf_d1_per_sigma = S_pdf * d1 * per_sigma;

        SS[i] = pdf * per_total / S[i];
        SK[i] = -pdf * per_total * per_K;
        ST[i] = pdf * dd1_dT;
        Sr[i] = pdf * dd_dr;
        Ssigma[i] = -pdf * d2 * per_sigma;
        KK[i] = S_pdf * per_total * per_K * per_K;
        KT[i] = r * discounted - S_pdf * dd2_dT * per_K;
        Kr[i] = T * discounted - S_pdf * dd_dr * per_K;
        Ksigma[i] = S_pdf_d1_per_sigma * per_K;
        TT[i] = -S_pdf * half_slope * (d1 * dd1_dT + half_per_T)
              + r * (S_pdf * dd2_dT - r * K_discounted);
        Tr[i] = (1 - r * T) * K_discounted + S_pdf * (r * dd_dr - d1 / 2);
        Tsigma[i] = S_pdf * (1 + d1 * d2) / (2 * sqrt_T) - r * S_pdf_d1_per_sigma;
        rr[i] = T * (S_pdf * dd_dr - T * K_discounted);
        rsigma[i] = -T * S_pdf_d1_per_sigma;
        sigmasigma[i] = sqrt_T * S_pdf_d1_per_sigma * d2;
    }
}
