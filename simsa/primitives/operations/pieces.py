"""Rows whose values are text: elementary functions, and selections by a branch table, of the row or of the program."""

import operator
import re
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import ProgramError
from simsa.primitives.arithmetic import Number, formula
from simsa.primitives.operations.operation import (
    Call,
    Guard,
    Judge,
    Operation,
    Partials,
    Selection,
    Table,
    Term,
    largest_error,
    mixed,
)
from simsa.primitives.texts import FUNCTIONS, OPERANDS, RELATIONS, Branch, Weights, names_in

if TYPE_CHECKING:
    from simsa.primitives.primitive import Primitive

COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}

SIGNS = {"<": (-1,), "<=": (-1, 0), "==": (0,), ">=": (0, 1), ">": (1,)}
"""The signs of left - right for which a guard holds."""

MOST_SIGNS = 4
"""Tied pairs of one selection whose signs are tried in all combinations; of more, each guard is decided by itself."""

ONE = np.float64(1)


def evaluated(call: Call, text: str, x: list[Number], v: Number = None) -> Number:
    """Return the value of a text of the call's row. v: the value of the piece itself, in partials."""
    operands = (*x, *(None,) * (len(OPERANDS) - len(x)))
    return formula(text, call.row, call.arithmetic)(*operands, v, *call.numbers[: len(call.row.immediates)])


class _Texts(Operation):
    """What elementary functions and selections of the table have in common."""

    loop = "pieces"

    def fits(self, row: "Primitive", operands: int, outputs: int) -> str | None:
        """Refuse another number of operands than the row's, or several outputs."""
        wrong = None if operands == row.arity else f"{operands} operands, expected {row.arity}"
        return wrong or super().fits(row, operands, outputs)

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return the number of immediates and tie weights."""
        return len(row.fixed) + sum(len(branch.between) for branch in row.tie_rows)

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return the tie weights."""
        return [float(weight) for weights in tie for weight in weights]

    def fault(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Refuse tie weights that sum neither to 1 nor to 0."""
        if wrong := super().fault(row, numbers):
            return wrong
        at = len(row.immediates)
        for branch in row.tie_rows:
            weights = numbers[at : at + len(branch.between)]
            total = float(weights.sum())
            if abs(total - 1.0) >= 1e-12 and weights.any():
                return f"tie weights sum to {total}, not to 1, and are not all 0"
            at += len(branch.between)
        return None

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return the immediates, and how pieces are mixed at each tie."""
        row, at = call.row, len(call.row.fixed)
        note = "".join(f" {name}={value!r}" for name, value in zip(row.fixed, call.numbers[:at], strict=True))
        at = len(row.immediates)
        for branch in row.tie_rows:
            weights = call.numbers[at : at + len(branch.between)]
            at += len(branch.between)
            pieces = " + ".join(f"{w!r}*({row.pieces[j].value})" for w, j in zip(weights, branch.between, strict=True))
            note += f"  tie at {' and '.join(branch.guards)}: {pieces}"
        return f" {note}" if note else ""

    def passes(self, call: Call) -> list[bool]:
        """Tell of each operand whether some piece uses it."""
        return [any(piece.uses(i) for piece in call.row.pieces) for i in range(call.operands)]

    def functions(self, row: "Primitive") -> set[str]:
        """Return the functions in the texts of the pieces."""
        texts = [text for piece in row.pieces for text in (piece.value, *piece.partials)]
        return {name for text in texts for name in names_in(text)} & FUNCTIONS

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return the largest finite error of a piece, since those that meet are compared."""
        bounds = []
        for piece in call.row.pieces:
            value = float(evaluated(call, piece.value, x))
            slopes = [evaluated(call, text, x, np.float64(value)) for text in piece.partials]
            passed = sum(abs(float(d)) * e for d, e in zip(slopes, own, strict=True) if e)
            bounds.append(passed + unit * abs(value))
        return [max((bound for bound in bounds if np.isfinite(bound)), default=np.inf)]


def _slopes(call: Call, mixture: Iterable[tuple[Number, int]], x: list[Number], v: Number) -> Partials:
    """Return the weighted partials of the pieces that use each operand."""

    def partial(i: int) -> Number | None:
        total = None
        for weight, j in mixture:
            piece = call.row.pieces[j]
            if weight != 0 and piece.uses(i):
                term = weight * evaluated(call, piece.partials[i], x, v)
                total = term if total is None else total + term
        return total

    return [[partial(i) for i in range(call.operands)]]


class Elementary(_Texts):
    """A row of one piece: an elementary function (Def. 1)."""

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the value of the piece."""
        return [evaluated(call, call.row.pieces[0].value, x)]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return the partials of the piece."""
        return _slopes(call, ((call.number(1), 0),), x, values[0])

    def passed(self, call: Call, gradient: Number, partial: Number, decision: Any) -> Number:
        """Return gradient times partial; 0 for a zero gradient, if the row absorbs and the convention says so."""
        if call.row.absorbs and call.numbers[-1] == 0 and gradient == 0:
            return gradient * call.number(0)
        return gradient * partial


class Branching(Selection):
    """A selection by a branch table: the first row whose guards all hold."""

    @abstractmethod
    def table(self, call: Call, x: list[Number]) -> Table:
        """Return the branch table at a point. Guards that ask for NaN are left out, with their rows."""

    def differences(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return left - right of each guard once, whatever the decision."""
        return distinct(self.table(call, x))

    def options(self, call: Call, x: list[Number], decision: Any, limit: int) -> list[Any]:
        """Return the decisions of the first rows that hold where each zero guard is below, at or above 0.

        Where a row mixes pieces by a convention, each of them; the mixture is one more piece, and adds to the hull only
        if it is no convex one, such as relu'(0) = 2, or nothing at all, as with `torch.clamp` where its bounds meet.
        """
        found: dict[Any, Any] = {}
        for one in (decision, *_explore(self.table(call, x), {})):
            several = isinstance(one, tuple) and len(one) > 1
            weights = [weight for weight, _ in one] if several else []
            if not several or min(weights) < 0 or not any(weights):
                found.setdefault(self.label(call, one), one)
            if several:
                for _, piece in one:
                    found.setdefault(piece, ((ONE, piece),))
        return list(found.values())

    def two_sides(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return the decisions below and above the one guard that is 0, if they have one value and two labels."""
        zeros = [i for i, h in enumerate(self.differences(call, x, decision)) if h == 0]
        if len(zeros) != 1:
            return []
        sides = [self.decided(call, x, zeros[0], sign) for sign in (-1, 1)]
        values = [self.values(call, x, side, True)[0] for side in sides]
        labels = [self.label(call, side) for side in sides]
        return sides if values[0] == values[1] and labels[0] != labels[1] else []

    def decided(self, call: Call, x: list[Number], index: int, sign: int) -> Any:
        """Return the decision that is taken if the difference number `index` has a sign, the others as they are."""
        rows = self.table(call, x)
        signs = {id(h): int(np.sign(float(h))) for h in distinct(rows) if float(h) == float(h)}
        signs[id(distinct(rows)[index])] = sign
        return next(d for guards, d in rows if all(signs.get(id(h)) in SIGNS[relation] for h, relation, _ in guards))

    def beside(self, call: Call, x: list[Number], decision: Any, judge: Judge) -> Any:
        """Return the decision of the first row that holds beside the point."""
        for i, (guards, found) in enumerate(self.table(call, x)):
            for j, (h, relation, movable) in enumerate(guards):
                sign = judge.guard(i, j, h) if movable else int(np.sign(h)) if h == h else None
                if sign not in SIGNS[relation]:
                    break
            else:
                return found
        raise AssertionError("the last row of a branch table has no guard")


def distinct(rows: Table) -> list[Any]:
    """Return the differences that a branch table asks for, each once."""
    return list({id(h): h for guards, _ in rows for h, _, _ in guards}.values())


def _explore(rows: Table, signs: dict[int, int]) -> list[Any]:
    """Return the decisions of a branch table, splitting on the sign of each zero guard when it is first asked."""
    for guards, decision in rows:
        for h, relation, movable in guards:
            value = float(h)
            sign = signs.get(id(h), int(np.sign(value)) if value == value else None)
            if sign == 0 and movable and id(h) not in signs:
                return [d for s in (0, -1, 1) for d in _explore(rows, {**signs, id(h): s})]
            if sign not in SIGNS[relation]:
                break
        else:
            return [decision]
    raise AssertionError("the last row of a branch table has no guard")


class Pieces(_Texts, Branching):
    """A row of several pieces and a branch table (Def. 2 and 3).

    A decision is ((weight, piece), ...): one piece, or at a tie those that the convention mixes.
    """

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the rules for tied pieces as weights."""
        ends = {
            name: tuple(tuple(1.0 if j == b.between[one] else 0.0 for j in b.between) for b in row.tie_rows)
            for name, one in (("first", 0), ("last", -1))
        }
        split = tuple(tuple(1.0 / len(b.between) for _ in b.between) for b in row.tie_rows)
        return {"split": split, **ends}

    def takes_slope(self, row: "Primitive") -> bool:
        """Return True."""
        return True

    def sloped(self, row: "Primitive", slope: float) -> Weights:
        """Return the weights that give a derivative at every tie; raises ProgramError if the slopes are no numbers."""
        weights = []
        for branch in row.tie_rows:
            slopes = row.slopes(branch)
            if slopes is None or slopes[0] == slopes[1]:
                raise ProgramError(f"{row.name}: a number cannot set its derivative at a tie; name a rule instead")
            low, high = slopes
            share = (slope - low) / (high - low)
            weights.append((1.0 - share, share))
        return tuple(weights)

    def decide(self, call: Call, x: list[Number]) -> tuple[tuple[Number, int | None], ...]:
        """Return the piece of the first row that holds, or the weights of those that it mixes."""
        at = len(call.row.immediates)
        for branch in call.row.branches:
            if self._holds(call, branch, x):
                if not branch.between:
                    return ((call.number(1), branch.piece),)
                return tuple(zip(call.numbers[at : at + len(branch.between)], branch.between, strict=True))
            at += len(branch.between)
        raise AssertionError("the last row of a branch table has no guard")

    def _holds(self, call: Call, branch: Branch, x: list[Number]) -> bool:
        """Tell whether every guard of a row holds."""
        if branch.guards and branch.guards[0].startswith("isnan"):
            return _is_nan(branch, x)
        return all(
            COMPARE[relation](evaluated(call, a, x), evaluated(call, b, x)) for a, relation, b in branch.comparisons
        )

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the value of the first piece: those that meet agree."""
        return [evaluated(call, call.row.pieces[decision[0][1]].value, x)]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return the weighted partials of the pieces."""
        return _slopes(call, decision, x, values[0])

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the operands that the first piece uses."""
        piece = call.row.pieces[decision[0][1]]
        return [i for i in range(call.operands) if piece.uses(i)]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return |left - right| of each guard."""
        return [abs(evaluated(call, a, x) - evaluated(call, b, x)) for a, b in call.row.guards()]

    def compared(self, call: Call) -> list[int]:
        """Return all operands."""
        return list(range(call.operands))

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the sides of guards that are equal."""
        row = call.row
        known = dict(zip(OPERANDS, names, strict=False))
        known |= {name: f"{float(v):g}" for name, v in zip(row.immediates, call.numbers, strict=False)}
        return {
            (_named(a, known), _named(b, known))
            for a, b in row.guards()
            if evaluated(call, a, x) == evaluated(call, b, x)
        }

    def undecided(self, call: Call) -> int:
        """Return one weight for each piece."""
        return len(call.row.pieces)

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Term], bool]:
        """Return the partials of the pieces that are reached, under random weights."""
        row, chosen, terms = call.row, {piece: w for w, piece in decision}, []
        for piece, w in mixed(call, self._reached(call, x), draw):
            for i in range(call.operands):
                if row.pieces[piece].uses(i):
                    partial = evaluated(call, row.pieces[piece].partials[i], x, values[0])
                    terms.append((0, i, w, chosen.get(piece, call.number(0)), partial))
        return terms, row.jumps

    def _reached(self, call: Call, x: list[Number]) -> list[int]:
        """Return the pieces that are reached when each tied guard is decided either way."""
        found: set[int] = set()
        for branch in call.row.branches:
            possible = sure = True
            if branch.guards and branch.guards[0].startswith("isnan"):
                possible = sure = _is_nan(branch, x)
            for left, relation, right in branch.comparisons:
                a, b = (evaluated(call, side, x) for side in (left, right))
                holds = COMPARE[relation](a, b)
                possible, sure = possible and (holds or a == b), sure and holds and a != b
            if possible:
                found.update(branch.between if branch.piece is None else (branch.piece,))
            if sure:
                break
        return sorted(found)

    def label(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the piece, or those that are mixed."""
        pieces = [piece for weight, piece in decision if weight != 0]
        return pieces[0] if len(pieces) == 1 else tuple(pieces)

    def branch(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the piece; a tie that the convention splits is one more piece, behind the others (Def. 3)."""
        used, row = [piece for weight, piece in decision if weight != 0], call.row
        if len(used) == 1:
            return int(used[0])
        ties = [branch.between for branch in row.tie_rows]
        return len(row.pieces) + ties.index(tuple(p for _, p in decision))

    def jumps(self, row: "Primitive") -> bool:
        """Tell whether it is a function to the integers, or has bounds that are operands: these may cross."""
        return row.jumps or (len(row.tie_rows) > 1 and (row.arity or 0) > 1)

    def count(self, call: Call) -> int:
        """Return the number of pieces."""
        return len(call.row.pieces)

    def pieces(self, call: Call) -> Iterator[Any]:
        """Yield each piece with weight 1."""
        yield from (((ONE, j),) for j in range(len(call.row.pieces)))

    def table(self, call: Call, x: list[Number]) -> Table:
        """Return the branch table of the row."""
        row, at = call.row, len(call.row.immediates)
        differences = {(a, b): evaluated(call, a, x) - evaluated(call, b, x) for a, b in row.guards()}
        result: Table = []
        for branch in row.branches:
            weights = call.numbers[at : at + len(branch.between)]
            at += len(branch.between)
            if branch.guards and branch.guards[0].startswith("isnan"):
                continue
            decision = tuple(zip(weights, branch.between, strict=True)) if branch.between else ((ONE, branch.piece),)
            result.append(([(differences[a, b], r, True) for a, r, b in branch.comparisons], decision))
        return result


def _is_nan(branch: Branch, x: list[Number]) -> bool:
    """Tell whether the operand that a guard `isnan(y)` asks for is no number."""
    operand = x[OPERANDS.index(branch.guards[0][6])]
    return bool(operand != operand)


def _named(text: str, known: dict[str, str]) -> str:
    """Return a text of the table with its names replaced."""
    return re.sub(r"\b[a-z]\b", lambda found: known.get(found[0], found[0]), text)


class Select(Branching):
    """A selection written by the user: operands are pieces and sides of guards, the branch table is the program's.

    A decision is the number of a row. The first one that holds wins, at a tie too.
    """

    loop = "select"
    brings_table = True

    def note(self, call: Call, names: Sequence[str]) -> str:
        """Return the branch table in the names of the operands."""
        text = []
        for case in call.cases:
            guards = [f"{names[g.left]} {g.relation} {names[g.right]}" for g in case.guards]
            text.append(f"{' and '.join(guards) or 'otherwise'}: {names[case.piece]}")
        return "  [" + "; ".join(text) + "]"

    def passes(self, call: Call) -> list[bool]:
        """Tell of each operand whether it is a piece: the sides of guards alone pass nothing."""
        pieces = {case.piece for case in call.cases}
        return [i in pieces for i in range(call.operands)]

    def compared(self, call: Call) -> list[int]:
        """Return the sides of guards."""
        return list({side for case in call.cases for g in case.guards for side in (g.left, g.right)})

    def decide(self, call: Call, x: list[Number]) -> int:
        """Return the first row that holds."""
        holds = (all(COMPARE[g.relation](x[g.left], x[g.right]) for g in case.guards) for case in call.cases)
        return next(index for index, held in enumerate(holds) if held)

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the operand that is the piece."""
        return [x[call.cases[decision].piece]]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return 1 for the piece."""
        return [[call.number(1) if i == call.cases[decision].piece else None for i in range(call.operands)]]

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the piece."""
        return [call.cases[decision].piece]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return |left - right| of the guards that depend on parameters."""
        return [abs(x[g.left] - x[g.right]) for case in call.cases for g in case.guards if g.movable]

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return the largest error of an operand."""
        return largest_error(own, call.outputs)

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the sides of guards that are equal."""
        guards = [g for case in call.cases for g in case.guards]
        return {(names[g.left], names[g.right]) for g in guards if g.movable and x[g.left] == x[g.right]}

    def undecided(self, call: Call) -> int:
        """Return one weight for each row."""
        return len(call.cases)

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Term], bool]:
        """Return the pieces of the rows that are reached, under random weights."""
        one, zero = call.number(1), call.number(0)
        rows = self._reached(call, x)
        found = [x[call.cases[i].piece] for i in rows]
        terms = [(0, call.cases[i].piece, w, one if i == decision else zero, one) for i, w in mixed(call, rows, draw)]
        return terms, any(v != found[0] for v in found)

    def _reached(self, call: Call, x: list[Number]) -> list[int]:
        """Return the rows that are reached when each tied guard is decided either way.

        Guards of one pair of operands are decided together, as smaller, equal or larger, where at most MOST_SIGNS pairs
        are tied; else each guard by itself, which may reach more.
        """

        def pair(g: Guard) -> tuple[int, int]:
            return min(g.left, g.right), max(g.left, g.right)

        def tied(g: Guard) -> bool:
            return g.movable and bool(x[g.left] == x[g.right])

        def holds(g: Guard) -> bool:
            return bool(COMPARE[g.relation](x[g.left], x[g.right]))

        undecided = list(dict.fromkeys(pair(g) for case in call.cases for g in case.guards if tied(g)))
        found: set[int] = set()
        if len(undecided) <= MOST_SIGNS:
            for signs in product((-1, 0, 1), repeat=len(undecided)):
                sign = dict(zip(undecided, signs, strict=True))

                def decided(g: Guard, sign: dict[tuple[int, int], int] = sign) -> bool:
                    if not tied(g):
                        return holds(g)
                    return bool(COMPARE[g.relation](sign[pair(g)] if g.left <= g.right else -sign[pair(g)], 0))

                found.add(next(i for i, case in enumerate(call.cases) if all(map(decided, case.guards))))
            return sorted(found)
        for i, case in enumerate(call.cases):
            if all(tied(g) or holds(g) for g in case.guards):
                found.add(i)
                if not any(map(tied, case.guards)):
                    break
        return sorted(found)

    def label(self, call: Call, decision: Any) -> int:
        """Return the operand that is the piece."""
        return call.cases[int(decision)].piece

    def branch(self, call: Call, decision: Any) -> int:
        """Return the row."""
        return int(decision)

    def jumps(self, row: "Primitive") -> bool:
        """Return True: nothing says that a user's pieces meet."""
        return True

    def count(self, call: Call) -> int:
        """Return the number of different pieces."""
        return len({case.piece for case in call.cases})

    def pieces(self, call: Call) -> Iterator[int]:
        """Yield the first row of each piece."""
        yield from {case.piece: i for i, case in reversed(list(enumerate(call.cases)))}.values()

    def table(self, call: Call, x: list[Number]) -> Table:
        """Return the branch table of the program."""
        result: Table = []
        differences: dict[tuple[int, int], Any] = {}
        for index, case in enumerate(call.cases):
            guards = []
            for g in case.guards:
                # One difference for a < b and b > a, so that it has one sign.
                turned = RELATIONS[len(RELATIONS) - 1 - RELATIONS.index(g.relation)]
                inorder = g.left <= g.right
                pair, relation = ((g.left, g.right), g.relation) if inorder else ((g.right, g.left), turned)
                h = differences.setdefault(pair, x[pair[0]] - x[pair[1]])
                guards.append((h, relation, g.movable))
            result.append((guards, index))
        return result
