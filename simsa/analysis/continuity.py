"""Test whether each f_i is continuous, as Definition 3 demands, where AD depended on a tie, and where runs begin."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simsa import calculus
from simsa.analysis.kinds import EFFORT, Subject
from simsa.calculus.curves import jumps
from simsa.errors import ProgramError
from simsa.records.status import Status
from simsa.vocabulary import Met

POINTS, OF_A_CELL = 20, 3
"""Most points of a run, and of each cell, that are tested: the first with distinct point, minibatch or convention."""

SEGMENTS, ROWS = 4, 8
"""Segments of the box around x_0 on which jumps are sought, and most samples i whose f_i are tested there."""

EXECUTIONS = 200
"""Executions of each f_i that a point or a segment costs, roughly."""

Question = tuple[str, tuple[Any, ...], bytes]
"""The label of the convention, the minibatch as `Subject.drawn` returns it, and a point."""


def sensitive(cell: Mapping[str, Any], index: int, subject: Subject) -> list[Question]:
    """Return some points of a cell at which AD depended on a tie, each with the minibatch of that step.

    cell: its records. index: its number. subject: has the minibatches. The list is empty if points were not recorded.
    """
    if "sensitive_point" not in cell:
        return []
    first, label = np.asarray(cell["sensitive_first"]), str(np.asarray(cell["convention"]))
    found: dict[Question, None] = {}
    for t in np.flatnonzero((np.asarray(cell["status"]) != Status.NOT_RUN) & (first >= 0))[: 10 * OF_A_CELL]:
        point = np.asarray(cell["sensitive_point"][t]).astype(np.float64)
        if np.isfinite(point).all():
            found[label, subject.drawn(cell, index, int(t), int(first[t])), point.tobytes()] = None
        if len(found) == OF_A_CELL:
            break
    return list(found)


def together(found: Sequence[tuple[Met, str]]) -> tuple[Met, str]:
    """Return how the hypothesis is met by several programs, and why: as by the one of which least is known.

    found: what `tested` returns of each; empty if only the records are known.
    """
    order = (Met.NOT_MET, Met.OPEN, Met.AS_STATED)
    if not found:
        return Met.OPEN, "not tested: only the records were read"
    return min(found, key=lambda one: order.index(one[0]))


def tested(subject: Subject, questions: list[Question]) -> tuple[Met, str]:
    """Return how the hypothesis that each f_i is continuous is met, and why, in words.

    It is met if each selection of the program is a continuous row of the table. Otherwise `calculus.continuity_at`
    tests it at the points of `questions` and close to them, and `calculus.check_continuity` on segments of the box
    around x_0. A jump breaks the hypothesis; without one it is open. subject: has the program.
    """
    whole = next(iter(subject.objectives.values()))
    if not jumps(whole.interpreter):
        return Met.AS_STATED, "the program selects with continuous functions of the table alone"
    cost = EXECUTIONS * len(whole.interpreter.tape.operands) * (1 + whole.p / 100)
    rows = min(len(whole.rows), ROWS, int(EFFORT / (SEGMENTS * cost)))
    if rows < 1:
        return Met.OPEN, "not tested: the program is too large"
    ties, points = 0, 0
    left = EFFORT
    for label, minibatch, point in list(dict.fromkeys(questions))[:POINTS]:
        left -= cost * len(minibatch)
        if left < 0:
            break
        objective = subject.objectives[label]
        f = calculus.objective(objective.program, minibatch) if subject.fresh else objective.minibatch(minibatch)
        try:
            found = calculus.continuity_at(f, [np.frombuffer(point)])
        except ProgramError:
            continue  # f is not finite at this point
        points, ties = points + 1, ties + found.ties
        if found.counterexample is not None:
            return Met.NOT_MET, _in_words(found.counterexample)
    found = calculus.check_continuity(whole.minibatch(range(rows)), subject.box, samples=SEGMENTS)
    if found.counterexample is not None:
        return Met.NOT_MET, _in_words(found.counterexample)
    where = f"{points} points where AD depended on a tie, and in the box around x_0"
    return Met.OPEN, f"tested, not proved: no jump at {ties + found.ties} ties, at {where}"


def _in_words(found: calculus.Counterexample) -> str:
    """Return in words where a function jumps, and by how much."""
    values = ", ".join(f"{v:.6g}" for v in found.values)
    at = ", ".join(f"{v:.6g}" for v in found.point[:6]) + (", ..." if len(found.point) > 6 else "")
    return f"it jumps by {found.jump:.6g} at x = ({at}): on one side, there, and on the other side it is {values}"
