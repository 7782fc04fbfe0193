"""Functions that NumPy does not have, for symbolic arrays and for NumPy arrays.

The same user function can be traced into a program, and evaluated in NumPy for comparison. On NumPy arrays, a row of
the table is evaluated from its texts; only programs have derivatives.
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
    """Return the message for an unknown name, with the closest known name.

    what: the kind of name, such as "function". name: the unknown name. known: the names that exist.
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean '{close[0]}'?" if close else f"expected one of {', '.join(names)}"
    return f"unknown {what} '{name}'; {hint}"


def apply(name: str, *operands: Any, tie: str | None = None, **immediates: Any) -> Any:
    """Apply a row of the table entry by entry.

    Parameters
    ----------
    name
        The name of a row with a fixed number of operands.
    operands
        As many arrays, symbolic or not, as the row has operands; they are broadcast.
    tie
        A framework spelling ("torch.clamp_min") or a rule ("first") that decides ties of this use alone.
    immediates
        The row's numbers, by name.

    Returns
    -------
    array
        Of the broadcast shape; symbolic if an operand is.

    Raises
    ------
    ProgramError
        If the row is unknown, has any number of operands, or the operands or immediates do not fit.

    Examples
    --------
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
    if name == "clip":  # np.clip, since low > high is possible, for which the texts of the row have another value
        return np.clip(*operands)
    return _evaluate(row, [np.asarray(v, np.float64) for v in (*operands, *numbers)])


@cache
def _compiled(text: str) -> CodeType:
    """Return a text of the table as a code object."""
    return compile(text, "table", "eval")


@cache
def _space() -> dict[str, Any]:
    """Return the functions that texts may call, from NumPy and SciPy. SciPy is imported when they are first needed."""
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
    """Return the value of a row of the table in NumPy: entry by entry, the piece of the first branch that holds."""
    names = dict(zip((*OPERANDS[: row.arity], *row.immediates), np.broadcast_arrays(*arguments), strict=True))

    def text(source: str) -> Any:
        return eval(_compiled(source), _space(), names)  # only texts of the table are evaluated, never a user's

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
    """Return max(x, 0), entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.

    Returns
    -------
    array
        Of the shape of x.

    Notes
    -----
    Tied at x = 0. The functions that frameworks call relu have the derivative 0 there; other spellings of max(x, 0)
    have 1 or 1/2.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 2.

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return apply("relu", x)


def leaky_relu(x: Any, a: float = 0.01) -> Any:
    """Return x for x > 0 and a x for x <= 0, entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.
    a
        The slope below 0; a number, not symbolic.

    Returns
    -------
    array
        Of the shape of x.

    Raises
    ------
    ProgramError
        If a is symbolic.

    Notes
    -----
    Tied at x = 0, where the derivative is a in TensorFlow and PyTorch, and 1 in JAX.

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 2.0]), 0.5).tolist()
    [-0.5, 2.0]
    """
    return apply("leaky_relu", x, a=a)


def elu(x: Any, a: float = 1.0) -> Any:
    """Return x for x > 0 and a (exp(x) - 1) for x <= 0, entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.
    a
        Minus the limit at -infinity; a number, not symbolic.

    Returns
    -------
    array
        Of the shape of x.

    Raises
    ------
    ProgramError
        If a is symbolic.

    Notes
    -----
    Tied at x = 0, where the derivative is a in all frameworks.

    Examples
    --------
    >>> float(elu(2.0))
    2.0
    """
    return apply("elu", x, a=a)


def relu6(x: Any) -> Any:
    """Return min(max(x, 0), 6), entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.

    Returns
    -------
    array
        Of the shape of x.

    Notes
    -----
    Tied at x = 0 and x = 6, where the derivative is 0 in all frameworks.

    Examples
    --------
    >>> float(relu6(7.0))
    6.0
    """
    return apply("relu6", x)


def hardtanh(x: Any) -> Any:
    """Return min(max(x, -1), 1), entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.

    Returns
    -------
    array
        Of the shape of x.

    Notes
    -----
    Tied at x = -1 and x = 1, where the derivative is 1 in TensorFlow and JAX, and 0 in PyTorch.

    Examples
    --------
    >>> float(hardtanh(-3.0))
    -1.0
    """
    return apply("hardtanh", x)


def hinge(x: Any) -> Any:
    """Return the hinge loss max(0, 1 - x), entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.

    Returns
    -------
    array
        Of the shape of x.

    Notes
    -----
    Tied at x = 1, where the derivative is -1 in TensorFlow and PyTorch, and 0 in JAX.

    Examples
    --------
    >>> float(hinge(0.25))
    0.75
    """
    return apply("hinge", x)


def huber(x: Any, a: float = 1.0) -> Any:
    """Return the Huber loss, entry by entry: x^2 / 2 for |x| <= a, and a |x| - a^2 / 2 for |x| > a.

    Parameters
    ----------
    x
        Numbers, symbolic or not.
    a
        The threshold, above 0; a number, not symbolic.

    Returns
    -------
    array
        Of the shape of x.

    Raises
    ------
    ProgramError
        If a is symbolic.

    Notes
    -----
    Tied at x = a and x = -a. Both pieces have the same slope there, so every convention returns the derivative.

    Examples
    --------
    >>> float(huber(3.0)), float(huber(0.5))
    (2.5, 0.125)
    """
    return apply("huber", x, a=a)


def sigmoid(x: Any) -> Any:
    """Return the logistic function 1 / (1 + exp(-x)), entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.

    Returns
    -------
    array
        In [0, 1], of the shape of x.

    Notes
    -----
    An elementary function: it has no ties.

    Examples
    --------
    >>> float(sigmoid(0.0))
    0.5
    """
    return apply("sigmoid", x)


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x)), entry by entry, without overflow.

    Parameters
    ----------
    x
        Numbers, symbolic or not.

    Returns
    -------
    array
        Of the shape of x.

    Notes
    -----
    An elementary function: it has no ties.

    Examples
    --------
    >>> round(float(softplus(0.0)), 6)
    0.693147
    """
    return apply("softplus", x)


def erf(x: Any) -> Any:
    """Return the error function, entry by entry: the integral of 2 / sqrt(pi) exp(-t^2) over t from 0 to x.

    Parameters
    ----------
    x
        Numbers, symbolic or not.

    Returns
    -------
    array
        In [-1, 1], of the shape of x.

    Notes
    -----
    An elementary function: it has no ties.

    Examples
    --------
    >>> float(erf(0.0))
    0.0
    """
    return apply("erf", x)


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """Return min(max(x, low), high), entry by entry.

    Parameters
    ----------
    x
        Numbers, symbolic or not.
    low, high
        The bounds, symbolic or not; None for no bound. For low > high the result is high.

    Returns
    -------
    array
        Of the broadcast shape.

    Notes
    -----
    Tied where x equals a bound; the convention decides, by the spellings of the row `clip`, or with a single bound by
    those of `maximum` and `minimum`.

    Examples
    --------
    >>> clip(np.array([-1.0, 0.5, 2.0]), 0.0, 1.0).tolist()
    [0.0, 0.5, 1.0]
    """
    return np.clip(x, low, high)


def where(condition: Any, x: Any, y: Any) -> Any:
    """Return x where a condition holds and y elsewhere, entry by entry.

    Parameters
    ----------
    condition
        A condition such as a > b, symbolic or not.
    x, y
        The values where the condition holds, and where it does not.

    Returns
    -------
    array
        Of the broadcast shape.

    Notes
    -----
    Only the selected piece is differentiated. A tie of the guards is decided as they are written: `where(t > 0, x, y)`
    selects y at t = 0, under every convention.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Definitions 2 to 4.

    Examples
    --------
    >>> float(where(2.0 > 1.0, 3.0, 4.0))
    3.0
    """
    return np.where(condition, x, y)


# Functions made of several rows of the table.


def zero(t: Any) -> Any:
    """Return (relu(-t) + t) - relu(t), which is 0 everywhere.

    Parameters
    ----------
    t
        Numbers, symbolic or not.

    Returns
    -------
    array
        Zeros of the shape of t.

    Notes
    -----
    At the tie t = 0, AD returns 1 - 2 relu'(0): the derivative 1 under a convention with relu'(0) = 0.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 2.

    Examples
    --------
    >>> float(zero(3.0))
    0.0
    """
    return (relu(-t) + t) - relu(t)


def as_array(x: Any) -> Any:
    """Return a list of numbers, symbolic or not, as one array; a symbolic array is returned as it is."""
    if not symbolic(x):
        return np.asarray(x, np.float64)
    return np.stack(x) if isinstance(x, list | tuple) else x


def maximum(*values: Any) -> Any:
    """Return the largest of several values, entry by entry.

    Parameters
    ----------
    values
        Two arrays or more, symbolic or not, which are broadcast.

    Returns
    -------
    array
        Of the broadcast shape.

    Notes
    -----
    Two values use the row `maximum`, more use the row `max`. At a tie these may differ: TensorFlow's `maximum` takes
    the first of two equal values, its `reduce_max` splits the derivative evenly.

    Examples
    --------
    >>> float(maximum(1.0, 3.0, 2.0))
    3.0
    """
    return np.maximum(*values) if len(values) == 2 else np.max(np.stack(np.broadcast_arrays(*values)), axis=0)


def minimum(*values: Any) -> Any:
    """Return the smallest of several values, entry by entry.

    Parameters
    ----------
    values
        Two arrays or more, symbolic or not, which are broadcast.

    Returns
    -------
    array
        Of the broadcast shape.

    Notes
    -----
    Two values use the row `minimum`, more use the row `min`, which may decide a tie differently.

    Examples
    --------
    >>> float(minimum(1.0, 3.0, 2.0))
    1.0
    """
    return np.minimum(*values) if len(values) == 2 else np.min(np.stack(np.broadcast_arrays(*values)), axis=0)


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Return log(sum(exp(x))) over axes, without overflow.

    Parameters
    ----------
    x
        An array or a list of numbers, symbolic or not.
    axis
        One axis, several, or None for all.
    keepdims
        Whether the reduced axes are kept with length 1.

    Returns
    -------
    array
        The reduced array; -inf for no entries.

    Notes
    -----
    An elementary function: it has no ties.

    Examples
    --------
    >>> round(float(logsumexp([0.0, 0.0])), 6)
    0.693147
    """
    x = as_array(x)
    if symbolic(x):
        return numpy_api.logsumexp(x, axis, keepdims=keepdims)
    from scipy import special

    return special.logsumexp(x, axis=axis, keepdims=keepdims)


def median(x: Any, axis: Any = None) -> Any:
    """Return the median along axes: the middle entry, or the mean of the two in the middle.

    Parameters
    ----------
    x
        An array or a list of numbers, symbolic or not.
    axis
        One axis, several, or None for all.

    Returns
    -------
    array
        The reduced array.

    Raises
    ------
    ProgramError
        If there are no entries, and x is symbolic.

    Notes
    -----
    A program sorts the entries. Equal entries are a tie; the frameworks let the first of them come first.

    Examples
    --------
    >>> float(median([3.0, 1.0, 2.0]))
    2.0
    """
    return np.median(as_array(x), axis=axis)


def top_k(x: Any, k: int) -> Any:
    """Return the k largest entries along the last axis, in descending order.

    Parameters
    ----------
    x
        An array or a list of numbers, symbolic or not.
    k
        How many, from 1 to the length of the last axis.

    Returns
    -------
    array
        As x, with a last axis of length k.

    Raises
    ------
    ProgramError
        If k is not in that range.

    Notes
    -----
    Equal entries are a tie; they keep their order, so the first of them is taken, as in the frameworks.

    Examples
    --------
    >>> top_k([1.0, 3.0, 2.0], 2).tolist()
    [3.0, 2.0]
    """
    x = as_array(x)
    if not 1 <= k <= x.shape[-1]:
        raise ProgramError(f"top_k: expected k from 1 to {x.shape[-1]}, got {k}")
    if not symbolic(x):
        return np.sort(x)[..., ::-1][..., :k]
    # The ascending order with equal entries reversed, read backwards, is descending with equal entries in order.
    return numpy_api.sort(x, tie="last")[..., ::-1][..., :k]


def one_hot(index: Any, count: int) -> Any:
    """Return vectors that are 1 at the position of an index and 0 elsewhere.

    Parameters
    ----------
    index
        Numbers, symbolic or not; an index outside 0, ..., count - 1 gives zeros.
    count
        The length of the vectors.

    Returns
    -------
    array
        float64, with a new last axis of length `count`.

    Notes
    -----
    A selection of constants, tied where the index equals an integer in the range; its derivative is 0.

    Examples
    --------
    >>> one_hot(2, 4).tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    return np.equal(np.expand_dims(index, -1), np.arange(count)).astype(np.float64)


def argmax(x: Any, axis: Any = None) -> Any:
    """Return the first position of the largest entry, as a selection of constants."""
    return np.argmax(as_array(x), axis=axis)


def argmin(x: Any, axis: Any = None) -> Any:
    """Return the first position of the smallest entry, as a selection of constants."""
    return np.argmin(as_array(x), axis=axis)


def piecewise(rows: Iterable[tuple[Any, Any]], otherwise: Any) -> Any:
    """Return the value of the first row whose condition holds, entry by entry: a selection with one branch table.

    Parameters
    ----------
    rows
        Pairs (condition, value), in the order in which they are tried.
    otherwise
        The value where no condition holds.

    Returns
    -------
    array
        Of the broadcast shape.

    Raises
    ------
    ProgramError
        If the branch table has more than 4096 rows.

    Notes
    -----
    Only the selected piece is differentiated. A tie is decided as the conditions are written. Where they are tied the
    pieces must agree, or the function is not continuous, as Definition 3 demands; `simsa.calculus.check_continuity`
    searches for such points.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Definitions 2 to 4.

    Examples
    --------
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
    """Return the maximum of windows. At a tie it takes the first, as the max-pooling of all frameworks does."""
    if not symbolic(windows):
        return np.max(windows, axis=axis)
    tie = numpy_api.spelling(windows.builder, "max", "max_pool")
    return numpy_api.reduce("max", windows, axis, tie=tie)


def max_pool1d(x: Any, size: int, stride: int | None = None) -> Any:
    """Return the maximum of each window along the last axis.

    Parameters
    ----------
    x
        An array or a list of numbers, symbolic or not.
    size
        The number of entries of a window, at least 1.
    stride
        The distance between the beginnings of windows; the size if it is left out.

    Returns
    -------
    array
        As x, with as many entries along the last axis as there are whole windows.

    Raises
    ------
    ProgramError
        If no window fits.

    Notes
    -----
    Equal entries are a tie; the first is taken, as in the max-pooling of the frameworks.

    Examples
    --------
    >>> max_pool1d([1.0, 3.0, 2.0, 0.0], 2).tolist()
    [3.0, 2.0]
    """
    x = as_array(x)
    return _largest(x[..., _windows(x.shape[-1], size, stride or size, "max_pool1d")], -1)


def max_pool2d(x: Any, size: int | tuple[int, int], stride: int | tuple[int, int] | None = None) -> Any:
    """Return the maximum of each window over the last two axes.

    Parameters
    ----------
    x
        An array, symbolic or not, shape (..., height, width).
    size
        Rows and columns of a window; one number for both.
    stride
        The distances between windows, down and across; the size if it is left out.

    Returns
    -------
    array
        Shape (..., rows of windows, columns of windows).

    Raises
    ------
    ProgramError
        If no window fits.

    Notes
    -----
    Equal entries are a tie; the first by rows is taken, as in the max-pooling of the frameworks.

    Examples
    --------
    >>> max_pool2d(np.array([[1.0, 2.0], [4.0, 3.0]]), 2).tolist()
    [[4.0]]
    """
    shape = _pair(size)
    return _largest(_patches(x, shape, _pair(stride) if stride else shape, "max_pool2d"), (-2, -1))


def dense(w: Any, x: Any, b: Any = None) -> Any:
    """Return w x + b, by one `dense` node for each column of x.

    Parameters
    ----------
    w
        The weights, shape (outputs, inputs), symbolic or not.
    x
        The inputs, shape (inputs,) or (inputs, columns).
    b
        The biases, shape (outputs,); None for none. In a program, sums begin with b.

    Returns
    -------
    array
        Shape (outputs,) or (outputs, columns).

    Raises
    ------
    ProgramError
        If the shapes do not fit.

    Notes
    -----
    Smooth: it has no ties.

    Examples
    --------
    >>> dense([[1.0, 2.0]], [3.0, 4.0], [0.5]).tolist()
    [11.5]
    """
    if np.ndim(w) != 2 or np.ndim(x) not in (1, 2) or np.shape(w)[1] != np.shape(x)[0]:
        raise ProgramError(f"dense: the shapes {np.shape(w)} and {np.shape(x)} do not fit")
    if symbolic((w, x, b)):
        return numpy_api.affine(w, x, b)
    product = np.asarray(w) @ x
    return product if b is None else product + (b if np.ndim(x) == 1 else np.reshape(b, (-1, 1)))


def conv2d(x: Any, w: Any, b: Any = None, stride: int | tuple[int, int] = 1, padding: int | tuple[int, int] = 0) -> Any:
    """Return the cross-correlation of an image with filters, by one `dense` node for each position of a window.

    Parameters
    ----------
    x
        The image, shape (channels, height, width), symbolic or not.
    w
        The filters, shape (filters, channels, rows, columns).
    b
        The biases, shape (filters,); None for none.
    stride
        The distances between windows, down and across; one number for both.
    padding
        The numbers of zeros added on each side, down and across; one number for both.

    Returns
    -------
    array
        Shape (filters, rows of windows, columns of windows).

    Raises
    ------
    ProgramError
        If the shapes do not fit, or no window does.

    Notes
    -----
    Smooth: it has no ties.

    Examples
    --------
    >>> conv2d(np.ones((1, 3, 3)), np.ones((1, 1, 2, 2))).tolist()
    [[[4.0, 4.0], [4.0, 4.0]]]
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
