"""The specialised engine: a tape printed as code, with every place, count and mode a number in it.

The text is the engine of one tape in one layout; `generate.instantiate` keeps it, compiled, in a folder named after
what it says. `parts` prints what the parts of the tape make; here they are put together.
"""

from functools import lru_cache
from textwrap import indent

from simsa.machine.layout import Layout
from simsa.machine.parts import assigns, parts_of
from simsa.primitives import ROWS
from simsa.rules import Rule
from simsa.tape.tape import OP

LONGEST = 400
"""Most instructions of a tape that is specialised, runs counted once; longer ones would take minutes to compile."""

MARCHING = 2
"""Groups of a tape of one operation whose samples are all in one part: parameters are in registers then, and more lane
vectors at once keep the processor busy, until there are no registers left (Zen 3: 2 to 4 are equal)."""

_HEAD = '''"""The engine of one tape in one layout; see `simsa.machine.specialise`."""

from simsa.kernels.operations.choice import choose, choose_back
from simsa.kernels.operations.convolution import convolution, inputs_back, places_back, tame
from simsa.kernels.operations.dense import dense, dense_back
from simsa.kernels.operations.extremes import extremes, extremes_back
from simsa.kernels.operations.logsumexp import logsumexp, logsumexp_back
from simsa.kernels.operations.norm import norm, norm_back
from simsa.kernels.operations.order import sort, sort_back
from simsa.kernels.operations.shared import seed, tied
from simsa.kernels.operations.sums import add_up, add_up_back, dot, dot_back
from simsa.kernels.options import called
from simsa.kernels.printed.code import Extent
from simsa.kernels.printed.convolution import Convolution
from simsa.kernels.printed.dense import Dense, Run
from simsa.kernels.printed.extremes import Extremes
from simsa.kernels.printed.instructions import Dot, Select, Sum
from simsa.kernels.printed.march import March
from simsa.kernels.printed.order import Sort
from simsa.kernels.printed.step import Step
from simsa.kernels.printed.straight import Line, Straight
from simsa.kernels.rows import Row

'''

_TAIL = '''

@called
def forward(code, shape, memory):
    """Compute every register."""
    at, numbers, rows, guards = code.at, code.numbers, code.rows, code.guards
    values, margin, order = memory.values, memory.margin, memory.order
    step, groups, samples = {step}, {groups}, {samples}
{forward}


@called
def backward(code, shape, memory, trusted, fresh):
    """Pass every adjoint back; the parameters are finite."""
    at, modes, numbers, rows, guards = code.at, code.modes, code.numbers, code.rows, code.guards
    values, adjoints, order = memory.values, memory.adjoints, memory.order
    step, groups, samples = {step}, {groups}, {samples}
{backward}
'''

_GRADIENT = '''

@called
def gradient(code, shape, memory, fresh):
    """Compute every register, and add the gradient of the output to the parameters' adjoints, where valid."""
    numbers = code.numbers
    values, adjoints, margin, valid = memory.values, memory.adjoints, memory.margin, memory.valid
    {gradient}
'''

_ADVANCE = '''

@called
def advance(code, shape, memory, pace, held, given):
    """Compute every register; where no sample is tied, take the step as the gradient comes out.

    Return 0 if no step was taken, 1 if all points are in the ball, 2 if not. What the parameters were is in their
    adjoints. The minibatch is all here, and its sizes are powers of two.
    """
    at, modes, numbers, rows, guards = code.at, code.modes, code.numbers, code.rows, code.guards
    values, adjoints, margin, valid, order = memory.values, memory.adjoints, memory.margin, memory.valid, memory.order
    step, groups, samples = {step}, {groups}, {samples}
    fine = near = trusted = True
{forward}
    if tied(valid, margin, step) or not ({finite}):
        return 0
    seed(adjoints, code.seeds, code.clear, 0, valid, step)
{backward}
    return 1 if near else 2
'''

_MARCH = '''

steps = March({straight}, RULE).operation()


@called
def march(code, memory, pace, held, gamma, given, begin, end):
    """Take the steps begin, ..., end - 1 as long as no sample is tied and all points stay in the ball.

    Return the first that was not taken. The minibatch is all here, and its sizes are powers of two.
    """
    return steps(memory.values, code.numbers, memory.valid, pace, held, gamma, given, begin, end)
'''


def engine_text(layout: Layout, rule: Rule | None) -> str:
    """Return the engine of a tape in a layout. rule: what takes steps; None if the engine takes none."""
    parts = list(parts_of(layout))
    taken = f"Step({rule.state!r}, {tuple(rule.numbers)!r}, {rule.steps!r})" if rule else None
    lines = [_HEAD, f"RULE = {taken}"]
    for op in sorted(set(layout.code[:, OP].tolist())):
        row = ROWS[op]
        if row.pieces:
            pieces = [(piece.value, piece.partials) for piece in row.pieces]
            branches = [(branch.guards, branch.piece, branch.between) for branch in row.branches]
            lines.append(f"row{op} = Row({row.arity}, {row.fixed!r}, {pieces!r}, {branches!r})  # {row.name}")
    lines.append(f"extent = Extent({layout.groups}, {layout.samples}, {layout.data_at}, {layout.step})")
    lines += [part.made for part in parts if part.made]
    forward = "\n".join(part.forward for part in parts if part.forward) or "pass"
    backward = "\n".join(part.backward for part in reversed(parts) if part.backward) or "pass"
    whole = parts[0].gradient if len(parts) == 1 else ""
    written = assigns(layout)
    sizes = {"step": layout.step, "groups": layout.groups, "samples": layout.samples}
    lines.append(f"ASSIGNS, KEEPS = {written}, {not whole}")
    lines.append(_TAIL.format(forward=indent(forward, "    "), backward=indent(backward, "    "), **sizes))
    if whole:
        lines.append(_GRADIENT.format(gradient=whole))
    if rule and whole and layout.groups * layout.samples * len(layout.code) <= LONGEST:
        lines.append(_MARCH.format(straight="straight1"))
    if rule and written and not whole:
        ahead = [part.forward if part.ahead is None else part.ahead for part in parts]
        back = [part.backward if part.advance is None else part.advance for part in reversed(parts)]
        texts = {
            "forward": indent("\n".join(filter(None, ahead)), "    "),
            "finite": " and ".join(["fine", *(part.finite for part in parts if part.finite)]),
            "backward": indent("\n".join(filter(None, back)), "    "),
        }
        lines.append(_ADVANCE.format(**texts, **sizes))
    return "\n".join(lines)


@lru_cache(maxsize=32)
def is_straight(layout: Layout) -> bool:
    """Tell whether a tape is one operation of scalar instructions. Every block of a run asks again."""
    parts = list(parts_of(layout))
    return len(parts) == 1 and bool(parts[0].gradient)
