"""Symbolic arrays: what a user's function computes with while it is traced.

An array holds registers of a program under construction where NumPy's would hold numbers. It goes through NumPy's own
protocols (`__array_ufunc__`, `__array_function__`), so ordinary NumPy code works on it; what NumPy's functions mean for
a program stands in `numpy_api`. Rearranging an array rearranges registers, and costs the program nothing.
"""

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

METHODS = frozenset(
    "all any clip cumprod cumsum diagonal dot max mean min prod ravel repeat squeeze std sum swapaxes take "
    "trace var".split()
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
    """Symbolic truth values. cells: a `Decision` between True and False in each, of any shape."""

    kind = "condition"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type that NumPy's entries would have."""
        return np.dtype(np.bool_)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.cells[key] = decide(value, self.builder)[()]


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


def lift(value: Any, builder: Builder) -> NDArray[np.int64]:
    """Return the registers of a value; numbers become constants. Raises ProgramError for what is no number."""
    if isinstance(value, Condition):
        raise ProgramError("a condition is no number; use np.where(condition, a, b)")
    if isinstance(value, Array):
        if value.builder is not builder:
            builder_of(value, Array(builder, value.cells))
        return value.cells
    if isinstance(value, list | tuple):
        parts = [lift(part, builder) for part in value]
        if len({part.shape for part in parts}) > 1:
            raise ProgramError("the entries of a list differ in shape")
        return np.array(parts, np.int64)
    try:
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "biuf":
            raise TypeError
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ProgramError(f"expected numbers, got {_named(value)}") from None
    registers = np.empty(numbers.shape, np.int64)
    for index, number in np.ndenumerate(numbers):
        registers[index] = builder.constant(number)
    return registers


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


def elementwise(name: str, *operands: Any, immediates: Sequence[Any] = (), tie: str | None = None) -> Array:
    """Apply a primitive entry by entry, with NumPy's broadcasting.

    immediates: numbers, or arrays that are broadcast as well. tie: as in `Builder.apply`.
    """
    builder = builder_of(*operands)
    registers = [lift(operand, builder) for operand in operands]
    given = [np.asarray(number, np.float64) for number in immediates]
    cells, *rest = np.broadcast_arrays(*registers, *given)
    result = np.empty(cells.shape, np.int64)
    for index in np.ndindex(cells.shape):
        entries: list[Any] = [array[index] for array in (cells, *rest)]
        reads, numbers = entries[: len(registers)], entries[len(registers) :]
        result[index] = builder.apply(name, reads, numbers, tie=tie)
    return Array(builder, result)


def compare(relation: str, left: Any, right: Any) -> Condition:
    """Return the condition `left relation right`, entry by entry."""
    builder = builder_of(left, right)
    a, b = np.broadcast_arrays(lift(left, builder), lift(right, builder))
    cells = np.empty(a.shape, object)
    for index in np.ndindex(a.shape):
        cells[index] = Decision(((((int(a[index]), relation, int(b[index])),), True),), otherwise=False)
    return Condition(builder, cells)


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


def _product(a: Decision[bool], b: Decision[bool], both: Callable[[bool, bool], bool]) -> Decision[bool]:
    """Return the decision of `both`; where the first truth decides alone, the second is not asked."""

    def follow(first: bool) -> Decision[bool]:
        if both(first, True) == both(first, False):
            return Decision((), both(first, True))
        return Decision(tuple((guards, both(first, second)) for guards, second in b.rows), both(first, b.otherwise))

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


def _case(decision: Decision[bool], value: int, rest: Decision[int]) -> Decision[int]:
    """Return the table that gives `value` where the decision is true, and goes on with `rest` where it is not."""
    return decision.then(lambda truth: Decision((), value) if truth else rest)
