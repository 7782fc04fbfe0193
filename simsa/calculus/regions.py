"""The regions that meet at a point: the branch assignments that are executed on open sets arbitrarily close to it.

Ties are decided in the order of the program, which is run on under each decision. A guard that is 0 at the point has a
sign in each region, which is the sign of a product of polynomials (`forms`). The polynomials are taken to be positive
or negative, in all combinations. Affine polynomials divide the directions into cones; linear programming in rational
numbers decides whether a cone is empty.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.calculus import branches
from simsa.calculus.dual import Dual
from simsa.calculus.forms import FormInterpreter, Polynomial, Slope, form, signs, vanishes, vanishing
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.mixed import MixedInterpreter, begun, errors, plain, proved
from simsa.calculus.objective import Objective
from simsa.calculus.series import Series, SeriesInterpreter, UndecidedError
from simsa.errors import ProgramError
from simsa.machine.reference import FLOAT64, Execution, Interpreter
from simsa.primitives.arithmetic import Arithmetic
from simsa.primitives.operations import SIGNS, format_product
from simsa.tape.tape import OUT, OUTS, Tape

Array = NDArray[np.float64]
Direction = dict[int, Fraction]


class AnchoredInterpreter(Interpreter):
    """Runs a tape at a point under other decisions than those of a given execution at that point.

    Pieces that meet at a tie have equal values over the real numbers, but may differ in their last bits. A value that
    agrees with that of the given execution up to rounding is therefore replaced by it, so that a guard of a later
    selection that is 0 stays 0.
    """

    def __init__(self, tape: Tape, there: Execution, bounds: list[float], arithmetic: Arithmetic = FLOAT64) -> None:
        """Set the interpreter.

        tape: the tape. there: the given execution, in float64. bounds: the error bound of each of its registers.
        arithmetic: of the new executions, float64 or dual numbers.
        """
        super().__init__(tape, arithmetic)
        self.there, self.bounds = there, bounds

    def _evaluate(self, k: int, execution: Execution, choices: Any) -> None:
        super()._evaluate(k, execution, choices)
        self.anchor(k, execution)

    def anchor(self, k: int, execution: Execution) -> None:
        """Replace the results of instruction k that agree with the given execution up to rounding by its results."""
        out = self.code[k][OUT]
        for r in range(out, out + self.code[k][OUTS]):
            own, there = execution.values[r], self.there.values[r]
            if abs(float(own) - float(there)) <= self.bounds[r]:
                dual = isinstance(own, Dual)
                execution.values[r] = Dual(there, own.tangent, own.curved) if dual else there


class Term:
    """One term f_i of an objective at a point, with interpreters that run it under other decisions.

    tied: the selections that are tied in its execution. may_jump: the selections whose walls are to be examined.
    """

    def __init__(self, objective: Objective, x: Array, sample: int, run: Execution) -> None:
        """Set the term. sample: its number. x: the point, shape (p,). run: the execution of the term there."""
        interpreter = objective.interpreter
        self.tape, self.run, self.x = interpreter.tape, run, x.tolist()
        self.row: list[float] = objective.rows[sample].tolist()
        self.bounds = errors(interpreter, run)
        self.anchored = AnchoredInterpreter(self.tape, run, self.bounds)
        self.symbolic = FormInterpreter(self.tape, run, self.bounds)
        self.exact = MixedInterpreter(self.tape)
        self.known: dict[Any, bool] = {}
        self.outputs = objective.outputs(run)
        self.tied = [k for k in run.decisions if branches.tied(interpreter, k, run)]
        self.may_jump: set[int] = set()

    def begun(self) -> Execution:
        """Return an execution before its first instruction."""
        return begun(self.anchored, [np.float64(v) for v in (*self.x, *self.row)])

    def step(self, run: Execution, k: int, decision: Any = None) -> None:
        """Evaluate instruction k in an execution.

        run: the execution, which is changed. k: the instruction. decision: what it selects; None for its own decision.
        """
        with np.errstate(all="ignore"):
            self.anchored._evaluate(k, run, {} if decision is None else {k: decision})

    def run_exactly(self, choices: dict[int, Any] | None = None) -> Execution:
        """Return the execution in mixed numbers. choices: by instruction, decisions that are forced."""
        return self.exact.run(self.x, self.row, choices)

    @cached_property
    def own_exact_run(self) -> Execution:
        """Return the execution in mixed numbers under its own decisions."""
        return self.run_exactly()

    def results(self, run: Execution) -> list[Any]:
        """Return the outputs of an execution."""
        return [run.values[r] for r in self.tape.outputs.tolist()]

    def agrees(self, run: Execution) -> bool:
        """Tell whether an execution has the outputs of the term at the point."""
        return all(a == b for a, b in zip(self.results(run), self.results(self.run), strict=True))

    def doubt(self) -> str:
        """Return why the signs of the guards at the point are not certain, in a line; empty if they are.

        They are certain if the execution in mixed numbers makes the same decisions, and if no guard that is not a
        rational number is 0 up to rounding.
        """
        exact = self.own_exact_run
        for k, decision in self.run.decisions.items():
            if not branches.guarded(self.exact, k):
                continue
            same = branches.label(self.exact, k, exact.decisions[k]) == branches.label(self.exact, k, decision)
            bound = max((self.bounds[r] for r in self.tape.operand(k).tolist()), default=0.0)
            sides = [
                h
                for h in branches.differences(self.exact, k, exact, exact.decisions[k])
                if not proved(h) and abs(plain(h)) <= 2 * bound
            ]
            if not same or sides:
                return f"rounding may decide a guard of r{int(self.tape.nodes[k])}"
        return ""

    def verified(self, run: Execution, choices: dict[int, Any]) -> bool:
        """Tell whether tied guards are 0 and outputs are those of the term, also in mixed numbers.

        run: the execution in float64. choices: by instruction, the decisions at its ties.
        """
        key = tuple((k, branches.label(self.exact, k, decision)) for k, decision in choices.items())
        if key not in self.known:
            self.known[key] = not choices or self._verified(run, choices)
        return self.known[key]

    def _verified(self, run: Execution, choices: dict[int, Any]) -> bool:
        exact = self.run_exactly(run.decisions)
        for k, decision in choices.items():
            floats = branches.differences(self.anchored, k, run, decision)
            sides = branches.differences(self.exact, k, exact, decision)
            if any(float(a) == 0 and not (proved(b) and b == 0) for a, b in zip(floats, sides, strict=True)):
                return False
        return all(a == b for a, b in zip(self.results(exact), self.results(self.own_exact_run), strict=True))


MOST_EQUAL = 64
"""The largest number of equal operands of a max or min. Each has its region, and more would take over some seconds."""


@dataclass
class Region:
    """A region: decisions at the ties of all terms, and the signs of polynomials that lead to them.

    While a region is computed, it describes the decisions up to an instruction of a term. If a sign of a further
    polynomial is needed, the region is split.

    term, k: the numbers of the next term and instruction. runs: the executions of the terms so far, under
    the decisions. forms: the execution of the current term in forms; None before it is needed. choices: for each term,
    by instruction, the decisions at its ties. signs: of polynomials that are 0 at the point; if a sign is 0 the region
    is part of a wall, and not an open set. direction: a direction along which all affine polynomials have these signs.
    exact: whether guards that are 0 in float64 are 0 without rounding. leads: the signs and factors of differences of
    operands of the current selection, as computed so far; regions that are split there share it. walls: the sets of
    polynomials such that a guard of a selection in `Term.may_jump` is 0 where all polynomials of a set are 0.
    """

    term: int = 0
    k: int = 0
    runs: list[Execution] = field(default_factory=list)
    forms: Execution | None = None
    choices: list[dict[int, Any]] = field(default_factory=list)
    signs: dict[Polynomial, int] = field(default_factory=dict)
    direction: Direction = field(default_factory=dict)
    exact: bool = True
    leads: dict[tuple[int, int], tuple[int, list[Polynomial], bool]] = field(default_factory=dict)
    walls: dict[frozenset[Polynomial], None] = field(default_factory=dict)

    def copy(self) -> "Region":
        """Return a copy of the region that can be continued independently."""
        return Region(
            self.term, self.k, [*self.runs[:-1], *(copied(run) for run in self.runs[-1:])],
            None if self.forms is None else copied(self.forms), [dict(c) for c in self.choices], dict(self.signs),
            self.direction, self.exact, self.leads, dict(self.walls),
        )  # fmt: skip

    @property
    def zeros(self) -> tuple[Polynomial, ...]:
        """Return the polynomials that are 0 in the region, which is part of a wall if there is one."""
        return tuple(polynomial for polynomial, sign in self.signs.items() if not sign)

    @property
    def affine(self) -> bool:
        """Tell whether all polynomials are affine, so that `direction` leads into the region."""
        return all(polynomial.affine for polynomial in self.signs)

    def normals(self) -> list[Slope] | None:
        """Return the gradients of the polynomials times their signs; None if a gradient is 0."""
        slopes = [{i: s * v for i, v in polynomial.slope.items()} for polynomial, s in self.signs.items()]
        return slopes if all(slopes) else None


def copied(run: Execution) -> Execution:
    """Return a copy of an execution that can be continued independently."""
    return Execution(list(run.values), dict(run.decisions), dict(run.margins))


class _Fork(Exception):
    """Signs of polynomials are needed. Every open set that meets the point meets the region of one of the options."""

    def __init__(self, options: list[dict[Polynomial, int]]) -> None:
        self.options = options


def regions(terms: list[Term], limit: int) -> Iterator[Region]:
    """Yield the regions that meet at the point, without those that are empty because of affine guards.

    Raises ProgramError if there are more than `limit`; before any work if guards with independent gradients show that.
    """
    _refuse_at_once(terms, limit)
    for found, region in enumerate(split(Region(), partial(run_terms, terms)), 1):
        if found > limit:
            raise ProgramError(f"more than {limit} regions meet at this point; use limit=")
        yield region


def split(start: Region, run_on: Callable[[Region], None]) -> Iterator[Region]:
    """Yield the regions into which `start` is split where `run_on` needs signs, without those proved to be empty."""
    stack = [start]
    while stack:
        region = stack.pop()
        try:
            run_on(region)
        except _Fork as fork:
            sides = [side for option in fork.options if (side := restricted(region, option)) is not None]
            if len(sides) < len(fork.options):
                normals = [v for option in fork.options for one in option for v in one.slope.values()]
                for side in sides:
                    side.exact = side.exact and all(map(proved, normals))
            stack += [*sides[1:], *sides[:1]]
        else:
            yield region


def run_terms(terms: list[Term], region: Region) -> None:
    """Run the terms from the current instruction of a region to the end; raises _Fork if a sign is needed."""
    while region.term < len(terms):
        term = terms[region.term]
        if region.k == 0 and len(region.runs) == region.term:
            region.runs.append(term.begun())
            region.choices.append({})
            region.forms = None
        run = region.runs[-1]
        if not term.tied and region.k == 0:
            region.runs[-1], region.k = term.run, len(term.tape.code)
        while region.k < len(term.tape.code):
            term.step(run, region.k)
            if region.k in run.decisions and branches.tied(term.anchored, region.k, run):
                decision = decided(term, region, run)
                region.leads = {}
                term.step(run, region.k, decision)
                region.choices[-1][region.k] = decision
            region.k += 1
        region.term, region.k = region.term + 1, 0


def decided(term: Term, region: Region, run: Execution) -> Any:
    """Return the decision of the current selection of a region under its signs.

    term: the current term. region: gives the signs, and the number of the selection. run: the execution of the term in
    the region. Raises _Fork if a sign is missing.
    """
    k, interpreter = region.k, term.anchored
    operands, signs = interpreter.operands(k, run), _Signs(term, region, run)
    return branches.selection(interpreter, k).resolve_tie(interpreter.calls[k], operands, run.decisions[k], signs)


class _Signs:
    """The signs in a region of the differences at its current selection that are 0 at the point (`LocalSigns`)."""

    def __init__(self, term: Term, region: Region, run: Execution) -> None:
        """Set the term, the region and the execution of the term in it."""
        self.term, self.region, self.x = term, region, term.anchored.operands(region.k, run)

    def _operand(self, i: int) -> Any:
        return form(forms_of(self.term, self.region).values[self.term.anchored.reads[self.region.k][i]])

    def _difference(self, i: int, j: int) -> Any:
        return self._operand(i) - self._operand(j)

    def order(self, i: int, j: int) -> int:
        """Return the sign of operand i minus operand j; 0 for NaN."""
        gap = self.x[i] - self.x[j] if self.x[i] != self.x[j] else 0.0
        return self._sign(gap, partial(self._difference, i, j)) or 0

    def leader(self, tied: list[int], better: int) -> int | None:
        """Return the best of three tied operands or more, if each difference has the sign of a single polynomial."""
        if len(tied) < 3 or self.region.zeros:
            return None
        return _winner(self.region, tied, better, self._lead)

    def guard(self, row: int, number: int, h: Any) -> int | None:
        """Return the sign of guard `number` in a row of the branch table, whose value at the point is h."""
        return self._sign(h, partial(_guard, self.term, self.region, row, number))

    def _sign(self, value: Any, guard: Callable[[], Any]) -> int | None:
        """Return the sign of a guard: that of its value in float64 or, if that is 0, of its form."""
        return _plain_sign(value) if value != 0 else _sign(self.term, self.region, guard)

    def _lead(self, i: int, j: int) -> tuple[int, list[Polynomial], bool]:
        """Return sign, factors and exactness of the difference of operands i and j; see `_guards`."""
        if (i, j) not in self.region.leads:
            self.region.leads[i, j] = _guards(self._difference(i, j))
        return self.region.leads[i, j]


def _winner(
    region: Region, tied: list[int], better: int, lead: Callable[[int, int], tuple[int, list[Polynomial], bool]]
) -> int | None:
    """Return which of several equal operands of max (better = 1) or min (better = -1) is the best in the region.

    lead(i, j): sign, factors and exactness of operand i minus operand j. There is a region for each operand that is the
    best, whatever the order of the others. None if a difference has several factors; then operands are compared in
    pairs.
    """

    def needed(i: int) -> dict[Polynomial, int] | None:
        """Return the further signs with which operand i is the best; None if it is not under the known signs."""
        signs: dict[Polynomial, int] = {}
        for j in tied:
            if j == i:
                continue
            sign, factors, exact = lead(min(i, j), max(i, j))
            region.exact = region.exact and exact
            sign *= better if i < j else -better
            if not factors:
                if sign < 0 or (sign == 0 and j < i):
                    return None
            elif len(factors) > 1:
                raise _SeveralFactors
            elif region.signs.get(factors[0], signs.get(factors[0], sign)) != sign:
                return None
            elif factors[0] not in region.signs:
                signs[factors[0]] = sign
        return signs

    try:
        options = []
        for i in tied:
            missing = needed(i)
            if missing == {}:
                return i
            if missing is not None:
                options.append(missing)
    except _SeveralFactors:
        return None
    raise _Fork(options)


class _SeveralFactors(Exception):
    """The sign of a difference is that of a product of several polynomials."""


def _plain_sign(h: Any) -> int | None:
    return int(np.sign(h)) if h == h else None


def forms_of(term: Term, region: Region) -> Execution:
    """Return an execution in forms that has the operands of the current selection of a region."""
    if region.forms is None:
        region.forms = term.symbolic.begin(term.x, term.row)
    term.symbolic.need(region.forms, region.k, region.runs[-1].decisions)
    return region.forms


def _guard(term: Term, region: Region, row: int, number: int) -> Any:
    """Return a guard of a branch table as a form."""
    return form(branches.table(term.symbolic, region.k, forms_of(term, region))[row][0][number][0])


def _guards(h: Any) -> tuple[int, list[Polynomial], bool]:
    """Return the sign, the factors that are 0 at the point, and the exactness of a guard, as `forms.signs` does.

    Raises ProgramError if a value or a derivative is not finite.
    """
    if not np.isfinite(plain(h.value())):
        raise ProgramError("a guard has no finite derivative at this point")
    sign, polynomials, exact = signs(h)
    for polynomial in polynomials:
        if not all(np.isfinite(plain(v)) for v in polynomial.slope.values()):
            raise ProgramError("a guard has no finite derivative at this point")
    return sign, polynomials, exact


def _sign(term: Term, region: Region, guard: Callable[[], Any]) -> int:
    """Return the sign of a guard in the region; raises _Fork if the sign of a polynomial is missing."""
    h = guard()
    sign, polynomials, exact = _guards(h)
    region.exact = region.exact and exact
    if (zeros := region.zeros) and vanishes(h - form(h.value()), zeros):
        return 0
    if region.k in term.may_jump:
        region.walls.update(dict.fromkeys(vanishing(h)))
    for polynomial in polynomials:
        if polynomial not in region.signs:
            raise _Fork([{polynomial: 1}, {polynomial: -1}])
        sign *= region.signs[polynomial]
    return sign


def restricted(region: Region, signs: dict[Polynomial, int]) -> Region | None:
    """Return the part of a region where polynomials have further signs; None if the affine ones show it is empty."""
    side = region.copy()
    side.signs.update(signs)
    fresh = [{i: s * Fraction(v) for i, v in p.slope.items()} for p, s in signs.items() if p.affine]
    if not all(_along(normal, side.direction) > 0 for normal in fresh):
        slopes = [{i: s * Fraction(v) for i, v in p.slope.items()} for p, s in side.signs.items() if p.affine and s]
        flat = [{i: Fraction(v) for i, v in p.slope.items()} for p in side.zeros if p.affine]
        direction = inside(slopes) if not flat else facet(flat, slopes)
        if direction is None:
            return None
        side.direction = direction
    return side


def facet(flat: list[dict[int, Fraction]], normals: list[dict[int, Fraction]]) -> Direction | None:
    """Return a direction along which the linear forms `flat` are 0 and `normals` positive; None if there is none."""
    solved: dict[int, dict[int, Fraction]] = {}

    def reduced(normal: dict[int, Fraction]) -> dict[int, Fraction]:
        total = dict(normal)
        for i, rest in solved.items():
            factor = total.pop(i, Fraction(0))
            for j, v in rest.items():
                total[j] = total.get(j, Fraction(0)) + factor * v
        return {i: v for i, v in total.items() if v}

    for form_ in flat:
        rest = reduced(form_)
        if rest:
            pivot = min(rest)
            share = {j: -v / rest[pivot] for j, v in rest.items() if j != pivot}
            solved = {i: _replaced(line, pivot, share) for i, line in solved.items()} | {pivot: share}
    rows = [reduced(normal) for normal in normals]
    direction = inside(rows) if rows and all(rows) else None if rows else {}
    if direction is None:
        return None
    return direction | {i: _along(rest, direction) for i, rest in solved.items()}


def _replaced(line: dict[int, Fraction], pivot: int, share: dict[int, Fraction]) -> dict[int, Fraction]:
    """Return a linear form with one variable replaced by a linear form in others."""
    factor = line.get(pivot, Fraction(0))
    kept = {j: v for j, v in line.items() if j != pivot}
    return kept | {j: kept.get(j, Fraction(0)) + factor * v for j, v in share.items()}


def _along(normal: dict[int, Fraction], direction: Direction) -> Fraction:
    return sum((v * direction[i] for i, v in normal.items() if i in direction), Fraction(0))


def inside(normals: list[dict[int, Fraction]]) -> Direction | None:
    """Return a direction along which all linear forms are positive, checked in rational arithmetic; None if none is.

    The min-norm point of the hull of the normals is such a direction up to rounding. If it fails the check, Gordan's
    alternative is decided by the simplex method in rational numbers.
    """
    columns = sorted({i for normal in normals for i in normal})
    dense = np.array([[float(normal.get(i, 0)) for i in columns] for normal in normals])
    lengths = np.linalg.norm(dense, axis=1)
    if np.isfinite(dense).all() and (lengths > 0).all():
        unit = dense / lengths[:, None]
        for candidate in _candidates(unit):
            guess = dict(zip(columns, map(Fraction, candidate.tolist()), strict=True))
            if all(_along(normal, guess) > 0 for normal in normals):
                return guess
    solution = _gordan([[normal.get(i, Fraction(0)) for i in columns] for normal in normals])
    return None if solution is None else dict(zip(columns, solution, strict=True))


def _candidates(unit: Array) -> Iterator[Array]:
    """Yield directions along which all forms are likely to be positive, the cheap ones first."""
    yield unit.sum(0)
    yield np.asarray(np.linalg.lstsq(unit, np.ones(len(unit)), rcond=None)[0], np.float64)
    yield min_norm_point(unit).point


def _gordan(normals: list[list[Fraction]]) -> list[Fraction] | None:
    """Return d with <n, d> > 0 for all n, or None if a convex combination of them is 0; exactly one is true.

    Phase one of the simplex method on Σ λ n = 0, Σ λ = 1, λ ≥ 0, by Bland's rule; where it fails, the multipliers of
    its equations are −d.
    """
    m, rows = len(normals), len(normals[0]) + 1
    zero, one = Fraction(0), Fraction(1)
    table = [
        [*(normals[j][i] if i < rows - 1 else one for j in range(m)), *(one if i == a else zero for a in range(rows))]
        for i in range(rows)
    ]
    right = [zero] * (rows - 1) + [one]
    reduced = [-sum((table[i][j] for i in range(rows)), zero) for j in range(m)] + [zero] * rows
    basis = list(range(m, m + rows))
    while (entering := next((j for j in range(m) if reduced[j] < 0), None)) is not None:
        ratios = [(right[i] / table[i][entering], basis[i], i) for i in range(rows) if table[i][entering] > 0]
        leaving = min(ratios)[2]
        pivot = table[leaving][entering]
        table[leaving] = [v / pivot for v in table[leaving]]
        right[leaving] /= pivot
        for i in range(rows):
            factor = table[i][entering]
            if i != leaving and factor:
                table[i] = [a - factor * b for a, b in zip(table[i], table[leaving], strict=True)]
                right[i] -= factor * right[leaving]
        factor = reduced[entering]
        reduced = [a - factor * b for a, b in zip(reduced, table[leaving], strict=True)]
        basis[leaving] = entering
    if not any(right[i] for i in range(rows) if basis[i] >= m):
        return None
    return [reduced[m + i] - 1 for i in range(rows - 1)]


def _refuse_at_once(terms: list[Term], limit: int) -> None:
    """Raise ProgramError if guards with independent gradients give over `limit` regions, or if too many are equal."""
    for term in terms:
        for k in term.tied:
            if branches.selection(term.anchored, k).leads and (equal := _region_count(term, k)) > MOST_EQUAL:
                name = branches.primitive(term.anchored, k).name
                raise ProgramError(f"{equal} operands of {name} are equal here, over the limit of {MOST_EQUAL}")
    if prod(_region_count(term, k) for term in terms for k in term.tied) <= limit:
        return
    rows: list[Slope] = []
    counts: list[int] = []
    for term in terms:
        for k, slopes in unnested_ties(term).items():
            if slopes and rank([*rows, *slopes]) == len(rows) + len(slopes):
                rows, counts = [*rows, *slopes], [*counts, _region_count(term, k)]
            if prod(counts) > limit:
                number = format_product(counts)
                raise ProgramError(
                    f"at least {number} regions meet at this point, over the limit of {limit}; use limit="
                )


def _region_count(term: Term, k: int) -> int:
    """Return the number of regions that meet at a tied selection if its guards are independent."""
    interpreter, run = term.anchored, term.run
    return branches.selection(interpreter, k).regions(
        interpreter.calls[k], interpreter.operands(k, run), run.decisions[k]
    )


def unnested_ties(term: Term) -> dict[int, list[Slope]]:
    """Return, for each tied selection that depends on no other tied one, the gradients of its first guards."""
    region = Region(term=0, runs=[term.run], choices=[{}])
    found: dict[int, list[Slope]] = {}
    reached: set[int] = set()
    for k, line in enumerate(term.anchored.code):
        behind = not reached.isdisjoint(term.tape.operand(k).tolist())
        if behind or k in term.tied:
            reached.update(range(line[OUT], line[OUT] + line[OUTS]))
        if k in term.tied and not behind:
            region.k = k
            found[k] = list(_first_guards(term, region, k))
    return found


def two_sides(term: Term, k: int) -> list[Any]:
    """Return the decisions of a selection with its only tied guard below and above 0.

    The list is empty if several guards are tied, or if the values of the two decisions differ.
    """
    interpreter, run = term.anchored, term.run
    return branches.selection(interpreter, k).two_sides(
        interpreter.calls[k], interpreter.operands(k, run), run.decisions[k]
    )


def _first_guards(term: Term, region: Region, k: int) -> Iterator[Slope]:
    """Yield the gradients of the guards of a tied selection that are decided in every region."""
    selection = branches.selection(term.anchored, k)
    if selection.orders:
        forms = forms_of(term, region)
        operands = [form(forms.values[r]) for r in term.anchored.reads[k]]
        x = term.anchored.operands(k, term.run)
        for group in selection.tied_groups(term.anchored.calls[k], x, term.run.decisions[k]):
            yield from ((operands[i] - operands[group[0]]).slope() for i in group[1:])
        return
    for i, (guards, _) in enumerate(branches.table(term.anchored, k, term.run)):
        for j, (h, relation, counts) in enumerate(guards):
            if h == 0 and counts:
                yield from [polynomial.slope for polynomial in signs(_guard(term, region, i, j))[1]][:1]
                return
            if _plain_sign(h) not in SIGNS[relation]:
                break
        else:
            return


def rank(slopes: list[Slope]) -> int:
    """Return the rank of gradients; 0 if one is not finite."""
    columns = sorted({i for slope in slopes for i in slope})
    dense = np.array([[plain(slope.get(i, 0)) for i in columns] for slope in slopes]).reshape(len(slopes), -1)
    return int(np.linalg.matrix_rank(dense)) if dense.size and np.isfinite(dense).all() else 0


def run_along(terms: list[Term], curve: list[list[Any]]) -> list[Execution] | None:
    """Return the executions of the terms along a curve for small t > 0; None if the sign of a guard is not known.

    curve: for each parameter the coefficients of t, t², ...; the constant coefficient is its value at the point.
    """
    runs = []
    for term in terms:
        along = SeriesInterpreter(term.tape, term.run, term.bounds)
        start = [Series([Fraction(v), *moves]) for v, moves in zip(term.x, curve, strict=True)]
        try:
            runs.append(along.run(start, term.row))
        except (UndecidedError, OverflowError, ZeroDivisionError):
            return None
    return runs


def same_decisions(region: Region, terms: list[Term], runs: list[Execution]) -> bool:
    """Tell whether executions along a curve make the decisions of a region.

    region: gives the decisions. terms: the terms. runs: the execution of each term along the curve. Decisions of max,
    min and sort count as the same if the operands that they take are equal along the curve.
    """
    for term, choices, run in zip(terms, region.choices, runs, strict=True):
        for k, decision in choices.items():
            own = run.decisions[k]
            if branches.selection(term.exact, k).orders:
                values = term.exact.operands(k, run)
                pairs = zip(decision, own, strict=False)  # of several that lead along the curve, the first
                if any(a != b and (values[a] - values[b]).sign() for a, b in pairs):
                    return False
            elif branches.label(term.exact, k, decision) != branches.label(term.exact, k, own):
                return False
    return True


RAYS, CURVES = 40, 24
"""The number of rays from the point that are tried, and of curves for each region that no ray is in."""


class Search:
    """Searches for regions along rays and curves from the point.

    A region that is executed along a curve with no guard 0 for small t > 0 is proved not to be empty.
    """

    def __init__(self, terms: list[Term], seed: int) -> None:
        """Set the terms. seed: of the random rays and curves."""
        self.terms, self.p, self.rng = terms, len(terms[0].x), np.random.default_rng(seed)
        self.rays: list[list[Execution]] = []
        self.complete = False

    def start(self) -> None:
        """Execute the terms along random rays; with one parameter, along the only two rays there are."""
        if self.p == 1:
            both = [run_along(self.terms, [[Fraction(side)]]) for side in (1, -1)]
            self.rays = [runs for runs in both if runs is not None]
            self.complete = len(self.rays) == 2
            return
        for direction in self.rng.integers(-99, 100, size=(RAYS, self.p)).tolist():
            runs = run_along(self.terms, [[Fraction(v)] for v in direction])
            if runs is not None:
                self.rays.append(runs)

    def ray(self, region: Region) -> bool:
        """Tell whether the terms make the decisions of the region along one of the rays."""
        return any(self._same_decisions(region, runs) for runs in self.rays)

    def curve(self, region: Region) -> bool:
        """Tell whether the terms make the decisions of the region along one of some random curves.

        The curves begin in directions in which no guard changes to first order, as curves into a cusp do.
        """
        if self.p == 1:
            return False
        normals = [p.slope for p in region.signs if p.slope]
        dense = np.array([[plain(normal.get(i, 0)) for i in range(self.p)] for normal in normals])
        flat = np.eye(self.p)
        if len(normals):
            _, singular, rows = np.linalg.svd(dense)
            flat = rows[np.sum(singular > 1e-9 * singular.max(initial=0.0)) :]
        for _ in range(CURVES if len(flat) else 0):
            start = [Fraction(round(v * 64), 64) for v in (flat.T @ self.rng.normal(size=len(flat))).tolist()]
            bend = [Fraction(int(v), 16) for v in self.rng.integers(-64, 65, size=self.p).tolist()]
            runs = run_along(self.terms, [[a, b] for a, b in zip(start, bend, strict=True)])
            if runs is not None and self._same_decisions(region, runs):
                return True
        return False

    def _same_decisions(self, region: Region, runs: list[Execution]) -> bool:
        try:
            return same_decisions(region, self.terms, runs)
        except UndecidedError:
            return False


def open_cone(region: Region) -> bool:
    """Tell whether the gradients of the polynomials prove that the region contains an open cone at the point."""
    if region.affine:
        return True
    normals = region.normals()
    if normals is None or not all(np.isfinite(plain(v)) for normal in normals for v in normal.values()):
        return False
    exact = [{i: Fraction(v) for i, v in normal.items()} for normal in normals]
    direction = inside(exact)
    if direction is None:
        return False
    rounded = not all(proved(v) for normal in normals for v in normal.values())
    return not rounded or min(_angle(normal, direction) for normal in exact) > ANGLE


ANGLE = 1e-9
"""The smallest sine of the angle between a direction and a guard for which rounded gradients prove a cone."""


def _angle(normal: dict[int, Fraction], direction: Direction) -> float:
    lengths = [float(np.linalg.norm([float(v) for v in side.values()])) for side in (normal, direction)]
    return float(_along(normal, direction)) / (lengths[0] * lengths[1])


def check_jumps(terms: list[Term], x: Array, limit: int) -> None:
    """Raise ProgramError if a region that is proved not to be empty has another value at the point.

    terms: the terms. x: the point, shape (p,). limit: the largest number of regions, above which ProgramError is raised
    as well.
    """
    search: Search | None = None
    for region in regions(terms, limit):
        wrong = [i for i, (term, run) in enumerate(zip(terms, region.runs, strict=True)) if not term.agrees(run)]
        if not wrong:
            continue
        if not open_cone(region):
            if search is None:
                search = Search(terms, 0)
                search.start()
            if not (search.ray(region) or search.curve(region)):
                continue
        raise jump_error(x, terms, region)


def jump_error(x: Array, terms: list[Term], region: Region) -> ProgramError:
    """Return the error that says at which point a program jumps, and with which pieces.

    x: the point, shape (p,). terms: the terms. region: the region in which a term has another value.
    """
    for i, (term, run, choices) in enumerate(zip(terms, region.runs, region.choices, strict=True)):
        if not term.agrees(run):
            which = f"term {i} of the sum" if len(terms) > 1 else "the program"
            value = [float(v) for v in term.results(run)]
            return ProgramError(
                f"{which} jumps at {x.tolist()}, from {term.outputs.tolist()} to {value} with "
                f"{pieces(term, choices)}: it is no selection function (Def. 3)"
            )
    raise AssertionError("no term of this region has another value")


def pieces(term: Term, choices: dict[int, Any]) -> str:
    """Return the pieces of selections as a message lists them."""
    return ", ".join(
        f"piece {branches.label(term.exact, k, decision)} of r{int(term.tape.nodes[k])}"
        for k, decision in choices.items()
    )
