"""Random programs over every row of the table, and points at which they are likely to be tied.

@given(st.data())
def test_something(data):
    program = data.draw(programs())
    x, row = data.draw(points(program))
"""

import math

import numpy as np
from hypothesis import strategies as st

from simsa.primitives import FRAMEWORKS, ROW, ROWS, Convention
from simsa.program.program import RELATIONS, Builder

TIES = (-3.0, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 6.0)
"""Numbers that meet: kinks of the table's rows, and small integers whose sums and differences are exact."""

EXTREMES = (math.nan, math.inf, -math.inf, 5e-324, -5e-324, 2.2250738585072014e-308, 1e308, -1e308, 1e-300)

RULES = ("split", "first", "last")


def numbers(finite=False):
    """Draw float64 numbers, most of them ties; with `finite`, neither NaN nor infinite."""
    extremes = [v for v in EXTREMES if math.isfinite(v)] if finite else EXTREMES
    floats = st.floats(allow_nan=not finite, allow_infinity=not finite)
    return st.one_of(st.sampled_from(TIES), st.sampled_from(TIES), st.sampled_from(extremes), floats)


def rules(row):
    """Draw a tie rule or spelling that `row` knows, or None for the convention's."""
    named = () if row.arity is not None and not row.tie_rows else RULES
    if row.name == "sort":
        named = RULES[1:]
    elif row.is_norm:
        named = ("zero", "nan")
    return st.sampled_from([None, *named, *row.ties])


@st.composite
def overrides(draw):
    """Draw a convention with some primitives overridden, by name and by number."""
    chosen = draw(st.lists(st.sampled_from([row for row in ROWS if row.ties]), max_size=3, unique=True))
    wishes = {row.name: draw(rules(row)) for row in chosen}
    wishes = {name: wish for name, wish in wishes.items() if wish is not None}
    if draw(st.booleans()):
        wishes["relu"] = draw(st.floats(-1, 2))
        wishes["norm"] = draw(st.floats(-1, 1))
    return Convention(draw(st.sampled_from(sorted(FRAMEWORKS))), wishes)


CONVENTIONS = st.one_of(st.sampled_from([Convention(name) for name in FRAMEWORKS]), overrides())
"""A convention: a framework's, or one with overrides."""


def _consecutive(draw, registers, count):
    """Draw `count` registers, more often than not consecutive ones."""
    if count <= registers and draw(st.integers(0, 3)):
        first = draw(st.integers(0, registers - count))
        return list(range(first, first + count))
    return draw(st.lists(st.integers(0, registers - 1), min_size=count, max_size=count))


def _select(draw, builder):
    """Apply a user's selection with up to three rows of up to two guards."""
    register = st.integers(0, builder.registers - 1)
    guards = st.lists(st.tuples(register, st.sampled_from(RELATIONS), register), min_size=1, max_size=2)
    return builder.select(draw(st.lists(st.tuples(guards, register), min_size=1, max_size=3)), draw(register))


def _apply(draw, builder, name):
    """Apply the row `name` to registers that are there; return the first register and how many it wrote."""
    row, outputs = ROW[name], 1
    if name == "select":
        return _select(draw, builder), 1
    if name == "dense":
        outputs, inputs, bias = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.booleans())
        blocks = [outputs * inputs, inputs, outputs * bias]
        operands = [r for count in blocks for r in _consecutive(draw, builder.registers, count)]
    else:
        count = row.arity or draw(st.integers(1, 5))
        count = 2 * count if name == "dot" else count
        operands = _consecutive(draw, builder.registers, count)
        outputs = count if name == "sort" else 1
    if name == "clip" and draw(st.booleans()):  # bounds that are not known to be apart make it a maximum and a minimum
        low, high = sorted(draw(st.lists(st.sampled_from(TIES), min_size=2, max_size=2, unique=True)))
        operands[1:] = [builder.constant(low), builder.constant(high)]
    immediates = [draw(st.sampled_from(TIES) | st.floats(-4, 4)) for _ in row.immediates]
    return builder.apply(name, operands, immediates, outputs, draw(rules(row)) if row.ties else None), outputs


@st.composite
def programs(draw, max_nodes=10, conventions=CONVENTIONS, names=tuple(ROW), outputs=2):
    """Draw a program of up to `max_nodes` nodes over the rows `names`, with up to `outputs` outputs.

    Parameters, data and constants are all there; not every node need be used.
    """
    builder = Builder(draw(st.integers(1, 4)), draw(st.integers(0, 2)), draw(conventions))
    wrote = []
    for _ in range(draw(st.integers(1, max_nodes))):
        if draw(st.integers(0, 5)) == 0:
            builder.constant(draw(numbers()))
        else:
            first, count = _apply(draw, builder, draw(st.sampled_from(names)))
            wrote += range(first, first + count)
    # The last results depend on the most nodes; now and then any register, an input among them.
    anything, last = st.integers(0, builder.registers - 1), st.sampled_from(wrote[-2:] or [0])
    chosen = st.one_of(last, last, anything)
    return builder.finish(draw(st.lists(chosen, min_size=1, max_size=outputs)))


@st.composite
def points(draw, program, finite=False):
    """Draw a point and a data row for `program`: float64 arrays of shape (p,) and (d,), rich in ties."""
    few = draw(st.lists(numbers(finite), min_size=1, max_size=2))
    entry = st.one_of(st.sampled_from(few), numbers(finite))
    x = draw(st.lists(entry, min_size=program.parameters, max_size=program.parameters))
    row = draw(st.lists(entry, min_size=program.data, max_size=program.data))
    return np.array(x, float), np.array(row, float)
