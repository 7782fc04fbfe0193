"""Rules: how an optimiser takes a step. To add one, add a row here; no other file changes.

A row is a text, like those of a primitive: the same lines are compiled on SIMD lanes, evaluated in plain Python and in
rational numbers, and printed. They are those of one coordinate, and the same for all; `total` adds up over all of them.

A modifier is a row as well, whose lines stand before or after those of a rule: weight decay, clipping, projections, and
averages of the iterates. A rule with modifiers is a rule (`modified`), so that nothing else needs to know of them.
"""

import ast
import keyword
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from textwrap import dedent
from typing import NamedTuple

KNOWN = ("x", "g", "gamma", "f")
"""The names that every rule may use: a coordinate of x_k, and of the mean gradient g_k of the minibatch; the step size;
and the mean f of the losses of the minibatch at x_k."""

FUNCTIONS = {"abs": 1, "sign": 1, "sqrt": 1, "minimum": 2, "maximum": 2}
"""The functions that texts may call, and how many arguments each takes.

sign(x) is 1 above 0, -1 below 0, and x itself at 0, -0 and NaN, where PyTorch's is 0. minimum(a, b) is a if a < b,
else b; maximum(a, b) is a if a > b, else b: both are b if the two are equal, also if their signs differ, and if one is
NaN.
"""

TOTAL = "total"
"""The function that a line may call outermost: the sum of its argument over the coordinates, in their order."""

CHANGE, NEXT = "change", "next"
"""The names of the change and of x_{k+1} among the results of a step."""

REASSIGNED = ("g", CHANGE, NEXT)
"""The names that several lines may assign: each line uses the latest value."""

NO_THEOREM = "no theorem here"
"""What is said of the limits of a rule if nothing is known for conservative fields, with its numbers constant."""


class Range(NamedTuple):
    """The range of a number of a rule, low <= value < high.

    meaning: what the number is, in a line. default: its value where a scenario does not say it; None if a scenario has
    to. above: whether low itself is excluded. key: the key of a scenario that lists this number, together with those
    that have the same key, in their order; empty if the key is the name of the number.
    """

    low: float
    high: float
    meaning: str
    default: float | None = None
    above: bool = False
    key: str = ""

    def has(self, value: float | Fraction) -> bool:
        """Tell whether a value is in the range."""
        return (self.low < value if self.above else self.low <= value) and value < self.high

    @property
    def words(self) -> str:
        """Return the range in words."""
        low = "" if self.low == -math.inf else f"above {self.low:g}" if self.above else f"from {self.low:g}"
        high = "" if self.high == math.inf else f"below {self.high:g}"
        joined = (" and " if self.above else " to ").join(filter(None, (low, high)))
        return joined if high or self.above else f"{low} on" if low else "of any sign"


class Total(NamedTuple):
    """A line that adds up over the coordinates.

    name: of the sum. text: the expression that is added up. before: (name, expression) of the lines before it.
    """

    name: str
    text: str
    before: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of a step, and what they need.

    name: in scenarios. textbook: its name in textbooks. text: the lines "name = expression", which are computed in this
    order for all coordinates; an expression uses `KNOWN` names, the numbers, the state and the results of lines above
    it. state: the names of the numbers that are kept for each coordinate from step to step, and are 0 at first.
    numbers: by name, the range of each. Raises ValueError if a name is no identifier or is used twice, or if a line has
    another name, call or operator.
    """

    name: str
    textbook: str
    text: str
    state: tuple[str, ...] = ()
    numbers: Mapping[str, Range] = field(default_factory=dict)

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return (name, expression) of each line."""
        return _parsed(self.name, self.text)


@dataclass(frozen=True, eq=False)
class Modifier(Lines):
    """Lines that stand before those of a rule (after: False) or after them (after: True).

    observes: whether x_0, x_1, ... are the same with the modifier as without it.
    """

    after: bool = False
    observes: bool = False


@dataclass(frozen=True, eq=False)
class Rule(Lines):
    """One row: x_{k+1} is `next`, which is x - change if no line assigns it.

    known: what is known of the limits of the recursion for conservative fields, and where. paper: whether x_0, x_1, ...
    are those of recursion (8) of the paper, for which its theorems are stated. Raises ValueError as well if no line
    assigns the change, or if a number of the state is not assigned exactly once.
    """

    known: str = NO_THEOREM
    paper: bool = False

    def __post_init__(self) -> None:
        given = (*KNOWN, *self.state, *self.numbers)
        if len(set(given)) < len(given) or {CHANGE, NEXT} & set(given) or not all(map(_proper, given)):
            raise ValueError(f"{self.name}: names must be identifiers, each used once, and not '{CHANGE}': {given}")
        targets = [target for target, _ in self.lines]
        if sorted(name for name in targets if name in self.state) != sorted(self.state):
            raise ValueError(f"{self.name}: each name of the state is assigned once: {self.state}")
        if CHANGE not in targets:
            raise ValueError(f"{self.name}: no line assigns '{CHANGE}'")
        known = set(given)
        for target, text in self.lines:
            taken = target in known and target not in (*self.state, *REASSIGNED)
            if taken or (targets.count(target) > 1 and target not in REASSIGNED) or not _proper(target):
                raise ValueError(f"{self.name}: '{target}' cannot be assigned here: {target} = {text}")
            _check(self.name, text, known)
            known.add(target)

    def __reduce__(self) -> "tuple[Callable[[str], Rule], tuple[str]]":
        """Pickle a rule as its name, since rules are compared by identity: a process has one object of each."""
        return rule, (self.name,)

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Return (name, expression) of all that is computed for a coordinate once the totals are known."""
        lines = self.lines
        last = () if any(name == NEXT for name, _ in lines) else ((NEXT, f"x - {CHANGE}"),)
        return tuple((name, text) for name, text in lines if _summed(text) is None) + last

    @property
    def totals(self) -> tuple[Total, ...]:
        """Return the lines that add up over the coordinates, in their order."""
        found: list[Total] = []
        before: list[tuple[str, str]] = []
        for name, text in self.lines:
            if (inner := _summed(text)) is None:
                before.append((name, text))
            else:
                found.append(Total(name, inner, tuple(before)))
        return tuple(found)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the names that are given to the expressions: `KNOWN`, the state, the numbers."""
        return (*KNOWN, *self.state, *self.numbers)

    @property
    def functions(self) -> frozenset[str]:
        """Return the names of the functions that the lines call."""
        return frozenset().union(*(_names(text) & set(FUNCTIONS) for _, text in self.lines))

    @property
    def irrational(self) -> str:
        """Return why steps cannot be taken in rational numbers; empty if they can."""
        return f"{self.name} takes a square root, which is not rational" if "sqrt" in self.functions else ""

    @property
    def uses_loss(self) -> bool:
        """Tell whether a line uses f, the mean of the losses of the minibatch."""
        return any("f" in _names(text) for _, text in self.lines)

    @property
    def separable(self) -> bool:
        """Tell whether a coordinate's step depends on x, g and the state of that coordinate alone."""
        return not self.totals and not self.uses_loss


@cache
def _parsed(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Return (name, expression) of the lines of a rule. Raises ValueError if they are no assignments to names."""
    found = []
    for node in ast.parse(dedent(text)).body:
        if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
            raise ValueError(f"{name}: expected lines 'name = expression', got '{ast.unparse(node)}'")
        found.append((node.targets[0].id, ast.unparse(node.value)))
    return tuple(found)


@cache
def _summed(text: str) -> str | None:
    """Return the expression that a line adds up over the coordinates; None if it adds up nothing."""
    node = ast.parse(text, mode="eval").body
    outermost = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == TOTAL
    return ast.unparse(node.args[0]) if outermost and isinstance(node, ast.Call) and len(node.args) == 1 else None


@cache
def _names(text: str) -> frozenset[str]:
    """Return the names of variables and functions in an expression."""
    return frozenset(node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name))


_SYNTAX = (ast.Constant, ast.Name, ast.expr_context, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Call)
"""The nodes that expressions may consist of."""


def _check(name: str, text: str, known: set[str]) -> None:
    """Raise ValueError if an expression has another name, call or operator. known: the names that have a value."""
    summed = _summed(text)
    nodes = list(ast.walk(ast.parse(text if summed is None else summed, mode="eval").body))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    if unknown := used - {*known, *FUNCTIONS}:
        raise ValueError(f"{name}: unknown names {sorted(unknown)} in '{text}'")
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    alone = any(isinstance(node, ast.Name) and node.id in FUNCTIONS and id(node) not in called for node in nodes)
    if alone or not all(isinstance(node, _SYNTAX) for node in nodes) or not all(map(_computed, nodes)):
        raise ValueError(f"{name}: expected numbers, names, + - * / and {', '.join(FUNCTIONS)}, got '{text}'")


def _computed(node: ast.AST) -> bool:
    """Tell whether a node of an expression is allowed: its operator, the function that it calls, or its constant."""
    if isinstance(node, ast.operator | ast.unaryop):
        return isinstance(node, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.USub)
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and len(node.args) == FUNCTIONS.get(node.func.id, -1)
        return named and not node.keywords
    return not isinstance(node, ast.Constant) or type(node.value) in (int, float)


def _proper(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in (*FUNCTIONS, TOTAL)


_MOMENTUM = {"momentum": Range(0.0, 1.0, "how much of the last direction is kept")}
_BETAS = {
    "beta1": Range(0.0, 1.0, "how much of the average of the gradients is kept", 0.9, key="betas"),
    "beta2": Range(0.0, 1.0, "how much of the average of their squares is kept", 0.999, key="betas"),
}


def _eps(default: float) -> dict[str, Range]:
    """Return the number that keeps a denominator above 0."""
    return {"eps": Range(0.0, math.inf, "what is added to the root in the denominator", default)}


SGD = Rule(
    "sgd",
    "stochastic gradient descent: recursion (8) of the paper",
    "change = gamma * g",
    known="Theorems 4 and 7 (Bolte and Pauwels, 2020), for gamma_k = o(1 / log k) of infinite sum",
    paper=True,
)

HEAVY_BALL = Rule(
    "heavy_ball",
    "gradient descent with momentum (Polyak, 1964), as PyTorch's SGD has it",
    """
    m = momentum * m + g
    change = gamma * m
    """,
    state=("m",),
    numbers=_MOMENTUM,
    known="limits are critical for conservative fields, and Clarke critical for almost all x_0 (Le, JOTA 201, 2024); "
    "whether its conditions on steps and momentum hold here is not checked",
)

NESTEROV = Rule(
    "nesterov",
    "gradient descent with Nesterov's momentum (1983), as PyTorch's SGD has it",
    """
    m = momentum * m + g
    change = gamma * (g + momentum * m)
    """,
    state=("m",),
    numbers=_MOMENTUM,
)

RMSPROP = Rule(
    "rmsprop",
    "RMSProp (Tieleman and Hinton, 2012), as PyTorch has it",
    """
    v = alpha * v + (1 - alpha) * g * g
    change = gamma * g / (sqrt(v) + eps)
    """,
    state=("v",),
    numbers={"alpha": Range(0.0, 1.0, "how much of the average of the squares is kept", 0.99), **_eps(1e-8)},
)

ADAGRAD = Rule(
    "adagrad",
    "AdaGrad (Duchi, Hazan and Singer, JMLR 2011), as PyTorch has it",
    """
    v = v + g * g
    change = gamma * g / (sqrt(v) + eps)
    """,
    state=("v",),
    numbers=_eps(1e-10),
)

_AVERAGES = """
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    weight1 = beta1 * weight1 + (1 - beta1)
    weight2 = beta2 * weight2 + (1 - beta2)
"""
"""The averages of the gradients and of their squares, and the sums of their weights, 1 - beta^(k + 1)."""

ADAM = Rule(
    "adam",
    "Adam (Kingma and Ba, ICLR 2015), as PyTorch has it",
    f"""{_AVERAGES}
    change = gamma / weight1 * m / (sqrt(v) / sqrt(weight2) + eps)
    """,
    state=("m", "v", "weight1", "weight2"),
    numbers={**_BETAS, **_eps(1e-8)},
    known=f"{NO_THEOREM} with constant betas (Xiao, Hu, Liu and Toh, arXiv 2305.03938, have two time scales)",
)

ADAMW = Rule(
    "adamw",
    "Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019), as PyTorch has it",
    f"""{_AVERAGES}
    decayed = x * (1 - gamma * weight_decay)
    next = decayed - gamma / weight1 * m / (sqrt(v) / sqrt(weight2) + eps)
    change = x - next
    """,
    state=("m", "v", "weight1", "weight2"),
    numbers={
        **_BETAS,
        **_eps(1e-8),
        "weight_decay": Range(0.0, math.inf, "how fast the parameters decay, besides the step", 0.01),
    },
)

AMSGRAD = Rule(
    "amsgrad",
    "AMSGrad (Reddi, Kale and Kumar, ICLR 2018), as PyTorch's Adam has it",
    f"""{_AVERAGES}
    largest = maximum(largest, v)
    change = gamma / weight1 * m / (sqrt(largest) / sqrt(weight2) + eps)
    """,
    state=("m", "v", "weight1", "weight2", "largest"),
    numbers={**_BETAS, **_eps(1e-8)},
    known=f"{NO_THEOREM} with constant betas (Xiao, Hu, Liu and Toh, arXiv 2305.03938, have two time scales)",
)

SIGNSGD = Rule(
    "signsgd",
    "signSGD (Bernstein et al., ICML 2018)",
    "change = gamma * sign(g)",
    known=f"{NO_THEOREM}: with noise, or at kinks, limits need not be critical (Karimireddy et al., ICML 2019)",
)

EF_SIGNSGD = Rule(
    "ef_signsgd",
    "signSGD with error feedback (Karimireddy et al., ICML 2019, Algorithm 1)",
    """
    wanted = gamma * g + error
    size = total(abs(wanted))
    parameters = total(1)
    change = size / parameters * sign(wanted)
    error = wanted - change
    """,
    state=("error",),
)

INNA = Rule(
    "inna",
    "INNA (Castera, Bolte, Févotte and Pauwels, JMLR 22, 2021), with phi = psi - (1 - alpha beta) theta, from phi = 0",
    """
    change = gamma * (phi / beta + beta * g)
    phi = phi - gamma * (alpha * phi - (1 - alpha * beta) * beta * g)
    """,
    state=("phi",),
    numbers={
        "alpha": Range(0.0, math.inf, "the viscous damping", 0.5),
        "beta": Range(0.0, math.inf, "the Newtonian damping", 0.1, above=True),
    },
    known="limits are critical for a conservative field, for gamma_k = o(1 / log k) of infinite sum (the same paper)",
)

TRUNCATED = Rule(
    "truncated",
    "the truncated model (Asi and Duchi, PNAS 2019): the step is at most (f - f*) / |g|^2",
    """
    squares = total(g * g)
    change = minimum(maximum(0, f - lowest) / squares, gamma) * g
    """,
    numbers={"lowest": Range(-math.inf, math.inf, "f*, a lower bound of the loss of every sample", 0.0)},
)

RULES: dict[str, Rule] = {
    row.name: row
    for row in (
        SGD, HEAVY_BALL, NESTEROV, RMSPROP, ADAGRAD, ADAM, ADAMW, AMSGRAD, SIGNSGD, EF_SIGNSGD, INNA, TRUNCATED,
    )
}  # fmt: skip
"""Every row by its name."""

CLIP_VALUE = Modifier(
    "clip_value",
    "each coordinate of g is clipped",
    "g = maximum(-clip, minimum(clip, g))",
    numbers={"clip": Range(0.0, math.inf, "the largest |g| of a coordinate", above=True)},
)

CLIP_NORM = Modifier(
    "clip_norm",
    "g is scaled to a norm of at most `clip.norm`, as PyTorch's `clip_grad_norm_` does",
    """
    norm2 = total(g * g)
    g = g * minimum(1, norm / (sqrt(norm2) + 1e-6))
    """,
    numbers={"norm": Range(0.0, math.inf, "the largest Euclidean norm of g", above=True)},
)

WEIGHT_DECAY = Modifier(
    "weight_decay",
    "weight decay: the gradient of weight_decay |x|^2 / 2 is added to g",
    "g = g + weight_decay * x",
    numbers={"weight_decay": Range(0.0, math.inf, "the weight of |x|^2 / 2, whose gradient is added to g", 0.0)},
)

PROJECT_BOX = Modifier(
    "project_box",
    "x_{k+1} is projected on a box",
    f"""
    {NEXT} = minimum(high, maximum(low, {NEXT}))
    {CHANGE} = x - {NEXT}
    """,
    numbers={
        "low": Range(-math.inf, math.inf, "the lower bound of each coordinate"),
        "high": Range(-math.inf, math.inf, "the upper bound of each coordinate"),
    },
    after=True,
)

PROJECT_BALL = Modifier(
    "project_ball",
    "x_{k+1} is projected on the Euclidean ball around 0, up to rounding",
    f"""
    radius2 = total({NEXT} * {NEXT})
    {NEXT} = {NEXT} * minimum(1, radius / sqrt(radius2))
    {CHANGE} = x - {NEXT}
    """,
    numbers={"radius": Range(0.0, math.inf, "the radius of the ball", above=True)},
    after=True,
)

AVERAGE = Modifier(
    "average",
    "the average of x_1, x_2, ... is kept in the state, without the first `skipped` of them",
    f"""
    counted = counted + 1
    averaged = maximum(0, counted - skipped)
    average = average + minimum(1, averaged) * ({NEXT} - average) / maximum(1, averaged)
    """,
    state=("counted", "average"),
    numbers={"skipped": Range(0.0, math.inf, "how many iterates are left out")},
    after=True,
    observes=True,
)

MODIFIERS: dict[str, Modifier] = {
    row.name: row for row in (CLIP_VALUE, CLIP_NORM, WEIGHT_DECAY, PROJECT_BOX, PROJECT_BALL, AVERAGE)
}
"""Every modifier by its name, in the order in which they stand before and after a rule."""

_AND = "+"
"""What joins the name of a rule and those of its modifiers."""


def modified(row: Rule, modifiers: Sequence[str]) -> Rule:
    """Return a rule with modifiers; the same object for the same rule and modifiers.

    row: the rule. modifiers: names of `MODIFIERS`, in any order. Raises ValueError if there is no modifier of a name,
    or if the rule has a name that a modifier uses.
    """
    if unknown := set(modifiers) - set(MODIFIERS):
        raise ValueError(f"unknown modifiers {sorted(unknown)}; expected some of {', '.join(map(repr, MODIFIERS))}")
    return rule(_AND.join([row.name, *(name for name in MODIFIERS if name in modifiers)]))


def register(row: Rule) -> None:
    """Add a rule. Scenarios may name it as `optimizer.kind` if this is called before `simsa.scenario` is imported.

    Raises ValueError if there is a rule of this name, or if the name is no identifier.
    """
    if row.name in RULES:
        raise ValueError(f"there is a rule '{row.name}' already")
    if not row.name.isidentifier():
        raise ValueError(f"expected an identifier as the name of a rule, got '{row.name}'")
    RULES[row.name] = row


def rule(name: str) -> Rule:
    """Return the rule of a name, which may have modifiers: "adam+weight_decay". Raises ValueError if there is none."""
    first, *others = name.split(_AND)
    if first not in RULES:
        raise ValueError(f"unknown rule '{first}'; expected one of {', '.join(map(repr, RULES))}")
    if unknown := [one for one in others if one not in MODIFIERS]:
        raise ValueError(f"unknown modifier '{unknown[0]}'; expected one of {', '.join(map(repr, MODIFIERS))}")
    return _joined(name) if others else RULES[first]


@cache
def _joined(name: str) -> Rule:
    """Return a rule with modifiers."""
    first, *others = name.split(_AND)
    row, with_them = RULES[first], [MODIFIERS[one] for one in others]
    before, after = ([one for one in with_them if one.after is side] for side in (False, True))
    assigned = any(target == NEXT for target, _ in row.lines)
    following = "" if assigned or not after else f"{NEXT} = x - {CHANGE}"
    texts = [*(one.text for one in before), row.text, following, *(one.text for one in after)]
    numbers: dict[str, Range] = {}
    for one in (row, *with_them):
        if both := numbers.keys() & one.numbers.keys():
            raise ValueError(f"{name}: two numbers have the name {', '.join(sorted(both))}")
        numbers |= one.numbers
    acting = [one for one in with_them if not one.observes]
    return Rule(
        name,
        "; ".join(one.textbook for one in (row, *with_them)),
        "\n".join(map(dedent, texts)),
        state=tuple(state for one in (row, *with_them) for state in one.state),
        numbers=numbers,
        known=row.known if not acting else f"{NO_THEOREM} with {', '.join(one.name for one in acting)}",
        paper=row.paper and not acting,
    )


def table() -> Iterator[str]:
    """Yield the lines of a Markdown table of the rules: name, what is computed in a step, numbers, what is known."""
    yield "| `optimizer.kind` | in a step, for each coordinate | numbers | | what is known of limits |"
    yield "|---|---|---|---|---|"
    for row in RULES.values():
        said = (f"`{row.name}`", _steps(row), _numbers(row), row.textbook, row.known)
        yield f"| {' | '.join(map(_cell, said))} |"


def modifiers() -> Iterator[str]:
    """Yield the lines of a Markdown table of the modifiers: name, what is computed, where, numbers."""
    yield "| modifier | before or after the rule | in a step, for each coordinate | numbers | |"
    yield "|---|---|---|---|---|"
    for row in MODIFIERS.values():
        said = (f"`{row.name}`", "after" if row.after else "before", _steps(row), _numbers(row), row.textbook)
        yield f"| {' | '.join(map(_cell, said))} |"


def _steps(row: Lines) -> str:
    """Return the lines of a row in one line."""
    return "; ".join(f"{name} ← `{text}`" for name, text in row.lines)


def _cell(text: str) -> str:
    """Return a text as it stands in a table."""
    return text.replace("|", "\\|")


def _numbers(row: Lines) -> str:
    """Return the numbers of a row in one line: the key of each, its range, its default and its meaning."""
    return "; ".join(
        f"{name}{f' (of `{one.key}`)' if one.key else ''} {one.words}"
        f"{'' if one.default is None else f', {one.default:g} if left out'}: {one.meaning}"
        for name, one in row.numbers.items()
    )
