"""Elementary functions and selections whose pieces are texts, and selections whose branch table a program holds."""

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
    Contribution,
    EvaluatedTable,
    Guard,
    LocalSigns,
    Operation,
    Partials,
    Selection,
    largest_error,
    weighted,
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
"""Up to this many tied pairs of operands of one selection, all combinations of their signs are tried."""

ONE = np.float64(1)


def evaluated(call: Call, text: str, x: list[Number], v: Number = None) -> Number:
    """Return the value of a text of the call's row at a point.

    call: the use. text: the expression. x: the operands. v: the value of the piece, which texts of partials may use.
    """
    operands = (*x, *(None,) * (len(OPERANDS) - len(x)))
    return formula(text, call.row, call.arithmetic)(*operands, v, *call.numbers[: len(call.row.immediates)])


class _Texts(Operation):
    """What `Elementary` and `Pieces` have in common: they compute the texts of their row."""

    loop = "pieces"

    def count_error(self, row: "Primitive", operands: int, outputs: int) -> str | None:
        """Refuse a number of operands other than the row's, and several outputs."""
        wrong = None if operands == row.arity else f"{operands} operands, expected {row.arity}"
        return wrong or super().count_error(row, operands, outputs)

    def numbers(self, row: "Primitive", operands: int) -> int:
        """Return the number of immediates and tie weights."""
        return len(row.fixed) + sum(len(branch.between) for branch in row.tie_rows)

    def tie_numbers(self, tie: Weights | str, operands: int) -> list[float]:
        """Return the tie weights."""
        return [float(weight) for weights in tie for weight in weights]

    def number_error(self, row: "Primitive", numbers: NDArray[np.float64]) -> str | None:
        """Refuse tie weights that sum neither to 1 nor to 0."""
        if wrong := super().number_error(row, numbers):
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
        """Return the immediates, and the weights of the pieces at each tie."""
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
        """Tell for each operand whether some piece uses it."""
        return [any(piece.uses(i) for piece in call.row.pieces) for i in range(call.operands)]

    def functions(self, row: "Primitive") -> set[str]:
        """Return the functions in the texts of the pieces."""
        texts = [text for piece in row.pieces for text in (piece.value, *piece.partials)]
        return {name for text in texts for name in names_in(text)} & FUNCTIONS

    def errors(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, own: NDArray[np.float64], unit: float
    ) -> list[float]:
        """Return the largest finite error of a piece, since any of the pieces that meet at a tie may be the value."""
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
        """Return gradient times partial; 0 for a zero gradient if the row absorbs and the convention has s = 0."""
        if call.row.absorbs and call.numbers[-1] == 0 and gradient == 0:
            return gradient * call.number(0)
        return gradient * partial


class Branching(Selection):
    """A selection by a branch table: the first row whose guards all hold."""

    @abstractmethod
    def table(self, call: Call, x: list[Number]) -> EvaluatedTable:
        """Return the branch table at a point, without the rows with an `isnan` guard."""

    def differences(self, call: Call, x: list[Number], decision: Any) -> list[Any]:
        """Return left - right of each guard once; they do not depend on the decision."""
        return distinct(self.table(call, x))

    def options(self, call: Call, x: list[Number], decision: Any, limit: int) -> list[Any]:
        """Return the decisions that are reached when each tied guard is taken below, at or above 0.

        From a tie row, which mixes pieces by the weights of the convention, each piece is returned. The mixture itself
        is returned only if it may lie outside the convex hull of the pieces: if a weight is negative, as for
        relu'(0) = 2, or if all weights are 0, as for `torch.clamp` where its bounds meet.
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
        """Return the decisions below and above the only tied guard, if they agree in value and differ in label."""
        zeros = [i for i, h in enumerate(self.differences(call, x, decision)) if h == 0]
        if len(zeros) != 1:
            return []
        sides = [self.decided(call, x, zeros[0], sign) for sign in (-1, 1)]
        values = [self.values(call, x, side, True)[0] for side in sides]
        labels = [self.label(call, side) for side in sides]
        return sides if values[0] == values[1] and labels[0] != labels[1] else []

    def decided(self, call: Call, x: list[Number], index: int, sign: int) -> Any:
        """Return the decision that is taken if one difference has another sign than at the point.

        call: the use. x: its operands. index: which of `differences`. sign: -1, 0 or 1, the sign that it is given.
        """
        rows = self.table(call, x)
        signs = {id(h): int(np.sign(float(h))) for h in distinct(rows) if float(h) == float(h)}
        signs[id(distinct(rows)[index])] = sign
        return next(d for guards, d in rows if all(signs.get(id(h)) in SIGNS[relation] for h, relation, _ in guards))

    def resolve_tie(self, call: Call, x: list[Number], decision: Any, signs: LocalSigns) -> Any:
        """Return the decision of the first row whose guards hold under the given signs."""
        for i, (guards, found) in enumerate(self.table(call, x)):
            for j, (h, relation, movable) in enumerate(guards):
                sign = signs.guard(i, j, h) if movable else int(np.sign(h)) if h == h else None
                if sign not in SIGNS[relation]:
                    break
            else:
                return found
        raise AssertionError("the last row of a branch table has no guard")


def distinct(rows: EvaluatedTable) -> list[Any]:
    """Return the distinct objects left - right in a branch table, in order. One object stands for one guard pair."""
    return list({id(h): h for guards, _ in rows for h, _, _ in guards}.values())


def _explore(rows: EvaluatedTable, signs: dict[int, int]) -> list[Any]:
    """Return the decisions of a branch table that are reached when each tied guard is taken at, below or above 0.

    signs: by the `id` of a difference, the sign that it was given in the rows before.
    """
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
    """A row with several pieces and a branch table (Def. 2 and 3).

    A decision is a tuple of pairs (weight, piece): one pair, or at a tie one for each piece that the convention mixes.
    """

    def rules(self, row: "Primitive") -> Mapping[str, Weights | str]:
        """Return the rules "split", "first" and "last" as weights of the tied pieces."""
        ends = {
            name: tuple(tuple(1.0 if j == b.between[one] else 0.0 for j in b.between) for b in row.tie_rows)
            for name, one in (("first", 0), ("last", -1))
        }
        split = tuple(tuple(1.0 / len(b.between) for _ in b.between) for b in row.tie_rows)
        return {"split": split, **ends}

    def takes_slope(self, row: "Primitive") -> bool:
        """Return True."""
        return True

    def weights_for_slope(self, row: "Primitive", slope: float) -> Weights:
        """Return the weights that give the derivative `slope` at every tie.

        Raises ProgramError if the slopes of the tied pieces are not constants, or are equal.
        """
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
        """Return the piece of the first row whose guards hold; for a tie row, the pieces with their weights."""
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
        """Return the value of the first piece of the decision; tied pieces agree in value."""
        return [evaluated(call, call.row.pieces[decision[0][1]].value, x)]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return the weighted partials of the pieces."""
        return _slopes(call, decision, x, values[0])

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the positions of the operands that the first piece of the decision uses."""
        piece = call.row.pieces[decision[0][1]]
        return [i for i in range(call.operands) if piece.uses(i)]

    def gaps(self, call: Call, x: list[Number], values: list[Number]) -> list[Number]:
        """Return |left - right| of each guard."""
        return [abs(evaluated(call, a, x) - evaluated(call, b, x)) for a, b in call.row.guards()]

    def compared(self, call: Call) -> list[int]:
        """Return all operands."""
        return list(range(call.operands))

    def zeros(self, call: Call, x: list[Number], names: Sequence[str]) -> set[tuple[str, str]]:
        """Return the pairs of sides of guards that are equal."""
        row = call.row
        known = dict(zip(OPERANDS, names, strict=False))
        known |= {name: f"{float(v):g}" for name, v in zip(row.immediates, call.numbers, strict=False)}
        return {
            (_named(a, known), _named(b, known))
            for a, b in row.guards()
            if evaluated(call, a, x) == evaluated(call, b, x)
        }

    def mixture_weights(self, call: Call) -> int:
        """Return one weight for each piece."""
        return len(call.row.pieces)

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Contribution], bool]:
        """Return the partials of the pieces that are reached, with random weights."""
        row, chosen, terms = call.row, {piece: w for w, piece in decision}, []
        for piece, w in weighted(call, self._reached(call, x), draw):
            for i in range(call.operands):
                if row.pieces[piece].uses(i):
                    partial = evaluated(call, row.pieces[piece].partials[i], x, values[0])
                    terms.append((0, i, w, chosen.get(piece, call.number(0)), partial))
        return terms, row.jumps

    def _reached(self, call: Call, x: list[Number]) -> list[int]:
        """Return the numbers of the pieces that are reached when each tied guard is decided either way."""
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
        """Return the number of the piece, or the numbers of the pieces that are mixed with weights other than 0."""
        pieces = [piece for weight, piece in decision if weight != 0]
        return pieces[0] if len(pieces) == 1 else tuple(pieces)

    def branch(self, call: Call, decision: Any) -> int | tuple[int, ...]:
        """Return the number of the piece; a mixture counts as one more piece, numbered after the others (Def. 3)."""
        used, row = [piece for weight, piece in decision if weight != 0], call.row
        if len(used) == 1:
            return int(used[0])
        ties = [branch.between for branch in row.tie_rows]
        return len(row.pieces) + ties.index(tuple(p for _, p in decision))

    def jumps(self, row: "Primitive") -> bool:
        """Tell whether the row is a step function, or is bounded by operands on both sides, which may cross."""
        return row.jumps or (len(row.tie_rows) > 1 and (row.arity or 0) > 1)

    def count(self, call: Call) -> int:
        """Return the number of pieces."""
        return len(call.row.pieces)

    def pieces(self, call: Call) -> Iterator[Any]:
        """Yield each piece with weight 1."""
        yield from (((ONE, j),) for j in range(len(call.row.pieces)))

    def table(self, call: Call, x: list[Number]) -> EvaluatedTable:
        """Return the branch table of the row."""
        row, at = call.row, len(call.row.immediates)
        differences = {(a, b): evaluated(call, a, x) - evaluated(call, b, x) for a, b in row.guards()}
        result: EvaluatedTable = []
        for branch in row.branches:
            weights = call.numbers[at : at + len(branch.between)]
            at += len(branch.between)
            if branch.guards and branch.guards[0].startswith("isnan"):
                continue
            decision = tuple(zip(weights, branch.between, strict=True)) if branch.between else ((ONE, branch.piece),)
            result.append(([(differences[a, b], r, True) for a, r, b in branch.comparisons], decision))
        return result


def _is_nan(branch: Branch, x: list[Number]) -> bool:
    """Tell whether the operand named in the guard `isnan(...)` of a row is NaN."""
    operand = x[OPERANDS.index(branch.guards[0][6])]
    return bool(operand != operand)


def _named(text: str, known: dict[str, str]) -> str:
    """Return a text of the table with its names replaced."""
    return re.sub(r"\b[a-z]\b", lambda found: known.get(found[0], found[0]), text)


class Select(Branching):
    """A selection written by the user. Its operands are pieces and sides of guards; the program holds the branch table.

    A decision is the number of a row: the first row whose guards hold, also where a guard is tied.
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
        """Tell for each operand whether it is a piece of some row."""
        pieces = {case.piece for case in call.cases}
        return [i in pieces for i in range(call.operands)]

    def compared(self, call: Call) -> list[int]:
        """Return the positions of the sides of guards."""
        return list({side for case in call.cases for g in case.guards for side in (g.left, g.right)})

    def decide(self, call: Call, x: list[Number]) -> int:
        """Return the number of the first row whose guards hold."""
        holds = (all(COMPARE[g.relation](x[g.left], x[g.right]) for g in case.guards) for case in call.cases)
        return next(index for index, held in enumerate(holds) if held)

    def values(self, call: Call, x: list[Number], decision: Any, forced: bool) -> list[Number]:
        """Return the value of the piece."""
        return [x[call.cases[decision].piece]]

    def partials(self, call: Call, x: list[Number], values: list[Number], decision: Any) -> Partials:
        """Return 1 for the operand that is the piece, and None for the others."""
        return [[call.number(1) if i == call.cases[decision].piece else None for i in range(call.operands)]]

    def reads(self, call: Call, decision: Any) -> list[int]:
        """Return the position of the piece."""
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
        """Return the pairs of sides of guards that are equal."""
        guards = [g for case in call.cases for g in case.guards]
        return {(names[g.left], names[g.right]) for g in guards if g.movable and x[g.left] == x[g.right]}

    def mixture_weights(self, call: Call) -> int:
        """Return one weight for each row."""
        return len(call.cases)

    def mixture(
        self, call: Call, x: list[Number], values: list[Number], decision: Any, draw: Callable[[int], float]
    ) -> tuple[list[Contribution], bool]:
        """Return the pieces of the rows that are reached, with random weights."""
        one, zero = call.number(1), call.number(0)
        rows = self._reached(call, x)
        found = [x[call.cases[i].piece] for i in rows]
        terms = [
            (0, call.cases[i].piece, w, one if i == decision else zero, one) for i, w in weighted(call, rows, draw)
        ]
        return terms, any(v != found[0] for v in found)

    def _reached(self, call: Call, x: list[Number]) -> list[int]:
        """Return the numbers of the rows that are reached when each tied guard is decided either way.

        With at most MOST_SIGNS tied pairs of operands, all guards of one pair are decided together, as smaller, equal
        or larger. With more pairs each guard is decided by itself, which may reach more rows.
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
        """Return the position of the operand that is the piece."""
        return call.cases[int(decision)].piece

    def branch(self, call: Call, decision: Any) -> int:
        """Return the number of the row."""
        return int(decision)

    def jumps(self, row: "Primitive") -> bool:
        """Return True, since the pieces of a user's selection need not agree at a tie."""
        return True

    def count(self, call: Call) -> int:
        """Return the number of different pieces."""
        return len({case.piece for case in call.cases})

    def pieces(self, call: Call) -> Iterator[int]:
        """Yield the number of the first row of each piece."""
        yield from {case.piece: i for i, case in reversed(list(enumerate(call.cases)))}.values()

    def table(self, call: Call, x: list[Number]) -> EvaluatedTable:
        """Return the branch table that the program holds."""
        result: EvaluatedTable = []
        differences: dict[tuple[int, int], Any] = {}
        for index, case in enumerate(call.cases):
            guards = []
            for g in case.guards:
                # The guards a < b and b > a share one difference object, so that it is given one sign.
                turned = RELATIONS[len(RELATIONS) - 1 - RELATIONS.index(g.relation)]
                inorder = g.left <= g.right
                pair, relation = ((g.left, g.right), g.relation) if inorder else ((g.right, g.left), turned)
                h = differences.setdefault(pair, x[pair[0]] - x[pair[1]])
                guards.append((h, relation, g.movable))
            result.append((guards, index))
        return result
