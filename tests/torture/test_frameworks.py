"""Norms, clips and powers of generated programs, at points where most are at a kink.

The reference answers know nothing of simsa: they are computed from the integers that the programs are made of.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

import simsa
from simsa.machine import Interpreter, tape_of
from simsa.machine.launch import evaluate
from simsa.program.program import Program
from tests.machine.test_machine import same

pytestmark = pytest.mark.torture

NORMS, CLIPS, POWERS = 401, 402, 403
BALL = {
    ("tensorflow", "norm"): math.nan, ("tensorflow", "hypot"): math.nan, ("tensorflow", "std"): math.nan,
    ("pytorch", "norm"): 0.0, ("pytorch", "hypot"): math.nan, ("pytorch", "std"): 0.0,
    ("jax", "norm"): math.nan, ("jax", "hypot"): 0.5, ("jax", "std"): math.nan,
}  # fmt: skip
"""Each entry of the vector of the unit ball that a framework returns where a norm is 0."""


class Term(NamedTuple):
    """c |A x + b|, or of the standard deviation of A x + b."""

    factor: int
    matrix: np.ndarray
    offset: np.ndarray
    how: str


def drawn(rng: np.random.Generator) -> tuple[list[Term], np.ndarray, np.ndarray]:
    """Return the terms, a linear function, and a point of small integers at which about half of the norms are 0."""
    p = int(rng.integers(1, 4))
    x = rng.integers(-3, 4, p)
    terms = []
    for _ in range(rng.integers(1, 4)):
        how = str(rng.choice(["norm", "hypot", "std"]))
        n = 2 if how == "hypot" else 4 if how == "std" else int(rng.integers(1, 4))
        matrix = rng.integers(-2, 3, (n, p))
        offset = -matrix @ x if rng.random() < 0.5 else rng.integers(-3, 4, n)
        terms.append(Term(int(rng.integers(1, 4)), matrix, offset, how))
    return terms, rng.integers(-2, 3, p), x


def built(terms: list[Term], slope: np.ndarray, base: str) -> Program:
    """Return the program of the sum."""

    def function(x):
        total = np.sum(slope * x)
        for term in terms:
            inside = term.matrix @ x + term.offset
            how = {"norm": np.linalg.norm, "hypot": lambda v: np.hypot(v[0], v[1]), "std": np.std}[term.how]
            total = total + term.factor * how(inside)
        return total

    return simsa.trace(function, len(slope), convention=base)


def answer(terms: list[Term], slope: np.ndarray, x: np.ndarray, base: str) -> tuple[float, np.ndarray, list[bool]]:
    """Return the value, the framework's gradient, and which norms are 0, from the integers."""
    value, gradient, ties = float(slope @ x), slope.astype(float), []
    for term in terms:
        inside, matrix, share = term.matrix @ x + term.offset, term.matrix, 1.0
        if term.how == "std":  # four entries: four times their distance from the mean is an integer
            center = 4 * np.eye(4, dtype=int) - np.ones((4, 4), int)
            inside, matrix, share = center @ inside, center @ matrix, 0.125
        squares = int(inside @ inside)
        ties.append(squares == 0)
        unit = inside / math.sqrt(squares) if squares else np.full(len(inside), BALL[base, term.how])
        value += term.factor * share * math.sqrt(squares)
        gradient = gradient + term.factor * share * (matrix.T @ unit)
    return value, gradient, ties


def test_norms(programs: int) -> None:
    """Value, gradient and ties are those of the integers; forward and backward agree, and so do both engines."""
    wrong = []
    for number in range(programs):
        rng = np.random.default_rng([NORMS, number])
        terms, slope, x = drawn(rng)
        base = str(rng.choice(["tensorflow", "pytorch", "jax"]))
        program = built(terms, slope, base)
        value, gradient, ties = answer(terms, slope, x, base)
        point = x.astype(float)
        found = program.gradient(point)
        tape = tape_of(program)
        run = Interpreter(tape).run(point)
        outputs, jacobians, margins = evaluate(tape, point[None], np.zeros((1, 0)))
        fine = math.isclose(float(program.value(point)), value, rel_tol=1e-13, abs_tol=1e-13)
        fine &= bool(np.allclose(found, gradient, rtol=1e-12, atol=1e-12, equal_nan=True))
        fine &= bool(np.allclose(program.gradient(point, mode="forward"), gradient, 1e-12, 1e-12, equal_nan=True))
        fine &= any(ties) == (min(run.margins.values(), default=1.0) == 0) == (margins[0] == 0)
        fine &= same(outputs[0, 0], program.value(point)) and same(jacobians[0, 0], found)
        if not fine:
            wrong.append(number)
    assert not wrong


def test_clips(programs: int) -> None:
    """min(max(x, lo), hi) for bounds in any order, in rational numbers, and its gradient by the framework's weights."""
    own = {"tensorflow": Fraction(1), "pytorch": Fraction(1), "jax": Fraction(1, 2)}
    wrong = []
    for number in range(programs):
        rng = np.random.default_rng([CLIPS, number])
        base = str(rng.choice(list(own)))
        matrix, x = rng.integers(-2, 3, (3, 2)), rng.integers(-2, 3, 2)
        numbers, data = rng.random(3) < 0.3, rng.integers(-2, 3, 3)
        numbers[0] = False

        def function(x, matrix=matrix, numbers=numbers, data=data):
            sides = [float(d) if n else np.sum(row * x) for row, n, d in zip(matrix, numbers, data, strict=True)]
            return np.clip(*sides) + 0 * x[0]

        program = simsa.trace(function, 2, convention=base)
        sides = [int(d) if n else int(row @ x) for row, n, d in zip(matrix, numbers, data, strict=True)]
        slopes = [0 * row if n else row for row, n in zip(matrix, numbers, strict=True)]
        inner, slope = max(sides[:2]), slopes[0] if sides[0] > sides[1] else slopes[1]
        if sides[0] == sides[1]:
            slope = own[base] * slopes[0] + (1 - own[base]) * slopes[1]
        value, gradient = min(inner, sides[2]), slope if inner < sides[2] else slopes[2]
        if inner == sides[2]:
            gradient = own[base] * slope + (1 - own[base]) * slopes[2]
            if base == "pytorch" and sides[0] < sides[1]:  # the bounds meet above x
                gradient = 0 * slope
        point = x.astype(float)
        exact = [Fraction(v) for v in program.gradient(point).tolist()] == list(gradient)
        forward = np.array_equal(program.gradient(point), program.gradient(point, mode="forward"))
        jacobian = evaluate(tape_of(program), point[None], np.zeros((1, 0)))[1][0, 0]
        if not (
            program.value(point) == value and exact and forward and np.array_equal(jacobian, gradient.astype(float))
        ):
            wrong.append(number)
    assert not wrong


def test_powers(programs: int) -> None:
    """Of x ** y with x >= 0 small integers, y quarters: x = 0 has no slope in y >= 0; both modes, both engines."""
    wrong = []
    for number in range(programs):
        rng = np.random.default_rng([POWERS, number])
        x, y = float(rng.integers(0, 4)), float(rng.integers(-8, 9)) / 4
        factor = float(rng.integers(1, 4))
        program = simsa.trace(lambda v, factor=factor: factor * v[0] ** (v[1] / 2), 2)
        z = y / 2
        if x:
            slopes = [factor * z * x ** (z - 1), factor * x**z * math.log(x) / 2]
        elif z > 0:
            slopes = [0.0 if z > 1 else factor if z == 1 else math.inf, 0.0]
        else:
            slopes = [math.nan if z == 0 else -math.inf, 0.0 if z == 0 else -math.inf]
        point = np.array([x, y])
        backward, forward = program.gradient(point), program.gradient(point, mode="forward")
        jacobian = evaluate(tape_of(program), point[None], np.zeros((1, 0)))[1][0, 0]
        fine = np.allclose(backward, slopes, rtol=1e-13, atol=0, equal_nan=True)
        fine = fine and np.allclose(forward, slopes, rtol=1e-13, atol=0, equal_nan=True)
        if not (fine and same(jacobian, backward)):
            wrong.append(number)
    assert not wrong
