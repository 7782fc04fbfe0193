"""Random numbers over generated lists of step scales: a function of what a cell is, whatever list it stands in.

The reference is a Philox of its own in Python integers, with a key of its own.
"""

import hashlib
from fractions import Fraction
from itertools import islice, pairwise

import numpy as np
import pytest

import simsa
from simsa.machine import initial_points
from simsa.machine.launch import descend, minibatches
from simsa.scenario import load
from tests.support.runs import planned

pytestmark = pytest.mark.torture

TEXT = """
[scenario]
name = "generated"
seed = {seed}
[program]
kind = "expression"
parameters = ["x", "y"]
data = ["a"]
expression = "abs(x - a) + relu(y - a * x)"
[data]
source = "inline"
rows = {rows}
[sgd]
steps = 6
batch = {batch}
step_size = {{ family = "power", exponent = 1.0 }}
[sweep]
c = [{c}]
trajectories = 5
precision = ["float64", "float32"]
[record]
checkpoints = []
"""


def philox(counter, key):
    """Return the four words of Philox4x32-10 (Salmon et al., SC11, as published)."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = q >> 32 ^ b ^ k, q % 2**32, p >> 32 ^ d ^ m, p % 2**32
        k, m = (k + 0x9E3779B9) % 2**32, (m + 0xBB67AE85) % 2**32
    return a, b, c, d


def subset(seed, c, n, trajectory, step):
    """Return the minibatch of the paper's law: a bit for each of n <= 128 samples, the first block that has one."""
    key = int.from_bytes(hashlib.sha256(f"{seed} {c.numerator}/{c.denominator}".encode()).digest()[:8], "little")
    for block in range(100):
        words = philox((block, step, trajectory, 2), (key % 2**32, key >> 32))
        if chosen := [i for i in range(n) if words[i // 32] >> i % 32 & 1]:
            return chosen
    raise AssertionError("a hundred blocks without a bit")


def spelling(rng, c):
    """Write a fraction in one of the ways in which a scenario may have it."""
    times = int(rng.integers(1, 5))
    ways = [f'"{c.numerator * times}/{c.denominator * times}"']
    if Fraction(repr(float(c))) == c:
        ways.append(repr(float(c)))
    return ways[rng.integers(len(ways))]


def drawn_scales(rng):
    """Return some different step scales: decimals, fractions, and neighbours in the last place."""
    found = set()
    while len(found) < rng.integers(2, 6):
        decimal = Fraction(int(rng.integers(1, 200)), int(10 ** rng.integers(1, 4)))
        small = Fraction(int(rng.integers(1, 9)), int(rng.integers(1, 9)))
        near = Fraction(repr(float(np.nextafter(float(small), 2))))
        found.add((decimal, small, near)[rng.integers(3)])
    scales = sorted(found)
    rng.shuffle(scales)
    # cells tell c in float64, and a scenario with two that are the same there is refused
    return list({float(c): c for c in scales}.values())


def test_a_cell_draws_the_same_in_every_list(tmp_path, programs):
    failed = []
    for number in range(programs):
        rng = np.random.default_rng([601, number])
        scales, seed, n = drawn_scales(rng), int(rng.integers(2**63)), int(rng.integers(2, 40))
        laws = 'law = "uniform_subset"', 'law = "fixed_size", size = 2', 'law = "reshuffled", size = 2'
        law = int(rng.integers(3))
        rows = [[float(v)] for v in rng.integers(-2, 3, n)]

        def made_of(some, rng=rng, rows=rows, seed=seed, batch=f"{{ {laws[law]} }}"):
            c = ", ".join(spelling(rng, one) for one in some)
            file = tmp_path / "generated.toml"
            file.write_text(TEXT.format(seed=seed, rows=rows, batch=batch, c=c), encoding="utf-8")
            return planned(load(file))

        def records(made, cell):
            whole = made.settings[""]
            tape = whole.tapes[cell.convention]
            return descend(tape, whole.rows, whole.descent, c=cell.scale, first=0, count=5, precision=cell.precision)

        whole = made_of(scales)
        cells = {(cell.scale, cell.precision): records(whole, cell) for cell in whole.layout.cells}
        good = [c for c, _ in cells][::2] == scales
        chosen = [scales[i] for i in rng.permutation(len(scales))[: rng.integers(1, len(scales) + 1)]]
        part = made_of(chosen)
        for cell in part.layout.cells:
            ours, theirs = records(part, cell), cells[cell.scale, cell.precision]
            good = good and all(ours[name].tobytes() == theirs[name].tobytes() for name in theirs)
        descent = whole.settings[""].descent
        if law == 0:
            for c in scales:
                taken = list(islice(minibatches(descent, n, c, 3), 6))
                good = good and taken == [subset(seed, c, n, 3, k) for k in range(6)]
        starts = [initial_points(descent, c, 0, 5, 2) for c in scales]
        good = good and all((one != two).all() for i, one in enumerate(starts) for two in starts[:i])
        if not good:
            failed.append(number)
    assert failed == []


def test_different_c_share_no_minibatches(programs):
    """64 steps of the paper's law on 8 samples: two c agree in all of them with probability below 1e-150."""
    descent = simsa.machine.Descent(
        64, "uniform_subset", 0, False, np.ones(64), 1.0, 5,
        simsa.machine.Initial("normal", np.zeros(1), np.ones(1), np.zeros((0, 1))), np.zeros(0, np.int64), 0,
    )  # fmt: skip
    scales = [Fraction(k + 1, programs) for k in range(programs)]
    taken = sorted(tuple(map(tuple, minibatches(descent, 8, c, 0))) for c in scales)
    assert all(one != two for one, two in pairwise(taken))
