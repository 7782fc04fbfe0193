"""`check_continuity` on generated programs: planted jumps are found, and continuous programs have no counterexample.

A planted jump is where(guard, f, f + jump): it jumps wherever the guard, which is analytic and holds off a set of known
points or on one side of it, is decided otherwise. Continuous programs are made of pieces that jump, or of guards that
vanish where both pieces agree.
"""

import numpy as np
import pytest

import simsa
from simsa import calculus

KIND = 121


def coefficient(rng):
    """Return a number that is short in decimal, or not, and not 0."""
    return str(rng.choice(["1", "2", "(-1)", "0.5", "3", "0.3", "(-1.7)", "(1/3)"]))


def line(rng):
    """Return an affine form in x and y that vanishes inside the box [-1, 1]²."""
    a, b = coefficient(rng), coefficient(rng)
    shift = str(rng.choice(["0", "0.25", "0.1", "(-0.125)"]))
    return str(
        rng.choice([f"({a}*x - {shift})", f"({b}*y + {shift})", f"({a}*x + {b}*y - {shift})", "(x - y)", "x", "y"])
    )


def curve(rng):
    """Return an analytic function that vanishes on a curve through the box, and changes sign there."""
    g = line(rng)
    return str(
        rng.choice(
            [g, f"({g} + {g}**3)", f"sin({g})", f"(exp({g}) - 1)", "(x*x + y*y - 0.25)", f"tanh({g})", "(x*y - 0.1)"]
        )
    )


def guard(rng):
    """Return a condition that is false, or true, on a thin set alone, or changes across a curve."""
    g, h = curve(rng), curve(rng)
    return str(
        rng.choice(
            [
                f"{g} > 0",
                f"{g}*{g} > 0",
                f"{g}**2 > 0",
                f"{g}**4*{h}**2 > 0",
                f"{g} != 0",
                f"{line(rng)} == 0",
                f"abs({g}) > 0",
                f"{g}*{h} != 0",
                f"2*{g}*{g}*{h}*{h} <= 0",
                f"not ({g}**2 > 0)",
                f"-({g}**2) >= 0",
                f"exp(x)*{g}**2 > 0",
                "x*x + y*y > 0",
                "x == 0.5 and y == -0.25",
                "max(abs(x), abs(y - 0.5)) > 0",
            ]
        )
    )


def smooth(rng):
    """Return a continuous function without selections."""
    return str(rng.choice(["x", "x*y + 1", "exp(x)", "sin(3*y) - x", "0", "x**2 + y**2", "tanh(x + y)", "1e3*x"]))


def jumping(rng):
    """Return a program that jumps at a known set of points in [-1, 1]²."""
    f, height = smooth(rng), str(rng.choice(["1", "(-0.5)", "1e-3", "100", "(2 + exp(x))"]))
    how = rng.integers(5)
    if how == 0:
        return f"where({guard(rng)}, {f}, {f} + {height})"
    if how == 1:
        return f"{f} + {height}*({guard(rng)})"
    if how == 2:
        return f"where(x > -2, where({guard(rng)}, {f}, {f} + {height}), {smooth(rng)})"
    if how == 3:
        step, inner = rng.choice(["sign", "floor", "ceil", "trunc"]), rng.choice(["2*x", "3*y + x", "2*x - y"])
        return f"{f} + {height}*{step}({inner})"
    return f"{f} + {height}*heaviside({curve(rng)}, {rng.choice(['0', '1', '0.5'])})"


def continuous(rng):
    """Return a program that is continuous, most of whose selections are not."""
    g, h, f = curve(rng), line(rng), smooth(rng)
    return str(
        rng.choice(
            [
                f"{g}*({g} > 0)",
                f"sign({g})*abs({g}) + {f}",
                f"where({g} > 0, {g}, 0)*({g} > 0)",
                f"where({g} > 0, 1, where({g} < 0, -1, 0))*{g}**2",
                f"({f})*({g} > 0) + ({f})*({g} <= 0)",
                f"({g} > 0)*({h} > 0)*{g}*{h}",
                f"where({g}**2 > 0, {g}*{h}, 0)",
                f"where({g}**2 >= 0, {f}, {f} + 1)",
                f"heaviside({g}, 7)*{g}",
                f"max({g}, {h})*({g} >= {h}) + {h}*({g} < {h})",
                f"({h} - floor({h}))*(1 - ({h} - floor({h})))",
                f"abs({h} - round({h}))",
                f"dot(one_hot(argmax(x, y, {h}), 3), [x, y, {h}])",
                f"where({g} == 0, 1, 0) - where(2*{g} == 0, 1, 0)",
                f"where(sign({h}) + 0.5 == 0, 5, 0)",
                f"where({g}**2 + 0.5 > 0, {f}, {f} + 3)",
                "where(x*x + y*y > 0, x**3/(x*x + y*y), 0)",
                f"relu({g})**2*({g} > 0) + median(x, y, {h})",
            ]
        )
    )


@pytest.mark.torture
def test_planted_jumps_are_found(programs):
    missed = []
    for number in range(programs):
        text = jumping(np.random.default_rng([KIND, number]))
        program = simsa.expression(text, ["x", "y"])
        if calculus.check_continuity(program, (-1.0, 1.0), samples=12, seed=number).counterexample is None:
            missed.append((number, text))
    assert not missed, f"{len(missed)} of {programs}: {missed}"


@pytest.mark.torture
def test_continuous_programs_have_no_counterexample(programs):
    accused = []
    for number in range(programs):
        text = continuous(np.random.default_rng([KIND + 1, number]))
        program = simsa.expression(text, ["x", "y"])
        found = calculus.check_continuity(program, (-1.0, 1.0), samples=1, seed=number).counterexample
        if found is not None:
            accused.append((number, text, found))
    assert not accused, f"{len(accused)} of {programs}: {accused}"
