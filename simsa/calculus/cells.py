"""The cells that meet at a point: the ways to decide all ties that are executed on open sets beside it.

Ties are decided in the order of the program, which is run on under each decision with the values that follow from it.
A guard that is 0 has a sign beside the point; it is that of a product of polynomials (`forms`), and these are what is
decided, one way and the other. Those that are affine cut the directions into cones, which are empty or not by linear
programming in rational numbers.
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
from simsa.calculus.forms import Polynomial, Slope, Symbolic, form, signs, vanishes, vanishing
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.mixed import Exact, begun, errors, plain, proved
from simsa.calculus.objective import Objective
from simsa.calculus.series import Along, Series, UndecidedError
from simsa.errors import ProgramError
from simsa.machine.reference import FLOAT64, Execution, Interpreter
from simsa.primitives.arithmetic import Arithmetic
from simsa.primitives.operations import SIGNS, format_product
from simsa.tape.tape import OUT, OUTS, Tape

Array = NDArray[np.float64]
Direction = dict[int, Fraction]


class Beside(Interpreter):
    """Runs a tape under other decisions than those of a run at the same point.

    Each piece has its own value. Where that agrees with the value there up to rounding it is taken as equal to it:
    pieces that meet agree over the reals, but not in their last bits, and a guard behind them that is 0 must stay so.
    """

    def __init__(self, tape: Tape, there: Execution, bounds: list[float], arithmetic: Arithmetic = FLOAT64) -> None:
        """Set the execution there in float64, and how far its registers may be off. arithmetic: float64, or dual."""
        super().__init__(tape, arithmetic)
        self.there, self.bounds = there, bounds

    def _evaluate(self, k: int, execution: Execution, choices: Any) -> None:
        super()._evaluate(k, execution, choices)
        self.anchor(k, execution)

    def anchor(self, k: int, execution: Execution) -> None:
        """Let the results of instruction k be those there, where they agree up to rounding."""
        out = self.code[k][OUT]
        for r in range(out, out + self.code[k][OUTS]):
            own, there = execution.values[r], self.there.values[r]
            if abs(float(own) - float(there)) <= self.bounds[r]:
                dual = isinstance(own, Dual)
                execution.values[r] = Dual(there, own.tangent, own.curved) if dual else there


class Term:
    """One term at the point: how it was executed, and the interpreters that go on from there."""

    def __init__(self, objective: Objective, x: Array, sample: int, run: Execution) -> None:
        """Set the execution at the point."""
        interpreter = objective.interpreter
        self.tape, self.run, self.x = interpreter.tape, run, x.tolist()
        self.row: list[float] = objective.rows[sample].tolist()
        self.bounds = errors(interpreter, run)
        self.beside = Beside(self.tape, run, self.bounds)
        self.symbolic = Symbolic(self.tape, run, self.bounds)
        self.exact = Exact(self.tape)
        self.known: dict[Any, bool] = {}
        self.outputs = objective.outputs(run)
        self.tied = [k for k in run.decisions if branches.tied(interpreter, k, run)]
        self.loose: set[int] = set()

    def begun(self) -> Execution:
        """Return an execution before its first instruction."""
        return begun(self.beside, [np.float64(v) for v in (*self.x, *self.row)])

    def step(self, run: Execution, k: int, decision: Any = None) -> None:
        """Evaluate instruction k, under a decision or the program's own."""
        with np.errstate(all="ignore"):
            self.beside._evaluate(k, run, {} if decision is None else {k: decision})

    def run_exactly(self, choices: dict[int, Any] | None = None) -> Execution:
        """Return the execution in mixed numbers."""
        return self.exact.run(self.x, self.row, choices)

    @cached_property
    def undisturbed(self) -> Execution:
        """Return the execution in mixed numbers, under its own decisions."""
        return self.run_exactly()

    def results(self, run: Execution) -> list[Any]:
        """Return the outputs of an execution."""
        return [run.values[r] for r in self.tape.outputs.tolist()]

    def agrees(self, run: Execution) -> bool:
        """Tell whether an execution has the term's own outputs."""
        return all(a == b for a, b in zip(self.results(run), self.results(self.run), strict=True))

    def doubt(self) -> str:
        """Return why the guards' signs are not certain, in a line; empty if they are.

        They are if the run in rational numbers decides every selection in the same way; where a transcendental function
        takes part, if no guard is 0 up to rounding.
        """
        exact = self.undisturbed
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
        """Tell whether, without rounding, decided guards are 0 and the outputs are the term's own."""
        key = tuple((k, branches.label(self.exact, k, decision)) for k, decision in choices.items())
        if key not in self.known:
            self.known[key] = not choices or self._verified(run, choices)
        return self.known[key]

    def _verified(self, run: Execution, choices: dict[int, Any]) -> bool:
        exact = self.run_exactly(run.decisions)
        for k, decision in choices.items():
            floats = branches.differences(self.beside, k, run, decision)
            sides = branches.differences(self.exact, k, exact, decision)
            if any(float(a) == 0 and not (proved(b) and b == 0) for a, b in zip(floats, sides, strict=True)):
                return False
        return all(a == b for a, b in zip(self.results(exact), self.results(self.undisturbed), strict=True))


MOST_EQUAL = 64
"""Equal operands of a max or min, each of which leads in a cell of its own: more would take longer than seconds."""


@dataclass
class Cell:
    """Decisions at the ties of all terms, and the signs beside the point that they need.

    runs: the executions of the terms under these. choices: by term, the decisions at its ties. signs: of polynomials
    that are 0 at the point. direction: along which all affine ones have these signs. exact: whether guards are 0
    without rounding. leads: what is known of the differences of operands of the selection where the cell is; cells that
    part there share it. A sign may be 0: such a cell is part of a wall, and no open set. walls: the sets of polynomials
    that are 0 together where a guard of one of `Term.loose` is.
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

    def copy(self) -> "Cell":
        """Return a cell that goes on by itself."""
        return Cell(
            self.term, self.k, [*self.runs[:-1], *(copied(run) for run in self.runs[-1:])],
            None if self.forms is None else copied(self.forms), [dict(c) for c in self.choices], dict(self.signs),
            self.direction, self.exact, self.leads, dict(self.walls),
        )  # fmt: skip

    @property
    def zeros(self) -> tuple[Polynomial, ...]:
        """Return the polynomials that are 0 in the cell: none, unless it is part of a wall."""
        return tuple(polynomial for polynomial, sign in self.signs.items() if not sign)

    @property
    def straight(self) -> bool:
        """Tell whether all guards are affine: the direction leads into the cell."""
        return all(polynomial.affine for polynomial in self.signs)

    def normals(self) -> list[Slope] | None:
        """Return the gradients of the guards, positive into the cell; None if one has none at first order."""
        slopes = [{i: s * v for i, v in polynomial.slope.items()} for polynomial, s in self.signs.items()]
        return slopes if all(slopes) else None


def copied(run: Execution) -> Execution:
    """Return an execution that goes on by itself."""
    return Execution(list(run.values), dict(run.decisions), dict(run.margins))


class _Fork(Exception):
    """Signs of polynomials are needed: those of one of the options, which leave out no open set."""

    def __init__(self, options: list[dict[Polynomial, int]]) -> None:
        self.options = options


def cells(terms: list[Term], limit: int) -> Iterator[Cell]:
    """Yield the cells that meet at the point; those that affine guards prove empty are left out.

    Raises ProgramError if there are more than `limit`, at once if guards with independent gradients tell.
    """
    _refuse_at_once(terms, limit)
    for found, cell in enumerate(grown(Cell(), partial(finish, terms)), 1):
        if found > limit:
            raise ProgramError(f"more than {limit} cells meet at this point; use limit=")
        yield cell


def grown(start: Cell, run_on: Callable[[Cell], None]) -> Iterator[Cell]:
    """Yield the cells that `start` parts into where `run_on` needs signs; those that are proved empty are left out."""
    stack = [start]
    while stack:
        cell = stack.pop()
        try:
            run_on(cell)
        except _Fork as fork:
            sides = [side for option in fork.options if (side := narrowed(cell, option)) is not None]
            if len(sides) < len(fork.options):
                normals = [v for option in fork.options for one in option for v in one.slope.values()]
                for side in sides:
                    side.exact = side.exact and all(map(proved, normals))
            stack += [*sides[1:], *sides[:1]]
        else:
            yield cell


def finish(terms: list[Term], cell: Cell) -> None:
    """Run the terms on from where the cell is; raises _Fork where a sign is needed."""
    while cell.term < len(terms):
        term = terms[cell.term]
        if cell.k == 0 and len(cell.runs) == cell.term:
            cell.runs.append(term.begun())
            cell.choices.append({})
            cell.forms = None
        run = cell.runs[-1]
        if not term.tied and cell.k == 0:
            cell.runs[-1], cell.k = term.run, len(term.tape.code)
        while cell.k < len(term.tape.code):
            term.step(run, cell.k)
            if cell.k in run.decisions and branches.tied(term.beside, cell.k, run):
                decision = decided(term, cell, run)
                cell.leads = {}
                term.step(run, cell.k, decision)
                cell.choices[-1][cell.k] = decision
            cell.k += 1
        cell.term, cell.k = cell.term + 1, 0


def decided(term: Term, cell: Cell, run: Execution) -> Any:
    """Return the decision of the selection where the cell is, under its signs; raises _Fork if one is missing."""
    k, beside = cell.k, term.beside
    operands, signs = beside.operands(k, run), _Signs(term, cell, run)
    return branches.selection(beside, k).resolve_tie(beside.calls[k], operands, run.decisions[k], signs)


class _Signs:
    """The signs of what is 0 at the selection where a cell is, as far as the cell knows them."""

    def __init__(self, term: Term, cell: Cell, run: Execution) -> None:
        """Set the term, the cell and the execution of the term in it."""
        self.term, self.cell, self.x = term, cell, term.beside.operands(cell.k, run)

    def _operand(self, i: int) -> Any:
        return form(forms_of(self.term, self.cell).values[self.term.beside.reads[self.cell.k][i]])

    def _difference(self, i: int, j: int) -> Any:
        return self._operand(i) - self._operand(j)

    def order(self, i: int, j: int) -> int:
        """Return the sign of operand i less operand j; 0 for NaN."""
        gap = self.x[i] - self.x[j] if self.x[i] != self.x[j] else 0.0
        return self._sign(gap, partial(self._difference, i, j)) or 0

    def leader(self, tied: list[int], better: int) -> int | None:
        """Return the best of three operands or more, if the signs of their differences are simple."""
        if len(tied) < 3 or self.cell.zeros:
            return None
        return _winner(self.cell, tied, better, self._lead)

    def guard(self, row: int, number: int, h: Any) -> int | None:
        """Return the sign of a guard of a branch table."""
        return self._sign(h, partial(_guard, self.term, self.cell, row, number))

    def _sign(self, value: Any, guard: Callable[[], Any]) -> int | None:
        """Return the sign of a guard, from its value in float64 and, if that is 0, its form."""
        return _plain_sign(value) if value != 0 else _sign(self.term, self.cell, guard)

    def _lead(self, i: int, j: int) -> tuple[int, list[Polynomial], bool]:
        """Return what is known of the difference of two operands; it is the same in all cells that part here."""
        if (i, j) not in self.cell.leads:
            self.cell.leads[i, j] = _guards(self._difference(i, j))
        return self.cell.leads[i, j]


def _winner(
    cell: Cell, tied: list[int], better: int, lead: Callable[[int, int], tuple[int, list[Polynomial], bool]]
) -> int | None:
    """Return which of several equal operands of max (better 1) or min (-1) is the best in the cell.

    lead(i, j): sign, factors and exactness of operand i less operand j. There is a cell for each operand that leads all
    others, whatever the order of these. None if a lead has several factors, which are compared one by one.
    """

    def needed(i: int) -> dict[Polynomial, int] | None:
        """Return the signs that are missing for operand i to lead; None if it does not."""
        signs: dict[Polynomial, int] = {}
        for j in tied:
            if j == i:
                continue
            sign, factors, exact = lead(min(i, j), max(i, j))
            cell.exact = cell.exact and exact
            sign *= better if i < j else -better
            if not factors:
                if sign < 0 or (sign == 0 and j < i):
                    return None
            elif len(factors) > 1:
                raise _SeveralFactors
            elif cell.signs.get(factors[0], signs.get(factors[0], sign)) != sign:
                return None
            elif factors[0] not in cell.signs:
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
    """The sign of a lead is that of a product."""


def _plain_sign(h: Any) -> int | None:
    return int(np.sign(h)) if h == h else None


def forms_of(term: Term, cell: Cell) -> Execution:
    """Return the forms of the operands of the selection where the cell is."""
    if cell.forms is None:
        cell.forms = term.symbolic.begin(term.x, term.row)
    term.symbolic.need(cell.forms, cell.k, cell.runs[-1].decisions)
    return cell.forms


def _guard(term: Term, cell: Cell, row: int, number: int) -> Any:
    """Return a guard of a branch table as a form."""
    return form(branches.table(term.symbolic, cell.k, forms_of(term, cell))[row][0][number][0])


def _guards(h: Any) -> tuple[int, list[Polynomial], bool]:
    """Return the sign, the factors that are 0 at the point, and the exactness of a guard."""
    if not np.isfinite(plain(h.value())):
        raise ProgramError("a guard has no finite derivative at this point")
    sign, polynomials, exact = signs(h)
    for polynomial in polynomials:
        if not all(np.isfinite(plain(v)) for v in polynomial.slope.values()):
            raise ProgramError("a guard has no finite derivative at this point")
    return sign, polynomials, exact


def _sign(term: Term, cell: Cell, guard: Callable[[], Any]) -> int:
    """Return the sign of a guard in the cell."""
    h = guard()
    sign, polynomials, exact = _guards(h)
    cell.exact = cell.exact and exact
    if (zeros := cell.zeros) and vanishes(h - form(h.value()), zeros):
        return 0
    if cell.k in term.loose:
        cell.walls.update(dict.fromkeys(vanishing(h)))
    for polynomial in polynomials:
        if polynomial not in cell.signs:
            raise _Fork([{polynomial: 1}, {polynomial: -1}])
        sign *= cell.signs[polynomial]
    return sign


def narrowed(cell: Cell, signs: dict[Polynomial, int]) -> Cell | None:
    """Return the cell where polynomials have signs; None if affine ones have no such direction."""
    side = cell.copy()
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
    """Return a direction along which some forms are 0 and others positive, exactly; None if there is none."""
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
    """Return a direction along which all forms are positive, exactly; None if there is none.

    The point nearest to 0 of the hull of the normals is one, but for rounding; where it is none, Gordan's alternative
    is decided by the simplex method in rational numbers.
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
    """Yield directions that are likely to be inside, the cheap ones first."""
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
    """Raise ProgramError if guards with independent gradients cut more than `limit` cells, or too many are compared."""
    for term in terms:
        for k in term.tied:
            if branches.selection(term.beside, k).leads and (equal := _most(term, k)) > MOST_EQUAL:
                name = branches.primitive(term.beside, k).name
                raise ProgramError(f"{equal} operands of {name} are equal here, over the limit of {MOST_EQUAL}")
    if prod(_most(term, k) for term in terms for k in term.tied) <= limit:
        return
    rows: list[Slope] = []
    counts: list[int] = []
    for term in terms:
        for k, slopes in lone_guards(term).items():
            if slopes and rank([*rows, *slopes]) == len(rows) + len(slopes):
                rows, counts = [*rows, *slopes], [*counts, _most(term, k)]
            if prod(counts) > limit:
                number = format_product(counts)
                raise ProgramError(f"at least {number} cells meet at this point, over the limit of {limit}; use limit=")


def _most(term: Term, k: int) -> int:
    """Return how many cells the first guards of a tied selection cut if they are independent."""
    beside, run = term.beside, term.run
    return branches.selection(beside, k).regions(beside.calls[k], beside.operands(k, run), run.decisions[k])


def lone_guards(term: Term) -> dict[int, list[Slope]]:
    """Return the gradients of the first guards of the tied selections of a term that no other tied one is behind."""
    cell = Cell(term=0, runs=[term.run], choices=[{}])
    found: dict[int, list[Slope]] = {}
    reached: set[int] = set()
    for k, line in enumerate(term.beside.code):
        behind = not reached.isdisjoint(term.tape.operand(k).tolist())
        if behind or k in term.tied:
            reached.update(range(line[OUT], line[OUT] + line[OUTS]))
        if k in term.tied and not behind:
            cell.k = k
            found[k] = list(_first_guards(term, cell, k))
    return found


def two_sides(term: Term, k: int) -> list[Any]:
    """Return the decisions of a tied selection with its one guard that is 0 below and above it; none if it has more.

    None either if their values differ.
    """
    beside, run = term.beside, term.run
    return branches.selection(beside, k).two_sides(beside.calls[k], beside.operands(k, run), run.decisions[k])


def _first_guards(term: Term, cell: Cell, k: int) -> Iterator[Slope]:
    """Yield the gradients of the first tied guards of a selection, which every cell decides."""
    selection = branches.selection(term.beside, k)
    if selection.orders:
        forms = forms_of(term, cell)
        operands = [form(forms.values[r]) for r in term.beside.reads[k]]
        x = term.beside.operands(k, term.run)
        for group in selection.tied_groups(term.beside.calls[k], x, term.run.decisions[k]):
            yield from ((operands[i] - operands[group[0]]).slope() for i in group[1:])
        return
    for i, (guards, _) in enumerate(branches.table(term.beside, k, term.run)):
        for j, (h, relation, counts) in enumerate(guards):
            if h == 0 and counts:
                yield from [polynomial.slope for polynomial in signs(_guard(term, cell, i, j))[1]][:1]
                return
            if _plain_sign(h) not in SIGNS[relation]:
                break
        else:
            return


def rank(slopes: list[Slope]) -> int:
    """Return the rank of gradients."""
    columns = sorted({i for slope in slopes for i in slope})
    dense = np.array([[plain(slope.get(i, 0)) for i in columns] for slope in slopes]).reshape(len(slopes), -1)
    return int(np.linalg.matrix_rank(dense)) if dense.size and np.isfinite(dense).all() else 0


def executed(terms: list[Term], curve: list[list[Any]]) -> list[Execution] | None:
    """Return what the terms execute along a curve for small t > 0; None if a guard's sign is not known.

    curve: for each parameter the coefficients of t, t², ... behind its value at the point.
    """
    runs = []
    for term in terms:
        along = Along(term.tape, term.run, term.bounds)
        start = [Series([Fraction(v), *moves]) for v, moves in zip(term.x, curve, strict=True)]
        try:
            runs.append(along.run(start, term.row))
        except (UndecidedError, OverflowError, ZeroDivisionError):
            return None
    return runs


def made(cell: Cell, terms: list[Term], runs: list[Execution]) -> bool:
    """Tell whether executions along a curve make the decisions of a cell; operands that are equal there are one."""
    for term, choices, run in zip(terms, cell.choices, runs, strict=True):
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
"""Rays from the point that are tried in all, and curves into each cell that none of them is in."""


class Search:
    """Looks for cells along curves from the point: what one executes, with no guard 0 beside it, is proved."""

    def __init__(self, terms: list[Term], seed: int) -> None:
        """Set the terms."""
        self.terms, self.p, self.rng = terms, len(terms[0].x), np.random.default_rng(seed)
        self.rays: list[list[Execution]] = []
        self.whole = False

    def start(self) -> None:
        """Execute rays in random directions; with one parameter there are two, and they tell everything."""
        if self.p == 1:
            both = [executed(self.terms, [[Fraction(side)]]) for side in (1, -1)]
            self.rays = [runs for runs in both if runs is not None]
            self.whole = len(self.rays) == 2
            return
        for direction in self.rng.integers(-99, 100, size=(RAYS, self.p)).tolist():
            runs = executed(self.terms, [[Fraction(v)] for v in direction])
            if runs is not None:
                self.rays.append(runs)

    def ray(self, cell: Cell) -> bool:
        """Tell whether a ray runs in the cell."""
        return any(self._made(cell, runs) for runs in self.rays)

    def curve(self, cell: Cell) -> bool:
        """Tell whether one of some curves runs in the cell that start where no guard changes to first order."""
        if self.p == 1:
            return False
        normals = [p.slope for p in cell.signs if p.slope]
        dense = np.array([[plain(normal.get(i, 0)) for i in range(self.p)] for normal in normals])
        flat = np.eye(self.p)
        if len(normals):
            _, singular, rows = np.linalg.svd(dense)
            flat = rows[np.sum(singular > 1e-9 * singular.max(initial=0.0)) :]
        for _ in range(CURVES if len(flat) else 0):
            start = [Fraction(round(v * 64), 64) for v in (flat.T @ self.rng.normal(size=len(flat))).tolist()]
            bend = [Fraction(int(v), 16) for v in self.rng.integers(-64, 65, size=self.p).tolist()]
            runs = executed(self.terms, [[a, b] for a, b in zip(start, bend, strict=True)])
            if runs is not None and self._made(cell, runs):
                return True
        return False

    def _made(self, cell: Cell, runs: list[Execution]) -> bool:
        try:
            return made(cell, self.terms, runs)
        except UndecidedError:
            return False


def open_cone(cell: Cell) -> bool:
    """Tell whether the gradients of the guards prove that the cell holds an open cone."""
    if cell.straight:
        return True
    normals = cell.normals()
    if normals is None or not all(np.isfinite(plain(v)) for normal in normals for v in normal.values()):
        return False
    exact = [{i: Fraction(v) for i, v in normal.items()} for normal in normals]
    direction = inside(exact)
    if direction is None:
        return False
    rounded = not all(proved(v) for normal in normals for v in normal.values())
    return not rounded or min(_angle(normal, direction) for normal in exact) > ANGLE


ANGLE = 1e-9
"""The smallest sine at which a cone is seen by gradients that are rounded."""


def _angle(normal: dict[int, Fraction], direction: Direction) -> float:
    lengths = [float(np.linalg.norm([float(v) for v in side.values()])) for side in (normal, direction)]
    return float(_along(normal, direction)) / (lengths[0] * lengths[1])


def check_jumps(terms: list[Term], x: Array, limit: int) -> None:
    """Raise ProgramError if a cell beside the point, proved to be one, has another value there."""
    search: Search | None = None
    for cell in cells(terms, limit):
        wrong = [i for i, (term, run) in enumerate(zip(terms, cell.runs, strict=True)) if not term.agrees(run)]
        if not wrong:
            continue
        if not open_cone(cell):
            if search is None:
                search = Search(terms, 0)
                search.start()
            if not (search.ray(cell) or search.curve(cell)):
                continue
        raise jumping(x, terms, cell)


def jumping(x: Array, terms: list[Term], cell: Cell) -> ProgramError:
    """Return the error that says where a program jumps, and with which pieces."""
    for i, (term, run, choices) in enumerate(zip(terms, cell.runs, cell.choices, strict=True)):
        if not term.agrees(run):
            which = f"term {i} of the sum" if len(terms) > 1 else "the program"
            value = [float(v) for v in term.results(run)]
            return ProgramError(
                f"{which} jumps at {x.tolist()}, from {term.outputs.tolist()} to {value} with "
                f"{pieces(term, choices)}: it is no selection function (Def. 3)"
            )
    raise AssertionError("no term of this cell has another value")


def pieces(term: Term, choices: dict[int, Any]) -> str:
    """Return the pieces of selections in words."""
    return ", ".join(
        f"piece {branches.label(term.exact, k, decision)} of r{int(term.tape.nodes[k])}"
        for k, decision in choices.items()
    )
