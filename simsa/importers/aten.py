"""The operations of PyTorch (ATen), each as a function of symbolic arrays. To add one, add a row to `OPERATIONS`.

The functions take the arguments of the operations, by the names of PyTorch's schema. Where PyTorch has its own word for
the derivative at a tie, the row says it; what that word returns is in the table of primitives.

Shared arguments.
Those of the operations of the same names in PyTorch, <https://docs.pytorch.org/docs/stable/torch.html>. x stands for
`self` and `input`.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.importers.arrays import (
    Order,
    add,
    arccosh,
    arcsinh,
    arctanh,
    condition,
    constants,
    contracted,
    convolution,
    einsum,
    largest,
    linear,
    log_softmax,
    logit,
    matmul,
    mean,
    numbers,
    pick,
    pool_largest,
    pool_sum,
    pooled,
    row,
    running,
    softmax,
    standardised,
    stop,
    take,
    take_along,
    top_k,
    where,
    windows,
    word,
    xlogy,
)
from simsa.program import functions, numpy_api
from simsa.program.symbolic import Array, Condition, builder_of, elementwise, lift, symbolic

IGNORED = frozenset(("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "copy"))
"""Arguments that change no number: dtypes are chosen when a program is run."""

JOINS = frozenset(("cat", "concat", "stack", "hstack", "vstack", "broadcast_tensors"))
MOVES = JOINS | frozenset(
    (
        *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "expand"),
        *("broadcast_to", "permute", "transpose", "swapaxes", "movedim", "t", "numpy_T", "mT", "adjoint", "split"),
        *("split_with_sizes", "chunk", "tensor_split", "unbind", "select", "slice", "narrow", "index", "index_select"),
        *("gather", "take_along_dim", "roll", "flip", "rot90", "repeat", "tile", "repeat_interleave", "diagonal"),
        *("unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "clone", "contiguous", "alias"),
    )
)
"""The operations that only move entries, as long as positions are known. PyTorch itself moves the registers. JOINS are
those whose first argument is a list of tensors."""

BY_ORDER = frozenset(("index", "index_select", "gather", "take_along_dim"))
"""The operations that may take entries at the positions of a sort."""

POOL, AMAX, AMIN = "torch.nn.functional.max_pool", "torch.amax", "torch.amin"
FIRST_MAX, FIRST_MIN = "torch.max(dim)", "torch.min(dim)"
CLAMP = "torch.clamp"

relu = row("relu", "torch.relu")
absolute = row("abs", "torch.abs")


class Results(Sequence[Any]):
    """Results of an operation that has several, each computed when it is first asked for.

    functions: one for each result, without arguments.
    """

    def __init__(self, *functions: Callable[[], Any]) -> None:
        self.functions = list(functions)

    def __len__(self) -> int:
        return len(self.functions)

    def __getitem__(self, i: Any) -> Any:
        return self.functions[i]()

    def __iter__(self) -> Iterator[Any]:
        return (function() for function in self.functions)


# Entry by entry.


def _addition(x: Any, other: Any, alpha: float = 1) -> Any:
    """`add`."""
    return add(x, other if alpha == 1 else np.multiply(alpha, numbers(other)))


def _subtraction(x: Any, other: Any, alpha: float = 1) -> Any:
    """`sub`."""
    return np.subtract(numbers(x), other if alpha == 1 else np.multiply(alpha, numbers(other)))


def _division(x: Any, other: Any, rounding_mode: str | None = None) -> Any:
    """`div`."""
    quotient = np.divide(numbers(x), numbers(other))
    if rounding_mode is None:
        return quotient
    return np.floor(quotient) if rounding_mode == "floor" else np.trunc(quotient)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """`clamp`: with both bounds the row `clip`, with one of them `maximum` or `minimum`."""
    if min is not None and max is not None:
        return row("clip")(x, min, max)
    if min is not None:
        return row("maximum", CLAMP)(x, min)
    return row("minimum", CLAMP)(x, max)


def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """`hardtanh`, whose derivative at both bounds is 0; `relu6` is exported as one."""
    if (min_val, max_val) == (-1.0, 1.0):
        return row("hardtanh", "torch.nn.functional.hardtanh")(x)
    if (min_val, max_val) == (0.0, 6.0):
        return row("relu6", "torch.nn.functional.relu6")(x)
    return functions.piecewise([(x <= min_val, min_val), (x >= max_val, max_val)], x)


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    """`elu`: scale x for x > 0, else scale alpha (exp(input_scale x) - 1)."""
    inside = x if input_scale == 1 else x * input_scale
    factor = scale / input_scale
    result = row("elu", "torch.nn.functional.elu", a=alpha * input_scale)(inside)
    return result if factor == 1 else factor * result


def _selu(x: Any) -> Any:
    """`selu`."""
    return _elu(x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


def _celu(x: Any, alpha: float = 1.0) -> Any:
    """`celu`: x for x > 0, else alpha (exp(x / alpha) - 1)."""
    return alpha * row("elu", "torch.nn.functional.elu", a=1.0)(x / alpha) if alpha != 1 else _elu(x)


def _gelu(x: Any, approximate: str = "none") -> Any:
    """`gelu`."""
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))))
    return x * (0.5 * (1.0 + functions.erf(x * math.sqrt(0.5))))


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """`softplus`, without the threshold above which PyTorch returns x: they differ by 2e-9 there."""
    return functions.softplus(x) if beta == 1 else functions.softplus(x * beta) / beta


def _hardswish(x: Any) -> Any:
    """`hardswish`; the derivatives that PyTorch returns are 0 at -3 and 1 at 3."""
    return functions.piecewise([(x <= -3.0, 0.0), (x < 3.0, x * (x + 3.0) / 6.0)], x)


def _hardsigmoid(x: Any) -> Any:
    """`hardsigmoid`; the derivatives at -3 and 3 are 0."""
    return functions.piecewise([(x <= -3.0, 0.0), (x < 3.0, (x + 3.0) / 6.0)], 1.0)


def _prelu(x: Any, weight: Any) -> Any:
    """`prelu`: one slope, or one for each channel, the second axis."""
    if np.size(weight) > 1 and np.ndim(x) > 1:
        weight = np.reshape(weight, (-1, *[1] * (np.ndim(x) - 2)))
    elif np.size(weight) == 1:
        weight = np.reshape(weight, ())
    return where(x > 0.0, x, numbers(weight) * x)


def _glu(x: Any, dim: int = -1) -> Any:
    """`glu`."""
    first, second = np.split(x, 2, axis=dim)
    return first * functions.sigmoid(second)


def _logit(x: Any, eps: float | None = None) -> Any:
    """`logit`; with eps, of x kept between eps and 1 - eps."""
    return logit(x if eps is None else _clamp(x, eps, 1.0 - eps))


def _sinc(x: Any) -> Any:
    """`sinc`: sin(pi x) / (pi x), and the constant 1 at 0."""
    inner = x * math.pi
    return functions.piecewise([(x == 0.0, 1.0)], np.sin(inner) / inner)


def _power(x: Any, exponent: Any) -> Any:
    """`pow`."""
    return np.power(numbers(x), exponent)


def _outside(value: bool) -> Callable[..., Any]:
    """Return a test for NaN and infinities, which is decided beforehand: a run ends where a number is not finite."""
    return lambda x: np.full(np.shape(x), value)


# Reductions.


def _dims(dim: Any) -> Any:
    """Return the axes of a reduction: None for all, also for the empty list."""
    if dim is None or (isinstance(dim, list | tuple) and not len(dim)):
        return None
    return tuple(dim) if isinstance(dim, list | tuple) else int(dim)


def _total(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """`sum`."""
    return np.sum(numbers(x), axis=_dims(dim), keepdims=keepdim)


def _average(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """`mean`."""
    return mean(x, _dims(dim), keepdim)


def _extreme(x: Any, dim: Any = (), keepdim: bool = False, *, primitive: str = "max") -> Any:
    """`amax` and `amin`, which split the derivative evenly between equal entries."""
    return largest(x, _dims(dim), keepdim, AMAX if primitive == "max" else AMIN, primitive)


def _extreme_along(x: Any, dim: Any = None, keepdim: bool = False, *, primitive: str = "max") -> Any:
    """`max` and `min`: of all entries, of two arrays, or with positions along an axis, which takes the first."""
    if symbolic(dim) or isinstance(dim, np.ndarray):
        binary = {"max": ("maximum", "torch.maximum"), "min": ("minimum", "torch.minimum")}
        return row(*binary[primitive])(x, dim)
    if dim is None:
        return _extreme(x, primitive=primitive)
    x, spelling = numbers(x), FIRST_MAX if primitive == "max" else FIRST_MIN
    place = np.argmax if primitive == "max" else np.argmin
    return Results(lambda: largest(x, dim, keepdim, spelling, primitive), lambda: place(x, axis=dim, keepdims=keepdim))


def _place_of(x: Any, dim: int | None = None, keepdim: bool = False, *, function: Callable[..., Any]) -> Any:
    """`argmax` and `argmin`."""
    return function(numbers(x), axis=dim, keepdims=keepdim)


def _product(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """`prod`."""
    return np.prod(numbers(x), axis=dim, keepdims=keepdim)


def _ordered(x: Any, dim: int = -1, descending: bool = False) -> Any:
    """`sort`; equal entries keep their order."""
    if not np.ndim(x):
        return Results(lambda: x, lambda: 0)
    values = top_k(x, np.shape(x)[dim], dim, descending)
    return Results(lambda: values, lambda: Order(x, dim, values))


def _ordered_stable(x: Any, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    """`sort.stable`."""
    return _ordered(x, dim, descending)


def _order(x: Any, dim: int = -1, descending: bool = False) -> Any:
    """`argsort`."""
    return _ordered(x, dim, descending)[1]


def _best(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """`topk`; of equal entries the first are taken."""
    values = top_k(x, k, dim, largest)
    return Results(lambda: values, lambda: Order(x, dim, values))


def _kth(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """`kthvalue`: the k-th entry of the sorted ones."""
    values = np.take(top_k(x, k, dim, descending=False), [k - 1], axis=dim)
    values = values if keepdim else np.squeeze(values, dim)
    return Results(lambda: values, lambda: Order(x, dim, values))


def _median(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """`median`: the lower of the two entries in the middle."""
    if dim is None:
        flat = np.reshape(numbers(x), -1)
        return _kth(flat, (np.size(x) + 1) // 2, 0)[0]
    return _kth(x, (np.shape(x)[dim] + 1) // 2, dim, keepdim)


def _quantile(x: Any, q: Any, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear") -> Any:
    """`quantile` for one number q that is known; interpolation "linear"."""
    if symbolic(q) or np.ndim(q) or interpolation != "linear":
        raise ProgramError("quantile can be imported for one known q, with linear interpolation")
    flat, at = (np.reshape(x, -1), 0) if dim is None else (x, dim)
    rank = float(q) * (np.shape(flat)[at] - 1)
    below, weight = math.floor(rank), rank - math.floor(rank)
    values = top_k(flat, np.shape(flat)[at], at, descending=False)
    low = np.take(values, [below], axis=at)
    result = low if not weight else low + weight * (np.take(values, [below + 1], axis=at) - low)
    if dim is None:
        return np.reshape(result, (1,) * np.ndim(x) if keepdim else ())
    return result if keepdim else np.squeeze(result, at)


def _cumulative(x: Any, dim: int, *, step: Callable[[Any, Any], Any]) -> Any:
    """`cumsum` and `cumprod`."""
    return running(numbers(x), dim, step)


def _cumulative_extreme(x: Any, dim: int, *, primitive: str) -> Any:
    """`cummax` and `cummin`, which take the last of equal entries."""
    name = {"max": "maximum", "min": "minimum"}[primitive]

    def step(before: Any, entry: Any) -> Any:
        builder = builder_of(before, entry)
        return elementwise(name, before, entry, tie="last" if builder.convention.base == "pytorch" else None)

    def positions() -> Any:
        raise ProgramError("the positions of cummax and cummin cannot be imported")

    return Results(lambda: running(numbers(x), dim, step), positions)


def _variance(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False, unbiased: Any = None) -> Any:
    """`var`."""
    return np.var(numbers(x), axis=_dims(dim), ddof=_correction(dim, correction, unbiased), keepdims=keepdim)


def _deviation(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False, unbiased: Any = None) -> Any:
    """`std`, whose derivative at a constant array is 0."""
    return np.std(numbers(x), axis=_dims(dim), ddof=_correction(dim, correction, unbiased), keepdims=keepdim)


def _correction(dim: Any, correction: Any, unbiased: Any) -> float:
    """Return what is subtracted from the number of entries; `std(x, False)` has a truth value where axes may be."""
    told = dim if isinstance(dim, bool) else correction if isinstance(correction, bool) else unbiased
    return float(told) if told is not None else 1.0 if correction is None else float(correction)


def _vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """`linalg.vector_norm` for ord 1, 2, inf and -inf."""
    x, axis = numbers(x), _dims(dim)
    if ord == 2:
        return numpy_api.norm(x, axis, keepdim, word(x.builder, "norm", "torch.linalg.norm"))
    if ord == 1:
        return np.sum(absolute(x), axis=axis, keepdims=keepdim)
    if ord in (math.inf, -math.inf):
        return _extreme(absolute(x), dim, keepdim, primitive="max" if ord > 0 else "min")
    raise ProgramError(f"a norm can be imported for ord 1, 2, inf and -inf, got {ord}")


def _norm(x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """`norm`."""
    return _vector_norm(x, 2 if p in (None, "fro") else p, dim, keepdim)


def _matrix_norm(x: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False) -> Any:
    """`linalg.matrix_norm` for the norm of Frobenius."""
    if ord != "fro":
        raise ProgramError(f"a matrix norm can be imported for ord 'fro', got {ord!r}; it has no row in the table")
    return _vector_norm(x, 2, dim, keepdim)


def _distances(x1: Any, x2: Any, p: float = 2.0, compute_mode: Any = None) -> Any:
    """`cdist`."""
    return _vector_norm(np.expand_dims(x1, -2) - np.expand_dims(x2, -3), p, -1)


def _pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """`pairwise_distance`."""
    return _vector_norm(numbers(x1) - numbers(x2) + eps, p, -1, keepdim)


def _cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """`cosine_similarity`."""
    x1, x2 = np.broadcast_arrays(x1, x2)
    scaled = [x / _clamp(_vector_norm(x, 2, dim, True), min=eps) for x in (x1, x2)]
    return np.sum(scaled[0] * scaled[1], axis=dim)


# Products.


def _addmm(x: Any, mat1: Any, mat2: Any, beta: float = 1, alpha: float = 1) -> Any:
    """`addmm`, `addmv`, `baddbmm`."""
    product = matmul(mat1, mat2)
    return (x if beta == 1 else beta * x) + (product if alpha == 1 else alpha * product)


def _bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    """`bilinear`."""
    result = einsum("...i,oij,...j->...o", x1, weight, x2)
    return result if bias is None else result + bias


# Entries at positions, and constants.


def _indexed(x: Any, indices: Sequence[Any]) -> Any:
    """`x[...]` with arrays of positions, of which some depend on parameters or data, or are those of a sort."""
    used = [i for i, one in enumerate(indices) if one is not None]
    if len(used) == 1 and isinstance(indices[used[0]], Order):
        return indices[used[0]].of(x, used[0])
    moving = [i for i in used if symbolic(indices[i])]
    counts = [np.shape(x)[i] for i in moving]
    shape = np.broadcast_shapes(*(np.shape(indices[i]) for i in used))
    candidates = []
    for place in np.ndindex(*counts):
        known = dict(zip(moving, place, strict=True))
        key = [
            np.broadcast_to(known.get(i, indices[i]), shape) if i in used else slice(None) for i in range(np.ndim(x))
        ]
        candidates.append(x[tuple(key)])
    number = indices[moving[0]]
    for i, count in zip(moving[1:], counts[1:], strict=True):
        number = number * float(count) + indices[i]
    before = used[0] if used == list(range(used[0], used[-1] + 1)) else 0
    spread = (*[1] * before, *shape, *[1] * (np.ndim(candidates[0]) - before - len(shape)))
    return pick(np.reshape(np.broadcast_to(number, shape), spread), candidates)


def _index_select(x: Any, dim: int, index: Any) -> Any:
    """`index_select`, and `select` at a position that depends on parameters or data."""
    return index.of(x, dim) if isinstance(index, Order) else take(x, index, dim)


def _gather(x: Any, dim: int, index: Any, sparse_grad: bool = False) -> Any:
    """`gather` and `take_along_dim`."""
    return index.of(x, dim) if isinstance(index, Order) else take_along(x, index, dim)


def _embedding(
    weight: Any, indices: Any, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    """`embedding`: the rows of the weights at the indices; that of the padding gets no derivative."""
    if padding_idx >= 0:
        rows = list(weight)
        rows[padding_idx] = stop(rows[padding_idx])
        weight = np.stack(rows)
    return take(weight, indices, 0)


def _padded(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """`pad`."""
    sides = [(0, 0)] * (np.ndim(x) - len(pad) // 2)
    sides += [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)][::-1]
    if any(low < 0 or high < 0 for low, high in sides):
        x = x[tuple(slice(max(-low, 0), n - max(-high, 0)) for (low, high), n in zip(sides, np.shape(x), strict=True))]
        sides = [(max(low, 0), max(high, 0)) for low, high in sides]
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    options: Any = {"constant_values": value or 0.0} if mode == "constant" else {}
    pad_by: Any = np.pad  # its types know no mode in a variable
    return pad_by(numbers(x), sides, modes[mode], **options)


def _filled(x: Any, mask: Any, value: Any) -> Any:
    """`masked_fill`."""
    return where(mask, value, x)


def _constant_like(x: Any, value: float = 0.0) -> Any:
    """`zeros_like`, `ones_like`, `full_like` and the like."""
    return np.full(np.shape(x), value, np.float64)


def _new_constant(x: Any, size: Sequence[int], value: float = 0.0) -> Any:
    """`new_zeros`, `new_ones`, `new_full`."""
    return np.full(tuple(size), value, np.float64)


def _same(x: Any, *_: Any) -> Any:
    """Return x: operations that change no number, such as a change of dtype."""
    return x


def _copy_into(x: Any, src: Any) -> Any:
    """`copy_`."""
    return np.broadcast_to(constants(numbers(src), x.builder), np.shape(x))


# Layers.


def _each(value: Any, axes: int) -> list[int]:
    """Return a number for each of `axes` axes."""
    values = [int(v) for v in np.atleast_1d(value)]
    return values * axes if len(values) == 1 else values


def _conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """`conv1d`, `conv2d`, `conv3d`."""
    axes = np.ndim(weight) - 2
    single = np.ndim(x) == axes + 1
    image = np.expand_dims(x, 0) if single else x
    steps, spaces = _each(stride, axes), _each(dilation, axes)
    if padding == "valid":
        padding = 0
    if padding == "same":
        extra = [d * (k - 1) for d, k in zip(spaces, np.shape(weight)[2:], strict=True)]
        sides = [(e // 2, e - e // 2) for e in extra]
    else:
        sides = [(p, p) for p in _each(padding, axes)]
    result = convolution(image, weight, bias, stride=steps, padding=sides, dilation=spaces, groups=groups)
    return result[0] if single else result


def _conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """`conv_transpose1d` and its like: a convolution of the image with zeros between its entries."""
    axes = np.ndim(weight) - 2
    single = np.ndim(x) == axes + 1
    image = numbers(np.expand_dims(x, 0) if single else x)
    builder = builder_of(image, weight)
    entries, size = lift(image, builder), np.shape(weight)[2:]
    steps, sides = _each(stride, axes), _each(padding, axes)
    more, spaces = _each(output_padding, axes), _each(dilation, axes)
    shape = [(n - 1) * s + 1 for n, s in zip(entries.shape[2:], steps, strict=True)]
    spread = np.full((*entries.shape[:2], *shape), builder.constant(0.0))
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in steps))] = entries
    around = [(d * (k - 1) - p, d * (k - 1) - p + o) for k, p, o, d in zip(size, sides, more, spaces, strict=True)]
    if any(low < 0 for low, _ in around):
        raise ProgramError("a transposed convolution can be imported with a padding below the size of its filters")
    filters = np.flip(weight, tuple(range(2, axes + 2)))
    inputs, outputs = np.shape(filters)[:2]
    grouped = np.reshape(filters, (groups, inputs // groups, outputs, *size))
    filters = np.reshape(np.swapaxes(grouped, 1, 2), (groups * outputs, inputs // groups, *size))
    result = convolution(
        Array(builder, spread), filters, bias, stride=[1] * axes, padding=around, dilation=spaces, groups=groups
    )
    return result[0] if single else result


def _pool_windows(
    x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, axes: int
) -> tuple[Any, int]:
    """Return the windows of pooling over the last `axes` axes of x, and the number of entries of a whole window."""
    shape = np.shape(x)[-axes:]
    size, sides, spaces = _each(kernel, axes), _each(padding, axes), _each(dilation, axes)
    steps = _each(stride, axes) if stride is not None and np.size(stride) else size
    around = []
    for n, k, s, p, d in zip(shape, size, steps, sides, spaces, strict=True):
        rest = (n + 2 * p - d * (k - 1) - 1) % s
        more = s - rest if ceil and rest else 0
        # PyTorch leaves out a last window that would begin in the padding.
        last = (n + 2 * p + more - d * (k - 1) - 1) // s * s
        around.append((p, p + (more if last < n + p else 0)))
    return windows(shape, size, steps, around, spaces), math.prod(size)


def _max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    axes: int,
) -> Any:
    """`max_pool1d` and its like; the first of equal entries is taken."""
    at, _ = _pool_windows(x, kernel_size, stride, padding, dilation, ceil_mode, axes)
    return pooled(x, at, pool_largest(POOL))


def _max_pool_positions(*args: Any, axes: int, **options: Any) -> Any:
    """`max_pool2d_with_indices` and its like."""

    def positions() -> Any:
        raise ProgramError("the positions of max-pooling cannot be imported")

    return Results(lambda: _max_pool(*args, axes=axes, **options), positions)


def _avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    axes: int,
) -> Any:
    """`avg_pool1d` and its like."""
    if ceil_mode and count_include_pad and np.any(padding):
        raise ProgramError("avg_pool with ceil_mode can be imported without padding, or with count_include_pad=False")
    at, whole = _pool_windows(x, kernel_size, stride, padding, 1, ceil_mode, axes)
    counts = np.full(at.shape[:axes], whole) if np.any(padding) and count_include_pad else None
    return _mean_of_windows(x, at, axes, divisor_override or counts)


def _mean_of_windows(x: Any, at: Any, axes: int, divisor: Any = None) -> Any:
    """Return the mean of each window. divisor: in place of the number of entries; None for that number."""
    inside = (at.reshape(*at.shape[:axes], -1) >= 0).sum(-1)
    divisor = inside if divisor is None else divisor
    sums = pooled(x, at, pool_sum)
    return sums if np.all(divisor == 1) else sums / divisor


def _adaptive(x: Any, output_size: Any, axes: int, function: Callable[[Any], Any]) -> Any:
    """Return `function` of each window of adaptive pooling, whose windows have several sizes."""
    first = np.ndim(x) - axes
    shape = np.shape(x)[first:]
    wanted = [n if size is None else int(size) for n, size in zip(shape, _sizes(output_size, axes), strict=True)]
    for i, (n, count) in enumerate(zip(shape, wanted, strict=True)):
        if n % count:
            raise ProgramError(f"adaptive pooling of {n} entries to {count} can be imported if {count} divides {n}")
        before, after = np.shape(x)[: first + i], np.shape(x)[first + i + 1 :]
        x = np.moveaxis(np.reshape(x, (*before, count, n // count, *after)), first + i + 1, -1)
    return function(np.reshape(x, (*np.shape(x)[:first], *wanted, -1)))


def _sizes(value: Any, axes: int) -> list[Any]:
    """Return the wanted sizes of adaptive pooling, one for each axis; None keeps the size."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return values * axes if len(values) == 1 else values


def _adaptive_avg_pool(x: Any, output_size: Any, *, axes: int) -> Any:
    """`adaptive_avg_pool1d` and its like."""
    return _adaptive(numbers(x), output_size, axes, lambda windows: mean(windows, -1))


def _adaptive_max_pool(x: Any, output_size: Any, *, axes: int) -> Any:
    """`adaptive_max_pool1d` and its like; the first of equal entries is taken."""

    def positions() -> Any:
        raise ProgramError("the positions of max-pooling cannot be imported")

    return Results(
        lambda: _adaptive(numbers(x), output_size, axes, lambda windows: largest(windows, -1, spelling=POOL)), positions
    )


def _layer_norm(
    x: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5, _: Any = True
) -> Any:
    """`layer_norm`."""
    axes = tuple(range(-len(normalized_shape), 0))
    return _scaled(standardised(x, axes, eps), weight, bias)


def _scaled(x: Any, weight: Any, bias: Any, axis: int | None = None) -> Any:
    """Return x weight + bias. axis: the axis of x that both have; None for the last ones."""
    for value, function in ((weight, np.multiply), (bias, np.add)):
        if value is not None:
            if axis is not None:
                value = np.reshape(value, (-1, *[1] * (np.ndim(x) - axis - 1)))
            x = function(x, value)
    return x


def _group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, _: Any = True) -> Any:
    """`group_norm`."""
    shape = np.shape(x)
    grouped = np.reshape(x, (shape[0], num_groups, -1))
    return _scaled(np.reshape(standardised(grouped, -1, eps), shape), weight, bias, 1)


def _rms_norm(x: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """`rms_norm`."""
    axes = tuple(range(-len(normalized_shape), 0))
    below = np.sqrt(mean(np.square(x), axes, keepdims=True) + (np.finfo(np.float64).eps if eps is None else eps))
    return _scaled(x / below, weight, None)


def _batch_norm(
    x: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Any:
    """`batch_norm` with the running mean and variance."""
    if training or running_mean is None:
        raise ProgramError("batch_norm in training mode depends on the minibatch; call net.eval() first")
    spread = (-1, *[1] * (np.ndim(x) - 2))
    below = np.sqrt(np.asarray(running_var, np.float64) + eps)
    scaled = (x - np.reshape(running_mean, spread)) / np.reshape(below, spread)
    return _scaled(scaled, weight, bias, 1)


def _instance_norm(
    x: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Any:
    """`instance_norm`."""
    if not use_input_stats:
        return _batch_norm(x, weight, bias, running_mean, running_var, False, momentum, eps)
    return _scaled(standardised(x, tuple(range(2, np.ndim(x))), eps), weight, bias, 1)


def _dropout(x: Any, p: float = 0.5, train: bool = True) -> Any:
    """`dropout`, where it is switched off."""
    if train and p > 0:
        raise ProgramError("dropout in training mode draws random numbers; call net.eval() first")
    return x


def _rrelu(x: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, generator: Any = None) -> Any:
    """`rrelu`, where it is not random."""
    if training:
        raise ProgramError("rrelu in training mode draws random numbers; call net.eval() first")
    return row("leaky_relu", "torch.nn.functional.leaky_relu", a=(lower + upper) / 2)(x)


def _leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """`leaky_relu`."""
    return row("leaky_relu", "torch.nn.functional.leaky_relu", a=negative_slope)(x)


def _softmax_of(x: Any, dim: int, _: Any = None) -> Any:
    """`softmax`."""
    return softmax(x, dim)


def _log_softmax_of(x: Any, dim: int, _: Any = None) -> Any:
    """`log_softmax`."""
    return log_softmax(x, dim)


def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    """`logsumexp`."""
    return numpy_api.logsumexp(numbers(x), _dims(dim), keepdims=keepdim)


def _attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """`scaled_dot_product_attention`."""
    if dropout_p:
        raise ProgramError("dropout in attention draws random numbers; call net.eval() first")
    if enable_gqa:
        times = np.shape(query)[-3] // np.shape(key)[-3]
        key, value = np.repeat(key, times, axis=-3), np.repeat(value, times, axis=-3)
    factor = 1 / math.sqrt(np.shape(query)[-1]) if scale is None else scale
    scores = matmul(query, np.swapaxes(key, -1, -2)) * factor
    if is_causal:
        attn_mask = np.tri(*np.shape(scores)[-2:], dtype=bool)
    if attn_mask is not None:
        is_test = isinstance(attn_mask, Condition) or getattr(attn_mask, "dtype", None) == np.bool_
        scores = where(attn_mask, scores, -math.inf) if is_test else add(scores, attn_mask)
    return matmul(softmax(scores, -1), value)


def _gru_step(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    r_x, z_x, n_x = np.split(linear(x, w_ih, b_ih), 3, axis=-1)
    r_h, z_h, n_h = np.split(linear(h, w_hh, b_hh), 3, axis=-1)
    r, z = functions.sigmoid(r_x + r_h), functions.sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    return n + z * (h - n)


def _lstm_step(x: Any, state: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    h, c = state
    i, f, g, o = np.split(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh), 4, axis=-1)
    c = functions.sigmoid(f) * c + functions.sigmoid(i) * np.tanh(g)
    return functions.sigmoid(o) * np.tanh(c), c


def _rnn_step(
    x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None, *, after: Callable[[Any], Any]
) -> Any:
    return after(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh))


def _gru_cell(x: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """`gru_cell`."""
    return _gru_step(x, _lifted(hx, x, w_hh), w_ih, w_hh, b_ih, b_hh)


def _lstm_cell(x: Any, hx: Sequence[Any], w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """`lstm_cell`."""
    return _lstm_step(x, [_lifted(one, x, w_hh) for one in hx], w_ih, w_hh, b_ih, b_hh)


def _lifted(value: Any, *others: Any) -> Array:
    """Return a value as a symbolic array. others: values, of which one is symbolic."""
    builder = builder_of(value, *others)
    return Array(builder, lift(value, builder))


def _recurrent(
    x: Any,
    hx: Any,
    params: Sequence[Any],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
    *,
    step: Callable[..., Any],
) -> list[Any]:
    """`gru`, `lstm`, `rnn_tanh` and `rnn_relu`: all layers and times, one after the other."""
    if dropout and train and num_layers > 1:
        raise ProgramError("dropout in training mode draws random numbers; call net.eval() first")
    several = isinstance(hx, list | tuple)
    states = [_lifted(one, x, *params) for one in (hx if several else [hx])]
    each, directions = 4 if has_biases else 2, 2 if bidirectional else 1
    if len(params) != each * directions * num_layers:
        raise ProgramError("a recurrent layer with projections cannot be imported")
    inputs = list(np.swapaxes(x, 0, 1) if batch_first else x)
    finals: list[list[Any]] = [[] for _ in states]
    for layer in range(num_layers):
        sides = []
        for direction in range(directions):
            at = layer * directions + direction
            state: Any = tuple(one[at] for one in states) if several else states[0][at]
            results: list[Any] = []
            for value in inputs[::-1] if direction else inputs:
                state = step(value, state, *params[at * each : (at + 1) * each])
                results.append(state[0] if several else state)
            sides.append(results[::-1] if direction else results)
            for final, one in zip(finals, state if several else [state], strict=True):
                final.append(one)
        inputs = [np.concatenate(parts, axis=-1) for parts in zip(*sides, strict=True)] if bidirectional else sides[0]
    return [np.stack(inputs, axis=1 if batch_first else 0), *(np.stack(final) for final in finals)]


# Losses.


def _reduced(losses: Any, reduction: int) -> Any:
    """Return losses as they are (0), their mean (1), or their sum (2)."""
    if reduction == 0:
        return losses
    return mean(losses) if reduction == 1 else np.sum(numbers(losses))


def _mse_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    """`mse_loss`."""
    return _reduced(np.square(np.subtract(x, target)), reduction)


def _l1_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    """`l1_loss`."""
    return _reduced(absolute(np.subtract(x, target)), reduction)


def _huber_loss(x: Any, target: Any, reduction: int = 1, delta: float = 1.0) -> Any:
    """`huber_loss`."""
    return _reduced(row("huber", "torch.nn.functional.huber_loss", a=delta)(np.subtract(x, target)), reduction)


def _smooth_l1_loss(x: Any, target: Any, reduction: int = 1, beta: float = 1.0) -> Any:
    """`smooth_l1_loss`: the Huber loss over its threshold."""
    if beta == 0:
        return _l1_loss(x, target, reduction)
    losses = row("huber", "torch.nn.functional.huber_loss", a=beta)(np.subtract(x, target))
    return _reduced(losses if beta == 1 else losses / beta, reduction)


def _cross_entropy_loss(
    x: Any,
    target: Any,
    weight: Any = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    """`cross_entropy`, with labels or with probabilities as the target."""
    axis = 0 if np.ndim(x) == 1 else 1
    scores, classes = np.moveaxis(numbers(x), axis, -1), np.shape(x)[axis]
    total = numpy_api.logsumexp(scores, -1)
    if np.shape(target) == np.shape(x):
        wanted = np.moveaxis(target, axis, -1)
        if label_smoothing:
            wanted = wanted * (1 - label_smoothing) + label_smoothing / classes
        terms = np.multiply(wanted, np.expand_dims(total, -1) - scores)
        losses = np.sum(terms if weight is None else terms * weight, axis=-1)
        count = np.size(losses) if np.ndim(x) > 1 else 1
        return losses if reduction == 0 else _over(np.sum(losses), count if reduction == 1 else 1)
    if weight is not None or label_smoothing:
        return _weighted_entropy(total, scores, target, weight, reduction, label_smoothing, ignore_index)
    return _means(total - _chosen(scores, target), target, reduction, ignore_index)


def _chosen(scores: Any, target: Any) -> Any:
    """Return the entries along the last axis that labels name."""
    if symbolic(target):
        return pick(target, [scores[..., k] for k in range(scores.shape[-1])])
    return take_along(scores, np.clip(np.expand_dims(target, -1), 0, None), -1)[..., 0]


def _over(value: Any, count: Any) -> Any:
    """Return value / count; for a count of 1 the value."""
    return value if not symbolic(count) and np.all(count == 1) else value / count


def _means(losses: Any, target: Any, reduction: int, ignore_index: int, weights: Any = None) -> Any:
    """Return the losses, their mean or their sum, without those whose label is to be ignored.

    Labels that are data are ignored only if there is more than one, or if `ignore_index` is one of the classes: else
    a mean over no samples would be NaN anyway.
    """
    ignored = np.equal(target, ignore_index) if not symbolic(target) or ignore_index >= 0 else None
    if ignored is not None and (symbolic(ignored) or np.any(ignored)):
        losses = where(ignored, 0.0, losses)
        weights = where(ignored, 0.0, np.ones(np.shape(losses)) if weights is None else weights)
    if reduction == 0:
        return losses if weights is None else losses * weights
    if weights is None:
        return _reduced(losses, reduction)
    summed = np.sum(numbers(losses * weights))
    return summed if reduction == 2 else summed / np.sum(weights)


def _weighted_entropy(
    total: Any, scores: Any, target: Any, weight: Any, reduction: int, smoothing: float, ignore_index: int
) -> Any:
    """Return the cross-entropy with weights of the classes, or with smoothed labels."""
    classes = scores.shape[-1]
    weight = np.ones(classes) if weight is None else weight
    if symbolic(target):
        weights = pick(target, [np.full(np.shape(total), w) for w in weight])
    else:
        weights = np.asarray(weight)[np.clip(target, 0, None)]
    losses = (total - _chosen(scores, target)) * weights
    if smoothing:
        even = np.sum((np.expand_dims(total, -1) - scores) * weight, axis=-1) / classes
        losses = losses * (1 - smoothing) + even * smoothing
    if reduction == 0:
        return losses
    summed = np.sum(losses)
    return summed if reduction == 2 else _over(summed, np.sum(weights))


def _nll_loss(x: Any, target: Any, weight: Any = None, reduction: int = 1, ignore_index: int = -100) -> Any:
    """`nll_loss`."""
    scores = np.moveaxis(numbers(x), 0 if np.ndim(x) == 1 else 1, -1)
    weights = None
    if weight is not None:
        weights = pick(target, [np.full(np.shape(target), w) for w in weight]) if symbolic(target) else weight[target]
    return _means(-_chosen(scores, target), target, reduction, ignore_index, weights)


def _bce_with_logits(x: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: int = 1) -> Any:
    """`binary_cross_entropy_with_logits`: softplus(x) - x t, which is smooth."""
    if pos_weight is None:
        losses = functions.softplus(x) - np.multiply(x, target)
    else:
        losses = np.subtract(1.0, target) * x + functions.softplus(-numbers(x)) * (
            1.0 + np.multiply(np.subtract(pos_weight, 1.0), target)
        )
    return _reduced(losses if weight is None else losses * weight, reduction)


def _binary_cross_entropy(x: Any, target: Any, weight: Any = None, reduction: int = 1) -> Any:
    """`binary_cross_entropy`, whose logarithms are at least -100."""
    one, other = (row("maximum", CLAMP)(np.log(p), -100.0) for p in (x, np.subtract(1.0, x)))
    losses = -(np.multiply(target, one) + np.multiply(np.subtract(1.0, target), other))
    return _reduced(losses if weight is None else losses * weight, reduction)


def _kl_div(x: Any, target: Any, reduction: int = 1, log_target: bool = False) -> Any:
    """`kl_div`."""
    if log_target:
        return _reduced(np.exp(target) * np.subtract(target, x), reduction)
    if symbolic(target):
        constant = xlogy(target, target)
    else:
        constant = np.where(np.equal(target, 0), 0.0, target * np.log(np.where(np.equal(target, 0), 1.0, target)))
    return _reduced(np.subtract(constant, np.multiply(target, x)), reduction)


def _hinge_embedding_loss(x: Any, target: Any, margin: float = 1.0, reduction: int = 1) -> Any:
    """`hinge_embedding_loss`."""
    above = row("maximum", CLAMP)(np.subtract(margin, x), 0.0)
    losses = where(np.equal(target, 1.0), x, 0.0) + where(np.equal(target, -1.0), above, 0.0)
    return _reduced(losses, reduction)


def _margin_ranking_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, reduction: int = 1) -> Any:
    """`margin_ranking_loss`."""
    return _reduced(row("maximum", CLAMP)(np.negative(target) * np.subtract(x1, x2) + margin, 0.0), reduction)


def _multi_margin_loss(x: Any, target: Any, p: Any = 1, margin: Any = 1, weight: Any = None, reduction: int = 1) -> Any:
    """`multi_margin_loss`, whose derivative at its kinks is 0."""
    scores: Any = numbers(x) if np.ndim(x) > 1 else np.expand_dims(numbers(x), 0)
    labels = target if np.ndim(target) else np.reshape(target, (1,))
    classes = scores.shape[-1]
    own = np.expand_dims(_chosen(scores, labels), -1)
    terms: Any = relu(margin - own + scores)
    terms = np.square(terms) if p == 2 else terms
    is_own = np.equal(np.expand_dims(labels, -1), np.arange(classes, dtype=np.float64))
    losses: Any = np.sum(where(is_own, 0.0, terms), axis=-1) / classes
    if weight is not None:
        losses = losses * (pick(labels, list(np.asarray(weight))) if symbolic(labels) else weight[labels])
    losses = _reduced(losses, reduction)
    return losses[0] if np.ndim(x) == 1 and reduction == 0 else losses


def _soft_margin_loss(x: Any, target: Any, reduction: int = 1) -> Any:
    """`soft_margin_loss`."""
    return _reduced(functions.softplus(np.negative(target) * x), reduction)


def _cosine_embedding_loss(x1: Any, x2: Any, target: Any, margin: float = 0.0, reduction: int = 1) -> Any:
    """`cosine_embedding_loss`."""
    similarity = _cosine_similarity(x1, x2, -1)
    apart = row("maximum", CLAMP)(similarity - margin, 0.0)
    losses = where(np.equal(target, 1.0), 1.0 - similarity, 0.0) + where(np.equal(target, -1.0), apart, 0.0)
    return _reduced(losses, reduction)


def _triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: int = 1,
) -> Any:
    """`triplet_margin_loss`."""
    near, far = _pairwise_distance(anchor, positive, p, eps), _pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = row("minimum", "torch.minimum")(far, _pairwise_distance(positive, negative, p, eps))
    return _reduced(row("maximum", CLAMP)(margin + near - far, 0.0), reduction)


def _poisson_nll_loss(x: Any, target: Any, log_input: bool, full: bool, eps: float, reduction: int = 1) -> Any:
    """`poisson_nll_loss`, without the term of Stirling."""
    if full:
        raise ProgramError("poisson_nll_loss can be imported with full=False")
    losses = np.exp(x) - np.multiply(target, x) if log_input else x - np.multiply(target, np.log(x + eps))
    return _reduced(losses, reduction)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    # Arithmetic.
    "add": _addition,
    "sub": _subtraction,
    "subtract": _subtraction,
    "rsub": lambda x, other, alpha=1: _subtraction(other, x, alpha),
    "mul": lambda x, other: np.multiply(numbers(x), numbers(other)),
    "multiply": lambda x, other: np.multiply(numbers(x), numbers(other)),
    "div": _division,
    "divide": _division,
    "true_divide": _division,
    "floor_divide": lambda x, other: _division(x, other, "floor"),
    "remainder": lambda x, other: np.subtract(x, np.floor(np.divide(x, other)) * other),
    "fmod": lambda x, other: np.subtract(x, np.trunc(np.divide(x, other)) * other),
    "addcmul": lambda x, t1, t2, value=1: _addition(x, np.multiply(t1, t2), value),
    "addcdiv": lambda x, t1, t2, value=1: _addition(x, np.divide(t1, t2), value),
    "lerp": lambda x, end, weight: x + np.multiply(weight, np.subtract(end, x)),
    "pow": _power,
    "pow.Scalar": lambda base, exponent: row("pow")(base, exponent),
    "float_power": _power,
    # Functions of one number.
    "neg": lambda x: np.negative(x),
    "negative": lambda x: np.negative(x),
    "abs": absolute,
    "sign": lambda x: np.sign(x),
    "sgn": lambda x: np.sign(x),
    "exp": lambda x: np.exp(x),
    "exp2": lambda x: np.exp2(x),
    "expm1": lambda x: np.expm1(x),
    "log": lambda x: np.log(x),
    "log1p": lambda x: np.log1p(x),
    "log2": lambda x: np.log2(x),
    "log10": lambda x: np.log10(x),
    "sqrt": lambda x: np.sqrt(x),
    "rsqrt": lambda x: np.reciprocal(np.sqrt(x)),
    "square": lambda x: np.square(x),
    "reciprocal": lambda x: np.reciprocal(x),
    "sin": lambda x: np.sin(x),
    "cos": lambda x: np.cos(x),
    "tan": lambda x: np.tan(x),
    "sinh": lambda x: np.sinh(x),
    "cosh": lambda x: np.cosh(x),
    "tanh": lambda x: np.tanh(x),
    **dict.fromkeys(("asinh", "arcsinh"), arcsinh),
    **dict.fromkeys(("acosh", "arccosh"), arccosh),
    **dict.fromkeys(("atanh", "arctanh"), arctanh),
    "logit": _logit,
    "sinc": _sinc,
    "erf": functions.erf,
    "erfc": lambda x: 1.0 - functions.erf(x),
    "floor": lambda x: np.floor(x),
    "ceil": lambda x: np.ceil(x),
    "trunc": lambda x: np.trunc(x),
    "frac": lambda x: x - np.trunc(x),
    "round": lambda x, decimals=0: np.round(x, decimals),
    "deg2rad": lambda x: np.deg2rad(x),
    "rad2deg": lambda x: np.rad2deg(x),
    "xlogy": xlogy,
    # Activations.
    "relu": relu,
    "relu6": row("relu6", "torch.nn.functional.relu6"),
    "leaky_relu": _leaky_relu,
    "rrelu": _rrelu,
    "prelu": _prelu,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "gelu": _gelu,
    "silu": lambda x: x * functions.sigmoid(x),
    "mish": lambda x: x * np.tanh(functions.softplus(x)),
    "sigmoid": functions.sigmoid,
    "softplus": _softplus,
    "log_sigmoid": lambda x: -functions.softplus(-x),
    "hardtanh": _hardtanh,
    "hardswish": _hardswish,
    "hardsigmoid": _hardsigmoid,
    "hardshrink": lambda x, lambd=0.5: functions.piecewise([(x > lambd, x), (x < -lambd, x)], 0.0),
    "softshrink": lambda x, lambd=0.5: functions.piecewise([(x > lambd, x - lambd), (x < -lambd, x + lambd)], 0.0),
    "threshold": lambda x, threshold, value: where(x > threshold, x, value),
    "glu": _glu,
    "softmax": _softmax_of,
    "_softmax": _softmax_of,
    "log_softmax": _log_softmax_of,
    "_log_softmax": _log_softmax_of,
    # Selections.
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": lambda x, min: _clamp(x, min=min),
    "clamp_max": lambda x, max: _clamp(x, max=max),
    "maximum": row("maximum", "torch.maximum"),
    "minimum": row("minimum", "torch.minimum"),
    "fmax": row("maximum", "torch.fmax"),
    "fmin": row("minimum", "torch.fmin"),
    "where": lambda test, x, other: where(test, x, other),
    "masked_fill": _filled,
    "hypot": lambda x, other: np.hypot(x, other),
    "logaddexp": lambda x, other: np.logaddexp(x, other),
    "lt": lambda x, other: np.less(x, other),
    "le": lambda x, other: np.less_equal(x, other),
    "gt": lambda x, other: np.greater(x, other),
    "ge": lambda x, other: np.greater_equal(x, other),
    "eq": lambda x, other: np.equal(x, other),
    "ne": lambda x, other: np.not_equal(x, other),
    "logical_and": lambda x, other: np.logical_and(condition(x), condition(other)),
    "logical_or": lambda x, other: np.logical_or(condition(x), condition(other)),
    "logical_xor": lambda x, other: np.logical_xor(condition(x), condition(other)),
    "logical_not": lambda x: np.logical_not(condition(x)),
    "__and__": lambda x, other: np.logical_and(x, other),
    "__or__": lambda x, other: np.logical_or(x, other),
    "bitwise_and": lambda x, other: np.logical_and(x, other),
    "bitwise_or": lambda x, other: np.logical_or(x, other),
    "bitwise_not": lambda x: np.logical_not(x),
    "any": lambda x, dim=None, keepdim=False: np.any(condition(x), axis=_dims(dim)),
    "all": lambda x, dim=None, keepdim=False: np.all(condition(x), axis=_dims(dim)),
    "isnan": _outside(False),
    "isinf": _outside(False),
    "isfinite": _outside(True),
    "one_hot": lambda x, num_classes: functions.one_hot(x, num_classes),
    # Reductions.
    "sum": _total,
    "mean": _average,
    "prod": _product,
    "amax": _extreme,
    "amin": partial(_extreme, primitive="min"),
    "max": _extreme_along,
    "min": partial(_extreme_along, primitive="min"),
    "aminmax": lambda x, dim=None, keepdim=False: Results(
        lambda: _extreme(x, dim, keepdim, primitive="min"), lambda: _extreme(x, dim, keepdim)
    ),
    "argmax": partial(_place_of, function=np.argmax),
    "argmin": partial(_place_of, function=np.argmin),
    "sort": _ordered,
    "sort.stable": _ordered_stable,
    "argsort": _order,
    "argsort.stable": lambda x, stable=None, dim=-1, descending=False: _order(x, dim, descending),
    "topk": _best,
    "kthvalue": _kth,
    "median": _median,
    "nanmedian": _median,
    "quantile": _quantile,
    "cumsum": partial(_cumulative, step=np.add),
    "cumprod": partial(_cumulative, step=np.multiply),
    "cummax": partial(_cumulative_extreme, primitive="max"),
    "cummin": partial(_cumulative_extreme, primitive="min"),
    "logsumexp": _logsumexp,
    "logcumsumexp": lambda x, dim: running(numbers(x), dim, np.logaddexp),
    "var": _variance,
    "std": _deviation,
    "var_mean": lambda x, dim=None, **options: [
        _variance(x, dim, **options),
        _average(x, dim, options.get("keepdim", False)),
    ],
    "linalg_vector_norm": _vector_norm,
    "linalg_norm": lambda x, ord=None, dim=None, keepdim=False: _norm(x, ord, dim, keepdim),
    "linalg_matrix_norm": _matrix_norm,
    "norm": _norm,
    "frobenius_norm": lambda x, dim=(), keepdim=False: _vector_norm(x, 2, dim, keepdim),
    "dist": lambda x, other, p=2: _vector_norm(np.subtract(x, other), p),
    "cdist": _distances,
    "pairwise_distance": _pairwise_distance,
    "cosine_similarity": _cosine_similarity,
    "trace": lambda x: np.trace(x),
    # Products.
    "linear": linear,
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "mv": matmul,
    "dot": matmul,
    "vdot": matmul,
    "linalg_vecdot": lambda x, y, dim=-1: np.sum(np.multiply(x, y), axis=dim),
    "inner": lambda x, other: np.multiply(x, other) if not np.ndim(other) else linear(x, other),
    "outer": lambda x, other: np.multiply(np.expand_dims(x, -1), other),
    "addmm": _addmm,
    "addmv": _addmm,
    "addbmm": lambda x, a, b, beta=1, alpha=1: beta * x + alpha * np.sum(matmul(a, b), axis=0),
    "baddbmm": _addmm,
    "tensordot": lambda x, y, dims_self, dims_other: contracted(x, y, (dims_self, dims_other), ((), ())),
    "einsum": lambda equation, tensors, path=None: einsum(equation, *tensors),
    "bilinear": _bilinear,
    # Entries at positions, and constants.
    "view_as": lambda x, other: np.reshape(x, np.shape(other)),
    "expand_as": lambda x, other: np.broadcast_to(x, np.shape(other)),
    "select": _index_select,
    "index": _indexed,
    "index_select": _index_select,
    "gather": _gather,
    "take_along_dim": lambda x, indices, dim: _gather(x, dim, indices),
    "embedding": _embedding,
    "diag": lambda x, diagonal=0: np.diag(x, diagonal),
    "tril": lambda x, diagonal=0: np.tril(x, diagonal),
    "triu": lambda x, diagonal=0: np.triu(x, diagonal),
    "pad": _padded,
    "constant_pad_nd": lambda x, pad, value=0: _padded(x, pad, "constant", value),
    "zeros_like": _constant_like,
    "empty_like": _constant_like,
    "ones_like": lambda x: _constant_like(x, 1.0),
    "full_like": lambda x, fill_value: _constant_like(x, fill_value),
    "new_zeros": _new_constant,
    "new_ones": lambda x, size: _new_constant(x, size, 1.0),
    "new_full": lambda x, size, fill_value: _new_constant(x, size, fill_value),
    "fill": lambda x, value: np.broadcast_to(constants(value, x.builder), np.shape(x)),
    "zero": lambda x: _constant_like(x),
    "copy": _copy_into,
    "detach": stop,
    "detach_": stop,
    "lift_fresh_copy": _same,
    "_assert_tensor_metadata": lambda *_: None,
    "_assert_async": lambda *_: None,
    "_assert_scalar": lambda *_: None,
    "item": _same,
    # Layers.
    **{f"conv{n}d": _conv for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _conv_transpose for n in (1, 2, 3)},
    **{f"max_pool{n}d": partial(_max_pool, axes=n) for n in (1, 2, 3)},
    **{f"max_pool{n}d_with_indices": partial(_max_pool_positions, axes=n) for n in (1, 2, 3)},
    **{f"avg_pool{n}d": partial(_avg_pool, axes=n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": partial(_adaptive_avg_pool, axes=n) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": partial(_adaptive_max_pool, axes=n) for n in (1, 2, 3)},
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "rms_norm": _rms_norm,
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "dropout": _dropout,
    "feature_dropout": _dropout,
    "alpha_dropout": _dropout,
    "scaled_dot_product_attention": _attention,
    "gru_cell": _gru_cell,
    "lstm_cell": _lstm_cell,
    "rnn_tanh_cell": lambda x, hx, *weights: _rnn_step(x, _lifted(hx, x, *weights), *weights, after=np.tanh),
    "rnn_relu_cell": lambda x, hx, *weights: _rnn_step(x, _lifted(hx, x, *weights), *weights, after=relu),
    "gru": partial(_recurrent, step=_gru_step),
    "lstm": partial(_recurrent, step=_lstm_step),
    "rnn_tanh": partial(_recurrent, step=partial(_rnn_step, after=np.tanh)),
    "rnn_relu": partial(_recurrent, step=partial(_rnn_step, after=relu)),
    # Losses.
    "mse_loss": _mse_loss,
    "l1_loss": _l1_loss,
    "huber_loss": _huber_loss,
    "smooth_l1_loss": _smooth_l1_loss,
    "cross_entropy_loss": _cross_entropy_loss,
    "nll_loss": _nll_loss,
    "nll_loss_nd": _nll_loss,
    "nll_loss2d": _nll_loss,
    "binary_cross_entropy_with_logits": _bce_with_logits,
    "binary_cross_entropy": _binary_cross_entropy,
    "kl_div": _kl_div,
    "hinge_embedding_loss": _hinge_embedding_loss,
    "margin_ranking_loss": _margin_ranking_loss,
    "multi_margin_loss": _multi_margin_loss,
    "soft_margin_loss": _soft_margin_loss,
    "cosine_embedding_loss": _cosine_embedding_loss,
    "triplet_margin_loss": _triplet_margin_loss,
    "poisson_nll_loss": _poisson_nll_loss,
}
"""The functions by the names of the operations, without or with the overload: "pow", "pow.Scalar"."""
