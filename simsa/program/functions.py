"""Functions that NumPy lacks, for symbolic arrays and for plain ones alike.

One user function can so be traced into a program, and evaluated in NumPy for comparison. On plain arrays a row of the
table is evaluated from its own text with NumPy's functions; derivatives are the program's business alone.
"""

import difflib
from collections.abc import Iterable, Sequence
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from simsa.errors import ProgramError
from simsa.primitives import ROW, Primitive
from simsa.primitives.texts import OPERANDS
from simsa.program import numpy_api
from simsa.program.symbolic import choose, elementwise, symbolic


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return the message for a name that is not known, with the nearest that is."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean '{close[0]}'?" if close else f"expected one of {', '.join(names)}"
    return f"unknown {what} '{name}'; {hint}"


def apply(name: str, *operands: Any, tie: str | None = None, **immediates: Any) -> Any:
    """Return the row `name` of the table, entry by entry, of symbolic or plain arrays.

    immediates: the row's numbers, by name. tie: a spelling or rule for this use alone. Raises ProgramError for an
    unknown row, or counts that do not fit.

    >>> float(apply("huber", 3.0, a=1.0))
    2.5
    """
    row = ROW.get(name)
    if row is None or row.arity is None:
        raise ProgramError(unknown("primitive", name, (row.name for row in ROW.values() if row.arity is not None)))
    if len(operands) != row.arity:
        raise ProgramError(f"{name} takes ({', '.join(OPERANDS[: row.arity])}), got {len(operands)} operands")
    if set(immediates) != set(row.immediates):
        expected, got = ", ".join(row.immediates) or "none", ", ".join(immediates) or "none"
        raise ProgramError(f"{name}: expected the numbers: {expected}; got: {got}")
    numbers = [immediates[key] for key in row.immediates]
    if symbolic(numbers):
        raise ProgramError(f"{name}: {', '.join(row.immediates)} must be a number, not symbolic")
    if symbolic(operands):
        return elementwise(name, *operands, immediates=numbers, tie=tie)
    if name == "clip":  # its bounds may cross
        return np.clip(*operands)
    return _evaluate(row, [np.asarray(v, np.float64) for v in (*operands, *numbers)])


@cache
def _compiled(text: str) -> CodeType:
    """Return a text of the table compiled."""
    return compile(text, "table", "eval")


@cache
def _space() -> dict[str, Any]:
    """Return NumPy's counterparts of the functions in the table's texts; SciPy is imported when first needed."""
    from scipy import special

    names = ("exp", "log", "expm1", "log1p", "sqrt", "sin", "cos", "tan", "tanh", "isnan", "floor")
    rest = {
        "round_even": np.rint,
        "pow": np.power,
        "erf": special.erf,
        "sigmoid": special.expit,
        "softplus": lambda x: np.logaddexp(0.0, x),
    }
    return {"__builtins__": {}, **{name: getattr(np, name) for name in names}, **rest}


def _evaluate(row: Primitive, arguments: Sequence[Any]) -> Any:
    """Return a row of the table in NumPy: the piece of the first branch that holds."""
    names = dict(zip((*OPERANDS[: row.arity], *row.immediates), np.broadcast_arrays(*arguments), strict=True))

    def text(source: str) -> Any:
        return eval(_compiled(source), _space(), names)  # the table's own text, never a user's

    with np.errstate(all="ignore"):
        if not row.branches:
            return text(row.pieces[0].value)
        shape = next(iter(names.values())).shape
        result = np.full(shape, np.nan)
        for branch in reversed(row.branches):
            piece = branch.between[0] if branch.piece is None else branch.piece
            holds = np.logical_and.reduce([text(guard) for guard in branch.guards]) if branch.guards else True
            result = np.where(holds, text(row.pieces[piece].value), result)
    return result[()]


# Rows of the table.


def relu(x: Any) -> Any:
    """Return max(x, 0). At 0 the derivative is the convention's; a framework's spelled so says 0."""
    return apply("relu", x)


def leaky_relu(x: Any, a: float = 0.01) -> Any:
    """Return x for x > 0 and a x below."""
    return apply("leaky_relu", x, a=a)


def elu(x: Any, a: float = 1.0) -> Any:
    """Return x for x > 0 and a (exp(x) - 1) below."""
    return apply("elu", x, a=a)


def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6)."""
    return apply("relu6", x)


def hardtanh(x: Any) -> Any:
    """Return min(max(x, -1), 1)."""
    return apply("hardtanh", x)


def hinge(x: Any) -> Any:
    """Return max(0, 1 - x)."""
    return apply("hinge", x)


def huber(x: Any, a: float = 1.0) -> Any:
    """Return x^2 / 2 for |x| <= a, and a |x| - a^2 / 2 beyond."""
    return apply("huber", x, a=a)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    return apply("sigmoid", x)


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x))."""
    return apply("softplus", x)


def erf(x: Any) -> Any:
    """Return the error function."""
    return apply("erf", x)


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """Return x kept between two bounds; one of them may be missing."""
    return np.clip(x, low, high)


def where(condition: Any, x: Any, y: Any) -> Any:
    """Return x where the condition holds, y elsewhere; only what is selected is differentiated."""
    return np.where(condition, x, y)


# Compositions.


def zero(t: Any) -> Any:
    """Return (relu(-t) + t) - relu(t): zero everywhere, with the AD derivative 1 at 0 where relu'(0) = 0.

    Source: Bolte and Pauwels (NeurIPS 2020), Section 2.

    >>> float(zero(3.0))
    0.0
    """
    return (relu(-t) + t) - relu(t)


def gathered(x: Any) -> Any:
    """Return a list of numbers, symbolic or not, as one array; an array as it is."""
    return (
        np.stack(x) if symbolic(x) and isinstance(x, list | tuple) else x if symbolic(x) else np.asarray(x, np.float64)
    )


def maximum(*values: Any) -> Any:
    """Return the largest of several values, entry by entry: the row `maximum` of two, the row `max` of more.

    They are different spellings: at a tie of two, TensorFlow's maximum takes the first, its reduce_max splits.
    """
    return np.maximum(*values) if len(values) == 2 else np.max(np.stack(np.broadcast_arrays(*values)), axis=0)


def minimum(*values: Any) -> Any:
    """Return the smallest of several values, entry by entry: the row `minimum` of two, the row `min` of more."""
    return np.minimum(*values) if len(values) == 2 else np.min(np.stack(np.broadcast_arrays(*values)), axis=0)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return log(sum(exp(x))) over axes, without overflow."""
    x = gathered(x)
    if symbolic(x):
        return numpy_api.logsumexp(x, axis, keepdims=keepdims)
    from scipy import special

    return special.logsumexp(x, axis=axis, keepdims=keepdims)


def median(x: Any, axis: Any = None) -> Any:
    """Return the median: the middle entry, or the mean of the two in the middle."""
    return np.median(gathered(x), axis=axis)


def top_k(x: Any, k: int) -> Any:
    """Return the k largest entries along the last axis, in descending order; of equal ones the first come first."""
    x = gathered(x)
    if not 1 <= k <= x.shape[-1]:
        raise ProgramError(f"top_k: expected k from 1 to {x.shape[-1]}, got {k}")
    if not symbolic(x):
        return np.sort(x)[..., ::-1][..., :k]
    # Ascending, equal entries in reverse: read backwards, they are in order.
    return numpy_api.sort(x, tie="last")[..., ::-1][..., :k]


def one_hot(index: Any, count: int) -> Any:
    """Return 1.0 at the place that an index names, and 0.0 at the `count` - 1 others, along a new last axis."""
    return np.equal(np.expand_dims(index, -1), np.arange(count)).astype(np.float64)


def argmax(x: Any, axis: Any = None) -> Any:
    """Return the first place of the largest entry: a selection of constants."""
    return np.argmax(gathered(x), axis=axis)


def argmin(x: Any, axis: Any = None) -> Any:
    """Return the first place of the smallest entry: a selection of constants."""
    return np.argmin(gathered(x), axis=axis)


def piecewise(rows: Iterable[tuple[Any, Any]], otherwise: Any) -> Any:
    """Return the value of the first row (condition, value) whose condition holds, or `otherwise`: one branch table.

    Only the selected piece is differentiated. The pieces must agree where the conditions are tied, or the function is
    no continuous selection (Def. 3); `simsa.calculus.check_continuity` tests it.

    >>> float(piecewise([(1.0 > 2.0, 5.0)], 7.0))
    7.0
    """
    listed = [(condition, value) for condition, value in rows]
    if symbolic([*listed, otherwise]):
        return choose(listed, otherwise)
    return np.select([np.asarray(condition) for condition, _ in listed], [value for _, value in listed], otherwise)[()]


def _windows(count: int, size: int, stride: int, what: str) -> Any:
    """Return the indices of each window along an axis, shape (windows, size)."""
    if not (1 <= size <= count and stride >= 1):
        raise ProgramError(f"{what}: a window of {size} with stride {stride} does not fit {count} entries")
    return np.arange(0, count - size + 1, stride)[:, None] + np.arange(size)


def _patches(x: Any, size: tuple[int, int], stride: tuple[int, int], what: str) -> Any:
    """Return the windows of the last two axes, shape (..., rows, columns, size[0], size[1])."""
    down = _windows(x.shape[-2], size[0], stride[0], what)
    across = _windows(x.shape[-1], size[1], stride[1], what)
    return x[..., down[:, None, :, None], across[None, :, None, :]]


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return a number for each of two axes."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _largest(windows: Any, axis: int | tuple[int, ...]) -> Any:
    """Return the maximum of windows; at ties as the framework's max-pooling, which takes the first."""
    if not symbolic(windows):
        return np.max(windows, axis=axis)
    tie = numpy_api.spelling(windows.builder, "max", "max_pool")
    return numpy_api.reduce("max", windows, axis, tie=tie)


def max_pool1d(x: Any, size: int, stride: int | None = None) -> Any:
    """Return the maximum of each window along the last axis; stride is the size if it is left out."""
    x = gathered(x)
    return _largest(x[..., _windows(x.shape[-1], size, stride or size, "max_pool1d")], -1)


def max_pool2d(x: Any, size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Any:
    """Return the maximum of each window over the last two axes; stride is the size if it is left out."""
    shape = _pair(size)
    return _largest(_patches(x, shape, _pair(stride) if stride else shape, "max_pool2d"), (-2, -1))


def dense(w: Any, x: Any, b: Any = None) -> Any:
    """Return w x + b: one `dense` for each column of x.

    w: (outputs, inputs). x: (inputs,) or (inputs, columns). b: (outputs,). The sum starts from b.
    """
    if np.ndim(w) != 2 or np.ndim(x) not in (1, 2) or np.shape(w)[1] != np.shape(x)[0]:
        raise ProgramError(f"dense: the shapes {np.shape(w)} and {np.shape(x)} do not fit")
    if symbolic((w, x, b)):
        return numpy_api.affine(w, x, b)
    product = np.asarray(w) @ x
    return product if b is None else product + (b if np.ndim(x) == 1 else np.reshape(b, (-1, 1)))


def conv2d(x: Any, w: Any, b: Any = None, stride: int | tuple[int, int] = 1, padding: int | tuple[int, int] = 0) -> Any:
    """Return the cross-correlation of an image with filters: one `dense` per position.

    x: (channels, height, width). w: (filters, channels, rows, columns). b: (filters,). padding: zeros on each side.
    The result has shape (filters, rows of windows, columns of windows).
    """
    if np.ndim(x) != 3 or np.ndim(w) != 4 or x.shape[0] != w.shape[1]:
        raise ProgramError(
            "conv2d: expected x of shape (channels, height, width) and w of shape (filters, channels, rows, columns), "
            f"got {np.shape(x)} and {np.shape(w)}"
        )
    down, across = _pair(padding)
    x = np.pad(x, ((0, 0), (down, down), (across, across))) if down or across else x
    patches = _patches(x, w.shape[2:], _pair(stride), "conv2d")
    positions = patches.shape[1:3]
    columns = np.reshape(np.transpose(patches, (0, 3, 4, 1, 2)), (-1, positions[0] * positions[1]))
    return np.reshape(dense(np.reshape(w, (len(w), -1)), columns, b), (len(w), *positions))
