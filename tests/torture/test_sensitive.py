"""Which ties a gradient depends on, over generated programs, against an enumeration in rational numbers."""

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from simsa.formats import FORMATS
from simsa.machine.evaluator import tape_of
from simsa.machine.exact import EXACT
from simsa.machine.floating import arithmetic
from simsa.machine.launch import descend
from simsa.machine.replay import Walker
from simsa.machine.task import Descent, Initial
from simsa.primitives import FRAMEWORKS, Convention
from simsa.program.program import Builder

KIND = 1
NODES = 9
UNARY, BINARY, MANY = ("relu", "abs", "neg"), ("add", "sub", "mul", "maximum", "minimum"), ("max", "min", "sort")


class Program:
    """A random program of selections and polynomials: built for simsa, and run in rational numbers by hand.

    lines: (name, operands), operands numbered with the p parameters first, then d data, then constants, then lines.
    """

    def __init__(self, rng):
        self.p, self.d = int(rng.integers(1, 4)), int(rng.integers(0, 2))
        self.constants = [float(v) for v in rng.integers(-2, 3, size=2)]
        self.lines, count = [], self.p + self.d + 2
        for _ in range(int(rng.integers(2, NODES))):
            name = str(rng.choice([*UNARY, *BINARY, *BINARY, *MANY, "where", "where"]))
            many = 1 if name in UNARY else 2 if name in BINARY else 4 if name == "where" else int(rng.integers(2, 4))
            # the last results are read more often, so that few lines are dead
            reads = [
                int(count - 1 - rng.integers(0, min(count, 4 if rng.random() < 0.6 else count))) for _ in range(many)
            ]
            self.lines.append((name, reads, int(rng.integers(0, 5)), int(rng.integers(0, many))))
            count += 1

    def built(self, convention):
        """Return the program for simsa: its value is the sum of the last three lines, so that most lines count."""
        builder = Builder(self.p, self.d, convention)
        at = [*range(self.p + self.d), *(builder.constant(v) for v in self.constants)]
        for name, reads, relation, which in self.lines:
            operands = [at[r] for r in reads]
            if name == "where":
                relations = ("<", "<=", "==", ">=", ">")
                at.append(
                    builder.select([([(operands[0], relations[relation], operands[1])], operands[2])], operands[3])
                )
            elif name == "sort":
                at.append(builder.apply("sort", operands, outputs=len(operands)) + which)
            else:
                at.append(builder.apply(name, operands))
        return builder.finish([builder.apply("sum", at[-3:])])

    def run(self, x, row, choose):
        """Return (value, gradient) of the output, Fractions; choose(options) picks one where a selection is tied."""
        zero = (Fraction(0),) * self.p
        at = [(Fraction(v), tuple(Fraction(int(i == j)) for j in range(self.p))) for i, v in enumerate(x)]
        at += [(Fraction(v), zero) for v in (*row, *self.constants)]
        moving = [i < self.p for i in range(len(at))]

        def combined(a, b, s, t):
            return tuple(s * g + t * h for g, h in zip(a[1], b[1], strict=True))

        for name, reads, relation, which in self.lines:
            o = [at[r] for r in reads]
            counts = any(moving[r] for r in (reads[:2] if name == "where" else reads))
            a, b = o[0], o[-1] if len(o) > 1 else o[0]
            minus = (-a[0], combined(a, a, -1, 0))
            if name == "neg":
                found = minus
            elif name in ("add", "sub"):
                sign = 1 if name == "add" else -1
                found = (a[0] + sign * b[0], combined(a, b, 1, sign))
            elif name == "mul":
                found = (a[0] * b[0], combined(a, b, b[0], a[0]))
            elif name == "where":
                sign = (a[0] > o[1][0]) - (a[0] < o[1][0])
                signs = choose([sign, -1, 1]) if sign == 0 and counts else sign
                found = o[2] if (signs < 0, signs <= 0, signs == 0, signs >= 0, signs > 0)[relation] else o[3]
            elif name == "sort":
                order = sorted(range(len(o)), key=lambda i: o[i][0])
                values = [o[i][0] for i in order]
                if counts and len(set(values)) < len(values):
                    order = choose([order, *(q for q in permutations(order) if [o[i][0] for i in q] == values)])
                found = o[order[which]]
            else:
                options = {"relu": [(Fraction(0), zero), a], "abs": [a, minus]}.get(name, o)
                best = (min if name.startswith("min") else max)(v for v, _ in options)
                options = [option for option in options if option[0] == best]
                found = choose(options) if counts and len(options) > 1 else options[0]
            at.append(found)
            moving.append(any(moving[r] for r in reads))
        value, gradient = at[-3]
        for more in at[-2:]:
            value, gradient = value + more[0], combined((value, gradient), more, 1, 1)
        return value, gradient

    def answers(self, x, row, limit=200):
        """Return the values and gradients of all decisions of ties, or None if there are more than `limit`."""
        found, waiting, runs = set(), [()], 0
        while waiting:
            runs += 1
            script, taken = waiting.pop(), []

            def choose(options, script=script, taken=taken):
                if len(taken) >= len(script):
                    waiting.extend((*taken, i) for i in range(1, len(options)))
                    taken.append(0)
                    return options[0]
                taken.append(script[len(taken)])
                return options[taken[-1]]

            found.add(self.run(x, row, choose))
            if runs + len(waiting) > limit:
                return None
        return found


def generated(number):
    """Return program `number` for simsa, the one by hand, points rich in ties, and data rows."""
    rng = np.random.default_rng([KIND, number])
    hand = Program(rng)
    points = rng.integers(-1, 2, size=(4, hand.p)).astype(float)
    rows = rng.integers(-1, 2, size=(2, hand.d)).astype(float)
    program = hand.built(Convention(str(rng.choice(sorted(FRAMEWORKS)))))
    return hand, program, points, rows


def one_step(points, law="full"):
    start = Initial("points", np.zeros(points.shape[1]), np.ones(points.shape[1]), points)
    return Descent(1, law, 2, False, np.ones(1), 1e300, 7, start, np.zeros(0, np.int64), 0)


@pytest.mark.torture
def test_sensitive_is_what_all_decisions_say(programs):
    """All decisions of all ties, in rational numbers: the minibatch is sensitive if one changes a sample's gradient.

    Decisions of two samples are independent, so the sum is constant if and only if each sample's gradient is. A
    decision that changes the value (a selection that jumps) is sensitive as well. Floats hold these small integers.
    """
    wrong, seen = [], {True: 0, False: 0}
    for number in range(programs):
        hand, program, points, rows = generated(number)
        tape, descent = tape_of(program), one_step(points)
        blocks = {
            kind: descend(tape, rows, descent, c=0.5, first=0, count=len(points), precision=kind)
            for kind in ("float64", "float32")
        }
        walker = Walker(tape, rows, EXACT)
        for t, x in enumerate(points):
            answers = [hand.answers(x, row) for row in rows]
            if blocks["float64"]["tie_first"][t] < 0 or any(a is None for a in answers):
                continue
            expected = any(len({g for _, g in a}) > 1 or len({v for v, _ in a}) > 1 for a in answers)
            exact = walker.record(descent, [Fraction(1, 2)], c=0.5, trajectory=t)
            found = [exact["sensitive_first"], *(int(block["sensitive_first"][t]) for block in blocks.values())]
            jumps = any(len({v for v, _ in a}) > 1 for a in answers)
            # A selection may jump where the output does not feel it: that is sensitive, and not told by the gradients.
            if (expected and any(f != 0 for f in found)) or (not expected and not jumps and len(set(found)) > 1):
                wrong.append((number, t, found, expected))
            elif not expected and found[0] == 0 and "where" not in {name for name, *_ in hand.lines}:
                wrong.append((number, t, found, expected))
            seen[expected] += 1
            for block in blocks.values():
                point = block["sensitive_point"][t]
                if block["sensitive_first"][t] == 0 and not np.array_equal(point, x):
                    wrong.append((number, t, "the point", point))
    assert not wrong
    assert min(seen.values()) > programs / 5, seen


@pytest.mark.torture
def test_kernels_find_what_plain_python_finds(programs):
    """Over several steps, laws of the minibatch, layouts and both formats, as `replay.Walker` does."""
    wrong, seen = [], set()
    for number in range(programs):
        _, program, points, rows = generated(number)
        rng = np.random.default_rng([KIND, number, 1])
        law = str(rng.choice(["full", "fixed_size", "uniform_subset", "reshuffled"]))
        start = one_step(points).initial
        descent = Descent(4, law, 2, bool(rng.integers(2)) and law == "fixed_size", np.ones(4), 1e30, 7, start,
                          np.zeros(0, np.int64), 0)  # fmt: skip
        tape = tape_of(program)
        for precision, row in {name: FORMATS[name] for name in ("float64", "float32")}.items():
            shape = [None, (1, 1), (2, 1), (1, 2)][int(rng.integers(4))]
            block = descend(tape, rows, descent, c=0.5, first=3, count=4, precision=precision, shape=shape)
            walker = Walker(tape, rows, arithmetic(row))
            for t in range(4):
                expected = walker.record(descent, 0.5 * descent.alpha, c=0.5, trajectory=3 + t)
                if (block["tie_first"][t], block["sensitive_first"][t]) != (
                    expected["tie_first"], expected["sensitive_first"]
                ):  # fmt: skip
                    wrong.append((number, precision, t, block["sensitive_first"][t], expected["sensitive_first"]))
                seen.add((expected["tie_first"] >= 0, expected["sensitive_first"] >= 0))
    assert not wrong
    assert seen == {(False, False), (True, False), (True, True)}
