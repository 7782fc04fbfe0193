"""Random numbers as a function of where they are used: there is no generator whose state advances.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC11) turns a counter of four
words and a key of two into four random words of 32 bits. Here

    key     = (lower, upper half of a number of 64 bits: `machine.task.key_of(seed, c)`)
    counter = (block, step, trajectory, purpose)

so a number depends on the seed, the step scale c, the trajectory, the step and its place in the step only. It depends
neither on what other c there are, nor on threads, blocks of trajectories or the order of the work.

Shared arguments.
block, step, trajectory: nonnegative integers below 2^32. purpose: one of the numbers below. key: uint64.
n: the number of samples. law: of the minibatch, one of the numbers below. size: of a minibatch. replace: whether it is
drawn with replacement. start, stride: where an index array is written: at start, start + stride, ...
u, v: float64, one lane vector each, scratch for pairs of uniform numbers.
"""

import numpy as np
from numba import uint32, uint64

from simsa.kernels.functions import cos, log, sin
from simsa.kernels.lanes import load, sqrt, store
from simsa.kernels.options import kernel

INITIAL, MINIBATCH, EPOCH, SAMPLE, EVALUATION, WEIGHTS = 1, 2, 3, 4, 5, 6
"""Purposes of random numbers. No two uses have the same."""

FULL, UNIFORM_SUBSET, FIXED_SIZE, FIXED_SIZE_REPLACED, RESHUFFLED, STREAMED = range(6)
"""Laws of the minibatch."""

POINTS, NORMAL, UNIFORM = range(3)
"""Laws of the initial point."""

GAUSSIAN, BALL = range(2)
"""Components of the law of a streamed sample."""

# Numba gives uint64 + int64 another type: every literal that meets a word is a uint64.
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ONE = np.uint64(1)
SIX, LAST_OF_64 = np.uint64(6), np.uint64(63)
MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)


@kernel
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four words of Philox4x32-10, as uint32, for the counter (c0, c1, c2, c3) and the key (k0, k1)."""
    a, b, c, d, k, m = uint32(c0), uint32(c1), uint32(c2), uint32(c3), uint32(k0), uint32(k1)
    for _ in range(10):
        p, q = MULTIPLIERS[0] * uint64(a), MULTIPLIERS[1] * uint64(c)
        a, b, c, d = uint32((q >> HALF) ^ b ^ k), uint32(q), uint32((p >> HALF) ^ d ^ m), uint32(p)
        k, m = uint32(k + WEYL[0]), uint32(m + WEYL[1])
    return a, b, c, d


@kernel
def block_of(block, step, trajectory, purpose, key):
    """Return the four random words of a block, as uint32."""
    return philox(block, step, trajectory, purpose, uint64(key) & LOW, uint64(key) >> HALF)


@kernel
def uniform53(u_high, u_low):
    """Return the multiple of 2^-53 in [0, 1) made of the first 53 bits of two words: all of them are equally likely."""
    return float(((uint64(u_high) << HALF) | uint64(u_low)) >> np.uint64(11)) * 1.1102230246251565e-16


@kernel
def below(n, position, words, step, trajectory, purpose, key):
    """Return (i, position, words): a uniform integer 0 <= i < n, 1 <= n < 2^32, from word `position` of a step on.

    Exact: the product of a word and n is n equal parts of 2^32, up to a remainder that is rejected (Lemire: Fast
    random integer generation in an interval; ACM Trans. Model. Comput. Simul. 29, 2019). words: the words of the
    current block, the next one first. Pass position and words on to draw the next number.
    """
    bound = uint64(n)
    while True:
        if position & 3 == 0:
            words = block_of(position >> 2, step, trajectory, purpose, key)
        product = uint64(words[0]) * bound
        words = (words[1], words[2], words[3], words[0])
        position += 1
        rest = product & LOW
        if rest >= bound or rest >= ((LOW - bound) + ONE) % bound:
            break
    return np.int64(product >> HALF), position, words


@kernel
def _no_words():
    return uint32(0), uint32(0), uint32(0), uint32(0)


@kernel
def _subset(n, step, trajectory, purpose, key, out, start, stride):
    """Write one of the 2^n - 1 nonempty subsets of range(n), ascending: one bit for each index, again if all are 0."""
    block = 0
    while True:
        count = 0
        for base in range(0, n, 128):
            words = block_of(block, step, trajectory, purpose, key)
            block += 1
            for i in range(base, min(base + 128, n)):
                # Written in any case, kept if the bit is set: a branch would be mispredicted half of the time.
                out[start + count * stride] = i
                count += np.int64((words[(i - base) >> 5] >> uint32(i & 31)) & uint32(1))
        if count:
            return count


@kernel
def _take(i, j, free, out, place):
    """Write i to out[place], or j if i is not free, and mark it as not free: its bit in `free` becomes 0."""
    word, bit = i >> SIX, i & LAST_OF_64
    if not (free[word] >> np.int64(bit)) & 1:
        i = uint64(j)
        word, bit = i >> SIX, i & LAST_OF_64
    free[word] ^= np.int64(1) << np.int64(bit)
    out[place] = np.int64(i)


@kernel
def _distinct(n, size, step, trajectory, purpose, key, free, out, start, stride):
    """Write a uniform subset of `size` indices (Floyd: Bentley, Programming pearls, CACM 30, 1987, p. 754).

    free: a bit for each index, all 1 before and after.
    """
    position, words = 0, _no_words()
    place, far = uint64(start), uint64(stride)
    j = n - size
    while j < n:
        if position & 3 == 0 and j + 4 <= n:
            # Four are drawn at once, unless a word is rejected, which is rare.
            words = block_of(position >> 2, step, trajectory, purpose, key)
            first, second = uint64(words[0]) * uint64(j + 1), uint64(words[1]) * uint64(j + 2)
            third, fourth = uint64(words[2]) * uint64(j + 3), uint64(words[3]) * uint64(j + 4)
            if min(min(first & LOW, second & LOW), min(third & LOW, fourth & LOW)) >= uint64(n):
                _take(first >> HALF, j, free, out, place)
                _take(second >> HALF, j + 1, free, out, place + far)
                _take(third >> HALF, j + 2, free, out, place + far + far)
                _take(fourth >> HALF, j + 3, free, out, place + far + far + far)
                place += uint64(4) * far
                position += 4
                j += 4
                continue
        i, position, words = below(j + 1, position, words, step, trajectory, purpose, key)
        _take(uint64(i), j, free, out, place)
        place += far
        j += 1
    for place in range(uint64(start), uint64(start + size * stride), uint64(stride)):
        i = uint64(out[place])
        free[i >> SIX] |= np.int64(1) << np.int64(i & LAST_OF_64)


@kernel
def _permutation(n, epoch, trajectory, purpose, key, out):
    """Write a uniform permutation of range(n) into out[1:] (Fisher and Yates, from the last place down)."""
    for i in range(n):
        out[1 + i] = i
    position, words = 0, _no_words()
    for i in range(n - 1, 0, -1):
        j, position, words = below(i + 1, position, words, epoch, trajectory, purpose, key)
        out[1 + i], out[1 + j] = out[1 + j], out[1 + i]


def scratch_size(law, n, size):
    """Return how many int64 of scratch `minibatch` needs for one trajectory.

    A fixed size without replacement needs a bit for each sample; reshuffling, the epoch and its permutation; the others
    need none. Raises ValueError for an unknown law.
    """
    if law not in range(6):
        raise ValueError("unknown law of the minibatch")
    return {FIXED_SIZE: (n + 63) // 64, RESHUFFLED: n + 1}.get(law, 0)


@kernel
def minibatch(law, n, size, replace, key, trajectory, step, scratch, index_out, start, stride):
    """Write the indices of the minibatch of one step, and return their number; nothing is allocated.

    Laws: 0 full, all n in order; 1 uniform_subset, each of the 2^n - 1 nonempty subsets with the same probability,
    ascending; 2 fixed_size, a uniform subset of min(size, n), in the order of the draw, or `size` independent indices
    if `replace`; 3 fixed_size with replacement; 4 reshuffled: a uniform permutation for each epoch of ceil(n / size)
    steps, in slices of `size`, the last of which may be shorter; 5 streamed: 0, 1, ..., size - 1, the places of the
    samples that `sample` draws for this step.

    scratch: int64 (>= scratch_size(law, n, size),). It is -1 at first, and then kept for the same trajectory and key.
    No result depends on it. index_out: int64, with room for n indices (laws 0 and 1) or for `size`. 1 <= n < 2^32.
    Raises ValueError for another law.
    """
    if law == FULL or law == STREAMED:
        count = n if law == FULL else size
        for i in range(count):
            index_out[start + i * stride] = i
        return count
    if law == UNIFORM_SUBSET:
        return _subset(n, step, trajectory, MINIBATCH, key, index_out, start, stride)
    if law == RESHUFFLED:
        batches = (n + size - 1) // size
        epoch = step // batches
        if scratch[0] != epoch:
            _permutation(n, epoch, trajectory, EPOCH, key, scratch)
            scratch[0] = epoch
        first = (step - epoch * batches) * size
        count = min(size, n - first)
        for i in range(count):
            index_out[start + i * stride] = scratch[1 + first + i]
        return count
    if law == FIXED_SIZE_REPLACED or (law == FIXED_SIZE and replace):
        position, words = 0, _no_words()
        for i in range(size):
            drawn, position, words = below(n, position, words, step, trajectory, MINIBATCH, key)
            index_out[start + i * stride] = drawn
        return size
    if law != FIXED_SIZE:
        raise ValueError("unknown law of the minibatch")
    count = min(size, n)
    _distinct(n, count, step, trajectory, MINIBATCH, key, scratch, index_out, start, stride)
    return count


@kernel
def pair_of_uniforms(key, trajectory, pair, purpose):
    """Return two independent uniform numbers, multiples of 2^-53 in [0, 1). pair: their number, a block of step 0."""
    a, b, c, d = block_of(pair, 0, trajectory, purpose, key)
    return uniform53(a, b), uniform53(c, d)


@kernel
def _normals(u, v):
    """Turn the uniforms in u and v, a lane vector of each, into standard normals (Box and Muller, 1958), in place.

    Ann. Math. Statist. 29, p. 610. The results are at most 8.6 in size.
    """
    r = sqrt(-2.0 * log(1.0 - load(u, 0)))
    angle = 6.283185307179586 * load(v, 0)
    store(u, 0, r * cos(angle))
    store(v, 0, r * sin(angle))


@kernel
def initial(key, first, kind, center, scale, points, out, u, v):
    """Write the initial points of trajectories first, first + 1, ..., one for each row of out (count, p), float64.

    Kinds: 0 points, trajectory t takes row t mod m of points (m, p); 1 normal, center + scale z; 2 uniform on
    [center - scale, center + scale). center, scale: (p,). Coordinate r of trajectory t is a function of (key, t, r).
    Raises ValueError for another kind.
    """
    p = out.shape[1]
    if kind == POINTS:
        for t in range(out.shape[0]):
            for r in range(p):
                out[t, r] = points[(first + t) % points.shape[0], r]
        return
    if kind != NORMAL and kind != UNIFORM:
        raise ValueError("unknown law of the initial point")
    for t in range(out.shape[0]):
        for r in range(0, p, 2 * len(u)):
            for i in range(len(u)):
                u[i], v[i] = pair_of_uniforms(key, first + t, r // 2 + i, INITIAL)
            if kind == NORMAL:
                _normals(u, v)
            else:
                for i in range(len(u)):
                    u[i], v[i] = 2.0 * u[i] - 1.0, 2.0 * v[i] - 1.0
            for i in range(min(2 * len(u), p - r)):
                z = v[i // 2] if i % 2 else u[i // 2]
                out[t, r + i] = center[r + i] + scale[r + i] * z


def blocks_of_sample(d):
    """Return how many blocks of random words a sample of d numbers has: for the choice of a component, and normals."""
    return 2 + (d + 1) // 2


@kernel
def sample(kinds, shares, center, scale, purpose, key, trajectory, step, index, u, v, out):
    """Write the streamed sample of one place in a minibatch into out[:d], d = center.shape[1].

    The law is a mixture of m components: j is drawn first, the least with w < shares[j], w uniform on the multiples of
    2^-53 in [0, 1). Kinds: 0 Gaussian, center[j] + scale[j] z; 1 uniform on the ball |x - center[j]| <= scale[j, 0],
    up to rounding: the first d of d + 2 coordinates of a uniform point on the unit sphere of R^(d + 2), which is a
    Gaussian vector over its length, are uniform on the unit ball of R^d (Harman and Lacko: On decompositional
    algorithms for uniform sampling from n-spheres and n-balls; J. Multivariate Anal. 101, 2010). Nothing is rejected,
    so a sample has always the same blocks, and is a function of (key, trajectory, step, index).

    kinds, shares: (m,), shares increasing up to 1. center, scale: (m, d). index: the place in the minibatch, with
    index * blocks_of_sample(d) < 2^32. out: float64 (d + 2,), whose last two entries are scratch. Raises ValueError for
    another kind.
    """
    d = center.shape[1]
    block = index * (2 + (d + 1) // 2)
    j = 0
    if kinds.shape[0] > 1:
        a, b, _, _ = block_of(block, step, trajectory, purpose, key)
        w = uniform53(a, b)
        while w >= shares[j]:
            j += 1
    if kinds[j] != GAUSSIAN and kinds[j] != BALL:
        raise ValueError("unknown component of the law of samples")
    count = d + 2 if kinds[j] == BALL else d
    for r in range(0, count, 2 * len(u)):
        here = min(2 * len(u), count - r)
        for i in range((here + 1) // 2):
            a, b, e, f = block_of(block + 1 + r // 2 + i, step, trajectory, purpose, key)
            u[i], v[i] = uniform53(a, b), uniform53(e, f)
        for i in range((here + 1) // 2, len(u)):
            u[i], v[i] = 0.0, 0.0
        _normals(u, v)
        for i in range(here):
            out[r + i] = v[i // 2] if i % 2 else u[i // 2]
    if kinds[j] == BALL:
        length = 0.0
        for r in range(count):
            length += out[r] * out[r]
        # All normals are 0 with a probability below 2^-106; the sample is then the center.
        inverse = 1.0 / np.sqrt(length) if length > 0.0 else 0.0
        for r in range(d):
            out[r] = center[j, r] + scale[j, 0] * (out[r] * inverse)
    else:
        for r in range(d):
            out[r] = center[j, r] + scale[j, r] * out[r]
