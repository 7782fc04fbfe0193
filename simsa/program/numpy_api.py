"""What NumPy's functions do to symbolic arrays: each adds nodes to the program, or rearranges registers.

A sum is one `sum` node, a product of a matrix and a vector one `dense`, a maximum over an axis one `max` for each entry
of the result. A NumPy function that has no handler here raises ProgramError.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.typing import NDArray

from simsa.errors import ProgramError
from simsa.primitives import FRAMEWORKS, ROW, ROWS
from simsa.program.program import Builder
from simsa.program.symbolic import (
    FUNCTIONS,
    HINTS,
    REDUCTIONS,
    TRUTHS,
    UFUNCS,
    Array,
    BranchTable,
    Condition,
    Symbolic,
    builder_of,
    choose,
    combine,
    compare,
    constant_table,
    decide,
    elementwise,
    finite,
    lift,
    negate,
    symbolic,
    truth,
    undefined,
)

Registers = NDArray[np.int64]
Axis = int | tuple[int, ...] | None

SPELLINGS = {"sub": "subtract", "mul": "multiply", "div": "divide", "neg": "negative", "abs": "absolute"}
"""NumPy's names of rows of the table, where they differ."""

_DISCONTINUOUS = "it is not continuous; what cancels elsewhere can be written with np.where(condition, a, b), np.floor"
_INDEX = "an index is not differentiable; np.sort, np.max, np.min, np.where and np.argmax give values"
_MISSING = "the table of primitives has no such row"

HINTS.update(
    dict.fromkeys(("copysign", "floor_divide", "remainder", "fmod", "divmod", "signbit", "modf"), _DISCONTINUOUS)
    | dict.fromkeys(("argsort", "searchsorted", "nonzero", "argwhere", "unique"), _INDEX)
    | dict.fromkeys(("arctan", "arcsin", "arccos", "arctan2", "arcsinh", "arccosh", "arctanh", "cbrt"), _MISSING)
    | dict.fromkeys(("einsum", "tensordot", "kron"), "use @, np.dot, np.outer or np.sum")
    | {"piecewise": "use np.where, np.select or simsa.piecewise", "erf": "use simsa.erf", "expit": "use simsa.sigmoid"}
)


def implements(table: dict[Any, Callable[..., Any]], *functions: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that enters a handler of `functions` into one of the tables of `symbolic`."""

    def enter(handler: Callable[..., Any]) -> Callable[..., Any]:
        table.update(dict.fromkeys(functions, handler))
        return handler

    return enter


def spelling(builder: Builder, primitive: str, ending: str) -> str | None:
    """Return the spelling of a variant of a primitive in the framework of the builder's convention.

    builder: of the program. primitive: the name of its row. ending: how the spelling ends, such as ".fmax". None if the
    framework has no such spelling.
    """
    prefixes = FRAMEWORKS[builder.convention.base]
    return next((s for s in ROW[primitive].ties if s.startswith(prefixes) and s.endswith(ending)), None)


# Entry by entry.


def _entrywise(name: str) -> Callable[..., Any]:
    """Return the handler of a ufunc that is a row of the table."""
    if ROW[name].arity == 1:
        return lambda x: elementwise(name, x)
    return lambda x, y: elementwise(name, x, y)


for _row in ROWS:
    _ufunc = getattr(np, SPELLINGS.get(_row.name, _row.name), None)
    if isinstance(_ufunc, np.ufunc) and _ufunc.nin == _row.arity and not _row.immediates:
        UFUNCS[_ufunc] = _entrywise(_row.name)

UFUNCS[np.fabs] = UFUNCS[np.absolute]
UFUNCS[np.positive] = lambda x: x.copy()
UFUNCS[np.reciprocal] = lambda x: elementwise("div", 1.0, x)
UFUNCS[np.exp2] = lambda x: elementwise("pow", 2.0, x)
UFUNCS[np.log2] = lambda x: np.log(x) / math.log(2)
UFUNCS[np.log10] = lambda x: np.log(x) / math.log(10)
UFUNCS[np.sinh] = lambda x: (np.expm1(x) - np.expm1(-x)) / 2
UFUNCS[np.cosh] = lambda x: (np.exp(x) + np.exp(-x)) / 2
UFUNCS[np.deg2rad] = UFUNCS[np.radians] = lambda x: x * (math.pi / 180)
UFUNCS[np.rad2deg] = UFUNCS[np.degrees] = lambda x: x * (180 / math.pi)


@implements(UFUNCS, np.divide)
def _divide(x: Any, y: Any) -> Array:
    builder = builder_of(x, y)
    below = Array(builder, lift(y, builder))
    if any(
        (step := constant_table(builder, int(r))) and not step.rows and step.otherwise == 0 for r in below.entries.flat
    ):
        raise ProgramError("a quotient by the constant 0 is not finite")
    return elementwise("div", x, below)


@implements(UFUNCS, np.fmax)
def _fmax(x: Any, y: Any) -> Array:
    # np.fmax ignores a NaN; this does not, since a NaN reaches the value of every row of the table.
    return elementwise("maximum", x, y, tie=spelling(builder_of(x, y), "maximum", ".fmax"))


@implements(UFUNCS, np.fmin)
def _fmin(x: Any, y: Any) -> Array:
    return elementwise("minimum", x, y, tie=spelling(builder_of(x, y), "minimum", ".fmin"))


@implements(UFUNCS, np.hypot)
def _hypot(x: Any, y: Any) -> Array:
    builder = builder_of(x, y)
    pairs = np.stack(np.broadcast_arrays(lift(x, builder), lift(y, builder)), axis=-1)
    return norm(Array(builder, pairs), -1, tie=spelling(builder, "norm", ".hypot"))


@implements(UFUNCS, np.power, np.float_power)
def power(x: Any, y: Any) -> Array:
    """Return x ** y; a constant exponent of 0, 1, 2 or -1 becomes 1, x, a square or a quotient."""
    if symbolic(y):
        return elementwise("pow", x, y)
    builder = builder_of(x)
    finite(given := np.asarray(y, np.float64))
    bases, exponents = np.broadcast_arrays(lift(x, builder), given)
    result = np.empty(bases.shape, np.int64)
    for index, base in np.ndenumerate(bases):
        match exponent := float(exponents[index]):
            case 0.0:
                result[index] = builder.constant(1.0)
            case 1.0:
                result[index] = base
            case 2.0:
                result[index] = builder.apply("square", [base])
            case -1.0:
                result[index] = builder.apply("div", [builder.constant(1.0), base])
            case _:
                result[index] = builder.apply("power", [base], [exponent])
    return Array(builder, result)


@implements(UFUNCS, np.logaddexp)
def _logaddexp(x: Any, y: Any) -> Array:
    builder = builder_of(x, y)
    a, b = np.broadcast_arrays(lift(x, builder), lift(y, builder))
    return Array(builder, _fold(np.stack([a, b], axis=-1), lambda row: builder.apply("logsumexp", row)))


# Conditions.

UFUNCS[np.less] = lambda x, y: compare("<", x, y)
UFUNCS[np.less_equal] = lambda x, y: compare("<=", x, y)
UFUNCS[np.greater] = lambda x, y: compare(">", x, y)
UFUNCS[np.greater_equal] = lambda x, y: compare(">=", x, y)
UFUNCS[np.equal] = lambda x, y: compare("==", x, y)
UFUNCS[np.not_equal] = lambda x, y: negate(compare("==", x, y))
UFUNCS[np.isnan] = lambda x: negate(compare("==", x, x))
UFUNCS[np.isfinite] = lambda x: (x > -math.inf) & (x < math.inf)
UFUNCS[np.isinf] = lambda x: (x == -math.inf) | (x == math.inf)


@implements(UFUNCS, np.logical_and, np.bitwise_and)
def _and(x: Any, y: Any) -> Condition:
    return combine(x, y, lambda a, b: a and b)


@implements(UFUNCS, np.logical_or, np.bitwise_or)
def _or(x: Any, y: Any) -> Condition:
    return combine(x, y, lambda a, b: a or b)


@implements(UFUNCS, np.logical_xor, np.bitwise_xor)
def _xor(x: Any, y: Any) -> Condition:
    return combine(x, y, lambda a, b: a != b)


@implements(UFUNCS, np.logical_not, np.invert)
def _not(x: Any) -> Condition:
    if not isinstance(x, Condition):
        decide(x, builder_of(x))
    return negate(x)


# Truth values as numbers, and other selections of constants.

TRUTHS[np.add] = TRUTHS[np.maximum] = TRUTHS[np.fmax] = _or
TRUTHS[np.multiply] = TRUTHS[np.minimum] = TRUTHS[np.fmin] = _and


@implements(TRUTHS, np.subtract, np.negative, np.positive, np.sign)
def _no_number(*_: Any) -> Any:
    raise ProgramError("NumPy does not subtract truth values; write 1.0 * (x > 0) for a number, & | ~ for logic")


@implements(UFUNCS, np.sign)
def _sign(x: Any) -> Array:
    return choose([(x > 0, 1.0), (x < 0, -1.0), (x == 0, 0.0)], undefined(builder_of(x)))


@implements(UFUNCS, np.heaviside)
def _heaviside(x: Any, y: Any) -> Array:
    return choose([(np.greater(x, 0), 1.0), (np.less(x, 0), 0.0), (np.equal(x, 0), y)], undefined(builder_of(x, y)))


UFUNCS[np.ceil] = lambda x: -np.floor(-x)
UFUNCS[np.trunc] = lambda x: choose([(x < 0, np.ceil(x))], np.floor(x))
FUNCTIONS[np.fix] = UFUNCS[np.trunc]


@implements(FUNCTIONS, np.round, np.around)
def _round(a: Any, decimals: int = 0) -> Any:
    if decimals == 0:
        return np.rint(a)
    scale = float(f"1e{abs(operator.index(decimals))}")
    return np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale


@implements(FUNCTIONS, np.argmax)
def _argmax(a: Any, axis: int | None = None, *, keepdims: bool = False) -> Array:
    return _place(a, axis, keepdims, np.greater_equal)


@implements(FUNCTIONS, np.argmin)
def _argmin(a: Any, axis: int | None = None, *, keepdims: bool = False) -> Array:
    return _place(a, axis, keepdims, np.less_equal)


def _place(a: Any, axis: int | None, keepdims: bool, before: Callable[[Any, Any], Any]) -> Array:
    """Return the first position along an axis of the entry that is `before` all others; NaN if an entry is NaN."""
    lines, axes = _lines(_number(a), axis)
    n = lines.shape[-1]
    if not n:
        raise ProgramError("argmax of no entries")
    candidates = [Array(a.builder, lines[..., i]) for i in range(n)]
    rows = [
        (np.all(np.stack([before(candidates[i], candidates[j]) for j in range(n) if j != i]), axis=0), float(i))
        for i in range(n if n > 1 else 0)
    ]
    result = (
        choose(rows, undefined(a.builder))
        if rows
        else Array(a.builder, np.full(lines.shape[:-1], a.builder.constant(0.0)))
    )
    return Array(a.builder, np.expand_dims(result.entries, axes) if keepdims else result.entries)


@implements(FUNCTIONS, np.where)
def where(condition: Any, x: Any, y: Any) -> Array:
    """Return x where the condition holds and y elsewhere: one selection per entry, x being its first piece."""
    return choose([(condition, x)], y)


@implements(FUNCTIONS, np.select)
def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    return choose(zip(condlist, choicelist, strict=True), default)


# Reductions.


def _fold(entries: NDArray[Any], function: Callable[[list[Any]], Any]) -> Registers:
    """Return `function` of each row along the last axis."""
    result = np.empty(entries.shape[:-1], np.int64)
    for index in np.ndindex(result.shape):
        result[index] = function(entries[index].tolist())
    return result


def _lines(a: Symbolic, axis: Axis) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return the entries with the axes to be reduced joined into one last axis, and the numbers of those axes."""
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    last = np.moveaxis(a.entries, axes, range(a.ndim - len(axes), a.ndim))
    shape = last.shape[: a.ndim - len(axes)]
    return last.reshape(*shape, math.prod(last.shape[a.ndim - len(axes) :])), axes


def reduce(
    name: str, a: Array, axis: Axis = None, keepdims: bool = False, tie: str | None = None, empty: float | None = None
) -> Array:
    """Return a primitive with any number of operands over axes. Of a single entry the result is the entry itself.

    name: "sum", "max", "min" or "logsumexp". a: the array. axis: one axis, several, or None for all. keepdims: whether
    the reduced axes are kept with length 1. tie: a spelling or rule, as for `Builder.apply`. empty: the result of no
    entries; None to raise ProgramError.
    """
    lines, axes = _lines(a, axis)
    if lines.shape[-1] == 0:
        if empty is None:
            raise ProgramError(f"{name} of no entries")
        result = np.full(lines.shape[:-1], a.builder.constant(empty))
    elif lines.shape[-1] == 1:
        result = lines[..., 0]
    else:
        result = _fold(lines, lambda row: a.builder.apply(name, row, tie=tie))
    return Array(a.builder, np.expand_dims(result, axes) if keepdims else result)


def norm(a: Array, axis: Axis = None, keepdims: bool = False, tie: str | None = None) -> Array:
    """Return the Euclidean norm over axes, as one `norm` node for each entry of the result.

    a: the array. axis: one axis, several, or None for all. keepdims: whether the reduced axes are kept with length 1.
    tie: a spelling or rule, as for `Builder.apply`. The norm of a single entry is a node as well, since it is tied at 0
    where the entry itself is not.
    """
    lines, axes = _lines(a, axis)
    if lines.shape[-1] == 0:
        result = np.full(lines.shape[:-1], a.builder.constant(0.0))
    else:
        result = _fold(lines, lambda row: a.builder.apply("norm", row, tie=tie))
    return Array(a.builder, np.expand_dims(result, axes) if keepdims else result)


@implements(FUNCTIONS, np.sum)
@implements(REDUCTIONS, np.add)
def _sum(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    return reduce("sum", _number(a), axis, keepdims, empty=0.0)


@implements(FUNCTIONS, np.max, np.amax)
@implements(REDUCTIONS, np.maximum)
def _max(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    return reduce("max", _number(a), axis, keepdims)


@implements(FUNCTIONS, np.min, np.amin)
@implements(REDUCTIONS, np.minimum)
def _min(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    return reduce("min", _number(a), axis, keepdims)


@implements(REDUCTIONS, np.logaddexp)
def logsumexp(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Return log(sum(exp(a))) over axes; of no entries, -inf.

    a: the array. axis: one axis, several, or None for all. keepdims: whether the reduced axes are kept with length 1.
    """
    return reduce("logsumexp", _number(a), axis, keepdims, empty=-math.inf)


@implements(FUNCTIONS, np.prod)
@implements(REDUCTIONS, np.multiply)
def _prod(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Array:
    lines, axes = _lines(_number(a), axis)
    result = Array(a.builder, np.full(lines.shape[:-1], a.builder.constant(1.0)))
    for j in range(lines.shape[-1]):
        entry = Array(a.builder, lines[..., j])
        result = result * entry if j else entry
    return Array(a.builder, np.expand_dims(result.entries, axes) if keepdims else result.entries)


@implements(FUNCTIONS, np.mean)
def _mean(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    count = _lines(a, axis)[0].shape[-1]
    return np.sum(a, axis=axis, keepdims=keepdims) / count


@implements(FUNCTIONS, np.var)
def _var(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    count = _lines(a, axis)[0].shape[-1]
    squares = np.square(a - np.mean(a, axis=axis, keepdims=True))
    return np.sum(squares, axis=axis, keepdims=keepdims) / (count - ddof)


@implements(FUNCTIONS, np.std)
def _std(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
    count = _lines(a, axis)[0].shape[-1]
    centered = _number(a - np.mean(a, axis=axis, keepdims=True))
    tie = spelling(centered.builder, "norm", "std")
    return norm(centered, axis, keepdims, tie) / math.sqrt(count - ddof)


@implements(FUNCTIONS, np.ptp)
def _ptp(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


@implements(FUNCTIONS, np.average)
def _average(a: Any, axis: Axis = None, weights: Any = None) -> Any:
    if weights is None:
        return np.mean(a, axis=axis)
    return np.sum(a * weights, axis=axis) / np.sum(weights, axis=axis)


@implements(FUNCTIONS, np.all)
@implements(REDUCTIONS, np.logical_and, np.bitwise_and)
def _all(a: Any, axis: Axis = None) -> Any:
    return _together(a, axis, _and, True)


@implements(FUNCTIONS, np.any)
@implements(REDUCTIONS, np.logical_or, np.bitwise_or)
def _any(a: Any, axis: Axis = None) -> Any:
    return _together(a, axis, _or, False)


def _together(a: Any, axis: Axis, both: Callable[[Any, Any], Condition], empty: bool) -> Condition:
    """Return the conjunction or disjunction of conditions over axes."""
    lines, _ = _lines(Condition(a.builder, decide(a, a.builder)), axis)
    result = Condition(a.builder, decide(np.full(lines.shape[:-1], empty), a.builder))
    for j in range(lines.shape[-1]):
        result = both(result, Condition(a.builder, lines[..., j]))
    return result


def _number(a: Any) -> Array:
    """Return an array; raises ProgramError for a condition."""
    return Array(a.builder, lift(a, a.builder))


def _running(a: Any, axis: int | None, step: Callable[[Any, Any], Any]) -> Any:
    """Return the running results along an axis: each entry is `step` of the result before it and the entry."""
    flat = a.reshape(-1) if axis is None else np.moveaxis(a, axis, 0)
    rows = list(flat)
    for j in range(1, len(rows)):
        rows[j] = step(rows[j - 1], rows[j])
    return np.stack(rows, axis=axis or 0) if rows else flat


@implements(FUNCTIONS, np.cumsum)
def _cumsum(a: Any, axis: int | None = None) -> Any:
    return _running(a, axis, np.add)


@implements(FUNCTIONS, np.cumprod)
def _cumprod(a: Any, axis: int | None = None) -> Any:
    return _running(a, axis, np.multiply)


@implements(FUNCTIONS, np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    a = np.moveaxis(a, axis, -1)
    for _ in range(n):
        a = a[..., 1:] - a[..., :-1]
    return np.moveaxis(a, -1, axis)


@implements(FUNCTIONS, np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Return a clipped to bounds: by the row `clip`, or with one bound by `maximum` or `minimum`.

    a: the array. a_min, a_max: the bounds, either of which may be None. min, max: the same, by NumPy's other names.
    With one bound, ties are decided as by the framework's `clamp`.
    """
    low, high = (min if a_min is None else a_min), (max if a_max is None else a_max)
    if low is not None and high is not None:
        return elementwise("clip", a, low, high)
    builder = builder_of(a, low, high)
    if low is not None:
        return elementwise("maximum", a, low, tie=spelling(builder, "maximum", ".clamp"))
    if high is not None:
        return elementwise("minimum", a, high, tie=spelling(builder, "minimum", ".clamp"))
    return a.copy()


# Order statistics.


def sort(a: Any, axis: int | None = -1, tie: str | None = None) -> Array:
    """Return the entries in ascending order along an axis, by one `sort` node for each line of entries.

    a: the array. axis: the axis; None sorts all entries as one line. tie: a spelling or rule, as for `Builder.apply`.
    """
    flat = _number(a if axis is not None else a.reshape(-1))
    at = normalize_axis_index(-1 if axis is None else axis, flat.ndim)
    lines = np.moveaxis(flat.entries, at, -1)
    n, result = lines.shape[-1], lines.copy()
    for index in np.ndindex(lines.shape[:-1]):
        if n > 1:
            first = flat.builder.apply("sort", lines[index].tolist(), outputs=n, tie=tie)
            result[index] = np.arange(first, first + n)
    return Array(flat.builder, np.moveaxis(result, -1, at))


@implements(FUNCTIONS, np.sort)
def _sort(a: Any, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None) -> Array:
    return sort(a, axis)


@implements(FUNCTIONS, np.median)
def median(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """Return the median over axes, from a `sort`: the middle entry, or the mean of the two in the middle.

    a: the array. axis: one axis, several, or None for all. keepdims: whether the reduced axes are kept with length 1.
    """
    lines, axes = _lines(_number(a), axis)
    if not lines.shape[-1]:
        raise ProgramError("median of no entries")
    ordered, n = sort(Array(a.builder, lines)), lines.shape[-1]
    middle = ordered[..., n // 2] if n % 2 else (ordered[..., n // 2 - 1] + ordered[..., n // 2]) / 2
    return np.expand_dims(middle, axes) if keepdims else middle


# Products.


def _dot(builder: Builder, x: Registers, y: Registers) -> int:
    """Return x_1 y_1 + ... + x_n y_n."""
    if len(x) == 0:
        return builder.constant(0.0)
    return builder.apply("dot", [*x, *y]) if len(x) > 1 else builder.apply("mul", [x[0], y[0]])


def _consecutive(registers: Registers) -> bool:
    """Tell whether registers are consecutive, as those of the weights of `dense` must be."""
    flat = registers.reshape(-1)
    return bool(flat.size) and bool(np.all(np.diff(flat) == 1))


def _times(builder: Builder, matrix: Registers, vector: Registers) -> Registers:
    """Return a matrix times a vector: by one `dense` if the registers of the matrix are consecutive, else by `dot`s."""
    if _consecutive(matrix):
        first = builder.apply("dense", [*matrix.reshape(-1), *vector], outputs=len(matrix))
        return np.arange(first, first + len(matrix))
    return np.array([_dot(builder, row, vector) for row in matrix], np.int64)


def _matrices(builder: Builder, a: Registers, b: Registers) -> Registers:
    """Return the product of two matrices, column by column, or row by row if only b transposed is consecutive."""
    if not _consecutive(a) and _consecutive(b.T):
        return _matrices(builder, b.T, a.T).T
    columns = [_times(builder, a, b[:, j]) for j in range(b.shape[1])]
    return np.stack(columns, axis=1) if columns else np.empty((len(a), 0), np.int64)


def affine(w: Any, x: Any, b: Any = None) -> Array:
    """Return w x + b by one `dense` for each column of x. Sums begin with b.

    w: shape (outputs, inputs). x: shape (inputs, ...). b: shape (outputs,), or None. The result has shape
    (outputs, ...). Raises ProgramError if b has another length.
    """
    builder = builder_of(w, x, b)
    matrix, columns = lift(w, builder), lift(x, builder)
    biases = [] if b is None else lift(b, builder).reshape(-1).tolist()
    if biases and len(biases) != len(matrix):
        raise ProgramError(f"dense: {len(biases)} biases for {len(matrix)} outputs")
    result = np.empty((len(matrix), *columns.shape[1:]), np.int64)
    for index in np.ndindex(columns.shape[1:]):
        operands = [*matrix.reshape(-1).tolist(), *columns[(slice(None), *index)].tolist(), *biases]
        first = builder.apply("dense", operands, outputs=len(matrix))
        result[(slice(None), *index)] = np.arange(first, first + len(matrix))
    return Array(builder, result)


@implements(UFUNCS, np.matmul)
def _matmul(x: Any, y: Any) -> Array:
    builder = builder_of(x, y)
    a, b = lift(x, builder), lift(y, builder)
    if not a.ndim or not b.ndim:
        raise ProgramError("@ needs vectors or matrices, not numbers; use *")
    left, right = a if a.ndim > 1 else a[None, :], b if b.ndim > 1 else b[:, None]
    if left.shape[-1] != right.shape[-2]:
        raise ProgramError(f"@: the shapes {a.shape} and {b.shape} do not fit")
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, stack + left.shape[-2:])
    right = np.broadcast_to(right, stack + right.shape[-2:])
    result = np.empty((*stack, left.shape[-2], right.shape[-1]), np.int64)
    for index in np.ndindex(stack):
        if a.ndim == b.ndim == 1:
            result[index] = _dot(builder, a, b)
        elif b.ndim == 1:
            result[index][:, 0] = _times(builder, left[index], b)
        elif a.ndim == 1:
            result[index][0] = _times(builder, right[index].T, a)
        else:
            result[index] = _matrices(builder, left[index], right[index])
    result = result if b.ndim > 1 else result[..., 0]
    return Array(builder, result if a.ndim > 1 else (result[..., 0, :] if b.ndim > 1 else result[..., 0]))


@implements(FUNCTIONS, np.dot)
def _numpy_dot(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(b) <= 2:
        return np.matmul(a, b)
    raise ProgramError("np.dot of more than two axes cannot be traced; use @")


@implements(FUNCTIONS, np.vdot)
def _vdot(a: Any, b: Any) -> Any:
    return np.matmul(np.reshape(a, -1), np.reshape(b, -1))


@implements(FUNCTIONS, np.inner)
def _inner(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(a, b)
    if np.ndim(b) <= 2:
        return np.matmul(a, b if np.ndim(b) == 1 else np.transpose(b))
    raise ProgramError("np.inner of more than two axes cannot be traced; use @")


@implements(FUNCTIONS, np.outer)
def _outer(a: Any, b: Any) -> Any:
    return np.multiply(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


@implements(FUNCTIONS, np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    if ord is None and axis is None:
        axis = tuple(range(np.ndim(x)))
    elif axis is None and np.ndim(x) == 1:
        axis = 0
    if ord in (None, "fro", 2) and (ord != 2 or isinstance(axis, int)):
        return norm(_number(x), axis, keepdims)
    if isinstance(axis, int) and ord == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
    if isinstance(axis, int) and ord == math.inf:
        return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    if isinstance(axis, int) and ord == -math.inf:
        return np.min(np.abs(x), axis=axis, keepdims=keepdims)
    raise ProgramError("np.linalg.norm can be traced for vectors with ord 1, 2, inf and -inf, and for ord=None")


# Functions that only rearrange registers: NumPy itself does it.


def _wrap(like: Symbolic, result: Any) -> Any:
    """Return the result of a NumPy function on entries as symbolic arrays; shapes and counts stay as they are."""
    if isinstance(result, np.ndarray | np.generic | BranchTable):
        return like.like(result)
    if isinstance(result, list | tuple):
        return type(result)(_wrap(like, part) for part in result)
    return result


def _rearranging(function: Any) -> Callable[..., Any]:
    """Return the handler of a NumPy function of one array that moves entries and computes nothing."""

    def handler(a: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(a, Symbolic) or symbolic([*args, *kwargs.values()]):
            raise ProgramError(f"np.{function.__name__}: positions and sizes cannot depend on symbolic values")
        return _wrap(a, function(a.entries, *args, **kwargs))

    return handler


def _joining(function: Any) -> Callable[..., Any]:
    """Return the handler of a NumPy function of several arrays that joins them."""

    def handler(arrays: Any, *args: Any, **kwargs: Any) -> Any:
        parts = list(arrays)
        builder = builder_of(*parts)
        if all(map(truth, parts)):
            like: Symbolic = Condition(builder, np.empty(0, object))
            return _wrap(like, function([decide(part, builder) for part in parts], *args, **kwargs))
        like = Array(builder, np.empty(0, np.int64))
        return _wrap(like, function([lift(part, builder) for part in parts], *args, **kwargs))

    return handler


_MOVING: tuple[Any, ...] = (
    *(np.reshape, np.ravel, np.transpose, np.permute_dims, np.matrix_transpose, np.moveaxis, np.swapaxes, np.squeeze),
    *(np.expand_dims, np.broadcast_to, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.flip, np.fliplr, np.flipud),
    *(np.rot90, np.roll, np.repeat, np.tile, np.take, np.take_along_axis, np.compress, np.delete, np.diagonal, np.copy),
    *(np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.unstack, np.shape, np.size, np.ndim),
    np.lib.stride_tricks.sliding_window_view,
)
for _function in _MOVING:
    FUNCTIONS[_function] = _rearranging(_function)

for _function in (np.concatenate, np.concat, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack):
    FUNCTIONS[_function] = _joining(_function)


@implements(FUNCTIONS, np.broadcast_arrays)
def _broadcast_arrays(*args: Any) -> tuple[Array, ...]:
    builder = builder_of(*args)
    return tuple(Array(builder, entries) for entries in np.broadcast_arrays(*(lift(a, builder) for a in args)))


@implements(FUNCTIONS, np.append)
def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        arr, values = np.reshape(arr, -1), np.reshape(values, -1)
    return np.concatenate([arr, values], axis=axis or 0)


@implements(FUNCTIONS, np.full_like)
def _full_like(a: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None) -> Array:
    entries = lift(fill_value, a.builder)
    return Array(a.builder, np.array(np.broadcast_to(entries, a.shape if shape is None else shape)))


@implements(FUNCTIONS, np.zeros_like, np.empty_like)
def _zeros_like(a: Any, dtype: Any = None, *, shape: Any = None) -> Array:
    return _full_like(a, 0.0, shape=shape)  # type: ignore[no-any-return]


@implements(FUNCTIONS, np.ones_like)
def _ones_like(a: Any, dtype: Any = None, *, shape: Any = None) -> Array:
    return _full_like(a, 1.0, shape=shape)  # type: ignore[no-any-return]


@implements(FUNCTIONS, np.trace)
def _trace(a: Any, offset: int = 0) -> Any:
    return np.sum(np.diagonal(a, offset), axis=-1)


def _masked(a: Any, mask: NDArray[np.bool_]) -> Array:
    """Return the entries where the mask is true, and zeros elsewhere."""
    return Array(a.builder, np.where(mask, a.entries, a.builder.constant(0.0)))


@implements(FUNCTIONS, np.tril)
def _tril(m: Any, k: int = 0) -> Array:
    return _masked(m, np.tri(m.shape[-2], m.shape[-1], k, bool))


@implements(FUNCTIONS, np.triu)
def _triu(m: Any, k: int = 0) -> Array:
    return _masked(m, ~np.tri(m.shape[-2], m.shape[-1], k - 1, bool))


@implements(FUNCTIONS, np.diag)
def _diag(v: Any, k: int = 0) -> Any:
    if v.ndim == 2:
        return np.diagonal(v, k)
    at = np.diag(np.arange(1, v.size + 1), k)
    return Array(v.builder, np.where(at > 0, v.entries[at - 1], v.builder.constant(0.0)))


@implements(FUNCTIONS, np.pad)
def _pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: float = 0.0) -> Any:
    options: Any = {"constant_values": int(lift(constant_values, array.builder))} if mode == "constant" else {}
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ProgramError(
            f"np.pad with mode='{mode}' cannot be traced; use constant, edge, reflect, symmetric or wrap"
        )
    entries: Any = np.pad  # its types know no mode in a variable
    return array.like(entries(array.entries, pad_width, mode, **options))
