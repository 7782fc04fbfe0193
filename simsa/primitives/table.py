"""The table of primitives. To add a primitive, add a row here; nothing else in simsa needs to change.

A row has pieces, which are texts, or an object from `simsa/primitives/operations/`.

The tie weights were measured on PyTorch 2.13.0, JAX 0.10.2 and TensorFlow 2.21.0 (Keras 3.15.1), CPU, float64,
reverse mode. The first spelling of a framework is what its convention uses; the others can be asked for by name.
"""

import math

from simsa.primitives.operations import Dense, Dot, Extreme, LogSumExp, Norm, Select, Sort, Sum
from simsa.primitives.primitive import Primitive
from simsa.primitives.texts import Branch, Piece

INF = math.inf
REAL = (-INF, INF)
FIRST_PIECE, SECOND_PIECE, HALVES = ((1.0, 0.0),), ((0.0, 1.0),), ((0.5, 0.5),)
ZERO, NAN, CHAIN = ((0.0,),), ((math.nan,),), ((1.0,),)


def _elementary(
    name: str,
    textbook: str,
    value: str,
    *partials: str,
    domain: tuple[tuple[float, float], ...] = (),
    immediates: tuple[str, ...] = (),
    vanishes: tuple[int, ...] = (),
) -> Primitive:
    """Return the row of an elementary function: one piece, no branches."""
    return Primitive(
        name,
        textbook,
        len(partials),
        (Piece(value, partials),),
        immediates=immediates,
        domain=domain or (REAL,) * len(partials),
        vanishes=vanishes,
    )


def _kink(tie: str, below: str, *, nan_from: str = "") -> tuple[Branch, ...]:
    """Return the branch table of two pieces: `below` selects piece 0, `tie` mixes, and the rest selects piece 1.

    `nan_from` names an operand whose NaN must select piece 0, so that a NaN always reaches the value.
    """
    rows = (Branch((below,), 0), Branch((tie,), between=(0, 1)))
    nan = (Branch((f"isnan({nan_from})",), 0),) if nan_from else ()
    return (*nan, *rows, Branch((), 1))


ROWS: list[Primitive] = [
    # Elementary functions (Def. 1, and Remark 1(a) for the analytic ones).
    _elementary("add", "sum", "x + y", "1", "1"),
    _elementary("sub", "difference", "x - y", "1", "-1"),
    _elementary("mul", "product", "x * y", "y", "x", vanishes=(0, 1)),
    _elementary("div", "quotient", "x / y", "1 / y", "-v / y", domain=(REAL, (0.0, INF)), vanishes=(0,)),
    _elementary("neg", "opposite", "-x", "-1", vanishes=(0,)),
    _elementary("copy", "identity", "x", "1", vanishes=(0,)),
    _elementary("square", "square", "x * x", "2 * x", vanishes=(0,)),
    _elementary("exp", "exponential", "exp(x)", "v"),
    _elementary("log", "natural logarithm", "log(x)", "1 / x", domain=((0.0, INF),)),
    _elementary("expm1", "exponential minus one", "expm1(x)", "v + 1"),
    _elementary("log1p", "logarithm of one plus x", "log1p(x)", "1 / (1 + x)", domain=((-1.0, INF),)),
    # TensorFlow's sqrt is the only function with an infinite slope that passes a zero adjoint on as zero.
    Primitive(
        "sqrt",
        "square root",
        1,
        (Piece("sqrt(x)", ("0.5 / v",)),),
        ties={"tf.sqrt": ZERO, "torch.sqrt": CHAIN, "jnp.sqrt": CHAIN},
        domain=((0.0, INF),),
        vanishes=(0,),
    ),
    # In all frameworks the partial of 0^y with respect to y is 0 for y >= 0, although log(0) is infinite.
    _elementary("pow", "power", "pow(x, y)", "y * pow(x, y - 1)", "v * log0(x, y)", domain=((0.0, INF), REAL)),
    _elementary(
        "power",
        "constant power",
        "pow(x, a)",
        "a * pow(x, a - 1)",
        immediates=("a",),
        domain=((0.0, INF),),
        vanishes=(0,),
    ),
    _elementary("sin", "sine", "sin(x)", "cos(x)"),
    _elementary("cos", "cosine", "cos(x)", "-sin(x)"),
    _elementary("tan", "tangent", "tan(x)", "1 + v * v", domain=((-1.5, 1.5),)),
    _elementary("tanh", "hyperbolic tangent", "tanh(x)", "1 - v * v"),
    _elementary("sigmoid", "logistic function", "sigmoid(x)", "v * (1 - v)"),
    _elementary("softplus", "log(1 + exp x)", "softplus(x)", "sigmoid(x)"),
    _elementary("erf", "error function", "erf(x)", "1.1283791670955126 * exp(-(x * x))"),
    # What `detach` and `stop_gradient` are: the partial that AD takes, 0, is not the derivative of the value.
    _elementary("stop", "identity that passes no derivative", "x", "0", vanishes=(0,)),
    # Selections with a branch table (Def. 2 and 3). Each table lets a NaN operand reach the value.
    Primitive(
        "relu",
        "positive part",
        1,
        (Piece("0", ("0",)), Piece("x", ("1",))),
        _kink("x == 0", "x < 0"),
        ties={
            "tf.nn.relu": FIRST_PIECE,
            "torch.relu": FIRST_PIECE,
            "jax.nn.relu": FIRST_PIECE,
            "torch.clamp_min": SECOND_PIECE,
            "jnp.clip": HALVES,
        },
        domain=(REAL,),
    ),
    Primitive(
        "leaky_relu",
        "leaky rectifier: a x below zero",
        1,
        (Piece("a * x", ("a",)), Piece("x", ("1",))),
        _kink("x == 0", "x < 0"),
        immediates=("a",),
        ties={
            "tf.nn.leaky_relu": FIRST_PIECE,
            "torch.nn.functional.leaky_relu": FIRST_PIECE,
            "jax.nn.leaky_relu": SECOND_PIECE,
        },
        domain=(REAL,),
    ),
    Primitive(
        "elu",
        "exponential linear unit",
        1,
        (Piece("a * expm1(x)", ("a * exp(x)",)), Piece("x", ("1",))),
        _kink("x == 0", "x < 0"),
        immediates=("a",),
        ties={"tf.nn.elu": FIRST_PIECE, "torch.nn.functional.elu": FIRST_PIECE, "jax.nn.elu": FIRST_PIECE},
        domain=(REAL,),
    ),
    Primitive(
        "relu6",
        "positive part, at most six",
        1,
        (Piece("0", ("0",)), Piece("x", ("1",)), Piece("6", ("0",))),
        (
            Branch(("x < 0",), 0),
            Branch(("x == 0",), between=(0, 1)),
            Branch(("x > 6",), 2),
            Branch(("x == 6",), between=(1, 2)),
            Branch((), 1),
        ),
        ties=dict.fromkeys(("tf.nn.relu6", "torch.nn.functional.relu6", "jax.nn.relu6"), ((1.0, 0.0), (0.0, 1.0))),
        domain=(REAL,),
    ),
    Primitive(
        "hardtanh",
        "x clipped to [-1, 1]",
        1,
        (Piece("-1", ("0",)), Piece("x", ("1",)), Piece("1", ("0",))),
        (
            Branch(("x < -1",), 0),
            Branch(("x == -1",), between=(0, 1)),
            Branch(("x > 1",), 2),
            Branch(("x == 1",), between=(1, 2)),
            Branch((), 1),
        ),
        ties={
            "keras.activations.hard_tanh": ((0.0, 1.0), (1.0, 0.0)),
            "torch.nn.functional.hardtanh": ((1.0, 0.0), (0.0, 1.0)),
            "jax.nn.hard_tanh": ((0.0, 1.0), (1.0, 0.0)),
        },
        domain=(REAL,),
    ),
    Primitive(
        "abs",
        "absolute value",
        1,
        (Piece("x", ("1",)), Piece("-x", ("-1",))),
        _kink("x == 0", "x > 0"),
        ties={"tf.abs": HALVES, "torch.abs": HALVES, "jnp.abs": FIRST_PIECE},
        domain=(REAL,),
        vanishes=(0,),
    ),
    Primitive(
        "maximum",
        "larger of two",
        2,
        (Piece("x", ("1", "0")), Piece("y", ("0", "1"))),
        _kink("x == y", "x > y", nan_from="x"),
        ties={
            "tf.maximum": FIRST_PIECE,
            "torch.maximum": HALVES,
            "jnp.maximum": HALVES,
            "torch.fmax": FIRST_PIECE,
            "jnp.fmax": SECOND_PIECE,
            "torch.clamp": FIRST_PIECE,
        },
        domain=(REAL, REAL),
    ),
    Primitive(
        "minimum",
        "smaller of two",
        2,
        (Piece("x", ("1", "0")), Piece("y", ("0", "1"))),
        _kink("x == y", "x < y", nan_from="x"),
        ties={
            "tf.minimum": FIRST_PIECE,
            "torch.minimum": HALVES,
            "jnp.minimum": HALVES,
            "torch.fmin": FIRST_PIECE,
            "jnp.fmin": SECOND_PIECE,
            "torch.clamp": FIRST_PIECE,
            "torch.clamp(lo = hi)": ((0.0, 0.0),),  # of the two bounds, where x is below them
            "jax.lax.clamp(lo = hi)": ((0.0, 0.0),),
        },
        domain=(REAL, REAL),
    ),
    Primitive(
        "clip",
        "x kept between y and z",
        3,
        (Piece("y", ("0", "1", "0")), Piece("x", ("1", "0", "0")), Piece("z", ("0", "0", "1"))),
        (
            Branch(("x < y",), 0),
            Branch(("x == y",), between=(0, 1)),
            Branch(("x > z",), 2),
            Branch(("x == z",), between=(1, 2)),
            Branch((), 1),
        ),
        ties={
            "tf.clip_by_value": ((0.0, 1.0), (1.0, 0.0)),
            "torch.clamp": ((0.0, 1.0), (1.0, 0.0)),
            "jnp.clip": ((0.5, 0.5), (0.5, 0.5)),
            "jax.lax.clamp": ((0.0, 0.0), (0.0, 0.0)),
        },
        domain=(REAL, (-INF, 0.0), (0.0, INF)),
    ),
    Primitive(
        "hinge",
        "hinge loss, max(0, 1 - x)",
        1,
        (Piece("0", ("0",)), Piece("1 - x", ("-1",))),
        _kink("x == 1", "x > 1"),
        ties={
            "keras.losses.hinge": SECOND_PIECE,
            "torch.nn.functional.hinge_embedding_loss": SECOND_PIECE,
            "jax.nn.relu": FIRST_PIECE,
        },
        domain=(REAL,),
    ),
    Primitive(
        "huber",
        "Huber loss with threshold a",
        1,
        (
            Piece("-a * x - 0.5 * (a * a)", ("-a",)),
            Piece("0.5 * (x * x)", ("x",)),
            Piece("a * x - 0.5 * (a * a)", ("a",)),
        ),
        (
            Branch(("x < -a",), 0),
            Branch(("x == -a",), between=(0, 1)),
            Branch(("x > a",), 2),
            Branch(("x == a",), between=(1, 2)),
            Branch((), 1),
        ),
        immediates=("a",),
        ties=dict.fromkeys(
            ("keras.losses.huber", "torch.nn.functional.huber_loss", "jnp.where"), ((0.0, 1.0), (1.0, 0.0))
        ),
        domain=(REAL,),
    ),
    # Step functions. The value on the other side of a jump is a piece of its own, which the program itself never
    # selects; only a branch assignment of the calculus does.
    Primitive(
        "floor",
        "largest integer up to x",
        1,
        (Piece("floor(x)", ("0",)), Piece("floor(x) - 1", ("0",))),
        (Branch(("x < floor(x)",), 1), Branch((), 0)),
        domain=(REAL,),
    ),
    Primitive(
        "rint",
        "nearest integer, the even one of two",
        1,
        (Piece("round_even(x)", ("0",)), Piece("round_even(x) + 1", ("0",)), Piece("round_even(x) - 1", ("0",))),
        (Branch(("x - round_even(x) > 0.5",), 1), Branch(("x - round_even(x) < -0.5",), 2), Branch((), 0)),
        domain=(REAL,),
    ),
    # Primitives with any number of operands, each with its operation.
    Primitive("sum", "x_1 + ... + x_n, from left to right", None, operation=Sum()),
    Primitive("dot", "x_1 y_1 + ... + x_n y_n, from left to right; operands x then y", None, operation=Dot()),
    Primitive(
        "dense",
        "affine map: y_j = b_j + sum_i W_ji x_i; operands W by rows, x, then b (or no b)",
        None,
        operation=Dense(),
    ),
    Primitive("logsumexp", "log(exp x_1 + ... + exp x_n)", None, operation=LogSumExp()),
    # The weights are the derivative at 0 with respect to each operand. Elsewhere the derivative is x / norm.
    Primitive(
        "norm",
        "Euclidean norm, sqrt(x_1 x_1 + ... + x_n x_n), summed from left to right",
        None,
        operation=Norm(),
        ties={
            "tf.norm": NAN,
            "torch.linalg.norm": ZERO,
            "jnp.linalg.norm": NAN,
            "tf.math.reduce_euclidean_norm": NAN,
            "tf.experimental.numpy.hypot": NAN,
            "tf.math.reduce_std": NAN,
            "torch.norm": ZERO,
            "torch.cdist": ZERO,
            "torch.hypot": NAN,
            "torch.std": ZERO,
            "jnp.hypot": ((0.5,),),
            "jnp.std": NAN,
        },
    ),
    Primitive(
        "max",
        "largest of n",
        None,
        operation=Extreme(largest=True),
        ties={
            "tf.reduce_max": "split",
            "torch.amax": "split",
            "jnp.max": "split",
            "torch.max(dim)": "first",
            "tf.nn.max_pool": "first",
            "torch.nn.functional.max_pool": "first",
            "flax.linen.max_pool": "first",
        },
    ),
    Primitive(
        "min",
        "smallest of n",
        None,
        operation=Extreme(largest=False),
        ties={"tf.reduce_min": "split", "torch.amin": "split", "jnp.min": "split", "torch.min(dim)": "first"},
    ),
    Primitive(
        "sort",
        "order statistics, ascending; n outputs",
        None,
        operation=Sort(),
        ties={"tf.sort": "first", "torch.sort(stable)": "first", "jnp.sort": "first"},
    ),
    # A selection written by the user: its operands are pieces and sides of guards; the program holds the branch table.
    Primitive("select", "the piece of the first row whose guards hold", None, operation=Select()),
]
"""Every row; its position is its opcode."""

ROW: dict[str, Primitive] = {row.name: row for row in ROWS}
"""Every row by its name."""

INNER: dict[str, Primitive] = {
    row.name: row
    for row in (_elementary("log0", "natural logarithm, but 0 at x = 0 for y >= 0", "log0(x, y)", "1 / x", "0"),)
}
"""Functions that occur in partials of the table only. No program can apply them."""

OPCODE: dict[str, int] = {row.name: code for code, row in enumerate(ROWS)}
"""The number that stands for a primitive in a tape: its position in the table."""


def add(row: Primitive) -> None:
    """Append a row to the table.

    Parameters
    ----------
    row
        The new row.

    Raises
    ------
    ValueError
        If the table has a row of this name.

    Notes
    -----
    Engines that compile refuse an operation that the kernels have no loop for; the reference computes it.
    """
    if row.name in ROW:
        raise ValueError(f"{row.name}: the table has a row of this name")
    OPCODE[row.name] = len(ROWS)
    ROWS.append(row)
    ROW[row.name] = row
