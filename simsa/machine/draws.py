"""Random numbers in plain Python, one at a time: the definition of what `simsa.kernels.streams` draws, bit for bit.

Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC11) turns a counter (block,
step, trajectory, purpose) and a key of 64 bits into four words of 32 bits. A number is a function of where it is used
only.

Shared arguments.
descent: the recursion with its laws. c: the step scale, which decides the key. trajectory, step: their numbers, from 0.
purpose: one of those below. key: from 0 to 2^64 - 1. first, count: trajectories first, ..., first + count - 1.
p: the number of parameters. stream: the law of the samples.
"""

from collections.abc import Callable, Iterator, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from simsa.errors import SimsaError
from simsa.laws import LOW, Words, start
from simsa.machine.reference import FLOAT64
from simsa.machine.task import INITIAL as INITIAL_LAWS
from simsa.machine.task import Descent, Scale, Stream

INITIAL, SAMPLE, EVALUATION, WEIGHTS = 1, 4, 5, 6
"""Purposes, besides those of minibatches in `laws`. No two uses of random numbers have the same."""


def philox(counter: Sequence[int], key: Sequence[int]) -> tuple[int, int, int, int]:
    """Return the four words for a counter of four words and a key of two."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k, q & LOW, (p >> 32) ^ d ^ m, p & LOW
        k, m = (k + 0x9E3779B9) & LOW, (m + 0xBB67AE85) & LOW
    return a, b, c, d


def block_of(block: int, step: int, trajectory: int, purpose: int, key: int) -> tuple[int, int, int, int]:
    """Return the four words of a block. The numbers are taken modulo 2^32."""
    return philox((block & LOW, step & LOW, trajectory & LOW, purpose), (key & LOW, key >> 32))


def words(step: int, trajectory: int, purpose: int, key: int) -> Words:
    """Yield the words of a step, block after block."""
    block = 0
    while True:
        yield from block_of(block, step, trajectory, purpose, key)
        block += 1


def uniform(high: int, low: int) -> float:
    """Return the multiple of 2^-53 in [0, 1) made of the first 53 bits of two words."""
    return float((high << 32 | low) >> 11) * 2.0**-53


def normals(u: float, v: float) -> tuple[float, float]:
    """Return two independent standard normals of two uniforms (Box and Muller, 1958)."""
    log, cos, sin = (FLOAT64.functions[name] for name in ("log", "cos", "sin"))
    r, angle = sqrt(-2.0 * float(log(np.float64(1.0 - u)))), np.float64(6.283185307179586 * v)
    return r * float(cos(angle)), r * float(sin(angle))


def minibatches(descent: Descent, n: int, c: Scale, trajectory: int, first: int = 0) -> Iterator[list[int]]:
    """Yield I_first, I_{first + 1}, ... of a trajectory, samples out of n in the order drawn.

    If samples are streamed, these are their places 0, 1, ... in the minibatch. n: the number of samples. first: the
    step to begin with, on which no draw depends.
    """
    key, size = int(descent.key(c)), descent.size

    def some(number: int, purpose: int) -> Words:
        return words(number, trajectory, purpose, key)

    for k in range(first, descent.steps):
        if descent.stream:
            yield list(range(size))
        else:
            yield descent.batches.draw(n, size, descent.replace, k, some)


def initial_point(descent: Descent, c: Scale, trajectory: int, p: int) -> list[float]:
    """Return x_0 of a trajectory, p numbers. Coordinate r is a function of (key, trajectory, r)."""
    law, key = descent.initial, int(descent.key(c))
    if law.kind == "points":
        return list(map(float, law.points[trajectory % len(law.points)]))

    def pair(i: int) -> tuple[float, float]:
        a, b, e, f = block_of(i, 0, trajectory, INITIAL, key)
        u, v = uniform(a, b), uniform(e, f)
        if law.kind == "normal":
            return normals(u, v)
        return (2.0 * u - 1.0, 2.0 * v - 1.0) if law.kind == "uniform" else (u, v)

    drawn = [z for i in range(-(-p // 2)) for z in pair(i)]
    if law.kind not in INITIAL_LAWS:
        return _checked(law.kind, start(law.kind).point(drawn[:p], **dict(law.numbers)), p)
    return [float(m) + float(s) * z for m, s, z in zip(law.center, law.scale, drawn, strict=False)]


def _checked(name: str, point: Sequence[float], p: int) -> list[float]:
    """Return a point as floats; raises SimsaError if a user's law did not return p finite coordinates."""
    found = list(map(float, point))
    if len(found) != p or not np.isfinite(found).all():
        raise SimsaError(f"the law '{name}' of x_0 returned {found}; expected {p} finite numbers")
    return found


def initial_points(descent: Descent, c: Scale, first: int, count: int, p: int) -> NDArray[np.float64]:
    """Return x_0 of trajectories first, ..., first + count - 1 of a cell, shape (count, p), in float64."""
    return np.array([initial_point(descent, c, t, p) for t in range(first, first + count)]).reshape(count, p)


def blocks_of_sample(d: int) -> int:
    """Return how many blocks of random words one sample of d numbers has: a choice, and pairs of normals."""
    return 2 + (d + 1) // 2


def sample(stream: Stream, purpose: int, key: int, trajectory: int, step: int, index: int) -> list[float]:
    """Return the streamed sample at place `index` of a minibatch, d numbers, as `kernels.streams.sample` defines it."""
    d = stream.center.shape[1]
    block, j = index * blocks_of_sample(d), 0
    if len(stream.kinds) > 1:
        w = uniform(*block_of(block, step, trajectory, purpose, key)[:2])
        j = next(i for i, share in enumerate(stream.shares.tolist()) if w < share)
    center, scale = stream.center[j].tolist(), stream.scale[j].tolist()
    ball = stream.kinds[j] == "ball"
    count = d + 2 if ball else d
    drawn: list[float] = []
    for i in range(-(-count // 2)):
        a, b, e, f = block_of(block + 1 + i, step, trajectory, purpose, key)
        drawn += normals(uniform(a, b), uniform(e, f))
    if not ball:
        return [m + s * z for m, s, z in zip(center, scale, drawn, strict=False)]
    length = 0.0
    for z in drawn[:count]:
        length += z * z
    inverse = 1.0 / sqrt(length) if length > 0.0 else 0.0
    return [m + scale[0] * (z * inverse) for m, z in zip(center, drawn, strict=False)]


def streamed(descent: Descent, c: Scale, trajectory: int, step: int) -> NDArray[np.float64]:
    """Return the fresh samples of one step of a trajectory, (size, d)."""
    assert descent.stream is not None
    key, places = int(descent.key(c)), range(descent.size)
    return np.array([sample(descent.stream, SAMPLE, key, trajectory, step, i) for i in places])


def weights(key: int, trajectory: int, step: int, place: int, blocks: int) -> Callable[[int], int]:
    """Return the random words of one sample of a step, for its ties: a function of 4 block + number.

    place: of the sample in its minibatch. blocks: the number of blocks for each sample, which is the last entry of
    `Tape.draws`.
    """
    return lambda n: block_of(place * blocks + n // 4, step, trajectory, WEIGHTS, key)[n % 4]
