"""Whether a program is continuous arbitrarily close to a point: whether it jumps on a wall between two regions.

If it does, there is no Clarke subdifferential at the point. A wall is a set on which one or several polynomials that
decide guards are 0, while others keep their signs. All rows of the table are continuous, except for step functions and
`clip`. A user's selection, or an instruction that reads it, is continuous if it is proved to have the same values on
its walls and in the regions that meet there. If no such proof is found, the outputs of the program are compared on each
wall: first as forms, whose difference must be 0 where the polynomials of the wall are 0; and if that is not proved, by
power series along curves on the wall, where a coefficient that differs proves a jump.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.calculus import branches
from simsa.calculus.forms import Form, FormInterpreter, Polynomial, form, parameter, polynomial_at, vanishes
from simsa.calculus.mixed import plain, proved
from simsa.calculus.regions import Region, Term, copied, decided, facet, pieces, rank, restricted, run_terms, split
from simsa.calculus.series import FAINT, SERIES, Series, SeriesInterpreter, UndecidedError, series
from simsa.errors import ProgramError
from simsa.machine.reference import Execution, Interpreter
from simsa.tape.tape import OUT, OUTS

Array = NDArray[np.float64]

WALLS, OWN, TOGETHER = 256, 81, 4
"""The largest numbers of walls that are examined of each term, and of a group of at most TOGETHER selections."""

ORDER = 6
"""The number of coefficients, from t^0, up to which curves are on a wall."""

CURVES, KEPT = 24, 4
"""The number of curves that are tried on each wall, and of curves on the wall on which values are compared."""

OPEN = "whether pieces agree on a wall beside the point is not proved"


def unproved_continuity(terms: list[Term], x: Array, seed: int = 0) -> str:
    """Return why it is not proved that the terms are continuous arbitrarily close to the point; empty if it is.

    terms: the terms of the objective. x: the point, shape (p,). seed: of random curves. Raises ProgramError if a term
    is proved to jump. With one parameter the only wall is the point itself.
    """
    why = ""
    for i, term in enumerate(terms if len(x) > 1 else []):
        if any(_may_jump(term, k) for k in term.tied) and (open_ones := _unsettled(term)):
            own = copy(term)
            own.may_jump = open_ones
            named = f"term {i} of the sum" if len(terms) > 1 else "the program"
            why = _examined(own, x, np.random.default_rng(seed), named) or why
    return why


def _may_jump(term: Term, k: int) -> bool:
    """Tell whether a selection may have different values on the two sides of one of its walls."""
    return branches.selection(term.anchored, k).jumps(branches.primitive(term.anchored, k))


class _FreeContinuousResults(FormInterpreter):
    """Runs a tape in forms, with the results of some instructions, known to be continuous, as further parameters."""

    def __init__(self, term: Term) -> None:
        """Set the term."""
        super().__init__(term.tape, term.run, term.bounds)
        self.continuous: set[int] = set()
        self.first = len(term.x)

    def _evaluate(self, k: int, execution: Execution, choices: Mapping[int, Any]) -> None:
        if k not in self.continuous:
            super()._evaluate(k, execution, choices)
            return
        out = self.code[k][OUT]
        for r in range(out, out + self.code[k][OUTS]):
            execution.values[r] = parameter(self.first + r, float(self.there.values[r]))

    def _executed(self, k: int, decision: Any) -> list[int]:
        return [] if k in self.continuous else super()._executed(k, decision)


def _unsettled(term: Term) -> set[int]:
    """Return the selections that may jump in a way that may reach an output.

    Instructions are examined in order. A tied selection that may jump, or an instruction that reads one, is regarded as
    a function of the parameters and of results that are known to be continuous; each of these may vary freely around
    its value. If the instruction is proved to be continuous, what reads it need not consider the selection.
    """
    own = copy(term)
    own.symbolic = apart = _FreeContinuousResults(term)
    shared = apart.begin(term.x, term.row)
    behind: dict[int, frozenset[int]] = {}
    known: dict[frozenset[int], list[tuple[Region, Region]] | None] = {}
    for j, line in enumerate(term.anchored.code):
        selections = frozenset[int]().union(*(behind.get(r, ()) for r in term.tape.operand(j).tolist()))
        if not selections and (j not in term.tied or not _may_jump(term, j)):
            if j in term.tied:
                apart.continuous.add(j)
            continue
        selections |= {j} & term.run.decisions.keys()
        results = range(line[OUT], line[OUT] + line[OUTS])
        if selections not in known:
            apart.need(shared, min(selections), term.run.decisions)
            moving = {i for i in range(j + 1) if i in selections or term.anchored.code[i][OUT] in behind}
            known[selections] = _sides(own, shared, selections, moving)
        pairs = known[selections]
        if pairs is not None and all(_same(own, region, wall, list(results)) for region, wall in pairs):
            apart.continuous.add(j)
        else:
            behind |= dict.fromkeys(results, selections)
    found = frozenset[int]().union(*(behind.get(r, ()) for r in term.tape.outputs.tolist()))
    return {k for k in found if _may_jump(term, k)}


def _sides(
    own: Term, shared: Execution, selections: frozenset[int], moving: set[int]
) -> list[tuple[Region, Region]] | None:
    """Return the pairs (region, part of one of its walls) of some selections; None if there are too many."""
    if len(selections) > TOGETHER:
        return None
    own.may_jump = {k for k in selections if _may_jump(own, k)}

    def begun() -> Region:
        return Region(k=min(selections), runs=[copied(own.run)], forms=copied(shared), choices=[{}])

    def run_on(region: Region) -> None:
        run = region.runs[-1]
        for k in range(region.k, max(selections) + 1):
            region.k = k
            if k in moving:
                own.step(run, k)
                if k in selections and branches.tied(own.anchored, k, run):
                    own.step(run, k, decided(own, region, run))

    pairs = list(_walked(begun, run_on, OWN))
    return None if None in pairs else [pair for pair in pairs if pair is not None]


def _walked(
    begun: Callable[[], Region], run_on: Callable[[Region], None], most: int
) -> Iterator[tuple[Region, Region] | None]:
    """Yield the pairs (region, part of one of its walls), and the same for walls within walls.

    Regions and walls that are empty because of affine polynomials are left out. At the end None is yielded if there are
    more than `most` walls, or if a guard has no finite derivative on one of them.
    """
    known: dict[Any, list[Region]] = {}
    try:
        pending = list(islice(split(begun(), run_on), most + 1))
        over = len(pending) > most
        while pending:
            parts: list[Region] = []
            sides = [(region, way) for region in pending for way in region.walls if not way <= set(region.zeros)]
            for region, way in sides:
                signs = dict.fromkeys(way, 0)
                key = frozenset((region.signs | signs).items())
                if key not in known and len(known) == most:
                    over = True
                    continue
                if key not in known:
                    fresh = begun()
                    fresh.signs = dict(region.signs)
                    start = restricted(fresh, signs)
                    known[key] = [] if start is None else list(split(start, run_on))
                    parts += known[key]
                yield from ((region, wall) for wall in known[key])
            pending = parts
    except ProgramError:
        over = True
    if over:
        yield None


def _value(term: Term, region: Region, r: int) -> Form:
    """Return a register in a region as a form."""
    if region.forms is None:
        region.forms = term.symbolic.begin(term.x, term.row)
    term.symbolic.compute(region.forms, [r], region.runs[-1].decisions)
    return form(region.forms.values[r])


def _same(term: Term, region: Region, wall: Region, registers: list[int]) -> bool:
    """Tell whether registers are proved to have the same values on a wall as in a region that it belongs to."""
    if region.runs[-1].decisions == wall.runs[-1].decisions:
        return True
    return all(vanishes(_value(term, region, r) - _value(term, wall, r), wall.zeros) for r in registers)


def _examined(term: Term, x: Array, rng: np.random.Generator, named: str) -> str:
    """Return why it is not proved that a term is continuous on the walls of `Term.may_jump`; empty if it is."""
    outputs, why = term.tape.outputs.tolist(), ""
    for pair in _walked(Region, partial(run_terms, [term]), WALLS):
        if pair is None:
            return why or "walls beside the point were not all examined"
        region, wall = pair
        if rank([zero.slope for zero in wall.zeros]) == len(x) or _same(term, region, wall, outputs):
            continue
        why = OPEN
        for curve in _curves(region, wall, len(x), rng):
            if _differ(term, region, wall, curve):
                raise _jumping(term, region, wall, x, curve, named)
    return why


def _curves(region: Region, wall: Region, p: int, rng: np.random.Generator) -> Iterator[list[list[Any]]]:
    """Yield curves from the point on a wall, as for each parameter the coefficients of t, t², ... up to t^(ORDER - 1).

    Random curves are moved onto the wall along the gradients of its polynomials, one power of t after the other. This
    needs independent gradients; then the wall is a manifold on the boundary of the region. Without them, no curve is
    yielded.
    """
    if rank([zero.slope for zero in wall.zeros]) < len(wall.zeros):
        return
    normals = [{i: Fraction(v) for i, v in zero.slope.items()} for zero in wall.zeros]
    inverse = _inverse([[_dot(a, b) for b in normals] for a in normals])
    strict = [(q, s) for q, s in wall.signs.items() if s]
    base = facet(normals, [{i: s * Fraction(v) for i, v in q.slope.items()} for q, s in strict if q.slope])
    off = [way for way in (*region.walls, *wall.walls) if not way <= set(wall.zeros)]
    kept = 0
    for number in range(CURVES):
        start = [Fraction(int(v), 64) for v in rng.integers(-64, 65, size=p)]
        if base and number % 4 < 3:
            size = max(map(abs, base.values())) or Fraction(1)
            start = [base.get(i, Fraction(0)) + size * v / 8**number for i, v in enumerate(start)]
        bend = [Fraction(int(v) * (number % 2), 64) for v in rng.integers(-64, 65, size=p)]
        curve = [[a, b, *[Fraction(0)] * (ORDER - 3)] for a, b in zip(start, bend, strict=True)]
        try:
            for power in range(1, ORDER):
                rests = [Fraction(_along(zero, curve).known(power)) for zero in wall.zeros]
                for j, normal in enumerate(normals):
                    share = _total(inverse[j], rests)
                    for i, v in normal.items():
                        curve[i][power - 1] -= share * v
            there = all(_first_sign(_along(q, curve)) == s for q, s in strict)
            there = there and all(any(_first_sign(_along(q, curve)) for q in way) for way in off)
        except (UndecidedError, OverflowError, ZeroDivisionError, ValueError):
            continue
        if there and any(moves[0] for moves in curve):
            yield curve
            kept += 1
        if kept == KEPT:
            return


def _along(polynomial: Polynomial, curve: list[list[Any]]) -> Series:
    """Return a polynomial along a curve."""
    t = [Series([Fraction(0), *moves], ORDER - 1, polynomial=False) for moves in curve]
    return series(polynomial_at(polynomial, t, SERIES))


def _first_sign(along: Series) -> int:
    """Return the sign of the first coefficient that is not 0 up to rounding; 0 if there is none."""
    for c in along.coefficients:
        if abs(c) > (0 if proved(c) else FAINT):
            return 1 if c > 0 else -1
    return 0


def _dot(a: dict[int, Fraction], b: dict[int, Fraction]) -> Fraction:
    return sum((v * b[i] for i, v in a.items() if i in b), Fraction(0))


def _total(a: list[Fraction], b: list[Fraction]) -> Fraction:
    return sum((v * w for v, w in zip(a, b, strict=True)), Fraction(0))


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Return the inverse of a positive definite matrix."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for i in range(n):
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for j in range(n):
            if j != i:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[n:] for row in rows]


def _differ(term: Term, region: Region, wall: Region, curve: list[list[Any]]) -> bool:
    """Tell whether the values of a region and of its wall differ along a curve on the wall, by more than rounding."""
    along = SeriesInterpreter(term.tape, term.run, term.bounds)
    start = [Series([Fraction(v), *moves], ORDER - 1, polynomial=False) for v, moves in zip(term.x, curve, strict=True)]
    try:
        runs = [along.run(start, term.row, side.runs[-1].decisions) for side in (region, wall)]
    except (UndecidedError, OverflowError, ZeroDivisionError):
        return False
    for r in term.tape.outputs.tolist():
        a, b = (series(run.values[r]) for run in runs)
        for i in range(min(a.order, b.order, ORDER - 1) + 1):
            gap, size = abs(plain(a.known(i) - b.known(i))), abs(plain(a.known(i))) + abs(plain(b.known(i)))
            if np.isfinite(size) and gap > FAINT * (size if proved(a.known(i) - b.known(i)) else 1.0 + size):
                return True
    return False


def _jumping(term: Term, region: Region, wall: Region, x: Array, curve: list[list[Any]], named: str) -> ProgramError:
    """Return the error that says where close to a point a program jumps, and with which pieces."""
    powers = [Fraction(1, 128) ** i for i in range(1, ORDER)]
    y = [float(Fraction(v) + _total(moves, powers)) for v, moves in zip(term.x, curve, strict=True)]
    plainly = Interpreter(term.tape)
    there, beside = (
        [float(v) for v in term.results(plainly.run(y, term.row, side.runs[-1].decisions))] for side in (wall, region)
    )
    return ProgramError(
        f"{named} jumps beside {x.tolist()}, as at {y} from {there} to {beside} with "
        f"{pieces(term, region.choices[-1])}: it is no selection function (Def. 3)"
    )
