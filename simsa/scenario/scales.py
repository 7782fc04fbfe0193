"""Laws of the step scales c of a sweep. To add a law, add an entry to `LAWS`."""

from collections.abc import Callable
from fractions import Fraction
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from simsa.scenario.model import Count, Model, OneOf, Positive, Seed, problem, such_as
from simsa.scenario.reals import geometric, linear, uniforms

LAWS: dict[str, tuple[Callable[[float, float, Fraction], float], bool]] = {
    "uniform": (linear, True),
    "log_uniform": (geometric, True),
    "grid": (linear, False),
    "linspace": (linear, False),
    "geomspace": (geometric, False),
}
"""For each law the map from [0, 1] to [low, high], and whether points of [0, 1] are drawn (True) or equally spaced."""


class Scales(Model):
    """A law for the step scales: `uniform` and `log_uniform` draw; `grid`, `linspace`, `geomspace` do not."""

    law: Annotated[str, OneOf(LAWS)]
    low: Annotated[float, Field(ge=0), such_as(0.1)]
    """The lower end; included if spaced, excluded if drawn (a scale is never 0)."""
    high: Annotated[Positive, such_as(1.0)]
    """The upper end, included."""
    count: Annotated[Count, such_as(8)]
    """How many scales."""
    seed: Annotated[Seed | None, such_as(1)] = None
    """Of the draw; the scenario's own seed if left out."""

    @model_validator(mode="after")
    def _ordered(self) -> "Scales":
        if self.low > self.high:
            raise problem(f"expected low <= high, got {self.low:g} > {self.high:g}", "low")
        if self.low == 0 and (not self.drawn or self.law == "log_uniform"):
            raise problem(f"expected a number > 0 for the law '{self.law}', got 0", "low")
        return self

    @property
    def drawn(self) -> bool:
        """Tell whether the scales are random."""
        return LAWS[self.law][1]

    def values(self, seed: int) -> NDArray[np.float64]:
        """Return the scales, shape (count,), in [low, high]; those drawn are above low, and not sorted."""
        place, drawn = LAWS[self.law]
        if drawn:
            at = [1 - u for u in uniforms(seed if self.seed is None else self.seed, "c", self.count)]
        else:
            at = [Fraction(i, max(self.count - 1, 1)) for i in range(self.count)]
        return np.array([place(self.low, self.high, share) for share in at], dtype=np.float64)
