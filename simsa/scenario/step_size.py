"""Step sizes alpha_k of gamma_k = c alpha_k (paper, Section 5.2). A family is one class here, named in `StepSize`.

A family computes its terms, and says whether they meet the hypotheses of the theorems. Terms are correctly rounded
(`reals`), so that they are the same bits on every machine.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from simsa.scenario.model import Items, Model, Positive, PositiveRatio, rational, such_as
from simsa.scenario.reals import powers, rounded, shifted


class Power(Model):
    """alpha_k = (k + offset)^-exponent."""

    family: Literal["power"]
    exponent: Annotated[Positive, such_as(0.75)]
    """The power a of (k + offset)^-a; the steps sum to infinity if a <= 1."""
    offset: Positive = 1.0
    """The k0 of (k + k0)^-a."""

    def alpha(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, each correctly rounded, shape (steps,)."""
        return powers(self.offset, steps, -self.exponent)

    def exact(self, steps: int) -> tuple[Fraction, ...] | str:
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


class Log(Model):
    """alpha_k = 1 / log(k + offset)^exponent: the edge of what the theorems allow."""

    family: Literal["log"]
    exponent: Annotated[Positive, such_as(0.75)]
    """The power b of 1/log(k + offset)^b; it is o(1/log k) if b > 1."""
    offset: Annotated[float, Field(gt=1)] = 3.0
    """Keeps the first logarithm positive."""

    def alpha(self, steps: int) -> NDArray[np.float64]:
        """Return alpha_0 .. alpha_{steps-1}, each correctly rounded, shape (steps,)."""

        def term(k: int) -> float:
            x = shifted(self.offset, k)
            return rounded(lambda context: context.power(context.ln(x), -Decimal(self.exponent)))

        return np.array([term(k) for k in range(steps)], dtype=np.float64)

    def exact(self, steps: int) -> tuple[Fraction, ...] | str:
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


class Constant(Model):
    """alpha_k = value, for all k: outside Theorems 4 and 7, and useful to test the engine."""

    family: Literal["constant"]
    value: PositiveRatio = 1.0
    """The step, before the scale c: a number, or a fraction such as "1/3"."""

    def alpha(self, steps: int) -> NDArray[np.float64]:
        """Return `value`, `steps` times, shape (steps,)."""
        return np.full(steps, float(rational(self.value)))

    def exact(self, steps: int) -> tuple[Fraction, ...] | str:
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


class Table(Model):
    """alpha_k = values[k], for as many steps as the run has."""

    family: Literal["table"]
    values: Annotated[Items[PositiveRatio], Field(min_length=1), such_as([1, "1/2", "1/3"])]
    """alpha_0, alpha_1, ...: at least as many as there are steps; numbers, or fractions such as "1/3"."""

    def alpha(self, steps: int) -> NDArray[np.float64]:
        """Return the first `steps` values, shape (steps,)."""
        return np.array([float(rational(value)) for value in self.values[:steps]])

    def exact(self, steps: int) -> tuple[Fraction, ...] | str:
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


StepSize = Annotated[Power | Log | Constant | Table, Field(discriminator="family")]
"""The families."""
