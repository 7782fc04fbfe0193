// What the generated programs share: vectors of trajectories, products of small matrices of such vectors, the descent.
// REAL, P (parameters), D (numbers of a sample), N (samples) and B (largest minibatch) are defined before this file.
#include <math.h>
#include <stdlib.h>
#include <string.h>

constexpr int LANES = 32 / sizeof(REAL);
typedef REAL V __attribute__((vector_size(32)));
constexpr int S = B < 8 ? B : 8; // samples at a time: they share the loads of the weights
#define INLINE static inline __attribute__((always_inline))

INLINE V where(decltype(V{} < V{}) holds, V a, V b) { return holds ? a : b; }
INLINE V spread(REAL x) { return x - V{}; }

enum Start { NOTHING, BIAS, OUT };
enum End { KEEP, RELU, MASK, STEP };
constexpr bool ONE = B <= S; // the whole minibatch at once: the step needs no memory for the gradient

// out[a][b] = start + sum over k of left[a][k] right[k][b], k from left to right; distances are in vectors.
template <int TA, int TB, int NK, Start START, End END, int OA, int LA, int LK, int RK, int RB>
INLINE void tile(V* out, const V* left, const V* right, const V* bias, const V* mask, const V* factor) {
    V sums[TA][TB];
#pragma GCC unroll 16
    for (int a = 0; a < TA; a++)
#pragma GCC unroll 16
        for (int b = 0; b < TB; b++) sums[a][b] = START == NOTHING ? V{} : START == BIAS ? bias[a] : out[a * OA + b];
    for (int k = 0; k < NK; k++)
#pragma GCC unroll 16
        for (int b = 0; b < TB; b++) {
            V r = right[k * RK + b * RB];
#pragma GCC unroll 16
            for (int a = 0; a < TA; a++) sums[a][b] += left[a * LA + k * LK] * r;
        }
#pragma GCC unroll 16
    for (int a = 0; a < TA; a++)
#pragma GCC unroll 16
        for (int b = 0; b < TB; b++) {
            V y = sums[a][b];
            if (END == RELU) y = where(y > V{}, y, V{});
            if (END == MASK) y = where(mask[a * OA + b] > V{}, y, V{});
            if (END == STEP) y = out[a * OA + b] - *factor * y;
            out[a * OA + b] = y;
        }
}

template <int NA, int NB, int NK, Start START, End END, int OA, int LA, int LK, int RK, int RB>
INLINE void product(V* out, const V* left, const V* right, const V* bias, const V* mask, const V* factor) {
    constexpr int TA = NB == 1 ? (NA < 8 ? NA : 8) : NA < 3 ? NA : 3, TB = NB < 4 ? NB : 4;
    constexpr int FA = NA / TA * TA, FB = NB / TB * TB, RA = NA - FA ? NA - FA : 1, RBB = NB - FB ? NB - FB : 1;
    for (int a = 0; a < FA; a += TA) {
        for (int b = 0; b < FB; b += TB)
            tile<TA, TB, NK, START, END, OA, LA, LK, RK, RB>(
                out + a * OA + b, left + a * LA, right + b * RB, bias + a, mask + a * OA + b, factor);
        if (FB < NB)
            tile<TA, RBB, NK, START, END, OA, LA, LK, RK, RB>(
                out + a * OA + FB, left + a * LA, right + FB * RB, bias + a, mask + a * OA + FB, factor);
    }
    if (FA < NA) {
        for (int b = 0; b < FB; b += TB)
            tile<RA, TB, NK, START, END, OA, LA, LK, RK, RB>(
                out + FA * OA + b, left + FA * LA, right + b * RB, bias + FA, mask + FA * OA + b, factor);
        if (FB < NB)
            tile<RA, RBB, NK, START, END, OA, LA, LK, RK, RB>(
                out + FA * OA + FB, left + FA * LA, right + FB * RB, bias + FA, mask + FA * OA + FB, factor);
    }
}

// y[j][s] = b[j] + sum of w[j][i] x[i][s], and ReLU of it if there is a layer behind
template <int I, int O, End END> INLINE void forward(V* y, const V* w, const V* b, const V* x) {
    product<O, S, I, BIAS, END, S, I, 1, S, 1>(y, w, x, b, y, 0);
}

// gw[j][i] += sum of dy[j][s] x[i][s], gb[j] += sum of dy[j][s]; or the step along them, from the point w, b
template <int I, int O> INLINE void weights(V* w, V* b, V* gw, V* gb, const V* dy, const V* x, const V* factor) {
    if (ONE) product<O, I, S, NOTHING, STEP, I, S, 1, 1, S>(w, dy, x, b, w, factor);
    else product<O, I, S, OUT, KEEP, I, S, 1, 1, S>(gw, dy, x, b, gw, factor);
    for (int j = 0; j < O; j++) {
        V sum = ONE ? V{} : gb[j];
        for (int s = 0; s < S; s++) sum += dy[j * S + s];
        if (ONE) b[j] -= *factor * sum;
        else gb[j] = sum;
    }
}

// dx[i][s] = sum of w[j][i] dy[j][s] where x[i][s] > 0, and 0 elsewhere
template <int I, int O, End END> INLINE void inputs(V* dx, const V* w, const V* dy, const V* x) {
    product<I, S, O, NOTHING, END, S, 1, I, S, 1>(dx, w, dy, w, x, 0);
}

INLINE V exponential(V x) {
    for (int l = 0; l < LANES; l++) x[l] = sizeof(REAL) == 8 ? exp(x[l]) : expf(x[l]);
    return x;
}

// the derivative of the loss with respect to the scores y[j][s], in their place; the targets follow
template <int O> INLINE void squared(V* y, const V* target) {
    for (int i = 0; i < O * S; i++) y[i] = 2 * (y[i] - target[i]);
}
template <int O> INLINE void l1(V* y, const V* target) {
    for (int i = 0; i < O * S; i++) {
        V d = y[i] - target[i];
        y[i] = where(d > V{}, spread(1), where(d < V{}, spread(-1), V{}));
    }
}
template <int O> INLINE void cross_entropy(V* y, const V* target) {
    for (int s = 0; s < S; s++) {
        V top = y[s], total = V{};
        for (int j = 1; j < O; j++) top = where(y[j * S + s] > top, y[j * S + s], top);
        for (int j = 0; j < O; j++) total += y[j * S + s] = exponential(y[j * S + s] - top);
        V inverse = 1 / total;
        for (int j = 0; j < O; j++)
            y[j * S + s] = y[j * S + s] * inverse - where(target[s] == (REAL)j, spread(1), V{});
    }
}

// adds the gradient of S samples to g, or takes the step; valid: 1, or 0 for a place that has no sample
static void gradient(V* x, V* g, const V* data, const V* valid, const V* factor);

// start, final: (count, P). rows: (N, D). index: (count, distance, B), or null for all samples. sizes: (count, distance),
// or null if every minibatch has B samples.
extern "C" void descend(const REAL* start, REAL* final, long count, const REAL* rows, const int* index,
                        const int* sizes, long steps, long distance, double rate) {
    const size_t bytes = sizeof(V) * (2 * P + D * S + S);
    V* x = (V*)aligned_alloc(64, (bytes + 63) / 64 * 64);
    V *g = x + P, *data = g + P, *valid = data + D * S;
    for (long base = 0; base < count; base += LANES) {
        const long here = count - base < LANES ? count - base : LANES;
        for (int r = 0; r < P; r++)
            for (int l = 0; l < LANES; l++) x[r][l] = start[(base + (l < here ? l : 0)) * P + r];
        for (long k = 0; k < steps; k++) {
            if (!ONE) memset(g, 0, P * sizeof(V));
            const int* drawn[LANES];
            int size[LANES], most = B;
            if (sizes) most = 0;
            for (int l = 0; l < LANES; l++) {
                const long t = (base + (l < here ? l : 0)) * distance + k;
                drawn[l] = index ? index + t * B : 0;
                size[l] = sizes ? sizes[t] : B;
                if (sizes && size[l] > most) most = size[l];
            }
            V factor;
            for (int l = 0; l < LANES; l++) factor[l] = rate / size[l];
            for (int b = 0; b < most; b += S) {
                for (int s = 0; s < S; s++)
                    for (int l = 0; l < LANES; l++) {
                        const int there = b + s < size[l];
                        valid[s][l] = there;
                        const REAL* row = rows + D * (long)(!there ? 0 : index ? drawn[l][b + s] : b + s);
                        for (int d = 0; d < D; d++) data[d * S + s][l] = row[d];
                    }
                gradient(x, g, data, valid, &factor);
            }
            if (!ONE)
                for (int r = 0; r < P; r++) x[r] -= factor * g[r];
        }
        for (int r = 0; r < P; r++)
            for (int l = 0; l < here; l++) final[(base + l) * P + r] = x[r][l];
    }
    free(x);
}
