"""Functions of symbolic arrays that the tables of both importers are made of.

Shared arguments.
x, y: symbolic arrays, or NumPy arrays and numbers, at least one of them symbolic. axis: one axis, several, or None for
all. keepdims: whether reduced axes are kept with length 1. spelling: how the framework spells a row of the table of
primitives, such as "torch.amax"; it decides the derivative at ties.
"""

import math
from collections.abc import Callable, Sequence
from itertools import product as combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import ProgramError
from simsa.primitives import FRAMEWORKS, ROW
from simsa.primitives.operations import Dense
from simsa.program import numpy_api
from simsa.program.numpy_api import Axis, affine
from simsa.program.program import Builder
from simsa.program.symbolic import (
    Array,
    Condition,
    builder_of,
    choose,
    decide,
    elementwise,
    lift,
    symbolic,
    truth,
    undefined,
)

Registers = NDArray[np.int64]


def word(builder: Builder, primitive: str, spelling: str) -> str | None:
    """Return the tie that a node is built with, where a framework spells its primitive in its own way.

    builder: of the program. primitive: the name of the row. spelling: of the framework that the model is written in;
    returned as it is if the convention is of that framework. Under another framework's convention it is that
    framework's spelling with the same last word, such as ".max_pool"; None, for its usual one, if there is none.
    """
    if spelling.startswith(FRAMEWORKS[builder.convention.base]):
        return spelling
    return numpy_api.spelling(builder, primitive, "." + spelling.rpartition(".")[2])


def row(name: str, spelling: str | None = None, **immediates: float) -> Callable[..., Array]:
    """Return a row of the table of primitives as a function of its operands.

    name: of the row. spelling: as the framework spells it; None for the usual spelling. immediates: the row's numbers.
    """

    def function(*operands: Any) -> Array:
        tie = word(builder_of(*operands), name, spelling) if spelling else None
        return elementwise(name, *operands, immediates=list(immediates.values()), tie=tie)

    return function


def numbers(x: Any) -> Any:
    """Return x, with conditions as the numbers 1 and 0."""
    return Array(x.builder, lift(x, x.builder)) if isinstance(x, Condition) else x


def condition(x: Any) -> Any:
    """Return x as a condition or as truth values: a number is true unless it is 0."""
    return x if truth(x) else np.not_equal(x, 0)


def constants(x: Any, builder: Builder) -> Array:
    """Return x as a symbolic array of `builder`; its known numbers may be infinite or NaN, as those of masks are."""
    if symbolic(x):
        return Array(builder, lift(x, builder))
    known = np.asarray(x, np.float64)
    registers = [builder.constant(number) for number in known.reshape(-1).tolist()]
    return Array(builder, np.array(registers, np.int64).reshape(known.shape))


def moved(
    values: Sequence[Any], builder: Builder, function: Callable[[list[Registers]], Sequence[Registers]]
) -> list[Any]:
    """Return what a function that only moves entries makes of arrays, by letting it move their registers.

    values: arrays, symbolic or not, all of numbers or all of truth values. builder: of the program. function: of arrays
    of integers; it returns such arrays. Where it returns a negative number, as JAX does for a position that there is
    not, the result is NaN.
    """
    if all(map(truth, values)):
        tables = [decide(value, builder) for value in values]
        known = [table for each in tables for table in each.flat]
        ends = np.cumsum([0, *(each.size for each in tables)])
        numbered = [np.arange(a, a + each.size).reshape(each.shape) for a, each in zip(ends, tables, strict=False)]
        results: list[Any] = []
        for places in function(numbered):
            entries = np.empty(places.shape, object)
            for index in np.ndindex(places.shape):
                entries[index] = known[int(places[index])]
            results.append(Condition(builder, entries))
        return results
    registers = function([constants(numbers(value), builder).entries for value in values])
    lost = any((one < 0).any() for one in registers)
    nan = builder.constant(math.nan) if lost else 0
    return [Array(builder, np.where(one < 0, nan, one) if lost else one) for one in registers]


def stop(x: Any) -> Array:
    """Return x as a value that passes no derivative: `detach`, `stop_gradient`."""
    return elementwise("stop", numbers(x))


def where(test: Any, x: Any, y: Any) -> Array:
    """Return x where `test` holds and y elsewhere; known numbers may be infinite, as those of masks are.

    test: a condition, or truth values. A test that is known when the program is built adds no node.
    """
    test = condition(test)
    builder = builder_of(test, x, y)
    yes, no = constants(x, builder), constants(y, builder)
    if symbolic(test):
        return choose([(test, yes)], no)
    chosen, first, second = np.broadcast_arrays(test, yes.entries, no.entries)
    return Array(builder, np.where(chosen, first, second))


def add(x: Any, y: Any) -> Any:
    """Return x + y.

    Where a known summand is -inf, as in a mask of attention, the sum is the constant -inf. Parameters that are added to
    the results of `dense` become its biases.
    """
    for mask, other in ((x, y), (y, x)):
        if not symbolic(mask) and np.isneginf(np.asarray(mask, np.float64)).any():
            below = np.isneginf(mask)
            return where(below, -math.inf, numbers(other) + np.where(below, 0.0, mask))
    x, y = numbers(x), numbers(y)
    if isinstance(x, Array) and isinstance(y, Array):
        for products, biases in ((x, y), (y, x)):
            if (result := _biased(products, biases)) is not None:
                return result
    return np.add(x, y)


def _biased(x: Array, biases: Array) -> Array | None:
    """Return x + biases by `dense`, if x are all results of some without biases, and the biases are parameters."""
    builder = x.builder
    if not biases.size or (biases.entries >= builder.parameters).any():
        return None
    entries, added = (each.reshape(-1).tolist() for each in np.broadcast_arrays(x.entries, biases.entries))
    bias_of = dict(zip(entries, added, strict=True))
    renamed: dict[int, int] = {}
    for register in entries:
        node = builder.node.get(register)
        if register in renamed or node is None or not isinstance(ROW[node.primitive].operation, Dense):
            continue
        outs = range(register, register + node.outputs)
        if len(node.operands) % (node.outputs + 1) or not all(out in bias_of for out in outs):
            return None
        first = builder.apply("dense", [*node.operands, *(bias_of[out] for out in outs)], outputs=node.outputs)
        renamed.update(zip(outs, range(first, first + node.outputs), strict=True))
    if len(bias_of) != len(entries) or any(register not in renamed for register in entries):
        return None
    return Array(
        builder,
        np.array([renamed[register] for register in entries]).reshape(np.broadcast_shapes(x.shape, biases.shape)),
    )


def pick(index: Any, candidates: Sequence[Any]) -> Any:
    """Return candidates[index], entry by entry, for an index that is symbolic.

    index: integers 0, 1, ...; the result is NaN for one that there is not. candidates: arrays of one shape, which index
    is broadcast against.
    """
    rows = [(np.equal(index, float(k)), candidate) for k, candidate in enumerate(candidates)]
    return choose(rows, undefined(builder_of(index, *candidates)))


def take(x: Any, index: Any, axis: int) -> Any:
    """Return the entries of x at positions along an axis, the axes of the index in its place, as `np.take` does.

    index: integers, symbolic or not; a symbolic one must not be negative.
    """
    if not symbolic(index):
        known = np.asarray(index).astype(np.int64)
        return np.take(x, known, axis=axis)
    moved = np.moveaxis(x, axis, 0)
    place = np.reshape(index, (*index.shape, *[1] * (np.ndim(x) - 1)))
    picked = pick(place, [np.broadcast_to(entry, (*index.shape, *entry.shape)) for entry in moved])
    spread, at = range(index.ndim), axis % np.ndim(x)
    return np.moveaxis(picked, list(spread), [at + i for i in spread])


def take_along(x: Any, index: Any, axis: int) -> Any:
    """Return the entries of x at positions along an axis, as `np.take_along_axis` does.

    index: integers, symbolic or not, with as many axes as x; a symbolic one must not be negative.
    """
    shape = list(index.shape)
    cut = tuple(slice(None) if i == axis % len(shape) else slice(0, n) for i, n in enumerate(shape))
    x = x[cut]
    if not symbolic(index):
        return np.take_along_axis(x, np.asarray(index).astype(np.int64), axis=axis)
    return pick(index, [np.broadcast_to(np.take(x, [k], axis=axis), shape) for k in range(np.shape(x)[axis])])


def xlogy(x: Any, y: Any) -> Any:
    """Return x log(y), and the constant 0 where both are 0."""
    both = np.logical_and(np.equal(x, 0.0), np.equal(y, 0.0))
    return where(both, 0.0, np.multiply(x, np.log(y)))


def logit(x: Any) -> Any:
    """Return log(x / (1 - x))."""
    return np.log(x) - np.log1p(np.negative(x))


def arcsinh(x: Any) -> Any:
    """Return the inverse hyperbolic sine; it is smooth, and so is each function that it is made of."""
    squared = np.square(x)
    return np.log1p(x + squared / (1.0 + np.sqrt(1.0 + squared)))


def arccosh(x: Any) -> Any:
    """Return the inverse hyperbolic cosine, of numbers above 1."""
    return np.log(x + np.sqrt(np.square(x) - 1.0))


def arctanh(x: Any) -> Any:
    """Return the inverse hyperbolic tangent, of numbers between -1 and 1."""
    return (np.log1p(x) - np.log1p(np.negative(x))) / 2.0


# Reductions.


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the mean over axes; of one entry it is the entry."""
    total = np.sum(numbers(x), axis=axis, keepdims=keepdims)
    count = np.size(x) // max(np.size(total), 1)
    return total if count == 1 else total / count


def largest(
    x: Any, axis: Axis = None, keepdims: bool = False, spelling: str = "torch.amax", primitive: str = "max"
) -> Array:
    """Return the largest entries over axes. primitive: "max", or "min" for the smallest."""
    x = numbers(x)
    return numpy_api.reduce(primitive, x, axis, keepdims, tie=word(x.builder, primitive, spelling))


def running(x: Any, axis: int, step: Callable[[Any, Any], Any]) -> Any:
    """Return the running results along an axis. step: of the result before an entry, and the entry."""
    rows = list(np.moveaxis(x, axis, 0))
    for j in range(1, len(rows)):
        rows[j] = step(rows[j - 1], rows[j])
    return np.stack(rows, axis=axis)


def log_softmax(x: Any, axis: int) -> Any:
    """Return x - log(sum(exp(x))) along an axis; it is smooth, and has no ties."""
    x = numbers(x)
    return x - numpy_api.logsumexp(x, axis, keepdims=True)


def softmax(x: Any, axis: int) -> Any:
    """Return exp(x) / sum(exp(x)) along an axis; it is smooth, and has no ties."""
    return np.exp(log_softmax(x, axis))


def standardised(x: Any, axis: Axis, eps: float) -> Any:
    """Return (x - mean) / sqrt(variance + eps) over axes. eps: a number above 0."""
    centered = x - mean(x, axis, keepdims=True)
    return centered / np.sqrt(mean(np.square(centered), axis, keepdims=True) + eps)


def top_k(x: Any, k: int, axis: int, descending: bool = True) -> Any:
    """Return the k largest or smallest entries along an axis, in order; equal entries keep their order.

    k: how many. descending: whether the largest are wanted, and come first.
    """
    x = np.moveaxis(numbers(x), axis, -1)
    if descending:
        ordered = numpy_api.sort(x, tie="last")[..., ::-1]
    else:
        ordered = numpy_api.sort(x)
    return np.moveaxis(ordered[..., :k], -1, axis)


class Order:
    """The positions that sort an array along an axis: the indices of `argsort` and `topk`.

    They are no function that a program has, but taking the entries of the same array at them is sorting it.

    x: the array. axis: along which it is sorted. ordered: the sorted entries, or some of them.
    """

    def __init__(self, x: Any, axis: int, ordered: Any) -> None:
        self.x, self.axis, self.ordered = x, axis % np.ndim(x), ordered
        self.shape = np.shape(ordered)

    def of(self, x: Any, axis: int) -> Any:
        """Return the entries of x along an axis in this order; raises ProgramError unless x is what was sorted."""
        if axis % np.ndim(x) != self.axis or not np.array_equal(numbers(x).entries, numbers(self.x).entries):
            raise ProgramError("the positions of a sort can be used only to take the entries of what was sorted")
        return self.ordered


# Products.


def _solid(registers: Registers, builder: Builder) -> bool:
    """Tell whether registers can be the weights of `dense` as they lie: consecutive, and not all of them data."""
    flat = registers.reshape(-1)
    data = builder.parameters <= flat[0] and flat[-1] < builder.parameters + builder.data
    return bool(np.all(np.diff(flat) == 1)) and not data


def _times(builder: Builder, a: Registers, b: Registers) -> Registers:
    """Return the product of two matrices, (m, k) by (k, n) with k > 0, by `dense` where one of them is parameters."""
    parameters = [bool((m < builder.parameters).all()) for m in (a, b)]
    if parameters[1] or (_solid(b.T, builder) and not parameters[0]):
        return affine(Array(builder, b.T), Array(builder, a.T)).entries.T
    if parameters[0] or _solid(a, builder):
        return affine(Array(builder, a), Array(builder, b)).entries
    result = np.empty((len(a), b.shape[1]), np.int64)
    for i, j in np.ndindex(result.shape):
        both = [*a[i], *b[:, j]]
        result[i, j] = builder.apply("dot" if len(both) > 2 else "mul", both)
    return result


def matmul(x: Any, y: Any) -> Any:
    """Return the matrix product of NumPy's `matmul`, of stacks of matrices and of vectors.

    A product with a matrix of parameters is one `dense` for each row or column of the other factor.
    """
    x, y = numbers(x), numbers(y)
    builder = builder_of(x, y)
    a, b = lift(x, builder), lift(y, builder)
    left, right = a if a.ndim > 1 else a[None, :], b if b.ndim > 1 else b[:, None]
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, stack + left.shape[-2:])
    right = np.broadcast_to(right, stack + right.shape[-2:])
    result = np.empty((*stack, left.shape[-2], right.shape[-1]), np.int64)
    for index in np.ndindex(stack):
        result[index] = _times(builder, left[index], right[index])
    result = result[..., 0] if b.ndim == 1 else result
    return Array(builder, result if a.ndim > 1 else (result[..., 0] if b.ndim == 1 else result[..., 0, :]))


def linear(x: Any, w: Any, b: Any = None) -> Any:
    """Return x w^T + b over the last axis of x, by one `dense` for each row of x.

    w: shape (outputs, inputs). b: shape (outputs,), or None. Sums begin with b.
    """
    shape = np.shape(x)
    columns = np.transpose(np.reshape(numbers(x), (-1, shape[-1])))
    return np.reshape(np.transpose(affine(w, columns, b)), (*shape[:-1], np.shape(w)[0]))


def contracted(
    x: Any, y: Any, summed: tuple[Sequence[int], Sequence[int]], batch: tuple[Sequence[int], Sequence[int]]
) -> Any:
    """Return the sum of products over pairs of axes: the batch axes, then the other axes of x, then those of y.

    summed, batch: for x and for y, the axes that are summed over, and those that both have.
    """

    def arranged(value: Any, over: Sequence[int], both: Sequence[int], last: bool) -> tuple[Any, tuple[int, ...]]:
        rest = [i for i in range(np.ndim(value)) if i not in (*over, *both)]
        order = [*both, *rest, *over] if last else [*both, *over, *rest]
        shape = np.shape(value)
        sizes = [math.prod(shape[i] for i in axes) for axes in (rest, over)]
        together = [shape[i] for i in both]
        kept = tuple(shape[i] for i in rest)
        flat = np.reshape(np.transpose(value, order), (*together, *(sizes if last else sizes[::-1])))
        return flat, kept

    a, rows = arranged(numbers(x), summed[0], batch[0], last=True)
    b, columns = arranged(numbers(y), summed[1], batch[1], last=False)
    return np.reshape(matmul(a, b), (*(np.shape(x)[i] for i in batch[0]), *rows, *columns))


def einsum(equation: str, x: Any, *rest: Any) -> Any:
    """Return a sum of products in Einstein's notation, from left to right.

    equation: with letters, and "..." as well. rest: the other factors.
    """
    terms, arrow, result = equation.replace(" ", "").partition("->")
    names, spread = terms.split(","), "ZYXWVUTS"
    values = [x, *rest]
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        extra = np.ndim(value) - len(name.replace("...", ""))
        names[i] = name.replace("...", spread[len(spread) - extra :] if extra else "")
    widest = max((np.ndim(v) - len(n.replace("...", "")) for n, v in zip(terms.split(","), values, strict=True)))
    letters = "".join(names)
    if not arrow:
        result = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in spread))
    result = result.replace("...", spread[len(spread) - widest :] if widest else "")
    names[0], total = _traced(names[0], values[0])
    for k, (name, value) in enumerate(zip(names[1:], values[1:], strict=True)):
        name, value = _traced(name, value)
        later = result + "".join(names[k + 2 :])
        both = [c for c in names[0] if c in name and c in later]
        over = [c for c in names[0] if c in name and c not in later]
        axes = [([n.index(c) for c in over], [n.index(c) for c in both]) for n in (names[0], name)]
        total = contracted(total, value, (axes[0][0], axes[1][0]), (axes[0][1], axes[1][1]))
        shared = [*both, *over]
        names[0] = "".join([*both, *(c for c in names[0] if c not in shared), *(c for c in name if c not in shared)])
    gone = tuple(i for i, c in enumerate(names[0]) if c not in result)
    total = np.sum(total, axis=gone) if gone else total
    kept = [c for c in names[0] if c in result]
    return np.transpose(total, [kept.index(c) for c in result]) if len(kept) > 1 else total


def _traced(name: str, value: Any) -> tuple[str, Any]:
    """Return a term of `einsum` without repeated letters, by diagonals. name: the letters of its axes."""
    for letter in dict.fromkeys(name):
        while name.count(letter) > 1:
            i = name.index(letter)
            j = name.index(letter, i + 1)
            value = np.diagonal(value, axis1=i, axis2=j)
            name = name[:i] + name[i + 1 : j] + name[j + 1 :] + letter
    return name, value


# Windows.


def windows(
    shape: Sequence[int],
    size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
) -> Registers:
    """Return the positions of the entries of each window in a flattened array; -1 for padding.

    shape: of the array. size, stride, dilation: for each axis, the number of entries of a window, the distance between
    windows, and that between the entries of one. padding: for each axis, the numbers of positions before the first
    entry and after the last. The result has the axes (windows along each axis, entries along each axis). Raises
    ProgramError if no window fits.
    """
    axes = []
    for n, k, s, (low, high), d in zip(shape, size, stride, padding, dilation, strict=True):
        count = (n + low + high - d * (k - 1) - 1) // s + 1
        if count < 1:
            raise ProgramError(f"a window of {k} does not fit {n} entries")
        at = np.arange(count)[:, None] * s - low + np.arange(k) * d
        axes.append(np.where((at >= 0) & (at < n), at, -1))
    result = np.zeros((1,) * (2 * len(axes)), np.int64)
    inside = np.ones_like(result, dtype=bool)
    for i, (n, at) in enumerate(zip(shape, axes, strict=True)):
        spread = [1] * (2 * len(axes))
        spread[i], spread[len(axes) + i] = at.shape
        result = result * n + at.reshape(spread)
        inside = inside & (at.reshape(spread) >= 0)
    return np.where(inside, result, -1)


def convolution(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    groups: int = 1,
) -> Array:
    """Return the cross-correlation of images with filters, by one `dense` for each position of a window.

    x: shape (images, channels, ...). w: shape (filters, channels / groups, ...). b: shape (filters,), or None. stride,
    dilation: for each axis of an image. padding: for each axis, the zeros before and after. groups: the number of
    groups of channels, each of which has its own filters. The result has the shape (images, filters, ...).
    """
    builder = builder_of(x, w, b)
    images, filters = lift(numbers(x), builder), lift(w, builder)
    biases = None if b is None else lift(b, builder)
    axes = images.ndim - 2
    at = windows(images.shape[2:], filters.shape[2:], stride, padding, dilation)
    places = at.shape[:axes]
    flat = images.reshape(*images.shape[:2], -1)
    if (at < 0).any():
        zeros = np.full((*flat.shape[:2], 1), builder.constant(0.0))
        flat = np.concatenate([flat, zeros], axis=2)
    patches = flat[:, :, at.reshape(math.prod(places), -1)]
    result = np.empty((len(images), len(filters), *places), np.int64)
    each, own = filters.shape[1], len(filters) // groups
    for image, g in combinations(range(len(images)), range(groups)):
        mine = slice(g * own, (g + 1) * own)
        columns = np.swapaxes(patches[image, g * each : (g + 1) * each], 1, 2).reshape(-1, math.prod(places))
        part = None if biases is None else Array(builder, biases[mine])
        out = affine(Array(builder, filters[mine].reshape(own, -1)), Array(builder, columns), part)
        result[image, mine] = out.entries.reshape(own, *places)
    return Array(builder, result)


def pooled(x: Any, at: Registers, function: Callable[[Builder, list[int]], int]) -> Array:
    """Return a function of each window over the last axes of x.

    at: as `windows` returns it for these axes. function: of the builder and of the registers in a window, padding left
    out; it returns a register.
    """
    x = numbers(x)
    axes = at.ndim // 2
    before = x.shape[: x.ndim - axes]
    flat = x.entries.reshape(*before, -1)
    places = at.reshape(*at.shape[:axes], -1)
    result = np.empty((*before, *at.shape[:axes]), np.int64)
    for index in np.ndindex(result.shape):
        window = places[index[len(before) :]]
        result[index] = function(x.builder, flat[index[: len(before)]][window[window >= 0]].tolist())
    return Array(x.builder, result)


def pool_largest(spelling: str) -> Callable[[Builder, list[int]], int]:
    """Return the function of a window that is its largest entry, as `pooled` takes it."""

    def function(builder: Builder, window: list[int]) -> int:
        if len(window) < 2:
            return window[0]
        return builder.apply("max", window, tie=word(builder, "max", spelling))

    return function


def pool_sum(builder: Builder, window: list[int]) -> int:
    """Return the sum of a window, as `pooled` takes it. builder: of the program. window: the registers."""
    return window[0] if len(window) == 1 else builder.apply("sum", window)
