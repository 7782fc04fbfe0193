"""The programs of Figure 1 of Bolte and Pauwels (NeurIPS 2020)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simsa.program import Program, artificial, trace
from simsa.program.functions import relu, zero

PRESCRIBED = {-6.0: -1.0, -4.0: 1.5, -2.0: 0.0, 0.0: -1.5, 2.0: 1.0, 4.0: 0.0, 6.0: -0.5}
"""Points, with the derivative that AD is made to return for the sine there."""


@dataclass(frozen=True)
class Example:
    """A program of one parameter on [low, high].

    title: the formula. program: the program. ties: the points at which it is tied. low, high: the ends of the interval.
    """

    title: str
    program: Program
    ties: tuple[float, ...] = (0.0,)
    low: float = -2.0
    high: float = 2.0


def figure_1() -> Sequence[Example]:
    """Return the six programs of Figure 1.

    They are three programs of max(t, 0), a program of 0 with the AD derivative 1 at 0, an artificial critical point,
    and the sine with prescribed derivatives.

    >>> [example.program.gradient([0.0]).tolist() for example in figure_1()]
    [[0.0], [1.0], [0.5], [1.0], [0.0], [-1.5]]
    """
    return (
        Example("relu(t)", trace(lambda x: relu(x[0]), 1)),
        Example("relu2(t) = relu(−t) + t", trace(lambda x: _relu2(x[0]), 1)),
        Example("relu3(t) = (relu(t) + relu2(t))/2", trace(lambda x: (relu(x[0]) + _relu2(x[0])) / 2, 1)),
        Example("zero(t) = relu2(t) − relu(t)", trace(lambda x: zero(x[0]), 1)),
        Example("t − zero(t)", trace(lambda x: x[0] - zero(x[0]), 1)),
        Example("sin(t), derivatives prescribed", _prescribed(PRESCRIBED), tuple(PRESCRIBED), -7.0, 7.0),
    )


def _relu2(t: Any) -> Any:
    return relu(-t) + t


def _prescribed(slopes: Mapping[float, float]) -> Program:
    """Return a program of the sine for which AD returns given derivatives at given points (Theorem 1)."""
    program = sine = trace(lambda x: np.sin(x[0]), 1)
    for s, wanted in slopes.items():
        program = artificial(program, at=s, shift=wanted - sine.gradient([s])[0])
    return program
