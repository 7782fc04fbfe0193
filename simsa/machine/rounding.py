"""Find the rounding that makes a floating-point trajectory differ from the exact one.

A `Shadow` is a floating-point number together with the rational number that exact arithmetic has in its place.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from simsa.machine.exact import EXACT, UNDEFINED, rational
from simsa.machine.replay import Step, Walker
from simsa.primitives.arithmetic import Arithmetic, Number
from simsa.rules import SGD


@dataclass(eq=False)
class Rounding:
    """One operation whose result was rounded.

    operation: the operation, with its numbers, as text. exact: its exact result. rounded: the result in floating point.
    place: the part of the step that it belongs to. decides: whether it made a selection select another piece.
    """

    operation: str
    exact: Number
    rounded: float
    place: str = ""
    decides: bool = False


class Shadow:
    """A floating-point number, and the rational number in its place.

    value, exact: the two numbers. origin: the rounding that made them differ; None if they are equal. flips: a list, to
    which a comparison appends the rounding that changed its result. The result of a comparison is that of floating
    point.
    """

    __slots__ = ("exact", "flips", "origin", "value")

    def __init__(self, value: Number, exact: Number, origin: Rounding | None, flips: list[Rounding]) -> None:
        self.value, self.exact, self.flips = value, exact, flips
        self.origin = None if same(value, exact) else origin

    def _paired(self, other: Any) -> "Shadow":
        return other if isinstance(other, Shadow) else Shadow(other, rational(other), None, self.flips)

    def _combined(self, other: Any, symbol: str, value: Number, exact: Number) -> "Shadow":
        two = self._paired(other)
        origin = self.origin or two.origin
        if origin is None and not same(value, exact):
            origin = Rounding(f"{float(self.value)!r} {symbol} {float(two.value)!r}", exact, float(value))
        return Shadow(value, exact, origin, self.flips)

    def __add__(self, other: Any) -> "Shadow":
        two = self._paired(other)
        return self._combined(two, "+", self.value + two.value, self.exact + two.exact)

    def __sub__(self, other: Any) -> "Shadow":
        two = self._paired(other)
        return self._combined(two, "-", self.value - two.value, self.exact - two.exact)

    def __mul__(self, other: Any) -> "Shadow":
        two = self._paired(other)
        return self._combined(two, "*", self.value * two.value, self.exact * two.exact)

    def __truediv__(self, other: Any) -> "Shadow":
        two = self._paired(other)
        return self._combined(two, "/", self.value / two.value, EXACT.divide(self.exact, two.exact))

    def __neg__(self) -> "Shadow":
        return Shadow(-self.value, -self.exact, self.origin, self.flips)

    def __abs__(self) -> "Shadow":
        return Shadow(abs(self.value), abs(self.exact), self.origin, self.flips)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def _compared(self, other: Any, relation: Callable[[Any, Any], Any]) -> bool:
        two = self._paired(other)
        result = bool(relation(self.value, two.value))
        cause = self.origin or two.origin
        if cause is not None and result != bool(relation(self.exact, two.exact)):
            self.flips.append(cause)
        return result

    def __lt__(self, other: Any) -> bool:
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> bool:
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> bool:
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> bool:
        return self._compared(other, operator.ge)

    def __eq__(self, other: object) -> bool:
        return self._compared(other, operator.eq)

    def __ne__(self, other: object) -> bool:
        return self._compared(other, operator.ne)

    __hash__ = object.__hash__


def same(value: Number, exact: Number) -> bool:
    """Tell whether a floating-point number equals a rational one, or whether one is NaN and the other undefined."""
    number = float(value)
    if exact is UNDEFINED or number - number != 0:
        return exact is UNDEFINED and number != number
    return bool(Fraction(number) == exact)


def explain(walker: Walker, step: Step, exact_step: Step) -> Rounding | None:
    """Return the rounding that set x_{k+1} apart from the exact one, in a step from the same point.

    walker: in floating point. step: the step that it took. exact_step: the step of the exact walker. If a selection
    selected another piece, the result is the first rounding that caused this. Otherwise it is the first one, in the
    order of computation, on which the first coordinate that differs depends. The state of a rule may already differ
    before the step. The result is None if no such rounding is found.
    """
    flips: list[Rounding] = []
    kind = walker.arithmetic

    def number(value: Any) -> Shadow:
        if isinstance(value, Shadow):
            return value
        rounded = kind.number(value)
        origin = Rounding(f"{float(value)!r}, as a {type(rounded).__name__}", rational(value), float(rounded))
        return Shadow(rounded, rational(value), origin, flips)

    def power(x: Shadow, a: Shadow) -> Shadow:
        exact = EXACT.functions["pow"](x.exact, a.exact)
        return x._combined(a, "**", kind.functions["pow"](x.value, a.value), exact)

    def known(value: Number, exact: Number, operation: str, place: str) -> Shadow:
        return Shadow(value, exact, Rounding(operation, exact, float(value), place), flips)

    both = Walker(walker.tape, walker.data, Arithmetic(number, {"pow": power}), rule=walker.rule)
    both.constants = [
        known(v, exact, f"{name} = {exact}", "a number of the rule")
        for name, v, exact in zip(walker.rule.numbers, walker.constants, walker.written, strict=True)
    ]
    held = [
        [known(v, w, f"{name}, kept from earlier steps,", "the state of the rule") for v, w in zip(*two, strict=True)]
        for name, *two in zip(walker.rule.state, step.held, exact_step.held, strict=True)
    ]
    rate = known(step.gamma, exact_step.gamma, f"gamma_{step.k} = c alpha_{step.k}", "the step size")
    with np.errstate(all="ignore"):
        following = _shadowed(both, step, rate, held)
    if flips and any(one.exact != two for one, two in zip(following, exact_step.following, strict=True)):
        flips[0].decides = True
        return flips[0]
    return next((v.origin for v in following if v.origin is not None), None)


def _shadowed(both: Walker, step: Step, rate: Shadow, held: list[list[Shadow]]) -> list[Shadow]:
    """Return x_{k+1} as shadows, and write the place of each rounding into it.

    both: the walker whose numbers are shadows. rate, held: the step size, and the state of the rule.
    """
    interpreter, number = both.interpreter, both.arithmetic.number
    x = [number(v) for v in step.x]
    total, runs = [number(0)] * both.tape.parameters, []
    for i, row in zip(step.minibatch, both.numbers(step.data[list(step.minibatch)]), strict=True):
        run = interpreter.run(x, row)
        runs.append(run)
        for register, value in enumerate(run.values):
            _placed([value], f"sample {i}, the value of r{register}")
        gradient = _placed(interpreter.backward(run), f"sample {i}, the backward sweep")
        total = _placed([a + b for a, b in zip(total, gradient, strict=True)], "the sum over the minibatch")
    loss = _placed([both.loss(runs)], "the mean of the losses")[0] if both.rule.uses_loss else None
    mean = _placed([g / number(len(step.minibatch)) for g in total], "the mean over the minibatch")
    kept, change, following = both.ruled(x, mean, rate, held, loss)
    for name, values in zip(both.rule.state, kept, strict=True):
        _placed(values, f"the state {name} of the rule")
    _placed(change, "the step size times the gradient" if both.rule is SGD else "the change")
    return _placed(following, "x_k minus the change")


def _placed(values: list[Any], place: str) -> list[Any]:
    """Write the place into the roundings of some values that have none yet; return the values."""
    for value in values:
        if isinstance(value, Shadow) and value.origin is not None:
            value.origin.place = value.origin.place or place
    return values
