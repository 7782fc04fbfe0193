// What one core can do: products and sums that wait for nothing but themselves, and loads of a stretch of memory.
typedef double V __attribute__((vector_size(32)));
typedef float W __attribute__((vector_size(32)));
constexpr int CHAINS = 14; // fourteen accumulators and two constants are all sixteen registers

// compiled with and without fused multiply-add
template <typename T, typename R> static double chains(long rounds) {
    T a[CHAINS], factor = T{} + (R)1.0000001, term = T{} + (R)1e-9;
    for (int i = 0; i < CHAINS; i++) a[i] = T{} + (R)i;
    for (long k = 0; k < rounds; k++)
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++) a[i] = a[i] * factor + term;
    double total = 0;
    for (int i = 0; i < CHAINS; i++) total += a[i][0];
    return total;
}

extern "C" double float64(long rounds) { return chains<V, double>(rounds); }
extern "C" double float32(long rounds) { return chains<W, float>(rounds); }

extern "C" void loads(const double* memory, long count, long rounds) {
    for (long k = 0; k < rounds; k++)
        for (long i = 0; i < count; i += 32)
#pragma GCC unroll 8
            for (int j = 0; j < 32; j += 4) {
                V x = *(const V*)(memory + i + j);
                asm volatile("" : : "x"(x)); // loaded, not used
            }
}
