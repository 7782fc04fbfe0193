"""Symbolic arrays: what a user's function computes with while it is traced.

A symbolic array holds registers of the program under construction where a NumPy array holds numbers. It implements
NumPy's protocols (`__array_ufunc__`, `__array_function__`), so ordinary NumPy code works on it; `numpy_api` defines
what NumPy's functions do to a program. Rearranging an array rearranges registers, and adds no node to the program.
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
"""The largest number of rows of a condition. Combining a table of k rows with one of l rows makes up to k l rows."""

UFUNCS: dict[Any, Callable[..., Any]] = {}
"""The handler of each NumPy ufunc for symbolic arrays; filled by `numpy_api`."""

REDUCTIONS: dict[Any, Callable[..., Any]] = {}
"""The handler of the `reduce` method of each ufunc."""

FUNCTIONS: dict[Any, Callable[..., Any]] = {}
"""The handler of each other NumPy function for symbolic arrays."""

HINTS: dict[str, str] = {}
"""What to use instead of a NumPy function that cannot be traced, by its name."""

TRUTHS: dict[Any, Callable[..., Any]] = {}
"""The handler of a ufunc for operands that are all truth values, where NumPy then computes with truth values."""

RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
"""The relations of guards as functions of two numbers."""

IMPORTERS = {
    "torch": ("PyTorch", "simsa.from_torch(net, example_inputs, loss=...)"),
    "jax": ("JAX", "simsa.from_jax(loss, params, *example_inputs)"),
}
"""The frameworks whose models can be imported, by the names of their packages: their names, and what imports them."""


def foreign(package: str) -> str:
    """Return the message for a function of a framework that was to be traced. package: one of IMPORTERS."""
    name, call = IMPORTERS[package]
    return f"functions and modules of {name} cannot be traced; use {call}"


METHODS = frozenset(
    "all any argmax argmin clip cumprod cumsum diagonal dot max mean min prod ravel repeat round squeeze std sum "
    "swapaxes take trace var".split()
)
"""The methods that do the same as NumPy's function of that name."""


@dataclass(frozen=True)
class BranchTable(Generic[Outcome]):
    """An ordered branch table: the outcome of the first row whose comparisons all hold, and `otherwise` if none does.

    rows: pairs (comparisons, outcome). otherwise: the outcome of the last row, which has no comparison.

    A condition is kept as such a table and not as a formula of and, or and not, because a table is negated by negating
    its outcomes. The negation of a comparison is not a comparison: if x or y is NaN, both x < y and x >= y are false.
    """

    rows: tuple[tuple[tuple[Comparison, ...], Outcome], ...]
    otherwise: Outcome

    def __iter__(self) -> Iterator[tuple[tuple[Comparison, ...], Outcome]]:
        """Yield the rows, the last with no comparison."""
        yield from self.rows
        yield (), self.otherwise

    def then(self, follow: "Callable[[Outcome], BranchTable[Any]]") -> "BranchTable[Any]":
        """Return the table that replaces each outcome of this one by the table that `follow` returns for it."""
        rows: list[tuple[tuple[Comparison, ...], Any]] = []
        for guards, outcome in self:
            for more, final in follow(outcome):
                both = tuple(dict.fromkeys((*guards, *more)))
                if not both:
                    return BranchTable(tuple(rows), final)
                rows.append((both, final))
            if len(rows) > MOST_ROWS:
                raise ProgramError(f"a condition of more than {MOST_ROWS} alternatives; split it")
        raise AssertionError("the last row of a decision has no comparison")

    def trimmed(self) -> "BranchTable[Outcome]":
        """Return the table without trailing rows whose outcome is that of `otherwise`."""
        kept = list(self.rows)
        while kept and kept[-1][1] == self.otherwise:
            kept.pop()
        return BranchTable(tuple(kept), self.otherwise)


class Symbolic(NDArrayOperatorsMixin):
    """The base class of symbolic numbers and conditions.

    builder: of the program that is being traced. entries: a NumPy array of registers or of branch tables, which is
    indexed, reshaped and transposed as NumPy does.
    """

    kind = "value"

    def __init__(self, builder: Builder, entries: NDArray[Any]) -> None:
        self.builder, self.entries = builder, entries

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype that a NumPy array would have."""
        return np.dtype(np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape, as of a NumPy array."""
        return self.entries.shape

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return self.entries.ndim

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return self.entries.size

    @property
    def T(self) -> Any:
        """Return the array with its axes reversed."""
        return self.like(self.entries.T)

    def copy(self) -> Any:
        """Return a copy that can be written to without changing this array."""
        return self.like(self.entries.copy())

    def astype(self, dtype: Any) -> Any:
        """Return a copy; raises ProgramError for another dtype, since the precision is chosen when a program is run."""
        if np.dtype(dtype) != self.dtype:
            raise ProgramError(f"a symbolic {self.kind} is {self.dtype}, and cannot be made {np.dtype(dtype)}")
        return self.copy()

    def flatten(self) -> Any:
        """Return a copy with one axis."""
        return self.like(self.entries.flatten())

    def reshape(self, *shape: Any) -> Any:
        """Return the array in another shape, given as a tuple or as several numbers."""
        return self.like(self.entries.reshape(*shape))

    def transpose(self, *axes: Any) -> Any:
        """Return the array with its axes permuted, given as a tuple or as several numbers."""
        return self.like(self.entries.transpose(*axes))

    def __getattr__(self, name: str) -> Any:
        """Return one of METHODS, bound to this array."""
        if name in METHODS:
            return partial(getattr(np, name), self)
        if name in HINTS:
            raise ProgramError(f"the method {name} cannot be traced; {HINTS[name]}")
        raise AttributeError(f"a symbolic {self.kind} has no attribute '{name}'")

    def like(self, entries: Any) -> Any:
        """Return a symbolic array of the same kind and program with other entries."""
        return type(self)(self.builder, np.asarray(entries, self.entries.dtype))

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Any]:
        return map(self.like, self.entries)

    def __getitem__(self, key: Any) -> Any:
        if symbolic(key):
            raise ProgramError(
                "an index cannot depend on symbolic values; use np.where(condition, a, b) to choose between entries"
            )
        # np.asarray in `like` keeps views: writing into a slice writes into the array, as in NumPy.
        return self.like(self.entries[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = lift(value, self.builder)

    def __repr__(self) -> str:
        return f"<symbolic {self.kind}, shape {self.shape}>"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise ProgramError(
            "np.array cannot hold symbolic values; use np.stack([...]) or np.concatenate([...]), which can"
        )

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> NoReturn:
        """Raise ProgramError: functions of PyTorch look for this method before they compute anything."""
        raise ProgramError(foreign("torch"))

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
        """Apply the handler of a ufunc; with `out` (as in x += y), write the result there."""
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
        """Apply the handler of a NumPy function."""
        home = func.__module__.replace("numpy", "np", 1)
        return _call(FUNCTIONS.get(func), f"{home}.{func.__name__}", args, kwargs)


def _call(handler: Callable[..., Any] | None, name: str, args: Any, kwargs: Any) -> Any:
    """Call a handler; raises ProgramError if there is none, or if it does not take these arguments."""
    if handler is None:
        usual = "write it with arithmetic, np.where, the usual functions of NumPy and those of simsa"
        raise ProgramError(f"{name} cannot be traced; {HINTS.get(name.rpartition('.')[2], usual)}")
    try:
        signature(handler).bind(*args, **kwargs)
    except TypeError as error:
        raise ProgramError(f"{name} cannot be traced with these arguments: {error}") from None
    return handler(*args, **kwargs)


class Array(Symbolic):
    """Symbolic numbers. entries: their registers, int64, of any shape."""

    kind = "array"


class Condition(Symbolic):
    """Symbolic truth values. entries: a `BranchTable` between True and False in each, of any shape.

    Where a number is expected, a condition is the selection of the constants 1 and 0.
    """

    kind = "condition"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the dtype that a NumPy array would have."""
        return np.dtype(np.bool_)

    def astype(self, dtype: Any) -> Any:
        """Return a copy; for a dtype of numbers, the numbers 1 and 0."""
        if np.dtype(dtype).kind in "iuf":
            return Array(self.builder, lift(self, self.builder))
        return super().astype(dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = decide(value, self.builder)[()]


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
    """Return the builder of the symbolic values; raises ProgramError unless they have exactly one."""
    builders = {id(leaf.builder): leaf.builder for leaf in _leaves(values)}
    if len(builders) != 1:
        raise ProgramError("symbolic values of two programs meet; use only the arguments of the function being traced")
    return next(iter(builders.values()))


def lift(value: Any, builder: Builder, allowed: Sequence[float] = ()) -> NDArray[np.int64]:
    """Return the registers of a value, int64, of its shape.

    value: symbolic or not. Numbers become constants, and conditions become selections of the constants 1 and 0.
    builder: of the program. allowed: the infinities that a number may be, for instance as a side of a comparison.
    Raises ProgramError for a value that is not a number, and for a number that is neither finite nor allowed.
    """
    if isinstance(value, Condition):
        return choose([(value, 1.0)], Array(builder, np.array(builder.constant(0.0)))).entries
    if isinstance(value, Array):
        if value.builder is not builder:
            builder_of(value, Array(builder, value.entries))
        return value.entries
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
    """Raise ProgramError for a constant that is neither finite nor one of the infinities `allowed`."""
    wrong = ~np.isfinite(numbers) & ~np.isin(numbers, allowed)
    if wrong.any():
        raise ProgramError(f"the constant {numbers[wrong].flat[0]} is not finite")


def _named(value: Any) -> str:
    """Return how a message names a value: by its repr if that is short, else by its type."""
    text = repr(value)
    return text if len(text) <= 40 else f"a value of type {type(value).__name__}"


def decide(value: Any, builder: Builder) -> NDArray[Any]:
    """Return the branch tables of a condition; truth values become tables without rows."""
    if isinstance(value, Condition):
        return value.entries
    if isinstance(value, Symbolic) or np.asarray(value).dtype != np.bool_:
        raise ProgramError("expected a condition such as x > 0; write x != 0 if that is meant")
    known = np.asarray(value)
    entries = np.empty(known.shape, object)
    for index, truth in np.ndenumerate(known):
        entries[index] = BranchTable((), bool(truth))
    return entries


INFINITIES = (-math.inf, math.inf)

UNBOUNDED: dict[str, tuple[tuple[float, ...], ...]] = {
    "maximum": (INFINITIES[:1],) * 2,
    "minimum": (INFINITIES[1:],) * 2,
    "clip": ((), INFINITIES[:1], INFINITIES[1:]),
}
"""The infinities that each operand of a primitive may be, as a bound that has no effect."""


def elementwise(name: str, *operands: Any, immediates: Sequence[Any] = (), tie: str | None = None) -> Array:
    """Apply a primitive entry by entry, with NumPy's broadcasting.

    name: of a row of the table. operands: symbolic or not. immediates: numbers, or arrays that are broadcast as well.
    tie: a spelling or rule, as for `Builder.apply`.
    """
    builder = builder_of(*operands)
    allowed = UNBOUNDED.get(name, ((),) * len(operands))
    registers = [lift(operand, builder, bounds) for operand, bounds in zip(operands, allowed, strict=True)]
    given = [np.asarray(number, np.float64) for number in immediates]
    for number in given:
        finite(number)
    entries, *rest = np.broadcast_arrays(*registers, *given)
    result = np.empty(entries.shape, np.int64)
    for index in np.ndindex(entries.shape):
        scalars: list[Any] = [array[index] for array in (entries, *rest)]
        reads, numbers = scalars[: len(registers)], scalars[len(registers) :]
        result[index] = builder.apply(name, reads, numbers, tie=tie)
    return Array(builder, result)


def compare(relation: str, left: Any, right: Any) -> Condition:
    """Return the condition `left relation right`, entry by entry.

    relation: one of RELATIONS. left, right: symbolic or not. If both sides are constants or selections of constants,
    the condition is decided by the guards of these selections: (x > 0) == 1 becomes x > 0. A guard of its own would be
    tied wherever x > 0.
    """
    builder = builder_of(left, right)
    a, b = np.broadcast_arrays(lift(left, builder, INFINITIES), lift(right, builder, INFINITIES))
    entries = np.empty(a.shape, object)
    for index in np.ndindex(a.shape):
        one, two = int(a[index]), int(b[index])
        first, second = constant_table(builder, one), constant_table(builder, two)
        if first is None or second is None:
            entries[index] = BranchTable(((((one, relation, two),), True),), otherwise=False)
        else:
            entries[index] = _product(first, second, RELATIONS[relation])
    return Condition(builder, entries)


def constant_table(builder: Builder, register: int) -> BranchTable[float] | None:
    """Return the branch table of a constant or of a selection of constants; None for any other register."""
    node = builder.node.get(register)
    if node is None:
        return None
    if node.primitive == "constant":
        return BranchTable((), node.immediates[0])
    if not node.cases:
        return None
    pieces = [builder.node.get(node.operands[case.piece]) for case in node.cases]
    if any(piece is None or piece.primitive != "constant" for piece in pieces):
        return None
    *rows, last = [
        (tuple((node.operands[g.left], g.relation, node.operands[g.right]) for g in case.guards), piece.immediates[0])
        for case, piece in zip(node.cases, pieces, strict=True)
        if piece is not None
    ]
    return BranchTable(tuple(rows), last[1])


def combine(left: Any, right: Any, both: Callable[[bool, bool], bool]) -> Condition:
    """Return a condition made of two, entry by entry.

    left, right: conditions or truth values. both: the function of their two truth values, such as `and`.
    """
    builder = builder_of(left, right)
    a, b = np.broadcast_arrays(decide(left, builder), decide(right, builder))
    entries = np.empty(a.shape, object)
    for index in np.ndindex(a.shape):
        first: Any = a[index]
        second: Any = b[index]
        entries[index] = _product(first, second, both)
    return Condition(builder, entries)


def _product(a: BranchTable[Any], b: BranchTable[Any], both: Callable[[Any, Any], bool]) -> BranchTable[bool]:
    """Return the table of `both` outcomes of a and b. Where the outcome of a decides alone, b is not compared."""

    def follow(first: Any) -> BranchTable[bool]:
        found = {bool(both(first, second)) for _, second in b}
        if len(found) == 1:
            return BranchTable((), found.pop())
        rows = tuple((guards, bool(both(first, second))) for guards, second in b.rows)
        return BranchTable(rows, bool(both(first, b.otherwise)))

    return a.then(follow).trimmed()


def negate(value: Condition) -> Condition:
    """Return the condition that holds exactly where `value` does not, also where an operand is NaN."""
    entries = np.empty(value.shape, object)
    for index in np.ndindex(value.shape):
        decision: Any = value.entries[index]
        entries[index] = BranchTable(
            tuple((guards, not truth) for guards, truth in decision.rows), not decision.otherwise
        )
    return Condition(value.builder, entries)


def choose(rows: Iterable[tuple[Any, Any]], otherwise: Any) -> Array:
    """Return the value of the first row whose condition holds, as one selection for each entry.

    rows: pairs (condition, value). otherwise: the value where no condition holds.
    """
    listed = list(rows)
    builder = builder_of(*chain.from_iterable(listed), otherwise)
    conditions = [decide(condition, builder) for condition, _ in listed]
    values = [lift(value, builder) for _, value in listed]
    last, *arrays = np.broadcast_arrays(lift(otherwise, builder), *conditions, *values)
    result = np.empty(last.shape, np.int64)
    for index in np.ndindex(last.shape):
        scalars = [array[index] for array in arrays]
        table: BranchTable[int] = BranchTable((), int(last[index]))
        for decision, value in reversed(list(zip(scalars[: len(listed)], scalars[len(listed) :], strict=True))):
            table = _case(decision, int(value), table)
        result[index] = builder.select(table.rows, table.otherwise) if table.rows else table.otherwise
    return Array(builder, result)


def undefined(builder: Builder) -> Array:
    """Return the constant NaN, as the last row of a table that is reached only for NaN or for an invalid label."""
    return Array(builder, np.array(builder.constant(math.nan)))


def _case(decision: BranchTable[bool], value: int, rest: BranchTable[int]) -> BranchTable[int]:
    """Return the table with the outcome `value` where `decision` is true, and the outcomes of `rest` elsewhere."""
    return decision.then(lambda truth: BranchTable((), value) if truth else rest)
