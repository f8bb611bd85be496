/* The end of a Lotka-Volterra trajectory, and its sensitivities, by forward propagation.

   x' = alpha x - beta x y,  y' = delta x y - gamma y, by 200 steps of RK4; each sensitivity
   (u, v) to a parameter p obeys u' = (df/dx) u + (df/dy) v + df/dp, integrated alongside.
   One lane is one point, and its whole state stays in registers or the first cache. */

#include <string.h>

#include "kernel.h"

#define WIDTH (64 / sizeof(REAL))
#define ARGUMENTS 5
#define STATES (2 + 2 * ARGUMENTS)
#define STEPS 200

typedef REAL Lanes __attribute__((vector_size(64)));

static inline void rates(const Lanes *p, const Lanes *state, Lanes *rate) {
    const Lanes x = state[0], y = state[1], xy = x * y;
    const Lanes fx_x = p[0] - p[1] * y, fx_y = -p[1] * x, fy_x = p[2] * y, fy_y = p[2] * x - p[3];
    rate[0] = fx_x * x;
    rate[1] = fy_y * y;
#pragma GCC unroll 5
    for (int k = 0; k < ARGUMENTS; k++) {
        const Lanes u = state[2 + 2 * k], v = state[3 + 2 * k];
        rate[2 + 2 * k] = fx_x * u + fx_y * v;
        rate[3 + 2 * k] = fy_x * u + fy_y * v;
    }
    rate[2] += x;   /* alpha */
    rate[4] -= xy;  /* beta */
    rate[7] += xy;  /* delta */
    rate[9] -= y;   /* gamma */
}

static inline void step(const Lanes *p, Lanes *state, REAL h) {
    static const REAL REACH[3] = {0.5, 0.5, 1}, WEIGHT[4] = {1 / 6.0, 1 / 3.0, 1 / 3.0, 1 / 6.0};
    Lanes rate[STATES], trial[STATES], total[STATES];
    memcpy(trial, state, sizeof(trial));
    memcpy(total, state, sizeof(total));
#pragma GCC unroll 4
    for (int stage = 0; stage < 4; stage++) {
        rates(p, trial, rate);
#pragma GCC unroll 12
        for (int s = 0; s < STATES; s++) {
            total[s] += h * WEIGHT[stage] * rate[s];
            if (stage < 3) trial[s] = state[s] + h * REACH[stage] * rate[s];
        }
    }
    memcpy(state, total, sizeof(total));
}

/* Arguments: alpha, beta, delta, gamma, x0, all swept. */
KERNEL(gradient) {
    const long n = sizes[0], n_blocks = (n + WIDTH - 1) / WIDTH;
    const REAL h = 10.0 / STEPS;

#pragma omp parallel for if (n_blocks > 1)
    for (long block = 0; block < n_blocks; block++) {
        const long start = block * WIDTH, left = n - start;
        const size_t n_bytes = (left < (long)WIDTH ? left : (long)WIDTH) * sizeof(REAL);
        Lanes p[ARGUMENTS] = {0}, state[STATES] = {0};
        for (int k = 0; k < ARGUMENTS; k++) memcpy(&p[k], in[k] + start, n_bytes);
        state[0] = p[4];
        state[1] += 5;
        state[10] += 1; /* dx/dx0 */
        for (int i = 0; i < STEPS; i++) step(p, state, h);
        for (int k = 0; k < ARGUMENTS; k++) memcpy(out[k] + start, &state[2 + 2 * k], n_bytes);
    }
}
