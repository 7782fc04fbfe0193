"""Streamed samples: every step draws new samples from a law. To add a law, add a class and its name to `Sample`.

As with initial laws, nothing is drawn here. A law returns the numbers that the random number generator needs.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag, model_validator

from simsa.errors import ScenarioError
from simsa.scenario.model import (
    LONGEST_DRAW,
    Count,
    Items,
    Model,
    Positive,
    PositiveRatio,
    Unit,
    bounded,
    problem,
    rational,
    spelling,
    such_as,
)

Number = Annotated[Annotated[float, Tag("a number")] | Annotated[Items[float], Tag("a list")], Discriminator(spelling)]
PositiveNumber = Annotated[
    Annotated[Positive, Tag("a number")] | Annotated[Items[Positive], Tag("a list")], Discriminator(spelling)
]


class Mixture(NamedTuple):
    """A mixture of m laws on R^d.

    kinds: for each component "normal" for center + scale z with z standard normal, or "ball" for the uniform law on
    |x - center| <= scale[0]. shares: float64, shape (m,), the cumulative probabilities of the components, so that the
    last is 1. center, scale: float64, shape (m, d).
    """

    kinds: tuple[Literal["normal", "ball"], ...]
    shares: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]


class NormalSample(Model):
    """A sample is center + scale z, with z standard normal."""

    law: Literal["normal"]
    center: Number = 0.0
    """The mean: one number for all columns, or a list with one for each."""
    scale: PositiveNumber = 1.0
    """The standard deviation, likewise."""

    @model_validator(mode="after")
    def _bounded(self) -> "NormalSample":
        bounded(self.center, self.scale, "scale", LONGEST_DRAW)
        return self

    def mixture(self, d: int, place: str) -> Mixture:
        """Return the law on R^d; raises ScenarioError, with the key `place`, if a list does not have d entries."""
        center, scale = _each(self.center, d, f"{place}.center"), _each(self.scale, d, f"{place}.scale")
        return Mixture(("normal",), np.ones(1), center, scale)


class BallSample(Model):
    """A sample is uniform on the Euclidean ball of a center and a radius; of one column, on an interval."""

    law: Literal["ball"]
    center: Number = 0.0
    """The center: one number for all columns, or a list with one for each."""
    radius: Positive = 1.0
    """The radius."""

    @model_validator(mode="after")
    def _bounded(self) -> "BallSample":
        bounded(self.center, self.radius, "radius")
        return self

    def mixture(self, d: int, place: str) -> Mixture:
        """Return the law on R^d; raises ScenarioError, with the key `place`, if a list does not have d entries."""
        return Mixture(("ball",), np.ones(1), _each(self.center, d, f"{place}.center"), np.full((1, d), self.radius))


class MixtureSample(Model):
    """A sample is drawn from one of several laws, which is drawn first."""

    law: Literal["mixture"]
    components: Annotated[
        Items[Annotated[NormalSample | BallSample, Field(discriminator="law")]],
        Field(min_length=1),
        such_as([{"law": "normal"}, {"law": "ball", "center": 2.0}]),
    ]
    """The laws, each a table { law = "normal", ... } or { law = "ball", ... }."""
    weights: Annotated[Items[PositiveRatio] | None, such_as(["1/3", "2/3"])] = None
    """Numbers or fractions such as "1/3", one for each component, that need not sum to 1; all equal if left out."""

    @model_validator(mode="after")
    def _one_each(self) -> "MixtureSample":
        if self.weights is not None and len(self.weights) != len(self.components):
            raise problem(
                f"expected {len(self.components)} weights (one a component), got {len(self.weights)}", "weights"
            )
        return self

    def mixture(self, d: int, place: str) -> Mixture:
        """Return the law on R^d, with correctly rounded shares.

        Raises ScenarioError, with the key `place`, if a list does not have d entries.
        """
        parts = [one.mixture(d, f"{place}.components.{i}") for i, one in enumerate(self.components)]
        weights = [rational(w) for w in self.weights] if self.weights is not None else [Fraction(1)] * len(parts)
        shares = [float(up / sum(weights)) for up in accumulate(weights)]
        kinds = tuple(kind for part in parts for kind in part.kinds)
        center, scale = (np.vstack([part[i] for part in parts]) for i in (2, 3))
        return Mixture(kinds, np.array(shares), center, scale)


Sample = Annotated[NormalSample | BallSample | MixtureSample, Field(discriminator="law")]
"""The laws."""


class Stream(Model):
    """Fresh samples in every step, each of the `sgd.batch.size` an independent draw from a law: f(x, xi)."""

    source: Literal["stream"]
    sample: Sample
    """The law of a sample, on all the columns the program reads."""
    evaluate: Annotated[Count, Unit("sample")] = 1000
    """J is estimated on so many samples, drawn once."""


def _each(value: float | Sequence[float], d: int, place: str) -> NDArray[np.float64]:
    """Return one number for each column, shape (1, d); a single number is repeated."""
    if not isinstance(value, float) and len(value) != d:
        raise ScenarioError(f"{place}: expected {d} numbers (one a data column), got {len(value)}")
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (1, d)))
