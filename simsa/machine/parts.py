"""The parts of a tape as text: for each part, the definition of its operations, and the statements that call them.

An instruction for which `simsa.kernels.printed` has no operation is a call of the interpreter's loop.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simsa.machine.layout import SHARED, TIMES, Layout
from simsa.primitives import ROWS
from simsa.program.program import RELATIONS
from simsa.tape.tape import (
    ADD,
    ADJOINED,
    ASSIGN,
    BRANCH,
    COUNT,
    FIRST,
    FLAGS,
    GUARDED,
    NUMBER,
    OP,
    OUT,
    OUTS,
    blocks_of,
)

UNROLLED = 3
"""The most instructions of a run that are printed one by one; a longer run is a loop."""

SHORT = 16
"""The most operands of a sum or dot product that is printed as one line; one with more is a loop."""

PIECE = 128
"""The most instructions in one operation: for twice the code, compilers take more than twice the time."""

_LOOPS = {
    "sum": (
        "add_up(values, at, {first}, {count}, {out}, groups, samples)",
        "add_up_back(adjoints, at, modes, {first}, {count}, {out}, groups, samples)",
    ),
    "dot": (
        "dot(values, at, {first}, {count}, {out}, groups, samples)",
        "dot_back(values, adjoints, at, modes, {first}, {count}, {out}, groups, samples)",
    ),
    "dense": (
        "dense(values, at, {first}, {outs}, {inputs}, {bias}, {out}, step, groups, samples)",
        "dense_back(values, adjoints, at, modes, {first}, {outs}, {inputs}, {bias}, {out}, step, finite_parameters, "
        "groups, samples)",
    ),
    "logsumexp": (
        "logsumexp(values, at, {first}, {count}, {out}, groups, samples)",
        "logsumexp_back(values, adjoints, at, modes, {first}, {count}, {out}, groups, samples)",
    ),
    "norm": (
        "norm(values, margin, at, {first}, {count}, {out}, {guarded}, groups, samples)",
        "norm_back(values, adjoints, at, modes, numbers, {first}, {count}, {number}, {out}, groups, samples)",
    ),
    "convolution": (
        "convolution(values, at, {first}, {outs}, {inputs}, {bias}, {out}, step, {times}, groups, samples)",
        "places_back(values, adjoints, at, modes, {first}, {outs}, {inputs}, {bias}, {out}, step, {times}, "
        "groups, samples)",
    ),
    "max": (
        "extremes(values, margin, at, {first}, {count}, {out}, step, {times}, 1, {guarded}, groups, samples)",
        "extremes_back(values, adjoints, at, modes, {first}, {count}, {out}, step, {times}, {rule}, groups, samples)",
    ),
    "min": (
        "extremes(values, margin, at, {first}, {count}, {out}, step, {times}, -1, {guarded}, groups, samples)",
        "extremes_back(values, adjoints, at, modes, {first}, {count}, {out}, step, {times}, {rule}, groups, samples)",
    ),
    "sort": (
        "sort(values, margin, at, {first}, {count}, {out}, step, {guarded}, groups, samples, order)",
        "sort_back(values, adjoints, at, modes, {first}, {count}, {out}, step, {rule}, groups, samples, order)",
    ),
    "select": (
        "choose(values, margin, at, {first}, {out}, rows, guards, {branch}, {guarded}, groups, samples)",
        "choose_back(values, adjoints, at, modes, {first}, {count}, {out}, rows, guards, {branch}, groups, samples)",
    ),
}
"""The texts of the calls of the interpreter's loops, forward and backward, by primitive."""


class Part(NamedTuple):
    """A part of the tape as text.

    made: the definition of its operations. forward, backward: the statements of the two walks. gradient: the statement
    of both walks in one, which is used if the tape has no other part; else empty. fused_forward, fused_backward: the
    statements in place of forward and backward in the walk `fused_step`; None if they are the same, and empty if a
    neighbouring part does this part's work. finite: the condition under which fused_backward is right; empty if it
    always is.
    """

    made: str
    forward: str
    backward: str
    gradient: str = ""
    finite: str = ""
    fused_forward: str | None = None
    fused_backward: str | None = None


def parts_of(layout: Layout) -> Iterator[Part]:
    """Yield the parts of a tape, in order: dense layers, other loops, and sequences of scalar instructions."""
    names = count(1)
    waiting: list[str] = []
    between = _between(layout)
    for k, line in enumerate(layout.code):
        row, times = ROWS[line[OP]], int(line[TIMES])
        run = times > UNROLLED and len(set(_operands(layout, line))) == line[COUNT]
        short = row.name in ("sum", "dot") and line[COUNT] <= SHORT
        plain = bool(row.pieces) or short or bool(_selects(layout, line))
        if waiting and (run or not plain or len(waiting) >= PIECE):
            yield _straight(layout, next(names), 1, waiting)
            waiting = []
        if run and plain:
            part = _straight(layout, next(names), times, [_line(layout, line, 0)], layout.strides(line).tolist())
            yield part._replace(fused_forward="", fused_backward="") if k in between else part
        elif plain:
            waiting += [_line(layout, line, n) for n in range(times)]
        else:
            after, before = (layout.code[n] if n in between else None for n in (k + 1, k - 1))
            yield (
                _dense(layout, next(names), line, after, before)
                or _convolution(layout, next(names), line)
                or _extremes(layout, next(names), line)
                or _sort(layout, next(names), line)
                or _loop(layout, line)
            )
    if waiting:
        yield _straight(layout, next(names), 1, waiting)


def _between(layout: Layout) -> set[int]:
    """Return the lines that are runs on all outputs of the dense layer before, and make all inputs of the one after.

    No other instruction reads the outputs of the layer before or of the run. So the run can be fused with the layers.
    """
    tape, code, found = layout.tape, layout.code, set()
    readers = np.bincount(tape.operands, minlength=tape.registers) + np.bincount(tape.outputs, minlength=tape.registers)

    def made(line: NDArray[np.int64]) -> list[int]:
        return list(range(line[OUT], line[OUT] + line[OUTS] * line[TIMES]))

    for k in range(1, len(code) - 1):
        row, first = ROWS[code[k, OP]], code[k, FIRST]
        layers = _dense(layout, 0, code[k - 1]) and _dense(layout, 0, code[k + 1])
        if not layers or row.arity != 1 or not row.pieces or code[k, TIMES] <= UNROLLED:
            continue
        reads = slice(code[k + 1, FIRST], code[k + 1, FIRST] + code[k + 1, COUNT])
        _, inputs, _ = blocks_of(tape.operands[reads].tolist(), int(code[k + 1, OUTS]))
        _, modes, _ = blocks_of(tape.modes[reads].tolist(), int(code[k + 1, OUTS]))
        operands = (tape.operands[first] + np.arange(code[k, TIMES]) * layout.strides(code[k])[0]).tolist()
        alone = all(readers[register] == 1 for register in made(code[k - 1]))
        times = all(readers[register] == 1 for register in inputs)
        if made(code[k - 1]) == operands and made(code[k]) == inputs and alone and times and set(modes) == {ASSIGN}:
            found.add(k)
    return found


def _operands(layout: Layout, line: NDArray[np.int64]) -> list[int]:
    """Return the operands of the first instruction of a line."""
    return [int(register) for register in layout.tape.operands[line[FIRST] : line[FIRST] + line[COUNT]]]


def _straight(layout: Layout, name: int, outs: int, lines: list[str], strides: Sequence[int] = ()) -> Part:
    """Return the part that consists of a sequence of instructions, or of one run.

    name: a number, unique among the parts. outs: the length of the run, 1 for a sequence. lines: texts, as `_line`
    returns them. strides: as in `Layout.strides`.
    """
    tape = layout.tape
    places = layout.places(tape.constant_registers).tolist()
    constants = ", ".join(f"{p}: float('{v}')" for p, v in zip(places, tape.constant_values.tolist(), strict=True))
    body = "".join(f"    {line},\n" for line in lines)
    output = int(layout.places(tape.outputs)[0])
    made = f"straight{name} = Straight(extent, {outs}, {{{constants}}}, {output}, [\n{body}], {tuple(strides)})\n"
    made += f"forward{name}, backward{name}, gradient{name} = straight{name}.operations()"
    return Part(
        made,
        f"forward{name}(values, margin)",
        f"backward{name}(values, adjoints, numbers)",
        f"gradient{name}(values, margin, adjoints, numbers, valid, fresh)"
        if len(tape.outputs) == 1 and outs == 1
        else "",
    )


def _selects(layout: Layout, line: NDArray[np.int64]) -> str:
    """Return the text of a `Select` for a user's selection that is short and has no guard that depends on parameters.

    Return an empty text for any other line.
    """
    tape, table, at = layout.tape, [], int(line[BRANCH])
    if ROWS[line[OP]].name != "select" or line[COUNT] > 2 * SHORT:
        return ""
    while True:
        first, count, piece = tape.rows[at].tolist()
        guards = tape.guards[first : first + count].tolist()
        if any(counts for *_, counts in guards):
            return ""
        table.append(([(left, RELATIONS[relation], right) for left, relation, right, _ in guards], piece))
        if not count:
            return f"Select({line[COUNT]}, {table})"
        at += 1


def _line(layout: Layout, line: NDArray[np.int64], n: int) -> str:
    """Return the text of a `printed.straight.Line` for instruction n of a run, from 0."""
    tape, row = layout.tape, ROWS[line[OP]]
    reads = slice(line[FIRST], line[FIRST] + line[COUNT])
    operands = tuple(layout.places(tape.operands[reads] + n * layout.strides(line)).tolist())
    out = int(layout.places(line[OUT] + n))
    flags = int(line[FLAGS])
    made = f"row{line[OP]}" if row.pieces else _selects(layout, line) or f"{row.name.capitalize()}({line[COUNT]})"
    return (
        f"Line({made}, {out}, {operands}, "
        f"{tuple(tape.modes[reads].tolist())}, [{_immediates(layout, line)}], {line[NUMBER] + len(row.fixed)}, "
        f"{bool(flags & GUARDED)}, {bool(flags & ADJOINED)})"
    )


def _run(layout: Layout, line: NDArray[np.int64] | None, forward: bool) -> str:
    """Return the text of a `printed.dense.Run`, which is after the layer if `forward`, else before it."""
    if line is None:
        return "None"
    place = int(layout.places(line[OUT] if forward else layout.tape.operands[line[FIRST]]))
    guarded = f", {bool(line[FLAGS] & GUARDED)}" if forward else ""
    return f"Run(row{line[OP]}, {place}, [{_immediates(layout, line)}]{guarded})"


def _immediates(layout: Layout, line: NDArray[np.int64]) -> str:
    """Return the text of the immediates of an instruction."""
    first, names = line[NUMBER], ROWS[line[OP]].fixed
    return ", ".join(f"float('{value}')" for value in layout.tape.numbers[first : first + len(names)].tolist())


def _loop(layout: Layout, line: NDArray[np.int64]) -> Part:
    """Return the part that calls the interpreter's loops for a line."""
    forward, backward = _LOOPS["convolution" if line[FLAGS] & SHARED else ROWS[line[OP]].name]
    outs, count = int(line[OUTS]), int(line[COUNT])
    numbers = {
        "first": line[FIRST], "count": count, "out": layout.places(line[OUT]), "outs": outs,
        "times": line[TIMES], "inputs": count // (outs + 1), "bias": count % (outs + 1) != 0,
        "number": line[NUMBER], "rule": f"int(numbers[{line[NUMBER]}])", "guarded": line[FLAGS] & GUARDED,
        "branch": line[BRANCH],
    }  # fmt: skip
    return Part("", forward.format(**numbers), backward.format(**numbers) if line[FLAGS] & ADJOINED else "")


def _convolution(layout: Layout, name: int, line: NDArray[np.int64]) -> Part | None:
    """Return the part of a convolution; None for another line, or if the modes of weights and biases differ."""
    tape, outs, count, first = layout.tape, int(line[OUTS]), int(line[COUNT]), int(line[FIRST])
    reads = [slice(first + n * count, first + (n + 1) * count) for n in range(line[TIMES])]
    places = [blocks_of(layout.places(tape.operands[read]).tolist(), outs) for read in reads]
    own, _, others = blocks_of(tape.modes[reads[-1]].tolist(), outs)
    if not line[FLAGS] & SHARED or len({*own, *others}) > 1:
        return None
    weights, x, bias = places[0]
    windows = tuple(tuple(window) for _, window, _ in places)
    passes = any(any(blocks_of(tape.modes[read].tolist(), outs)[1]) for read in reads)
    out, low, high = int(layout.places(line[OUT])), min(map(min, windows)), max(map(max, windows))
    numbers = f"{outs}, {len(x)}, {weights[0]}, {bias[0] if bias else -1}, {out}, {windows}"
    given = f"{first}, {outs}, {len(x)}, {len(bias) > 0}, {out}, step, {len(reads)}, groups, samples)"
    back = [f"    weights{name}(values, adjoints)"] * bool(own[0])
    back += [f"    inputs_back(values, adjoints, at, modes, {given}"] * passes
    return Part(
        f"forward{name}, weights{name} = "
        f"Convolution(extent, {numbers}, {own[0] == ASSIGN}, {bool(own[0])}).operations()",
        f"forward{name}(values)",
        "\n".join(
            [
                f"if finite_parameters and finite_inputs(values, {low}, {high}, groups, samples):",
                *back,
                f"else:\n    places_back(values, adjoints, at, modes, {given}",
            ]
        )
        if line[FLAGS] & ADJOINED
        else "",
    )


def _extremes(layout: Layout, name: int, line: NDArray[np.int64]) -> Part | None:
    """Return the part of a run of maxima or minima; None for another or long line, or if a register is read twice."""
    tape, rule, count = layout.tape, int(line[NUMBER]), int(line[COUNT])
    if ROWS[line[OP]].name not in ("max", "min") or count > SHORT or line[TIMES] > PIECE:
        return None
    body = ""
    for n in range(line[TIMES]):
        reads = slice(line[FIRST] + n * count, line[FIRST] + (n + 1) * count)
        operands = layout.places(tape.operands[reads]).tolist()
        if len(set(operands)) < count:
            return None
        body += f"    ({int(layout.places(line[OUT] + n))}, {tuple(operands)}, {tuple(tape.modes[reads].tolist())}),\n"
    numbers = f"{1 if ROWS[line[OP]].name == 'max' else -1}, {bool(line[FLAGS] & GUARDED)}, "
    numbers += f"{int(tape.numbers[rule])}"
    return Part(
        f"forward{name}, backward{name} = Extremes(extent, {numbers}, [\n{body}]).operations()",
        f"forward{name}(values, margin)",
        f"backward{name}(values, adjoints)" if line[FLAGS] & ADJOINED else "",
    )


def _sort(layout: Layout, name: int, line: NDArray[np.int64]) -> Part | None:
    """Return the part of a sort; None for another line, a long sort, or if a register is read twice."""
    tape, count = layout.tape, int(line[COUNT])
    reads = slice(line[FIRST], line[FIRST] + count)
    operands = layout.places(tape.operands[reads]).tolist()
    if ROWS[line[OP]].name != "sort" or count > SHORT or len(set(operands)) < count:
        return None
    numbers = f"{int(layout.places(line[OUT]))}, {operands}, {tape.modes[reads].tolist()}"
    slow = _loop(layout, line)

    def chosen(fast: str, slow: str) -> str:
        return f"if proper{name}(values):\n    {fast}\nelse:\n    {slow}"

    return Part(
        f"proper{name}, forward{name}, backward{name} = "
        f"Sort(extent, {numbers}, {bool(line[FLAGS] & GUARDED)}, {int(tape.numbers[line[NUMBER]])}).operations()",
        chosen(f"forward{name}(values, margin)", slow.forward),
        chosen(f"backward{name}(values, adjoints)", slow.backward) if slow.backward else "",
    )


def _dense(
    layout: Layout,
    name: int,
    line: NDArray[np.int64],
    after: NDArray[np.int64] | None = None,
    before: NDArray[np.int64] | None = None,
) -> Part | None:
    """Return the part of a dense layer; None for another line, if a weight is no parameter, or if an input is one.

    after, before: the runs on its outputs, and that make its inputs, if they are fused with the layer.
    """
    tape = layout.tape
    if ROWS[line[OP]].name != "dense":
        return None
    outs, reads = int(line[OUTS]), slice(line[FIRST], line[FIRST] + line[COUNT])
    weights, x, bias = blocks_of(tape.operands[reads].tolist(), outs)
    modes, ways, _ = (set(block) for block in blocks_of(tape.modes[reads].tolist(), outs))
    adjoined = bool(line[FLAGS] & ADJOINED)
    if max([*weights, *bias]) >= tape.parameters or min(x) < tape.parameters or len(ways) > 1:
        return None
    if adjoined and not modes <= {ADD}:
        return None
    places = layout.places(np.array([weights[0], x[0], line[OUT], *bias[:1]])).tolist()
    numbers = f"{outs}, {len(x)}, {places[0]}, {places[1]}, {places[3] if bias else -1}, {places[2]}, {ways.pop()}"
    names = f"forward{name}, finite{name}, backward{name}, masked{name}, fused_backward{name}, fused_forward{name}"
    runs = ", ".join(_run(layout, run, run is after) for run in (after, before))
    return Part(
        f"{names} = Dense(extent, {numbers}, {runs}).operations(RULE)",
        f"forward{name}(values)",
        f"if finite{name}(values):\n    backward{name}(values, adjoints, fresh)\n"
        f"else:\n    masked{name}(values, adjoints, fresh)"
        if adjoined
        else "",
        finite="" if before is not None else f"finite{name}(values)",
        fused_forward=None if after is None else f"finite = fused_forward{name}(values, margin) and finite",
        fused_backward=f"inside = fused_backward{name}(values, adjoints, lane_numbers, held, given) and inside",
    )


def assigns(layout: Layout) -> bool:
    """Tell whether the gradient can assign the adjoint of each parameter, instead of adding to it.

    It can if the tape is one part in which each parameter receives, or if dense layers read each parameter once, and
    nothing else reads any.
    """
    tape, read = layout.tape, []
    parts = list(parts_of(layout))
    if len(parts) == 1 and parts[0].gradient:
        return _received(layout) == set(range(tape.parameters))
    for line in layout.code:
        operands = tape.operands[line[FIRST] : line[FIRST] + line[COUNT]]
        inside = operands[operands < tape.parameters].tolist()
        if inside and not (_dense(layout, 0, line) and line[FLAGS] & ADJOINED):
            return False
        read += inside
    return sorted(read) == list(range(tape.parameters))


def _received(layout: Layout) -> set[int]:
    """Return the parameters that receive from an instruction."""
    tape, found = layout.tape, set()
    for line in tape.code[(tape.code[:, FLAGS] & ADJOINED) > 0]:
        pieces = ROWS[line[OP]].pieces
        for i in range(line[COUNT]):
            if tape.modes[line[FIRST] + i] and (not pieces or any(piece.uses(i) for piece in pieces)):
                found.add(int(tape.operands[line[FIRST] + i]))
    return {register for register in found if register < tape.parameters}
