"""Functions of single numbers: arithmetic, activations, selections."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.importers.arrays import (
    add,
    arccosh,
    arcsinh,
    arctanh,
    condition,
    log_softmax,
    logit,
    numbers,
    row,
    softmax,
    where,
    xlogy,
)
from simsa.importers.aten.shared import absolute, clamp, relu
from simsa.program import functions


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
    return logit(x if eps is None else clamp(x, eps, 1.0 - eps))


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


ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
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
    "clamp": clamp,
    "clip": clamp,
    "clamp_min": lambda x, min: clamp(x, min=min),
    "clamp_max": lambda x, max: clamp(x, max=max),
    "maximum": row("maximum", "torch.maximum"),
    "minimum": row("minimum", "torch.minimum"),
    "fmax": row("maximum", "torch.fmax"),
    "fmin": row("minimum", "torch.fmin"),
    "where": lambda test, x, other: where(test, x, other),
    "masked_fill": lambda x, mask, value: where(mask, value, x),
    "copysign": lambda x, other: where(np.less(other, 0.0), -absolute(x), absolute(x)),
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
    "isnan": _outside(False),
    "isinf": _outside(False),
    "isfinite": _outside(True),
    "one_hot": lambda x, num_classes: functions.one_hot(x, num_classes),
}
"""The functions by the names of the operations."""
