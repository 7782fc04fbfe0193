"""Whether a gradient depends on how ties are decided: what the random weights must be, and that others would not do."""

from collections.abc import Callable

import numpy as np
import pytest

import simsa
from simsa.formats import FORMATS
from simsa.kernels.streams import block_of
from simsa.machine import Walker, arithmetic, tape_of
from simsa.machine.draws import philox
from simsa.machine.draws import weights as words
from simsa.machine.exact import EXACT
from simsa.machine.sensitivity import Draw, weight


def drawn(place: int) -> Draw:
    """Return the random words of one sample of a step."""
    return words(7, 0, 0, place, 4)


def sensitive(f: Callable, x: list[float], rows: list[list[float]], draw: Callable[[int], Draw] = drawn) -> set[bool]:
    """Return what float64, float32 and the rational numbers say of the minibatch of all rows."""
    data = np.array(rows, float).reshape(len(rows), -1)
    tape = tape_of(simsa.trace(f, len(x), data.shape[1]) if data.shape[1] else simsa.trace(f, len(x)))
    found = set()
    for numbers in (*map(arithmetic, FORMATS.values()), EXACT):
        walker = Walker(tape, data, numbers)
        point = [numbers.number(v) for v in x]
        found.add(walker.sensitive([walker.interpreter.run(point, row) for row in walker.rows], draw))
    return found


def kink(x):
    """|x| as two relus: all first pieces, all last, and the convention agree that the gradient is 0."""
    return simsa.relu(x[0]) + simsa.relu(-x[0])


def test_weights_of_two_selections_must_be_independent():
    assert sensitive(kink, [0.0], [[]]) == {True}
    assert sensitive(kink, [0.0], [[]], lambda place: lambda n: 1 << 31) == {False}, "the control: all weights alike"


def test_weights_of_two_samples_must_be_independent():
    """relu(x) and relu(-x) as samples of a minibatch: each alone is sensitive, and so is their sum."""

    def f(x, s):
        return simsa.relu(s[0] * x[0])

    assert sensitive(f, [0.0], [[1.0], [-1.0]]) == {True}
    assert sensitive(f, [0.0], [[1.0], [-1.0]], lambda place: drawn(0)) == {False}, "the control: the same for both"


@pytest.mark.parametrize(
    ("f", "x", "expected"),
    [
        (lambda x: np.maximum(x[0], x[0]), [1.0], False),
        (lambda x: np.max(np.stack([simsa.relu(x[0]), simsa.relu(x[1])])), [-1.0, -2.0], False),
        (lambda x: simsa.relu(x[0]) * 0.0, [0.0], False),
        (lambda x: simsa.relu(x[0]) ** 2, [0.0], False),
        (lambda x: np.sort(np.stack([x[0], x[1], x[2]])).sum(), [1.0, 1.0, 1.0], False),
        (lambda x: np.sort(np.stack([x[0], x[1], x[2]]))[1], [1.0, 1.0, 1.0], True),
        (lambda x: 2.0**40 * x[0] + abs(x[0]) * 2.0**-10, [0.0], True),
        (lambda x: simsa.where(x[0] > 0, 1.0, -1.0), [0.0], True),
        (lambda x: simsa.where(x[0] > 0, x[0], 0.0 * x[0]), [0.0], True),
        (lambda x: simsa.where(x[0] > 0, x[0], x[0]), [0.0], False),
        (lambda x: simsa.relu(simsa.where(x[0] > 0, x[0], -1.0)), [0.0], True),
        (lambda x: np.floor(x[0]), [2.0], True),
        (lambda x: np.floor(x[0]), [2.5], False),
    ],
)
def test_known_answers(f, x, expected):
    """Equal pieces, dead units, factors 0, a sum that no order changes; small kinks, jumps, agreement."""
    assert sensitive(f, x, [[]]) == {expected}


def test_equal_pieces_are_equal_whatever_the_weights():
    """A small weight beside one near 1: what rounding leaves of 1 - w is small beside w, and not beside 1 - w."""

    def f(x):
        return np.maximum(x[0] * 0.1 * x[1], x[0] * 0.1 * x[1]) + np.max(np.stack([x[1] * 0.7, x[1] * 0.7, x[0]]))

    for lot in range(1, 400, 2):
        found = sensitive(f, [0.3, 0.9], [[]], lambda place, lot=lot: lambda n: lot << 8 if n % 2 else 0xFEDCBA98)
        assert found == {False}, lot


def test_guards_of_one_pair_are_decided_together():
    """With x < 0 and x >= 0 both refused, the last row would be reached, whose value is another: no x does that."""

    def f(x):
        return simsa.where(x[0] < 0, -x[0], simsa.where(x[0] >= 0, -x[0], 7.0))

    builder = simsa.Builder(1)
    zero, seven = builder.constant(0.0), builder.constant(7.0)
    minus = builder.apply("neg", [0])
    chosen = builder.select([([(0, "<", zero)], minus), ([(0, ">=", zero)], minus)], seven)
    walker = Walker(tape_of(builder.finish([chosen])), np.zeros((1, 0)))
    run = walker.interpreter.run([0.0])
    assert not walker.sensitive([run], drawn)
    assert sensitive(f, [0.0], [[]]) == {True}, "of two selections each guard is decided by itself"


def test_plain_python_draws_the_words_of_the_kernels():
    counter, key = (5, 6, 7, 6), 0x0123456789ABCDEF
    compiled = tuple(map(int, block_of(*counter, np.uint64(key))))
    assert philox(counter, (key & 0xFFFFFFFF, key >> 32)) == compiled
    assert [words(key, 7, 6, 1, 3)(8 + n) for n in range(4)] == [int(w) for w in block_of(5, 6, 7, 6, np.uint64(key))]


def test_weights_are_exact_in_every_format_and_never_one_half():
    made = [weight(word, None) for word in (0, 1 << 8, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)]
    assert all(0 < w < 1 and w != 0.5 and float(np.float32(w)) == w for w in made)
