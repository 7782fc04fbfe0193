"""Layers: convolutions, pooling, normalisation, attention, recurrent ones."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.importers.arrays import (
    add,
    convolution,
    largest,
    linear,
    matmul,
    mean,
    numbers,
    pool_largest,
    pool_sum,
    pooled,
    softmax,
    standardised,
    where,
    windows,
)
from simsa.importers.aten.shared import Results, relu
from simsa.program import functions
from simsa.program.symbolic import Array, Condition, builder_of, lift

POOL = "torch.nn.functional.max_pool"


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


LAYERS: Mapping[str, Callable[..., Any]] = {
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
}
"""The functions by the names of the operations."""
