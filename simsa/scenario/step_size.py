"""Step sizes alpha_k of gamma_k = c alpha_k (paper, Section 5.2). A family is one class here, named in `StepSize`.

A family computes its terms, and says whether they meet the hypotheses of the theorems. Terms are correctly rounded
(`reals`), so that they are the same bits on every machine. Every family may begin with a warm-up (`Family`).
"""

from abc import ABC, abstractmethod
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from simsa.scenario.model import (
    Count,
    Idle,
    Index,
    Items,
    Model,
    NumberOrRatio,
    Positive,
    PositiveRatio,
    problem,
    rational,
    such_as,
)
from simsa.scenario.reals import integer_power, powers, rounded, shifted, squared_cosines


class Family(Model, ABC):
    """Step sizes, of which the first may grow in proportion to k + 1."""

    warmup: Annotated[Index, Idle(lambda scenario, warmup: not warmup)] = 0
    """The steps of a warm-up: alpha_k is multiplied by (k + 1) / warmup for k < warmup."""

    @abstractmethod
    def terms(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1} without a warm-up, each correctly rounded, shape (steps,)."""

    @abstractmethod
    def rational_terms(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return alpha_0 .. alpha_{steps-1} without a warm-up and without rounding, or why they are not rational."""

    @property
    @abstractmethod
    def vanishing(self) -> tuple[bool | None, str]:
        """Tell whether alpha_k = o(1/log k), and why."""

    @property
    @abstractmethod
    def divergent(self) -> tuple[bool | None, str]:
        """Tell whether the sum of alpha_k is infinite, and why."""

    def alpha(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, shape (steps,): the terms, whose products in a warm-up are rounded."""
        found = self.terms(steps)
        for k in range(min(self.warmup, steps)):
            if np.isfinite(found[k]):
                found[k] = float(Fraction(float(found[k])) * Fraction(k + 1, self.warmup))
        return found

    def exact(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return alpha_0 .. alpha_{steps-1} without rounding, or a text that says why they are not rational."""
        found = self.rational_terms(steps)
        if isinstance(found, str):
            return found
        return tuple(v * Fraction(k + 1, self.warmup) if k < self.warmup else v for k, v in enumerate(found))


class Power(Family):
    """alpha_k = (k + offset)^-exponent."""

    family: Literal["power"]
    exponent: Annotated[Positive, such_as(0.75)]
    """The power a of (k + offset)^-a; the steps sum to infinity if a <= 1."""
    offset: Positive = 1.0
    """The k0 of (k + k0)^-a."""

    def terms(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, each correctly rounded, shape (steps,)."""
        return powers(self.offset, steps, -self.exponent)

    def rational_terms(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return alpha_0 .. alpha_{steps-1} without rounding, or a text that says why they are not rational."""
        if not self.exponent.is_integer():
            return f"(k + {self.offset:g})^-{self.exponent:g} is not rational; choose an integer exponent"
        return tuple(1 / (k + rational(self.offset)) ** int(self.exponent) for k in range(steps))

    @property
    def vanishing(self) -> tuple[bool | None, str]:
        """Tell whether alpha_k = o(1/log k), and why."""
        return True, f"k^-a log k tends to 0 for every a above 0; here a = {self.exponent:g}"

    @property
    def divergent(self) -> tuple[bool | None, str]:
        """Tell whether the sum of alpha_k is infinite, and why."""
        return (
            self.exponent <= 1,
            f"the sum of k^-a is infinite only for a up to 1; here a = {self.exponent:g}",
        )


class Log(Family):
    """alpha_k = 1 / log(k + offset)^exponent: the edge of what the theorems allow."""

    family: Literal["log"]
    exponent: Annotated[Positive, such_as(0.75)]
    """The power b of 1/log(k + offset)^b; it is o(1/log k) if b > 1."""
    offset: Annotated[float, Field(gt=1)] = 3.0
    """Keeps the first logarithm positive."""

    def terms(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, each correctly rounded, shape (steps,)."""

        def term(k: int) -> float:
            x = shifted(self.offset, k)
            return rounded(lambda context: context.power(context.ln(x), -Decimal(self.exponent)))

        return np.array([term(k) for k in range(steps)], dtype=np.float64)

    def rational_terms(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return a text that says why alpha_k is not rational."""
        return f"1/log(k + {self.offset:g})^{self.exponent:g} is not rational; choose another family"

    @property
    def vanishing(self) -> tuple[bool | None, str]:
        """Tell whether alpha_k = o(1/log k), and why."""
        return self.exponent > 1, f"log(k)^-b log k tends to 0 only for b above 1; here b = {self.exponent:g}"

    @property
    def divergent(self) -> tuple[bool | None, str]:
        """Tell whether the sum of alpha_k is infinite, and why."""
        return True, "every power of the logarithm is less than k"


class Constant(Family):
    """alpha_k = value, for all k: outside Theorems 4 and 7, and useful to test the engine."""

    family: Literal["constant"]
    value: PositiveRatio = 1.0
    """The step, before the scale c: a number, or a fraction such as "1/3"."""

    def terms(self, steps: int) -> NDArray[np.float64]:
        """Return `value`, `steps` times, shape (steps,)."""
        return np.full(steps, float(rational(self.value)))

    def rational_terms(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return `value`, `steps` times, as it was written."""
        return (rational(self.value),) * steps

    @property
    def vanishing(self) -> tuple[bool | None, str]:
        """Tell whether alpha_k = o(1/log k), and why."""
        return False, "constant steps do not tend to 0"

    @property
    def divergent(self) -> tuple[bool | None, str]:
        """Tell whether the sum of alpha_k is infinite, and why."""
        return True, "constant steps do not tend to 0"


class Geometric(Family):
    """alpha_k = factor^floor(k / every): the steps shrink by a factor from time to time."""

    family: Literal["geometric"]
    factor: Annotated[NumberOrRatio, such_as("1/2")]
    """What the steps are multiplied by: above 0 and below 1, a number, or a fraction such as "1/2"."""
    every: Annotated[Count, such_as(1000)]
    """After how many steps they are multiplied again."""

    @model_validator(mode="after")
    def _shrinks(self) -> "Geometric":
        """Refuse a factor with which the steps would not shrink, or would be 0."""
        if not 0 < rational(self.factor) < 1:
            raise problem(f"expected a number above 0 and below 1, got {self.factor}", "factor")
        return self

    def terms(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, each correctly rounded, shape (steps,)."""
        levels = [integer_power(rational(self.factor), n) for n in range(-(-steps // self.every))]
        return np.repeat(np.array(levels), self.every)[:steps]

    def rational_terms(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return alpha_0 .. alpha_{steps-1} without rounding."""
        levels = [rational(self.factor) ** n for n in range(-(-steps // self.every))]
        return tuple(levels[k // self.every] for k in range(steps))

    @property
    def vanishing(self) -> tuple[bool | None, str]:
        """Tell whether alpha_k = o(1/log k), and why."""
        return True, "a geometric sequence tends to 0 faster than every power of k"

    @property
    def divergent(self) -> tuple[bool | None, str]:
        """Tell whether the sum of alpha_k is infinite, and why."""
        return False, "the sum of a geometric sequence is finite"


class Cosine(Family):
    """alpha_k = low + (1 - low) (1 + cos(pi k / steps)) / 2 (Loshchilov and Hutter, ICLR 2017, without restarts)."""

    family: Literal["cosine"]
    low: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """What alpha_k comes down to, from 1."""

    def terms(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, each correctly rounded, shape (steps,)."""
        return squared_cosines(steps, self.low)

    def rational_terms(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return a text that says why alpha_k is not rational."""
        return "a cosine is not rational; choose another family"

    @property
    def vanishing(self) -> tuple[bool | None, str]:
        """Tell whether alpha_k = o(1/log k), and why."""
        return None, "the steps end with the run, and have no limit"

    @property
    def divergent(self) -> tuple[bool | None, str]:
        """Tell whether the sum of alpha_k is infinite, and why."""
        return None, "the steps end with the run, and have no sum"


class Table(Family):
    """alpha_k = values[k], for as many steps as the run has."""

    family: Literal["table"]
    values: Annotated[Items[PositiveRatio], Field(min_length=1), such_as([1, "1/2", "1/3"])]
    """alpha_0, alpha_1, ...: at least as many as there are steps; numbers, or fractions such as "1/3"."""

    def terms(self, steps: int) -> NDArray[np.float64]:
        """Return the first `steps` values, shape (steps,)."""
        return np.array([float(rational(value)) for value in self.values[:steps]])

    def rational_terms(self, steps: int) -> tuple[Fraction, ...] | str:
        """Return the first `steps` values, as they were written."""
        return tuple(map(rational, self.values[:steps]))

    @property
    def vanishing(self) -> tuple[bool | None, str]:
        """Tell whether alpha_k = o(1/log k), and why."""
        return None, "a finite table has no limit"

    @property
    def divergent(self) -> tuple[bool | None, str]:
        """Tell whether the sum of alpha_k is infinite, and why."""
        return None, "a finite table has no limit"


StepSize = Annotated[Power | Log | Constant | Geometric | Cosine | Table, Field(discriminator="family")]
"""The families."""
