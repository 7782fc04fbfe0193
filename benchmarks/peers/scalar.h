// The descent of a program of scalar instructions: parameters stay in registers, U vectors of trajectories at a time.
// REAL and P are defined before this file; the generated `step` takes x to the next point.
#include <stdlib.h>

constexpr int LANES = 32 / sizeof(REAL);
typedef REAL V __attribute__((vector_size(32)));
#define INLINE static inline __attribute__((always_inline))
INLINE V where(decltype(V{} < V{}) holds, V a, V b) { return holds ? a : b; }

INLINE void step(V (&x)[P], REAL rate);

extern "C" void descend(const REAL* start, REAL* final, long count, const REAL*, const int*, const int*, long steps,
                        long, double rate) {
    constexpr int ACROSS = U * LANES;
    for (long base = 0; base < count; base += ACROSS) {
        const long here = count - base < ACROSS ? count - base : ACROSS;
        V x[U][P];
        for (int t = 0; t < ACROSS; t++)
            for (int r = 0; r < P; r++) x[t / LANES][r][t % LANES] = start[(base + (t < here ? t : 0)) * P + r];
        for (long k = 0; k < steps; k++)
#pragma GCC unroll 16
            for (int u = 0; u < U; u++) step(x[u], rate);
        for (int t = 0; t < here; t++)
            for (int r = 0; r < P; r++) final[(base + t) * P + r] = x[t / LANES][r][t % LANES];
    }
}
