"""The primitives of JAX, each as a function of symbolic arrays. To add one, add a row to `PRIMITIVES`.

The functions take the operands of the primitives, and their parameters by name. Where JAX has its own word for the
derivative at a tie, the row says it; what that word returns is in the table of primitives.

Shared arguments.
Those of the primitives of the same names in `jax.lax`, <https://docs.jax.dev/en/latest/jax.lax.html>. The parameters
that change no number of a program, such as dtypes and shardings, are taken and not used.
"""

from collections.abc import Callable, Mapping, Sequence
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
    contracted,
    convolution,
    largest,
    logit,
    numbers,
    pick,
    pool_largest,
    pool_sum,
    pooled,
    row,
    running,
    stop,
    top_k,
    where,
    windows,
    xlogy,
)
from simsa.program import functions, numpy_api
from simsa.program.symbolic import Array, Condition, builder_of, lift, symbolic

POOL = "flax.linen.max_pool"

relu = row("relu", "jax.nn.relu")

MOVES = frozenset(
    (
        *("broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "rev", "concatenate", "stack", "split"),
        *("slice", "dynamic_slice", "dynamic_update_slice", "pad", "gather", "scatter", "copy", "copy_p"),
    )
)
"""The primitives that only move entries. JAX itself moves the registers; positions have to be known beforehand."""


def _same(x: Any, **_: Any) -> Any:
    """Return x: primitives that change no number."""
    return x


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a function of one operand that takes the parameters of a primitive, and does not use them."""
    return lambda x, **_: function(numbers(x))


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return a function of two operands that takes the parameters of a primitive, and does not use them."""
    return lambda x, y, **_: function(numbers(x), numbers(y))


def _larger(x: Any, y: Any, **_: Any) -> Any:
    """`max`; that with -inf, which JAX writes behind `reduce_max`, is the other operand."""
    for one, other in ((x, y), (y, x)):
        if not symbolic(one) and np.all(np.isneginf(np.asarray(one, np.float64))):
            return np.broadcast_to(other, np.broadcast_shapes(np.shape(x), np.shape(y)))
    if isinstance(x, Condition) or isinstance(y, Condition):
        return np.logical_or(condition(x), condition(y))
    return row("maximum", "jnp.maximum")(x, y)


def _smaller(x: Any, y: Any, **_: Any) -> Any:
    """`min`."""
    if isinstance(x, Condition) or isinstance(y, Condition):
        return np.logical_and(condition(x), condition(y))
    return row("minimum", "jnp.minimum")(x, y)


def _clamp(low: Any, x: Any, high: Any) -> Any:
    """`clamp`, whose derivative is 0 at both bounds."""
    return row("clip", "jax.lax.clamp")(x, low, high)


def _integer_power(x: Any, *, y: int, **_: Any) -> Any:
    """`integer_pow`."""
    return np.power(x, float(y))


def _unequal(x: Any, y: Any, **_: Any) -> Any:
    """`ne`; of a value and itself, which asks for NaN, it is decided beforehand: a run ends at a NaN."""
    if isinstance(x, Array) and isinstance(y, Array) and np.array_equal(x.entries, y.entries):
        return np.zeros(x.shape, bool)
    return np.not_equal(x, y)


def _selected(which: Any, *cases: Any) -> Any:
    """`select_n`."""
    if len(cases) == 2:
        if all(isinstance(case, Condition) or getattr(case, "dtype", None) == np.bool_ for case in cases):
            test = condition(which)
            return np.logical_or(np.logical_and(test, cases[1]), np.logical_and(np.logical_not(test), cases[0]))
        return where(which, numbers(cases[1]), numbers(cases[0]))
    if not symbolic(which):
        builder = builder_of(*cases)
        registers = np.stack([lift(numbers(case), builder) for case in cases])
        at = np.broadcast_to(which, registers.shape[1:])
        return Array(builder, np.take_along_axis(registers, np.asarray(at)[None], 0)[0])
    return pick(which, [numbers(case) for case in cases])


# Reductions.


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the reduction over axes by a function of NumPy's form."""
    return lambda x, *, axes, **_: function(x, axis=tuple(axes))


def _place(x: Any, *, axes: Sequence[int], index_dtype: Any, function: Callable[..., Any]) -> Any:
    """`argmax` and `argmin`."""
    return function(numbers(x), axis=axes[0])


def _ordered(*operands: Any, dimension: int, is_stable: bool, num_keys: int) -> Any:
    """`sort` of one array, with the positions 0, 1, ... beside it for `argsort`."""
    key, *rest = operands
    if not symbolic(key) or num_keys != 1 or len(rest) > 1 or symbolic(rest):
        raise ProgramError("a sort can be imported of one array, whose entries are the only key")
    values = numpy_api.sort(numbers(key), dimension)
    along = np.expand_dims(np.arange(np.shape(key)[dimension]), [i for i in range(np.ndim(key)) if i != dimension])
    if rest and not np.array_equal(rest[0], np.broadcast_to(along, np.shape(key))):
        raise ProgramError("a sort can move the positions 0, 1, ... with the entries, and no other numbers")
    return [values, Order(key, dimension, values)][: len(operands)]


def _best(x: Any, *, k: int, axis: int = -1, **_: Any) -> Any:
    """`top_k`; of equal entries the first are taken."""
    values = top_k(x, k, axis)
    return [values, Order(x, axis, values)]


def _cumulative(x: Any, *, axis: int, reverse: bool, step: Callable[[Any, Any], Any]) -> Any:
    """`cumsum`, `cumprod` and `cumlogsumexp`."""
    x = numbers(x)
    result = running(np.flip(x, axis) if reverse else x, axis, step)
    return np.flip(result, axis) if reverse else result


def _cumulative_extreme(x: Any, *, axis: int, reverse: bool, step: Callable[[Any, Any], Any]) -> Any:
    """`cummax` and `cummin`, whose derivatives JAX takes along the tree of `jax.lax.associative_scan`."""
    x = numbers(x)
    rows = _scanned(list(np.moveaxis(np.flip(x, axis) if reverse else x, axis, 0)), step)
    result = np.stack(rows, axis=axis)
    return np.flip(result, axis) if reverse else result


def _scanned(rows: list[Any], step: Callable[[Any, Any], Any]) -> list[Any]:
    """Return the running results of rows, combined along the tree of `jax.lax.associative_scan`."""
    if len(rows) < 2:
        return rows
    odd = _scanned([step(a, b) for a, b in zip(rows[:-1:2], rows[1::2], strict=False)], step)
    even = [rows[0], *(step(a, b) for a, b in zip(odd, rows[2::2], strict=False))]
    both = [row for pair in zip(even, odd, strict=False) for row in pair]
    return both + even[len(odd) :]


# Products and windows.


def _products(x: Any, y: Any, *, dimension_numbers: Any, **_: Any) -> Any:
    """`dot_general`."""
    summed, batch = dimension_numbers
    return contracted(x, y, summed, batch)


def _convolved(
    x: Any,
    w: Any,
    *,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int,
    **_: Any,
) -> Any:
    """`conv_general_dilated`."""
    if batch_group_count != 1:
        raise ProgramError("a convolution with groups of the batch cannot be imported")
    spec = dimension_numbers
    images: Any = np.transpose(numbers(x), spec.lhs_spec)
    filters = np.transpose(numbers(w), spec.rhs_spec)
    if any(d != 1 for d in lhs_dilation):
        builder = builder_of(images, filters)
        entries = lift(images, builder)
        sizes = [(n - 1) * d + 1 for n, d in zip(entries.shape[2:], lhs_dilation, strict=True)]
        spread = np.full((*entries.shape[:2], *sizes), builder.constant(0.0))
        spread[(slice(None), slice(None), *(slice(None, None, d) for d in lhs_dilation))] = entries
        images = Array(builder, spread)
    result = convolution(
        images,
        filters,
        stride=window_strides,
        padding=padding,
        dilation=rhs_dilation,
        groups=feature_group_count,
    )
    return np.transpose(result, np.argsort(spec.out_spec))


def _window_reduced(
    x: Any,
    *,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    base_dilation: Sequence[int],
    window_dilation: Sequence[int],
    function: Callable[..., int],
) -> Any:
    """`reduce_window_max` and its like. function: of a window, as `arrays.pooled` takes it."""
    if any(d != 1 for d in base_dilation):
        raise ProgramError("reduce_window with a base dilation cannot be imported")
    at = windows(np.shape(x), window_dimensions, window_strides, padding, window_dilation)
    return pooled(x, at, function)


# Functions of JAX that carry a derivative of their own, or have a row in the table of primitives.


def _logaddexp(x: Any, y: Any) -> Any:
    """`logaddexp`; with 0 it is the softplus."""
    for one, other in ((x, y), (y, x)):
        if not symbolic(one) and np.all(np.equal(one, 0.0)):
            return np.broadcast_to(functions.softplus(other), np.broadcast_shapes(np.shape(x), np.shape(y)))
    return np.logaddexp(x, y)


def _selu(x: Any) -> Any:
    """`selu`."""
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return scale * row("elu", "jax.nn.elu", a=alpha)(x)


CUSTOM: Mapping[str, Callable[..., Any]] = {
    "relu": relu,
    "relu6": row("relu6", "jax.nn.relu6"),
    "logaddexp": _logaddexp,
    "xlogy": xlogy,
    "logit": logit,
    "_sinc_maclaurin": lambda x: np.ones(np.shape(x)),
}
"""The functions of JAX with a derivative of their own (`jax.custom_jvp`), by name."""


def _leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """`leaky_relu` for a slope that is known."""
    if symbolic(negative_slope) or np.ndim(negative_slope):
        return where(np.greater_equal(x, 0.0), x, np.multiply(negative_slope, x))
    return row("leaky_relu", "jax.nn.leaky_relu", a=float(negative_slope))(x)


def _elu(x: Any, alpha: Any = 1.0) -> Any:
    """`elu` for a number alpha that is known."""
    if symbolic(alpha) or np.ndim(alpha):
        return where(np.greater(x, 0.0), x, np.multiply(alpha, np.expm1(x)))
    return row("elu", "jax.nn.elu", a=float(alpha))(x)


NAMED: Mapping[str, Callable[..., Any]] = {
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "hard_tanh": row("hardtanh", "jax.nn.hard_tanh"),
}
"""Other functions of JAX that are taken whole, since the table of primitives has a row for them, by name."""

PRIMITIVES: Mapping[str, Callable[..., Any]] = {
    # Arithmetic.
    "add": lambda x, y, **_: add(x, y),
    "add_any": lambda x, y, **_: add(x, y),
    "sub": _binary(np.subtract),
    "mul": _binary(np.multiply),
    "div": _binary(np.divide),
    "rem": _binary(lambda x, y: np.subtract(x, np.trunc(np.divide(x, y)) * y)),
    "pow": _binary(np.power),
    "integer_pow": _integer_power,
    # Functions of one number.
    "neg": _unary(np.negative),
    "abs": lambda x: row("abs", "jnp.abs")(x),
    "sign": _unary(np.sign),
    "exp": _unary(np.exp),
    "exp2": _unary(np.exp2),
    "expm1": _unary(np.expm1),
    "log": _unary(np.log),
    "log1p": _unary(np.log1p),
    "sqrt": _unary(np.sqrt),
    "rsqrt": _unary(lambda x: np.reciprocal(np.sqrt(x))),
    "square": _unary(np.square),
    "sin": _unary(np.sin),
    "cos": _unary(np.cos),
    "tan": _unary(np.tan),
    "sinh": _unary(np.sinh),
    "cosh": _unary(np.cosh),
    "tanh": _unary(np.tanh),
    "asinh": _unary(arcsinh),
    "acosh": _unary(arccosh),
    "atanh": _unary(arctanh),
    "cbrt": _unary(lambda x: functions.piecewise([(x < 0.0, -np.power(-x, 1 / 3))], np.power(x, 1 / 3))),
    "logistic": _unary(functions.sigmoid),
    "erf": _unary(functions.erf),
    "erfc": _unary(lambda x: 1.0 - functions.erf(x)),
    "floor": _unary(np.floor),
    "ceil": _unary(np.ceil),
    "round": _unary(np.rint),
    # Selections.
    "max": _larger,
    "min": _smaller,
    "clamp": _clamp,
    "select_n": _selected,
    "eq": _binary(np.equal),
    "ne": _unequal,
    "lt": _binary(np.less),
    "le": _binary(np.less_equal),
    "gt": _binary(np.greater),
    "ge": _binary(np.greater_equal),
    "and": lambda x, y: np.logical_and(condition(x), condition(y)),
    "or": lambda x, y: np.logical_or(condition(x), condition(y)),
    "xor": lambda x, y: np.logical_xor(condition(x), condition(y)),
    "not": lambda x: np.logical_not(condition(x)),
    "is_finite": lambda x: np.ones(np.shape(x), bool),
    "stop_gradient": lambda x: stop(x),
    "reduce_precision": _same,
    "optimization_barrier": lambda *xs: list(xs),
    # Reductions.
    "reduce_sum": _reduction(lambda x, axis: np.sum(numbers(x), axis=axis)),
    "reduce_prod": _reduction(lambda x, axis: np.prod(numbers(x), axis=axis)),
    "reduce_max": _reduction(partial(largest, spelling="jnp.max")),
    "reduce_min": _reduction(partial(largest, spelling="jnp.min", primitive="min")),
    "reduce_and": _reduction(lambda x, axis: np.all(condition(x), axis=axis)),
    "reduce_or": _reduction(lambda x, axis: np.any(condition(x), axis=axis)),
    "argmax": partial(_place, function=np.argmax),
    "argmin": partial(_place, function=np.argmin),
    "sort": _ordered,
    "top_k": _best,
    "cumsum": partial(_cumulative, step=np.add),
    "cumprod": partial(_cumulative, step=np.multiply),
    "cumlogsumexp": partial(_cumulative, step=np.logaddexp),
    "cummax": partial(_cumulative_extreme, step=_larger),
    "cummin": partial(_cumulative_extreme, step=_smaller),
    # Products and windows.
    "dot_general": _products,
    "conv_general_dilated": _convolved,
    "reduce_window_max": partial(_window_reduced, function=pool_largest(POOL)),
    "reduce_window_sum": partial(_window_reduced, function=pool_sum),
}
"""The functions by the names of the primitives. Those that only move entries are in `MOVES`; those that hold other
programs, such as `jit`, `cond` and `scan`, are what `simsa.importers.jax` interprets."""
