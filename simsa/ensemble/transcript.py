"""Write a replay as text for a terminal, step by step."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from simsa.ensemble.replay import Replay
from simsa.formats import EXACT
from simsa.machine.exact import UNDEFINED
from simsa.machine.replay import Step, Tie, Walker
from simsa.primitives import ROWS
from simsa.primitives.arithmetic import Number
from simsa.records.status import Status
from simsa.tape import Tape
from simsa.tape.tape import FIRST, OP, OUT

SHOWN = 6
"""The most numbers of a vector that are shown, unless `full` is given."""
DIGITS = 40
"""The most characters of a rational number that is shown in full."""


def transcript(replay: Replay, *, exact: bool = False, full: bool = False) -> Iterator[str]:
    """Yield the lines of a replay: what it is, whether the records agree, and its steps.

    replay: the trajectory. exact: whether the rational trajectory is shown beside it, and where the two first differ.
    full: whether long vectors are shown in full. Raises ScenarioError or ProgramError if `exact` is wanted of a
    scenario that is not rational.
    """
    names = _Names(replay.tape, replay.parameters, replay.columns)
    both = exact and replay.cell.precision != EXACT
    rationals = replay.exact() if both else iter(())  # raises before the first line if the scenario is not rational
    yield from _heading(replay)
    yield from _divergence(replay, names) if both else ()
    step = None
    for step in replay:
        yield ""
        rational = next(rationals, None)
        yield f"step {step.k}: minibatch {{{_listed(step.minibatch)}}}, gamma = {_number(step.gamma)}"
        yield f"    x = {_vector(step.x, full)}"
        if rational is not None:
            yield f"    exactly {_vector(rational.x, full)}"
        yield f"    g = {_vector(step.gradient, full)}"
        yield from _ties(step, replay, names, full)
        if rational is not None and rational.sensitive != step.sensitive:
            yield f"    exactly, this step is {'sensitive' if rational.sensitive else 'not sensitive'}"
    if step is not None:
        yield ""
        yield f"x_{step.k + 1} = {_vector(step.following, full)}"
        yield from _kernels(replay, step)
    if replay.last < replay.stopped:
        yield f"(on to step {replay.stopped - 1}: --from {replay.last})"


def _heading(replay: Replay) -> Iterator[str]:
    """Yield what is replayed, and whether the records agree."""
    cell, record = replay.cell, replay.record
    yield (
        f"{replay.plan.layout.header['name']}, c = {cell.c:.6g}, {cell.convention}, {cell.precision}, trajectory "
        f"{replay.trajectory}: {replay.stopped} steps, {Status(int(record['status'])).words}"
    )
    events = [
        f"first tie at step {int(record['tie_first'])}" if record["tie_first"] >= 0 else "no tie",
        f"sensitive at step {int(record['sensitive_first'])}" if record["sensitive_first"] >= 0 else "not sensitive",
        f"smallest |guard| {float(record['margin']):.3g}",
    ]
    yield ", ".join(events)
    if replay.differences:
        yield f"THE RECORDS DIFFER from this run in: {', '.join(replay.differences)}"
    else:
        yield "the records are the same bits"
    if len(replay.parameters) > 1:
        yield f"x = ({_listed(replay.parameters)})"


def _ties(step: Step, replay: Replay, names: "_Names", full: bool) -> Iterator[str]:
    """Yield the ties of one step."""
    for tie in step.ties[: None if full else SHOWN]:
        yield f"    tie: sample {tie.sample}, {names.tie(replay.walker, step, tie)}"
    if not full and len(step.ties) > SHOWN:
        yield f"    ... {len(step.ties)} ties in all"
    if step.sensitive:
        yield "    sensitive: another choice at the ties changes g"
    elif step.ties:
        yield "    harmless: every choice at the ties gives the same g"


def _divergence(replay: Replay, names: "_Names") -> Iterator[str]:
    """Yield where the floating-point and the exact trajectory first differ, and the rounding that caused it."""
    found = replay.divergence()
    if found is None:
        yield f"float and exact are the same up to x_{replay.last}"
        return
    where = names.register(found.coordinate)
    yield (
        f"float and exact first differ at x_{found.k}: {where} is {found.value!r}, exactly {_number(found.exact)} "
        f"({_gap(found.value, found.exact)})"
    )
    if (r := found.rounding) is not None:
        effect = "which made a selection choose another piece" if r.decides else f"({r.place})"
        error = _gap(r.rounded, r.exact)
        yield f"    {r.operation} = {_number(r.exact)} was rounded to {r.rounded!r}, by {error} {effect}"


def _gap(value: float, exact: Number) -> str:
    """Return how far a float is from what it stands for."""
    if exact is UNDEFINED or value - value != 0:
        return "no number"
    return f"{float(Fraction(value) - exact):+.2g}"


def _kernels(replay: Replay, step: Step) -> Iterator[str]:
    """Yield a line if the plain-Python steps are not those of the kernels: then one of them has a defect."""
    if replay.cell.precision != EXACT:
        there = replay.point(step.k + 1).tolist()
        if [float(v) for v in step.following] != there:
            yield f"THE KERNELS DIFFER: they have x = {_vector(there, False)}; please report this"


def _number(value: Number) -> str:
    """Return a number as text; a long rational one as its nearest float and its length."""
    if not isinstance(value, Fraction):
        return str(value)
    text = str(value)
    if len(text) <= DIGITS:
        return text
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    try:
        return f"{float(value)!r}... ({bits} bits)"
    except OverflowError:
        return f"{'-' if value < 0 else ''}10^{len(str(abs(int(value)))) - 1}... ({bits} bits)"


def _vector(values: Sequence[Number], full: bool) -> str:
    """Return a vector as text, its first entries if it is long."""
    if len(values) == 1:
        return _number(values[0])
    if full or len(values) <= SHOWN:
        return f"({', '.join(map(_number, values))})"
    first = ", ".join(f"{float(v):.6g}" for v in values[:SHOWN])
    return f"({first}, ...), {len(values)} numbers up to {max(abs(float(v)) for v in values):.6g}"


def _listed(values: Sequence[Any]) -> str:
    """Return a list as text, cut off if it is long."""
    some = ", ".join(map(str, values[: 4 * SHOWN]))
    return some if len(values) <= 4 * SHOWN else f"{some}, ... ({len(values)})"


class _Names:
    """The names of the registers of a tape: parameters and data have their names, constants their values."""

    def __init__(self, tape: Tape, parameters: Sequence[str], columns: Sequence[str]) -> None:
        self.tape = tape
        values = zip(tape.constant_registers.tolist(), tape.constant_values.tolist(), strict=True)
        self.known = {register: f"{value:g}" for register, value in values}
        self.known |= {r: parameters[r] if parameters else f"x[{r}]" for r in range(tape.parameters)}
        for i in range(tape.data):
            self.known[tape.parameters + i] = columns[i] if columns else f"data[{i}]"
        for line in tape.code:
            if ROWS[line[OP]].identity:
                self.known[int(line[OUT])] = self.register(int(tape.operands[line[FIRST]]))

    def register(self, register: int) -> str:
        """Return the name of a register."""
        return self.known.get(register, f"r{register}")

    def tie(self, walker: Walker, step: Step, tie: Tie) -> str:
        """Return the instruction of a tie, and its guards that are 0."""
        interpreter = walker.interpreter
        execution = interpreter.run(step.x, walker.numbers(step.data[[tie.sample]])[0])
        call, x = interpreter.calls[tie.instruction], interpreter.operands(tie.instruction, execution)
        names = [self.register(r) for r in interpreter.reads[tie.instruction]]
        pairs = call.row.operation.zeros(call, x, names)
        where = " and ".join(f"{a} = {b}" for a, b in sorted(pairs))
        return f"r{self.tape.code[tie.instruction, OUT]} = {call.row.name}({_listed(names)}) at {where}"
