"""The table of primitives. Adding a primitive is adding a row here, and nothing else anywhere.

A row has pieces, which are text, or an operation of `simsa/primitives/operations/`.

The tie weights were measured on PyTorch 2.13.0, JAX 0.10.2 and TensorFlow 2.21.0 (Keras 3.15.1), CPU, float64,
reverse mode. The first spelling of a framework is what its convention uses; the others can be asked for by name.
"""

import math

from simsa.primitives.operations import Dense, Dot, Extreme, LogSumExp, Norm, Select, Sort, Sum
from simsa.primitives.primitive import Primitive
from simsa.primitives.texts import Branch, Piece

INF = math.inf
REAL = (-INF, INF)
FIRST, SECOND, HALF = ((1.0, 0.0),), ((0.0, 1.0),), ((0.5, 0.5),)
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
    # Of all functions with an infinite slope TensorFlow's sqrt alone passes zero where zero comes in.
    Primitive(
        "sqrt",
        "square root",
        1,
        (Piece("sqrt(x)", ("0.5 / v",)),),
        ties={"tf.sqrt": ZERO, "torch.sqrt": CHAIN, "jnp.sqrt": CHAIN},
        domain=((0.0, INF),),
        vanishes=(0,),
    ),
    # All frameworks: 0^y has no slope in y for y >= 0, though log(0) is infinite.
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
    # Selections (Def. 2 and 3): branch tables. A NaN operand reaches the value.
    Primitive(
        "relu",
        "positive part",
        1,
        (Piece("0", ("0",)), Piece("x", ("1",))),
        _kink("x == 0", "x < 0"),
        ties={
            "tf.nn.relu": FIRST,
            "torch.relu": FIRST,
            "jax.nn.relu": FIRST,
            "torch.clamp_min": SECOND,
            "jnp.clip": HALF,
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
        ties={"tf.nn.leaky_relu": FIRST, "torch.nn.functional.leaky_relu": FIRST, "jax.nn.leaky_relu": SECOND},
        domain=(REAL,),
    ),
    Primitive(
        "elu",
        "exponential linear unit",
        1,
        (Piece("a * expm1(x)", ("a * exp(x)",)), Piece("x", ("1",))),
        _kink("x == 0", "x < 0"),
        immediates=("a",),
        ties={"tf.nn.elu": FIRST, "torch.nn.functional.elu": FIRST, "jax.nn.elu": FIRST},
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
        ties={"tf.abs": HALF, "torch.abs": HALF, "jnp.abs": FIRST},
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
            "tf.maximum": FIRST,
            "torch.maximum": HALF,
            "jnp.maximum": HALF,
            "torch.fmax": FIRST,
            "jnp.fmax": SECOND,
            "torch.clamp": FIRST,
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
            "tf.minimum": FIRST,
            "torch.minimum": HALF,
            "jnp.minimum": HALF,
            "torch.fmin": FIRST,
            "jnp.fmin": SECOND,
            "torch.clamp": FIRST,
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
        ties={"keras.losses.hinge": SECOND, "torch.nn.functional.hinge_embedding_loss": SECOND, "jax.nn.relu": FIRST},
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
    # Steps: what they are beside a jump is a piece of its own, which only stands in a branch assignment.
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
    # Any number of operands: each with its operation.
    Primitive("sum", "x_1 + ... + x_n, from left to right", None, operation=Sum()),
    Primitive("dot", "x_1 y_1 + ... + x_n y_n, from left to right; operands x then y", None, operation=Dot()),
    Primitive(
        "dense",
        "affine map: y_j = b_j + sum_i W_ji x_i; operands W by rows, x, then b (or no b)",
        None,
        operation=Dense(),
    ),
    Primitive("logsumexp", "log(exp x_1 + ... + exp x_n)", None, operation=LogSumExp()),
    # At 0, the entries of the vector of the unit ball that a framework returns. Where x is not 0, it is x / norm.
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
    # A selection written by the user: operands are pieces and guard sides, the branch table is the program's.
    Primitive("select", "the piece of the first row whose guards hold", None, operation=Select()),
]
"""Every row; its place is its opcode."""

ROW: dict[str, Primitive] = {row.name: row for row in ROWS}
"""Every row by its name."""

INNER: dict[str, Primitive] = {
    row.name: row
    for row in (_elementary("log0", "natural logarithm, but 0 at x = 0 for y >= 0", "log0(x, y)", "1 / x", "0"),)
}
"""Functions that stand in partials of the table, and in no program."""

OPCODE: dict[str, int] = {row.name: code for code, row in enumerate(ROWS)}
"""The number that stands for a primitive in a tape: its place in the table."""


def add(row: Primitive) -> None:
    """Add a row to the table, behind the others; raises ValueError if its name is taken.

    An operation that the kernels have no loop for is refused by what runs on them, and computed by the reference.
    """
    if row.name in ROW:
        raise ValueError(f"{row.name}: the table has a row of this name")
    OPCODE[row.name] = len(ROWS)
    ROWS.append(row)
    ROW[row.name] = row
