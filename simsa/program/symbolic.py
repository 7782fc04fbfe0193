"""Symbolic arrays: what a user's function computes with while it is traced.

An array holds registers of a program under construction where NumPy's would hold numbers. It goes through NumPy's own
protocols (`__array_ufunc__`, `__array_function__`), so ordinary NumPy code works on it; what NumPy's functions mean for
a program stands in `numpy_api`. Rearranging an array rearranges registers, and costs the program nothing.
"""

import math
import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from itertools import chain
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from simsa.errors import ProgramError
from simsa.program.program import Builder

Outcome = TypeVar("Outcome")
Comparison = tuple[int, str, int]
"""A guard between registers: left, relation, right."""

MOST_ROWS = 4096
"""Rows beyond which a condition is refused: combining k alternatives with l others makes up to k l of them."""

UFUNCS: dict[Any, Callable[..., Any]] = {}
"""What each NumPy ufunc does to symbolic arrays, by the ufunc; filled by `numpy_api`."""

REDUCTIONS: dict[Any, Callable[..., Any]] = {}
"""What the `reduce` of a ufunc does, by the ufunc."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""What each other NumPy function does to symbolic arrays, by the function."""

HINTS: dict[str, str] = {}
"""What to use instead of a NumPy function that cannot be traced, by its name."""

TRUTHS: dict[Any, Callable[..., Any]] = {}
"""What a ufunc does where all its operands are truth values, if NumPy then does not compute with numbers."""

RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
"""The relations of guards, between numbers."""

METHODS = frozenset(
    "all any argmax argmin clip cumprod cumsum diagonal dot max mean min prod ravel repeat round squeeze std sum "
    "swapaxes take trace var".split()
)
"""Methods that do what the function of NumPy of that name does."""


@dataclass(frozen=True)
class Decision(Generic[Outcome]):
    """An ordered branch table: the outcome of the first row whose comparisons all hold, and `otherwise` if none does.

    Unlike a formula of and, or and not, it can be negated without touching its comparisons. (not x < y is no
    comparison, for x or y may be NaN.)
    """

    rows: tuple[tuple[tuple[Comparison, ...], Outcome], ...]
    otherwise: Outcome

    def __iter__(self) -> Iterator[tuple[tuple[Comparison, ...], Outcome]]:
        """Yield the rows, the last with no comparison."""
        yield from self.rows
        yield (), self.otherwise

    def then(self, follow: "Callable[[Outcome], Decision[Any]]") -> "Decision[Any]":
        """Return the table that decides as this one, and goes on with the table that `follow` makes of the outcome."""
        rows: list[tuple[tuple[Comparison, ...], Any]] = []
        for guards, outcome in self:
            for more, final in follow(outcome):
                both = tuple(dict.fromkeys((*guards, *more)))
                if not both:
                    return Decision(tuple(rows), final)
                rows.append((both, final))
            if len(rows) > MOST_ROWS:
                raise ProgramError(f"a condition of more than {MOST_ROWS} alternatives; split it")
        raise AssertionError("the last row of a decision has no comparison")

    def trimmed(self) -> "Decision[Outcome]":
        """Return the table without the last rows that decide what `otherwise` decides."""
        kept = list(self.rows)
        while kept and kept[-1][1] == self.otherwise:
            kept.pop()
        return Decision(tuple(kept), self.otherwise)


class Symbolic(NDArrayOperatorsMixin):
    """What symbolic numbers and conditions share: a builder, and cells that are rearranged as NumPy rearranges."""

    kind = "value"

    def __init__(self, builder: Builder, cells: NDArray[Any]) -> None:
        self.builder, self.cells = builder, cells

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type that NumPy's entries would have."""
        return np.dtype(np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape, as of a NumPy array."""
        return self.cells.shape

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return self.cells.ndim

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return self.cells.size

    @property
    def T(self) -> Any:
        """Return the array with its axes reversed."""
        return self.like(self.cells.T)

    def copy(self) -> Any:
        """Return a copy that can be written to without changing this array."""
        return self.like(self.cells.copy())

    def astype(self, dtype: Any) -> Any:
        """Return a copy; raises ProgramError for another type, since precision is a matter of the run."""
        if np.dtype(dtype) != self.dtype:
            raise ProgramError(f"a symbolic {self.kind} is {self.dtype}, and cannot be made {np.dtype(dtype)}")
        return self.copy()

    def flatten(self) -> Any:
        """Return a copy with one axis."""
        return self.like(self.cells.flatten())

    def reshape(self, *shape: Any) -> Any:
        """Return the array in another shape, given as a tuple or as several numbers."""
        return self.like(self.cells.reshape(*shape))

    def transpose(self, *axes: Any) -> Any:
        """Return the array with its axes permuted, given as a tuple or as several numbers."""
        return self.like(self.cells.transpose(*axes))

    def __getattr__(self, name: str) -> Any:
        """Return a method of NumPy's arrays that is also a function of NumPy's."""
        if name in METHODS:
            return partial(getattr(np, name), self)
        if name in HINTS:
            raise ProgramError(f"the method {name} cannot be traced; {HINTS[name]}")
        raise AttributeError(f"a symbolic {self.kind} has no attribute '{name}'")

    def like(self, cells: Any) -> Any:
        """Return a symbolic array of the same kind and program."""
        return type(self)(self.builder, np.asarray(cells, self.cells.dtype))

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[Any]:
        return map(self.like, self.cells)

    def __getitem__(self, key: Any) -> Any:
        if symbolic(key):
            raise ProgramError(
                "an index cannot depend on symbolic values; use np.where(condition, a, b) to choose between entries"
            )
        # np.asarray in `like` keeps views: writing into a slice writes into the array, as in NumPy.
        return self.like(self.cells[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.cells[key] = lift(value, self.builder)

    def __repr__(self) -> str:
        return f"<symbolic {self.kind}, shape {self.shape}>"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise ProgramError(
            "np.array cannot hold symbolic values; use np.stack([...]) or np.concatenate([...]), which can"
        )

    def __bool__(self) -> NoReturn:
        raise ProgramError(
            "a symbolic value is neither true nor false while a program is traced: use np.where(condition, a, b) in "
            "place of if, while, and, or, not; and np.maximum, np.minimum, np.sort in place of max, min, sorted"
        )

    def __float__(self) -> NoReturn:
        raise ProgramError(
            "a symbolic value is no number while a program is traced: use NumPy's functions in place of float and "
            "math; and write into np.zeros_like(x) or a copy of x, not into an array of NumPy's"
        )

    def __int__(self) -> NoReturn:
        self.__float__()

    def __index__(self) -> NoReturn:
        raise ProgramError("a symbolic value cannot be an index or a count; use np.where(condition, a, b) to choose")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        """Do what a ufunc means for a program; with `out` (as in x += y), write it there."""
        table = {"__call__": UFUNCS, "reduce": REDUCTIONS}.get(method, {})
        if method == "__call__" and ufunc in TRUTHS and all(map(truth, inputs)):
            table = TRUTHS
        home = "np." if getattr(np, ufunc.__name__, None) is ufunc else ""
        name = f"{home}{ufunc.__name__}" + (f".{method}" if method != "__call__" else "")
        if method == "reduce":
            options = {"axis": 0, **options}
        result = _call(table.get(ufunc), name, inputs, options)
        for target in out:
            if not isinstance(target, Symbolic):
                raise ProgramError(f"{name} cannot write symbolic values into a NumPy array; assign its result")
            target[...] = result
            return target
        return result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Do what a NumPy function means for a program."""
        home = func.__module__.replace("numpy", "np", 1)
        return _call(FUNCTIONS.get(func), f"{home}.{func.__name__}", args, kwargs)


def _call(handler: Callable[..., Any] | None, name: str, args: Any, kwargs: Any) -> Any:
    """Call a handler, or raise ProgramError if there is none or it does not know an argument."""
    if handler is None:
        usual = "write it with arithmetic, np.where, the usual functions of NumPy and those of simsa"
        raise ProgramError(f"{name} cannot be traced; {HINTS.get(name.rpartition('.')[2], usual)}")
    try:
        signature(handler).bind(*args, **kwargs)
    except TypeError as error:
        raise ProgramError(f"{name} cannot be traced with these arguments: {error}") from None
    return handler(*args, **kwargs)


class Array(Symbolic):
    """Symbolic numbers. cells: registers, int64, of any shape."""

    kind = "array"


class Condition(Symbolic):
    """Symbolic truth values. cells: a `Decision` between True and False in each, of any shape.

    Where a number is expected, a condition is the selection of the constants 1 and 0.
    """

    kind = "condition"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type that NumPy's entries would have."""
        return np.dtype(np.bool_)

    def astype(self, dtype: Any) -> Any:
        """Return a copy, or as numbers 1 and 0 if the type is one of numbers."""
        if np.dtype(dtype).kind in "iuf":
            return Array(self.builder, lift(self, self.builder))
        return super().astype(dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.cells[key] = decide(value, self.builder)[()]


def truth(value: Any) -> bool:
    """Tell whether a value is a condition, or an array of truth values."""
    return isinstance(value, Condition) or (not isinstance(value, Symbolic) and np.asarray(value).dtype == np.bool_)


def symbolic(value: Any) -> bool:
    """Tell whether a value is symbolic, or a list or tuple that holds one."""
    return next(_leaves(value), None) is not None


def _leaves(value: Any) -> Iterator[Symbolic]:
    """Yield the symbolic values in nested lists and tuples."""
    if isinstance(value, Symbolic):
        yield value
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_leaves, value))


def builder_of(*values: Any) -> Builder:
    """Return the builder that the symbolic ones of the values belong to; raises ProgramError if they have several."""
    builders = {id(leaf.builder): leaf.builder for leaf in _leaves(values)}
    if len(builders) != 1:
        raise ProgramError("symbolic values of two programs meet; use only the arguments of the function being traced")
    return next(iter(builders.values()))


def lift(value: Any, builder: Builder, allowed: Sequence[float] = ()) -> NDArray[np.int64]:
    """Return the registers of a value; numbers become constants, and conditions selections of the constants 1 and 0.

    allowed: infinities that a number may be, as a side of a comparison may. Raises ProgramError for what is no number,
    and for any other number that is not finite: what is computed from it is no function.
    """
    if isinstance(value, Condition):
        return choose([(value, 1.0)], Array(builder, np.array(builder.constant(0.0)))).cells
    if isinstance(value, Array):
        if value.builder is not builder:
            builder_of(value, Array(builder, value.cells))
        return value.cells
    if isinstance(value, list | tuple):
        parts = [lift(part, builder, allowed) for part in value]
        if len({part.shape for part in parts}) > 1:
            raise ProgramError("the entries of a list differ in shape")
        return np.array(parts, np.int64)
    try:
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "biuf":
            raise TypeError
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        large = isinstance(value, int) and abs(value) > sys.float_info.max
        what = "the constant is too large for float64" if large else f"expected numbers, got {_named(value)}"
        raise ProgramError(what) from None
    finite(numbers, allowed)
    registers = np.empty(numbers.shape, np.int64)
    for index, number in np.ndenumerate(numbers):
        registers[index] = builder.constant(number)
    return registers


def finite(numbers: NDArray[np.float64], allowed: Sequence[float] = ()) -> None:
    """Refuse a constant that is not finite, unless it is one of those `allowed`."""
    wrong = ~np.isfinite(numbers) & ~np.isin(numbers, allowed)
    if wrong.any():
        raise ProgramError(f"the constant {numbers[wrong].flat[0]} is not finite")


def _named(value: Any) -> str:
    """Return a value for a message: itself if it is short, or else its type."""
    text = repr(value)
    return text if len(text) <= 40 else f"a value of type {type(value).__name__}"


def decide(value: Any, builder: Builder) -> NDArray[Any]:
    """Return the decisions of a condition; truth values become decisions with no row."""
    if isinstance(value, Condition):
        return value.cells
    if isinstance(value, Symbolic) or np.asarray(value).dtype != np.bool_:
        raise ProgramError("expected a condition such as x > 0; write x != 0 if that is meant")
    known = np.asarray(value)
    cells = np.empty(known.shape, object)
    for index, truth in np.ndenumerate(known):
        cells[index] = Decision((), bool(truth))
    return cells


INFINITIES = (-math.inf, math.inf)

UNBOUNDED: dict[str, tuple[tuple[float, ...], ...]] = {
    "maximum": (INFINITIES[:1],) * 2,
    "minimum": (INFINITIES[1:],) * 2,
    "clip": ((), INFINITIES[:1], INFINITIES[1:]),
}
"""The infinities that operands of a primitive may be: bounds that never bind."""


def elementwise(name: str, *operands: Any, immediates: Sequence[Any] = (), tie: str | None = None) -> Array:
    """Apply a primitive entry by entry, with NumPy's broadcasting.

    immediates: numbers, or arrays that are broadcast as well. tie: as in `Builder.apply`.
    """
    builder = builder_of(*operands)
    allowed = UNBOUNDED.get(name, ((),) * len(operands))
    registers = [lift(operand, builder, bounds) for operand, bounds in zip(operands, allowed, strict=True)]
    given = [np.asarray(number, np.float64) for number in immediates]
    for number in given:
        finite(number)
    cells, *rest = np.broadcast_arrays(*registers, *given)
    result = np.empty(cells.shape, np.int64)
    for index in np.ndindex(cells.shape):
        entries: list[Any] = [array[index] for array in (cells, *rest)]
        reads, numbers = entries[: len(registers)], entries[len(registers) :]
        result[index] = builder.apply(name, reads, numbers, tie=tie)
    return Array(builder, result)


def compare(relation: str, left: Any, right: Any) -> Condition:
    """Return the condition `left relation right`, entry by entry.

    Between constants, and selections of constants, it is decided by what these select: (x > 0) == 1 is x > 0, and not a
    guard of its own that would be tied wherever x > 0.
    """
    builder = builder_of(left, right)
    a, b = np.broadcast_arrays(lift(left, builder, INFINITIES), lift(right, builder, INFINITIES))
    cells = np.empty(a.shape, object)
    for index in np.ndindex(a.shape):
        one, two = int(a[index]), int(b[index])
        first, second = steps(builder, one), steps(builder, two)
        if first is None or second is None:
            cells[index] = Decision(((((one, relation, two),), True),), otherwise=False)
        else:
            cells[index] = _product(first, second, RELATIONS[relation])
    return Condition(builder, cells)


def steps(builder: Builder, register: int) -> Decision[float] | None:
    """Return a constant, or a selection of constants, as the table of its values; None for any other register."""
    node = builder.node.get(register)
    if node is None:
        return None
    if node.primitive == "constant":
        return Decision((), node.immediates[0])
    if not node.rows:
        return None
    pieces = [builder.node.get(node.operands[row.piece]) for row in node.rows]
    if any(piece is None or piece.primitive != "constant" for piece in pieces):
        return None
    *rows, last = [
        (tuple((node.operands[g.left], g.relation, node.operands[g.right]) for g in row.guards), piece.immediates[0])
        for row, piece in zip(node.rows, pieces, strict=True)
        if piece is not None
    ]
    return Decision(tuple(rows), last[1])


def combine(left: Any, right: Any, both: Callable[[bool, bool], bool]) -> Condition:
    """Return the condition that holds where `both` of the truths of two conditions is true."""
    builder = builder_of(left, right)
    a, b = np.broadcast_arrays(decide(left, builder), decide(right, builder))
    cells = np.empty(a.shape, object)
    for index in np.ndindex(a.shape):
        first: Any = a[index]
        second: Any = b[index]
        cells[index] = _product(first, second, both)
    return Condition(builder, cells)


def _product(a: Decision[Any], b: Decision[Any], both: Callable[[Any, Any], bool]) -> Decision[bool]:
    """Return the decision of `both`; where the first outcome decides alone, the second is not asked."""

    def follow(first: Any) -> Decision[bool]:
        found = {bool(both(first, second)) for _, second in b}
        if len(found) == 1:
            return Decision((), found.pop())
        rows = tuple((guards, bool(both(first, second))) for guards, second in b.rows)
        return Decision(rows, bool(both(first, b.otherwise)))

    return a.then(follow).trimmed()


def negate(value: Condition) -> Condition:
    """Return the condition that holds where `value` does not, NaN included."""
    cells = np.empty(value.shape, object)
    for index in np.ndindex(value.shape):
        decision: Any = value.cells[index]
        cells[index] = Decision(tuple((guards, not truth) for guards, truth in decision.rows), not decision.otherwise)
    return Condition(value.builder, cells)


def choose(rows: Iterable[tuple[Any, Any]], otherwise: Any) -> Array:
    """Return the value of the first row (condition, value) whose condition holds, as one selection per entry."""
    listed = list(rows)
    builder = builder_of(*chain.from_iterable(listed), otherwise)
    conditions = [decide(condition, builder) for condition, _ in listed]
    values = [lift(value, builder) for _, value in listed]
    last, *arrays = np.broadcast_arrays(lift(otherwise, builder), *conditions, *values)
    result = np.empty(last.shape, np.int64)
    for index in np.ndindex(last.shape):
        entries = [array[index] for array in arrays]
        table: Decision[int] = Decision((), int(last[index]))
        for decision, value in reversed(list(zip(entries[: len(listed)], entries[len(listed) :], strict=True))):
            table = _case(decision, int(value), table)
        result[index] = builder.select(table.rows, table.otherwise) if table.rows else table.otherwise
    return Array(builder, result)


def undefined(builder: Builder) -> Array:
    """Return NaN, for the last row of a table that nothing comes to but NaN and what is no datum."""
    return Array(builder, np.array(builder.constant(math.nan)))


def _case(decision: Decision[bool], value: int, rest: Decision[int]) -> Decision[int]:
    """Return the table that gives `value` where the decision is true, and goes on with `rest` where it is not."""
    return decision.then(lambda truth: Decision((), value) if truth else rest)
