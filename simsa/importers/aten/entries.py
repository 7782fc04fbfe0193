"""Products of matrices, entries at positions, and constants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from simsa.importers.arrays import (
    Order,
    constants,
    contracted,
    einsum,
    linear,
    matmul,
    numbers,
    pick,
    stop,
    take,
    take_along,
)
from simsa.program.symbolic import symbolic


def _addmm(x: Any, mat1: Any, mat2: Any, beta: float = 1, alpha: float = 1) -> Any:
    """`addmm`, `addmv`, `baddbmm`."""
    product = matmul(mat1, mat2)
    return (x if beta == 1 else beta * x) + (product if alpha == 1 else alpha * product)


def _bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    """`bilinear`."""
    result = einsum("...i,oij,...j->...o", x1, weight, x2)
    return result if bias is None else result + bias


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


ENTRIES: Mapping[str, Callable[..., Any]] = {
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
}
"""The functions by the names of the operations."""
