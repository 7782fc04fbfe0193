"""The specialised engine: a tape printed as code, in which places, counts and modes are constants.

The text is the engine of one tape in one layout. `generate.instantiate` keeps it, with its compiled code, in a folder
that is named after a digest of the text. `parts` prints the parts of a tape; here they are put together.
"""

from functools import lru_cache
from textwrap import indent

from simsa.machine.layout import Layout
from simsa.machine.parts import assigns, parts_of
from simsa.primitives import ROWS
from simsa.rules import Rule
from simsa.tape.tape import OP

LONGEST = 400
"""The most instructions of a tape that is specialised, runs counted once: longer ones take minutes to compile."""

STEP_LOOP_GROUPS = 2
"""The groups of a layout in which `step_loop` takes several steps at once.

Parameters stay in registers of the processor. More groups keep its adders busy, until no registers are free (Zen 3: 2
to 4 groups are equally fast).
"""

_HEAD = '''"""The engine of one tape in one layout; see `simsa.machine.specialise`."""

from simsa.kernels.operations.choice import choose, choose_back
from simsa.kernels.operations.convolution import convolution, finite_inputs, inputs_back, places_back
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
from simsa.kernels.printed.step_loop import StepLoop
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
def backward(code, shape, memory, finite_parameters, fresh):
    """Pass every adjoint back; the arguments are those of the interpreter's walk."""
    at, modes, numbers, rows, guards = code.at, code.modes, code.numbers, code.rows, code.guards
    values, adjoints, order = memory.values, memory.adjoints, memory.order
    step, groups, samples = {step}, {groups}, {samples}
{backward}
'''

_GRADIENT = '''

@called
def gradient(code, shape, memory, fresh):
    """Compute every register, and add the gradients of the samples that count to the parameters' adjoints."""
    numbers = code.numbers
    values, adjoints, margin, valid = memory.values, memory.adjoints, memory.margin, memory.valid
    {gradient}
'''

_FUSED_STEP = '''

@called
def fused_step(code, shape, memory, lane_numbers, held, given):
    """Compute every register; if no sample is tied, take the step of a layer as soon as its gradient is complete.

    Return 0 if no step was taken, 1 if all points are in the ball, 2 if not. The adjoints of the parameters hold the
    parameters before the step. The whole minibatch has to be in memory, and its sizes have to be powers of two.
    """
    at, modes, numbers, rows, guards = code.at, code.modes, code.numbers, code.rows, code.guards
    values, adjoints, margin, valid, order = memory.values, memory.adjoints, memory.margin, memory.valid, memory.order
    step, groups, samples = {step}, {groups}, {samples}
    finite = inside = finite_parameters = True
{forward}
    if tied(valid, margin, step) or not ({finite}):
        return 0
    seed(adjoints, code.seeds, code.clear, 0, valid, step)
{backward}
    return 1 if inside else 2
'''

_STEP_LOOP = '''

steps = StepLoop({straight}, RULE).operation()


@called
def step_loop(code, memory, lane_numbers, held, gamma, given, begin, end):
    """Take the steps begin, ..., end - 1 as long as no sample is tied and all points stay in the ball.

    Return the number of the first step that was not taken. The whole minibatch has to be in memory, and its sizes have
    to be powers of two.
    """
    return steps(memory.values, code.numbers, memory.valid, lane_numbers, held, gamma, given, begin, end)
'''


def engine_text(layout: Layout, rule: Rule | None) -> str:
    """Return the text of the engine of a tape in a layout. rule: that of the steps; None if the engine takes none."""
    parts = list(parts_of(layout))
    inside = rule is not None and rule.separable  # a walk can take the step, coordinate by coordinate
    taken = f"Step({rule.state!r}, {tuple(rule.numbers)!r}, {rule.steps!r})" if rule and inside else None
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
    straight = parts[0].gradient if len(parts) == 1 else ""
    whole = "" if rule and rule.uses_loss else straight  # it leaves no losses in memory
    written = assigns(layout) and whole == straight  # the walk `backward` of a straight tape assigns nothing
    sizes = {"step": layout.step, "groups": layout.groups, "samples": layout.samples}
    lines.append(f"ASSIGNS, KEEPS = {written}, {not whole}")
    lines.append(_TAIL.format(forward=indent(forward, "    "), backward=indent(backward, "    "), **sizes))
    if whole:
        lines.append(_GRADIENT.format(gradient=whole))
    if inside and whole and layout.groups * layout.samples * len(layout.code) <= LONGEST:
        lines.append(_STEP_LOOP.format(straight="straight1"))
    if inside and written and not whole:
        fused_forward = [part.forward if part.fused_forward is None else part.fused_forward for part in parts]
        fused_backward = [
            part.backward if part.fused_backward is None else part.fused_backward for part in reversed(parts)
        ]
        texts = {
            "forward": indent("\n".join(filter(None, fused_forward)), "    "),
            "finite": " and ".join(["finite", *(part.finite for part in parts if part.finite)]),
            "backward": indent("\n".join(filter(None, fused_backward)), "    "),
        }
        lines.append(_FUSED_STEP.format(**texts, **sizes))
    return "\n".join(lines)


@lru_cache(maxsize=32)
def is_straight(layout: Layout) -> bool:
    """Tell whether a tape is one sequence of scalar instructions. The answer is kept, since every block asks."""
    parts = list(parts_of(layout))
    return len(parts) == 1 and bool(parts[0].gradient)
