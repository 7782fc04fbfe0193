"""Networks: the program of the loss of one sample, from a list of layers."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simsa import primitives
from simsa.errors import ProgramError
from simsa.primitives import ROW, Convention
from simsa.program import functions
from simsa.program.program import Builder, ParameterRange, Program
from simsa.program.symbolic import Array, builder_of, undefined
from simsa.program.trace import finish

Shape = tuple[int, ...]


# Losses. To add one, add a function here and its name to LOSSES.


def _labels(scores: Any, label: Any) -> list[Any]:
    """Return, for each class j = 0, 1, ..., the condition that the label is j."""
    return [label == float(j) for j in range(len(scores))]


def _pick(scores: Any, label: Any) -> Any:
    """Return the score of the class that the label names, or NaN if there is no such class."""
    return functions.piecewise(zip(_labels(scores, label), scores, strict=True), undefined(builder_of(scores)))


def cross_entropy(scores: Any, target: Any) -> Any:
    """Return log(sum_j exp s_j) - s_y, where the target is the class y = 0, 1, ..."""
    return functions.logsumexp(scores) - _pick(scores, target[0])


def hinge(scores: Any, target: Any) -> Any:
    """Return max(0, 1 - y s) for one score and y = -1 or 1, or for classes the sum of max(0, 1 - s_y + s_j), j != y."""
    if len(scores) == 1:
        return functions.hinge(target[0] * scores[0])
    margins = functions.hinge(_pick(scores, target[0]) - scores)
    rows = zip(_labels(scores, target[0]), margins, strict=True)
    return np.sum(np.stack([functions.where(holds, 0.0, margin) for holds, margin in rows]))


def logistic(scores: Any, target: Any) -> Any:
    """Return log(1 + exp(-y s)) for one score and y = -1 or 1."""
    return functions.softplus(-(target[0] * scores[0]))


def squared(scores: Any, target: Any) -> Any:
    """Return the sum of (s_j - t_j)^2."""
    return np.sum(np.square(scores - target))


def l1(scores: Any, target: Any) -> Any:
    """Return the sum of |s_j - t_j|."""
    return np.sum(np.abs(scores - target))


def huber(scores: Any, target: Any) -> Any:
    """Return the sum of the Huber losses (threshold 1) of s_j - t_j."""
    return np.sum(functions.huber(scores - target))


@dataclass(frozen=True)
class Loss:
    """A loss.

    function: of the scores and the target, both arrays. targets: for a number of scores, the number of entries of the
    target, or why the loss does not take so many scores, in a few words.
    """

    function: Callable[[Any, Any], Any]
    targets: Callable[[int], int | str]


def _classes(scores: int) -> int | str:
    return 1 if scores >= 2 else "needs at least two outputs, one a class"


def _one(scores: int) -> int | str:
    return 1 if scores == 1 else "needs one output"


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(cross_entropy, _classes),
    "hinge": Loss(hinge, lambda scores: 1),
    "huber": Loss(huber, lambda scores: scores),
    "l1": Loss(l1, lambda scores: scores),
    "logistic": Loss(logistic, _one),
    "squared": Loss(squared, lambda scores: scores),
}
"""The losses by name."""


# Layers. To add a kind, add a function here and its name to KINDS.


@dataclass(frozen=True)
class _LayerFunction:
    """What a layer computes.

    weights, biases: the shapes of its parameters; () if it has none. fans: fan-in and fan-out. shape: of its result.
    function: of the input, the weights and the biases.
    """

    weights: Shape
    biases: Shape
    fans: tuple[int, int]
    shape: Shape
    function: Callable[[Any, Any, Any], Any]


def _dense(shape: Shape, units: int, bias: bool = True) -> _LayerFunction:
    """Return the layer y = W x + b."""
    n = math.prod(shape)

    def function(x: Any, w: Any, b: Any) -> Any:
        return functions.dense(w, np.reshape(x, -1), b)

    return _LayerFunction((units, n), (units,) if bias else (), (n, units), (units,), function)


def _conv2d(
    shape: Shape, filters: int, size: Any, stride: Any = 1, padding: Any = 0, bias: bool = True
) -> _LayerFunction:
    """Return the layer of filters with `size` rows and columns."""
    channels, height, width = _image(shape, "conv2d")
    window, steps, edges = _two(size), _two(stride), _two(padding)
    places = _places((height + 2 * edges[0], width + 2 * edges[1]), window, steps, "conv2d")

    def function(x: Any, w: Any, b: Any) -> Any:
        return functions.conv2d(x, w, b, steps, edges)

    fans = channels * math.prod(window), filters * math.prod(window)
    return _LayerFunction((filters, channels, *window), (filters,) if bias else (), fans, (filters, *places), function)


def _max_pool2d(shape: Shape, size: Any, stride: Any = None) -> _LayerFunction:
    """Return the layer of maxima of windows, channel by channel."""
    channels, *image = _image(shape, "max_pool2d")
    window, steps = _two(size), _two(size if stride is None else stride)
    places = _places((image[0], image[1]), window, steps, "max_pool2d")

    def function(x: Any, w: Any, b: Any) -> Any:
        return functions.max_pool2d(x, window, steps)

    return _LayerFunction((), (), (0, 0), (channels, *places), function)


KINDS: dict[str, Callable[..., _LayerFunction]] = {"dense": _dense, "conv2d": _conv2d, "max_pool2d": _max_pool2d}
"""The kinds of layers by name. The parameters of a function, after the shape, are the keys of such a layer's table."""

LINEAR = "linear"
"""The name of the activation x -> x."""


def _image(shape: Shape, kind: str) -> Shape:
    """Return (channels, height, width); raises ProgramError if the result of the layer before is not an image."""
    if len(shape) != 3:
        raise ProgramError(f"{kind} needs an image (channels, height, width), the layer before gives {shape}")
    return shape


def _two(value: Any) -> tuple[int, int]:
    """Return a number for each of two axes."""
    pair = tuple(value) if isinstance(value, list | tuple) else (value, value)
    if len(pair) != 2 or not all(isinstance(one, int) and not isinstance(one, bool) for one in pair):
        raise ProgramError(f"expected a number or two, got {value}")
    return pair


def _places(image: tuple[int, int], size: tuple[int, int], stride: tuple[int, int], kind: str) -> tuple[int, int]:
    """Return how many windows fit along each axis."""
    if any(not 1 <= s <= n or t < 1 for n, s, t in zip(image, size, stride, strict=True)):
        raise ProgramError(f"{kind}: windows of {size} with stride {stride} do not fit an image of {image}")
    return (image[0] - size[0]) // stride[0] + 1, (image[1] - size[1]) // stride[1] + 1


def network(
    layers: Sequence[Any],
    activation: str = "relu",
    loss: str = "cross_entropy",
    convention: str | Mapping[str, str | float] | Convention = "tensorflow",
    bias: bool = True,
) -> Program:
    """Return the program of the loss of one sample.

    Parameters
    ----------
    layers
        The input, then the layers; the results of the last layer are the scores. The input is a number of features, or
        a shape (height, width) or (channels, height, width). A layer is a number of units, or a mapping with `kind`
        ("dense" with units; "conv2d" with filters, size, stride, padding; "max_pool2d" with size, stride), `bias` and
        `activation`.
    activation
        The activation after every dense and conv2d layer but the last: a row of the table with one operand, or
        "linear".
    loss
        "cross_entropy", "hinge", "huber", "l1", "logistic" or "squared".
    convention
        Decides the derivative at ties, as for `trace`.
    bias
        Whether layers that do not say so have biases.

    Returns
    -------
    Program
        Its parameters are, for each layer, W by rows and then b. Its data inputs are the features, then the target: for
        cross_entropy, and for hinge with several scores, the class as a number 0, 1, ...; for hinge and logistic with
        one score, -1 or 1; for the others one number for each score. A class that does not exist gives NaN.

    Raises
    ------
    ProgramError
        If a name is unknown, or shapes do not fit; the message says in which layer.

    Notes
    -----
    The ties are those of the activations, of max-pooling and of the loss; the convention decides them.

    Examples
    --------
    >>> program = network([2, 3, 2])
    >>> program.p, program.data, [(part.kind, part.stop) for part in program.ranges]
    (17, 3, [('weight', 6), ('bias', 9), ('weight', 15), ('bias', 17)])
    """
    if len(layers) < 2:
        raise ProgramError("a network needs an input and at least one layer")
    if loss not in LOSSES:
        raise ProgramError(functions.unknown("loss", loss, LOSSES))
    _activation(activation)  # an unknown name is refused even if no layer uses it
    shape = _input(layers[0])
    tables = [_table(layer, i + 1, bias) for i, layer in enumerate(layers[1:])]
    between = [_activation(table.pop("activation", _default(tables, i, activation))) for i, table in enumerate(tables)]
    steps = _steps(shape, tables)
    scores, features = math.prod(steps[-1].shape), math.prod(shape)
    targets = LOSSES[loss].targets(scores)
    if isinstance(targets, str):
        raise ProgramError(f"the loss {loss} {targets}, the last layer gives {scores}")

    ranges, parameters = _ranges(steps)
    builder = Builder(parameters, features + targets, primitives.convention(convention))
    data = Array(builder, np.arange(parameters, parameters + features + targets))
    runs = iter(Array(builder, np.arange(part.start, part.stop)) for part in ranges)
    value = data[:features].reshape(shape)
    for step, after in zip(steps, between, strict=True):
        blocks: list[Any] = [np.reshape(next(runs), sizes) if sizes else None for sizes in (step.weights, step.biases)]
        value = after(step.function(value, *blocks))
    result = LOSSES[loss].function(np.reshape(value, -1), data[features:])
    return finish(builder, result, f"the loss {loss}", ranges=ranges)


def _steps(shape: Shape, tables: Sequence[Mapping[str, Any]]) -> list[_LayerFunction]:
    """Return what each layer computes, given the shape of the result of the layer before it."""
    steps: list[_LayerFunction] = []
    for i, table in enumerate(tables):
        options = {key: value for key, value in table.items() if key != "kind"}
        try:
            steps.append(KINDS[table["kind"]](steps[-1].shape if steps else shape, **options))
        except ProgramError as error:
            raise ProgramError(f"layer {i + 1}: {error}") from None
    return steps


def _ranges(steps: Sequence[_LayerFunction]) -> tuple[list[ParameterRange], int]:
    """Return the ranges of parameters of the layers, one after the other, and the number of parameters."""
    ranges, start = [], 0
    for step in steps:
        for kind, sizes in (("weight", step.weights), ("bias", step.biases)):
            if sizes:
                ranges.append(ParameterRange(kind, start, start + math.prod(sizes), *step.fans))
                start = ranges[-1].stop
    return ranges, start


def _default(tables: Sequence[Mapping[str, Any]], i: int, activation: str) -> str:
    """Return the activation after layer i: `activation`, or "linear" after max-pooling and the last layer."""
    return LINEAR if i + 1 == len(tables) or tables[i]["kind"] == "max_pool2d" else activation


def _activation(name: str) -> Callable[[Any], Any]:
    """Return an activation by its name: a row of the table with one operand, with its defaults in `functions`."""
    known = {
        row.name
        for row in ROW.values()
        if row.arity == 1 and not row.identity and (not row.immediates or hasattr(functions, row.name))
    }
    if name == LINEAR:
        return lambda x: x
    if name not in known:
        raise ProgramError(functions.unknown("activation", name, known | {LINEAR}))
    function: Callable[[Any], Any] = getattr(functions, name, lambda x: functions.apply(name, x))
    return function


def _count(value: Any) -> bool:
    """Tell whether a value is an integer of at least 1, and not a truth value."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _input(value: Any) -> Shape:
    """Return the shape of the input; two numbers are the height and width of an image with one channel."""
    shape = (value,) if isinstance(value, int) else tuple(value) if isinstance(value, list | tuple) else ()
    if len(shape) not in (1, 2, 3) or not all(map(_count, shape)):
        raise ProgramError(
            f"layer 0, the input: expected a number of features or a shape of up to three, got {value!r}"
        )
    return shape if len(shape) != 2 else (1, *shape)


def _table(layer: Any, number: int, bias: bool) -> dict[str, Any]:
    """Return the table of a layer with its kind and bias; raises ProgramError for an unknown or missing key."""
    if _count(layer):
        return {"kind": "dense", "units": layer, "bias": bias}
    if not isinstance(layer, Mapping):
        raise ProgramError(f"layer {number}: expected a number of units or a table with a kind, got {layer!r}")
    table = dict(layer)
    kind = table.get("kind")
    if kind not in KINDS:
        raise ProgramError(f"layer {number}: {functions.unknown('kind', str(kind), KINDS)}")
    options = list(inspect.signature(KINDS[kind]).parameters.values())[1:]
    known = {option.name for option in options} | {"kind", "activation"}
    for key, value in table.items():
        if key not in known:
            raise ProgramError(f"layer {number}: {functions.unknown('key', key, known)}")
        if key in ("units", "filters") and not _count(value):
            raise ProgramError(f"layer {number}: {key}: expected a whole number of at least 1, got {value!r}")
        if key == "bias" and not isinstance(value, bool):
            raise ProgramError(f"layer {number}: bias: expected true or false, got {value!r}")
        if key == "activation" and not isinstance(value, str):
            raise ProgramError(f"layer {number}: activation: expected a name, got {value!r}")
    for option in options:
        if option.default is option.empty and option.name not in table:
            raise ProgramError(f"layer {number}: the key '{option.name}' is missing")
    return {"bias": bias, **table} if "bias" in known else table
