"""D_f(x), the set-valued selection operator of Definition 5, as a finite set of gradients."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.mixed import mixed
from simsa.calculus.objective import Objective, executions, point, resolve, terms
from simsa.calculus.regions import Term, check_jumps, copied
from simsa.errors import ProgramError
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives.operations import format_product
from simsa.program.program import Program
from simsa.tape.tape import ADJOINED, FLAGS, OUT

Array = NDArray[np.float64]
Assignment = tuple[tuple[int, int, Any], ...]
"""A branch assignment: (number of the term, register of the node, piece) for each selection that is decided."""

LIMIT = 2**16
"""The default limit of the number of branch assignments."""


@dataclass(frozen=True)
class SetValue:
    """The convex hull of a finite set of gradients.

    Attributes
    ----------
    vertices
        The distinct gradients, shape (r, p), or Jacobians, shape (r, q, p), if q > 1; they need not all be extreme
        points.
    assignments
        For each vertex a branch assignment with this gradient.
    closure
        "full", "local", "clarke" or "minkowski".
    certified
        For Clarke's set, whether it is proved; False if points had to be sampled, or if rounding left a question open.
    why
        What is not proved; else empty.
    """

    vertices: Array
    assignments: tuple[Assignment, ...]
    closure: str
    certified: bool = True
    why: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.vertices)


def selection_operator(
    subject: Program | Objective,
    x: ArrayLike,
    closure: str = "full",
    tol: float = 0.0,
    data: ArrayLike | None = None,
    limit: int = LIMIT,
) -> SetValue:
    """Return D_f(x) = conv{∇f_β(x) : f_β(x) = f(x)}, over branch assignments β (Def. 5).

    Parameters
    ----------
    subject
        A program or an objective. For an objective J the result is D_J, where an assignment decides the selections of
        each term separately.
    x
        The point, shape (p,).
    closure
        "full": all assignments of a piece to every selection, also of pieces that are never selected. "local": the
        assignments that are reached by deciding each tied guard either way, in all combinations; their gradients are
        what AD could return under some tie convention.
    tol
        Two values of the program count as equal if they differ by at most this; pieces that meet at a tie count as
        equal up to rounding.
    data
        The data inputs of a program, shape (d,).
    limit
        The largest number of assignments.

    Returns
    -------
    SetValue
        The gradients, or Jacobians if there are q > 1 outputs.

    Raises
    ------
    ProgramError
        If there are more than `limit` assignments, if f jumps at x, so that there is no such set, if a derivative is
        not finite, or if an argument does not fit.

    Notes
    -----
    An assignment is kept if the value of the program under it is f(x). Both closures are conservative, and the local
    one is a subset of the full one. Locally, ties are decided in the order of the program, which is run on under each
    decision; guards of later selections that become tied then are decided in turn. The local set of an objective is the
    mean of the local sets of its terms. Its full set may be larger, since the changes of two terms' values may cancel.

    The set may be larger than Clarke's subdifferential: the program relu(x) - relu(-x) of the function x has the
    gradients 0, 1 and 2 at 0.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Definition 5.

    Examples
    --------
    >>> import simsa
    >>> program = simsa.trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), 1)
    >>> selection_operator(program, [0.0], "local").vertices.ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    objective = resolve(subject, data)
    at = point(objective, x)
    if closure not in ("full", "local"):
        raise ProgramError(f"closure must be 'full' or 'local', got {closure!r}")
    if not tol >= 0:
        raise ProgramError(f"tol must be a number not below 0, got {tol!r}")
    every = [Term(objective, at, i, run) for i, run in enumerate(executions(objective, at))]
    if closure == "full":
        counts = [branches.count(objective.interpreter, k) for term in every for k in term.run.decisions]
        if prod(counts) > limit:
            number = format_product(counts)
            raise ProgramError(
                f"{number} branch assignments, over the limit of {limit}; use closure='local', or limit="
            )
    each = [_local(objective, i, at, term, tol, limit) for i, term in enumerate(every)]
    if not all(agree for _, agree in each):
        check_jumps(every, at, limit)
    total = combine([entries for entries, _ in each], limit)
    if closure == "full":
        total = _full(objective, every, total, tol, limit)
    return _finished(objective, total, closure)


def minkowski_sum(
    subject: Program | Objective,
    x: ArrayLike,
    of: Callable[..., SetValue] = selection_operator,
    data: ArrayLike | None = None,
    limit: int = LIMIT,
    **options: Any,
) -> SetValue:
    """Return the Minkowski mean (1/n) Σ of the sets of the terms f_i.

    Parameters
    ----------
    subject
        An objective, or a program with rows in `data`.
    x
        The point, shape (p,).
    of
        The function that returns the set of a term: `selection_operator` or `clarke`.
    data
        The data of a program, shape (n, d).
    limit
        The largest number of sums of vertices.
    options
        Further arguments of `of`.

    Returns
    -------
    SetValue
        The means of one vertex of each term, in all combinations.

    Raises
    ------
    ProgramError
        If there are more than `limit` sums, or as `of`.

    Notes
    -----
    Clarke's set of the mean is a subset of the mean of Clarke's sets, and may be smaller: the mean of |x| and −|x| is
    0, with the set {0}, while the mean of their sets at 0 is [−1, 1].

    References
    ----------
    Clarke, Optimization and Nonsmooth Analysis (1983), Section 2.3.

    Examples
    --------
    >>> import simsa
    >>> program = simsa.trace(lambda x, s: s[0] * abs(x[0]), 1, 1)
    >>> minkowski_sum(program, [0.0], data=[[1.0], [-1.0]], closure="local").vertices.ravel().tolist()
    [-1.0, 0.0, 1.0]
    """
    total = terms(subject, data)
    sets = [of(total.minibatch([i]), x, **options) for i in range(len(total.rows))]
    entries = []
    for i, term in enumerate(sets):
        vertices = term.vertices.reshape(len(term), total.q, total.p)
        named = [tuple((i, node, piece) for _, node, piece in entry) for entry in term.assignments]
        entries.append(list(zip(named, vertices, strict=True)))
    result = _finished(total, combine(entries, limit), "minkowski")
    why = next((term.why for term in sets if term.why), "")
    return dataclasses.replace(result, certified=all(term.certified for term in sets), why=why)


Entries = list[tuple[Assignment, Array]]


def distinct(entries: Iterable[tuple[Assignment, Array]]) -> Entries:
    """Return the entries with distinct gradients; -0 and 0 count as equal."""
    found: dict[bytes, tuple[Assignment, Array]] = {}
    for assignment, gradient in entries:
        clean = gradient + 0.0
        found.setdefault(clean.tobytes(), (assignment, clean))
    return list(found.values())


def combine(terms: list[Entries], limit: int) -> Entries:
    """Return the means of one gradient of each term, in all combinations; sums run in the order of the terms."""
    total = distinct(terms[0])
    for term in terms[1:]:
        rest = distinct(term)
        if len(total) * len(rest) > limit:
            raise ProgramError(f"more than {limit} sums of the terms' gradients, which is the limit")
        total = distinct((a + b, g + h) for a, g in total for b, h in rest)
    return distinct((a, g / len(terms)) for a, g in total) if len(terms) > 1 else total


def _finished(objective: Objective, entries: Entries, closure: str) -> SetValue:
    """Return the set, sorted by the gradients; raises ProgramError if a derivative is not finite."""
    jacobians = np.array([jacobian for _, jacobian in entries])
    if not np.isfinite(jacobians).all():
        raise ProgramError("a piece that agrees with the function has no finite derivative at this point")
    columns = jacobians.reshape(len(entries), -1)
    columns = columns[:, (columns != columns[0]).any(0)]  # few, if few selections are tied
    order = np.lexsort(columns.T[::-1]) if columns.size else [0]
    shape = (-1, objective.p) if objective.q == 1 else (-1, objective.q, objective.p)
    return SetValue(jacobians[order].reshape(shape), tuple(entries[i][0] for i in order), closure)


def named(objective: Objective, sample: int, choices: dict[int, Any]) -> Assignment:
    """Return decisions as a branch assignment.

    objective: the sum. sample: the number of the term. choices: by instruction, the decisions.
    """
    interpreter = objective.interpreter
    return tuple(
        (sample, int(interpreter.tape.nodes[k]), branches.label(interpreter, k, decision))
        for k, decision in choices.items()
    )


def _local(objective: Objective, sample: int, x: Array, term: Term, tol: float, limit: int) -> tuple[Entries, bool]:
    """Return the gradients of one term in all combinations of decisions at its ties, and whether all have its value.

    The program is run on under each decision. Decisions with different values are followed one by one, and decisions
    with equal values together. Combinations under which the term has another value are left out.
    """
    interpreter = term.anchored
    allowed = {k: branches.options(interpreter, k, term.run, limit) for k in term.tied}
    counts = [len(decisions) for decisions in allowed.values()]
    if prod(counts) > limit:
        raise ProgramError(
            f"{format_product(counts)} branch assignments agree locally, over the limit of {limit}; use limit="
        )
    entries: list[tuple[Assignment, Array]] = []
    agree, total = True, 0
    for run, options in _followed(term, limit):
        total += prod(map(len, options.values()))
        if total > limit:
            raise ProgramError(f"over {limit} branch assignments agree locally, the limit; use limit=")
        outputs = objective.outputs(run)
        if not (term.agrees(run) or (np.abs(outputs - term.outputs) <= tol).all()):
            agree = False
            continue
        counts = [len(decisions) for decisions in options.values()]
        picks = np.array(list(product(*map(range, counts))), np.int64).reshape(prod(counts), len(options))
        for block in np.array_split(picks, len(picks) // 1024 + 1):
            for pick, jacobian in zip(block, jacobians(interpreter, run, options, block), strict=True):
                choices = {k: options[k][i] for k, i in zip(options, pick, strict=True)}
                entries.append((named(objective, sample, choices), jacobian))
    return distinct(entries), agree


def _followed(term: Term, limit: int) -> Iterator[tuple[Execution, dict[int, list[Any]]]]:
    """Yield executions of a term under decisions of its ties, each with the decisions that give the same values."""
    stack: list[tuple[Execution, dict[int, list[Any]], int]] = [(term.begun(), {}, 0)]
    if not term.tied:
        yield term.run, {}
        return
    while stack:
        run, options, k = stack.pop()
        while k < len(term.tape.code):
            term.step(run, k)
            if k in run.decisions and branches.tied(term.anchored, k, run):
                groups = _groups(term, run, k, branches.options(term.anchored, k, run, limit))
                for group in groups[1:]:
                    other = copied(run)
                    term.step(other, k, group[0])
                    stack.append((other, {**options, k: group}, k + 1))
                term.step(run, k, groups[0][0])
                options = {**options, k: groups[0]}
            k += 1
        yield run, {j: decisions for j, decisions in options.items() if len(decisions) > 1 or _forced(term, run, j)}


def _forced(term: Term, run: Execution, k: int) -> bool:
    """Tell whether the decision of selection k in `run` differs from the one that the term executes."""
    return k not in term.run.decisions or branches.label(term.anchored, k, run.decisions[k]) != branches.label(
        term.anchored, k, term.run.decisions[k]
    )


def _groups(term: Term, run: Execution, k: int, decisions: list[Any]) -> list[list[Any]]:
    """Return the decisions of a tie, grouped by the value that they give, up to rounding."""
    if branches.selection(term.anchored, k).orders:
        return [decisions]
    groups: dict[float, list[Any]] = {}
    for decision in decisions:
        term.step(run, k, decision)
        groups.setdefault(float(run.values[term.tape.code[k, OUT]]), []).append(decision)
    return list(groups.values())


def _full(objective: Objective, terms: list[Term], local: Entries, tol: float, limit: int) -> Entries:
    """Return the gradients of all assignments under which the objective has its value, and the local ones.

    Values are compared as rational numbers where they are rational.
    """
    interpreter = objective.interpreter
    value: Any = (mixed(0),) * objective.q
    sums: dict[Any, tuple[Assignment, Any, Array]] = {}
    sums[b""] = ((), value, np.zeros((objective.q, objective.p)))
    for i, term in enumerate(terms):
        value = tuple(v + w for v, w in zip(value, term.results(term.run_exactly(term.run.decisions)), strict=True))
        found: dict[Any, tuple[Assignment, Any, Array]] = {}
        for combination in product(*(branches.pieces(interpreter, k) for k in term.run.decisions)):
            choices = dict(zip(term.run.decisions, combination, strict=True))
            outputs = tuple(term.results(term.run_exactly(choices)))
            if any(v != v for v in outputs):
                continue
            slopes = objective.slopes(interpreter.run(term.x, term.row, choices)) + 0.0
            found.setdefault((outputs, slopes.tobytes()), (named(objective, i, choices), outputs, slopes))
        if len(sums) * len(found) > limit:
            raise ProgramError(f"{len(sums) * len(found)} sums of the terms' values, over the limit of {limit}")
        folded: dict[Any, tuple[Assignment, Any, Array]] = {}
        for a, v, g in sums.values():
            for b, w, h in found.values():
                both = tuple(s + t for s, t in zip(v, w, strict=True))
                folded.setdefault((both, (g + h).tobytes()), (a + b, both, g + h))
        sums = folded
    scale = len(terms)
    equal = [
        (a, g / scale)
        for a, v, g in sums.values()
        if all(s == t or abs(s - t) <= tol * scale for s, t in zip(v, value, strict=True))
    ]
    return distinct([*equal, *local])


# Algorithm 2 (backward mode) for many branch assignments at once. All have the same values, so only partials differ.

Entry = tuple[int, list[tuple[int, Any]]]
"""An operand register of an instruction, with pairs (output register, partial)."""


def _entries(interpreter: Interpreter, k: int, run: Execution) -> list[Entry]:
    """Return the partials of instruction k by operand, without the operands that its piece does not use."""
    out = interpreter.code[k][OUT]
    with np.errstate(all="ignore"):
        columns = zip(interpreter.reads[k], interpreter.columns(k, run), interpreter.modes[k], strict=True)
    return [(r, [(out + j, d) for j, d in column]) for r, column, mode in columns if mode and column]


def jacobians(
    interpreter: Interpreter, run: Execution, options: dict[int, list[Any]], picks: NDArray[np.int64]
) -> Array:
    """Return the Jacobians of many assignments, shape (b, q, p), with the same bits as backward mode.

    interpreter: runs the tape. run: the execution, whose values all assignments have. options: by selection, a list of
    decisions. picks: shape (b, number of selections), for each assignment the positions in these lists.
    """
    tape, b = interpreter.tape, len(picks)
    column = {k: i for i, k in enumerate(options)}
    flows: list[tuple[int, int | None, list[Entry]]] = []
    for k in range(len(tape.code) - 1, -1, -1):
        if not interpreter.code[k][FLAGS] & ADJOINED:
            continue
        if k not in options:
            flows.append((k, None, _entries(interpreter, k, run)))
        for i, decision in enumerate(options.get(k, ())):
            chosen = dataclasses.replace(run, decisions={**run.decisions, k: decision})
            flows.append((k, i, _entries(interpreter, k, chosen)))
    result = np.empty((b, len(tape.outputs), tape.parameters))
    with np.errstate(all="ignore"):
        for q, output in enumerate(tape.outputs.tolist()):
            adjoints: dict[int, Any] = {output: np.float64(1)}
            live: dict[int, Any] = {output: True}
            for k, index, entries in flows:
                here = True if index is None else picks[:, column[k]] == index
                for register, slopes in entries:
                    reached = [(g, d, _both(live[r], here)) for r, d in slopes if (g := adjoints.get(r)) is not None]
                    if reached:
                        total: Any = np.float64(0)
                        alive: Any = False
                        for g, d, mask in reached:
                            total = total + (g * d if mask is True else np.where(mask, g * d, 0.0))
                            alive = True if mask is True or alive is True else mask | alive
                        adjoints[register] = adjoints.get(register, 0.0) + total
                        before = live.get(register, False)
                        live[register] = True if before is True or alive is True else before | alive
            for i in range(tape.parameters):
                result[:, q, i] = adjoints.get(i, 0.0)
    return result


def _both(a: Any, b: Any) -> Any:
    """Return the conjunction of two masks; True stands for all."""
    return b if a is True else a if b is True else a & b
