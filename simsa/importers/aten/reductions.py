"""Sums, extremes, order statistics and norms."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.importers.arrays import (
    Order,
    condition,
    largest,
    mean,
    numbers,
    row,
    running,
    top_k,
    word,
)
from simsa.importers.aten.shared import Results, absolute, clamp, dims
from simsa.program import numpy_api
from simsa.program.symbolic import builder_of, elementwise, symbolic

AMAX, AMIN = "torch.amax", "torch.amin"
FIRST_MAX, FIRST_MIN = "torch.max(dim)", "torch.min(dim)"


def _total(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """`sum`."""
    return np.sum(numbers(x), axis=dims(dim), keepdims=keepdim)


def _average(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """`mean`."""
    return mean(x, dims(dim), keepdim)


def _extreme(x: Any, dim: Any = (), keepdim: bool = False, *, primitive: str = "max") -> Any:
    """`amax` and `amin`, which split the derivative evenly between equal entries."""
    return largest(x, dims(dim), keepdim, AMAX if primitive == "max" else AMIN, primitive)


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
    return np.var(numbers(x), axis=dims(dim), ddof=_correction(dim, correction, unbiased), keepdims=keepdim)


def _deviation(x: Any, dim: Any = None, correction: Any = 1, keepdim: bool = False, unbiased: Any = None) -> Any:
    """`std`, whose derivative at a constant array is 0."""
    return np.std(numbers(x), axis=dims(dim), ddof=_correction(dim, correction, unbiased), keepdims=keepdim)


def _correction(dim: Any, correction: Any, unbiased: Any) -> float:
    """Return what is subtracted from the number of entries; `std(x, False)` has a truth value where axes may be."""
    told = dim if isinstance(dim, bool) else correction if isinstance(correction, bool) else unbiased
    return float(told) if told is not None else 1.0 if correction is None else float(correction)


def _vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """`linalg.vector_norm` for ord 1, 2, inf and -inf."""
    x, axis = numbers(x), dims(dim)
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


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """`pairwise_distance`."""
    return _vector_norm(numbers(x1) - numbers(x2) + eps, p, -1, keepdim)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """`cosine_similarity`."""
    x1, x2 = np.broadcast_arrays(x1, x2)
    scaled = [x / clamp(_vector_norm(x, 2, dim, True), min=eps) for x in (x1, x2)]
    return np.sum(scaled[0] * scaled[1], axis=dim)


def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    """`logsumexp`."""
    return numpy_api.logsumexp(numbers(x), dims(dim), keepdims=keepdim)


REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "any": lambda x, dim=None, keepdim=False: np.any(condition(x), axis=dims(dim)),
    "all": lambda x, dim=None, keepdim=False: np.all(condition(x), axis=dims(dim)),
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
    "pairwise_distance": pairwise_distance,
    "cosine_similarity": cosine_similarity,
    "trace": lambda x: np.trace(x),
}
"""The functions by the names of the operations."""
