"""Rules: how an optimiser takes a step. To add one, add a row here; no other file changes.

A rule consists of texts, like a primitive: the same expressions are compiled on SIMD lanes, evaluated in plain Python
and in rational numbers, and printed. They are those of one coordinate, and the same for all.
"""

import ast
import keyword
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

KNOWN = ("x", "g", "gamma")
"""The names that every rule may use: a coordinate of x_k, of the mean gradient g_k of the minibatch, the step size."""

FUNCTIONS = ("sqrt",)
"""The functions that texts may call."""

CHANGE = "change"
"""The name of the change among the results of a step."""


class Range(NamedTuple):
    """The range of a number of a rule, low <= value < high. meaning: what the number is, in a line."""

    low: float
    high: float
    meaning: str


@dataclass(frozen=True, eq=False)
class Rule:
    """One row: x_{k+1} = x_k - change, with a state that is 0 before the first step.

    name: its name in scenarios. textbook: its name in textbooks. change: an expression in x, g, gamma, the state and
    the numbers. state: the names of the numbers that are kept for each coordinate from step to step. update: (name of
    the state, expression), which are evaluated in this order, before the change; each expression uses the results of
    those before it. numbers: by name, the range of each. Raises ValueError if a name is no identifier, or is used
    twice; if a number of the state is not updated exactly once; or if an expression has another name, call or operator.
    """

    name: str
    textbook: str
    change: str
    state: tuple[str, ...] = ()
    update: tuple[tuple[str, str], ...] = ()
    numbers: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = (*KNOWN, *self.state, *self.numbers)
        if len(set(given)) < len(given) or CHANGE in given or not all(map(_proper, given)):
            raise ValueError(f"{self.name}: names must be identifiers, each used once, and not '{CHANGE}': {given}")
        if sorted(target for target, _ in self.update) != sorted(self.state):
            raise ValueError(f"{self.name}: each name of the state is updated once: {self.state}")
        for _, text in self.steps:
            nodes = list(ast.walk(ast.parse(text, mode="eval").body))
            used = {node.id for node in nodes if isinstance(node, ast.Name)}
            if unknown := used - {*given, *FUNCTIONS}:
                raise ValueError(f"{self.name}: unknown names {sorted(unknown)} in '{text}'")
            if not all(isinstance(node, _SYNTAX) for node in nodes) or not all(map(_computed, nodes)):
                raise ValueError(f"{self.name}: expected numbers, names, + - * / and {FUNCTIONS}, got '{text}'")

    def __reduce__(self) -> "tuple[Callable[[str], Rule], tuple[str]]":
        """Pickle a rule as its name, since rules are compared by identity: a process has one object of each."""
        return rule, (self.name,)

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Return (name, expression) of all that is computed in a step, the change last."""
        return (*self.update, (CHANGE, self.change))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the names that the expressions may use: x, g, gamma, the state, the numbers."""
        return (*KNOWN, *self.state, *self.numbers)


_SYNTAX = (ast.Constant, ast.Name, ast.expr_context, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Call)
"""The nodes that expressions may consist of."""


def _computed(node: ast.AST) -> bool:
    """Tell whether a node of an expression is allowed: its operator, the function that it calls, or its constant."""
    if isinstance(node, ast.operator | ast.unaryop):
        return isinstance(node, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.USub)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
    return not isinstance(node, ast.Constant) or type(node.value) in (int, float)


def _proper(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in FUNCTIONS


SGD = Rule("sgd", "stochastic gradient descent: recursion (8) of the paper", change="gamma * g")

HEAVY_BALL = Rule(
    "heavy_ball",
    "gradient descent with momentum (Polyak, 1964), as PyTorch's SGD has it",
    change="gamma * m",
    state=("m",),
    update=(("m", "beta * m + g"),),
    numbers={"beta": Range(0.0, 1.0, "how much of the last direction is kept")},
)

RULES: dict[str, Rule] = {row.name: row for row in (SGD, HEAVY_BALL)}
"""Every row by its name."""


def register(row: Rule) -> None:
    """Add a rule. Scenarios may name it as `sgd.rule` if this is called before `simsa.scenario` is imported.

    Raises ValueError if there is a rule of this name.
    """
    if row.name in RULES:
        raise ValueError(f"there is a rule '{row.name}' already")
    RULES[row.name] = row


def rule(name: str) -> Rule:
    """Return the rule of a name; raises ValueError if there is none."""
    if name not in RULES:
        raise ValueError(f"unknown rule '{name}'; expected one of {', '.join(map(repr, RULES))}")
    return RULES[name]


def table() -> Iterator[str]:
    """Yield the lines of a Markdown table of the rules: name, what is computed in a step, numbers, textbook."""
    yield "| `sgd.rule` | in a step, for each coordinate | numbers | |"
    yield "|---|---|---|---|"
    for row in RULES.values():
        steps = "; ".join(f"{name} ← `{text}`" for name, text in row.steps)
        numbers = "; ".join(f"{name} in [{low:g}, {high:g}): {said}" for name, (low, high, said) in row.numbers.items())
        yield f"| `{row.name}` | {steps} | {numbers} | {row.textbook} |"
