"""Bad steps (Theorem 7): the finitely many step sizes for which a step may map an open set to a null set."""

import operator
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.hessian import finite, second
from simsa.calculus.objective import Objective, box_of, mean, scalar, terms
from simsa.errors import ProgramError
from simsa.program.program import Program

Array = NDArray[np.float64]

MOST_TERMS = 8
"""The largest number of samples for which all nonempty minibatches, 255 of them, are examined."""

ZERO, EQUAL = 1e-9, 1e-12
"""Relative to the largest eigenvalue: up to what an eigenvalue counts as 0, and up to what difference two are equal."""

Brick = tuple[tuple[int, int, Any], ...]
"""The brick f_{I,j}: (sample, register of the selection, piece) for every selection of the minibatch I."""


@dataclass(frozen=True)
class BadStep:
    """A step size γ = 1/λ for which det(Id − γ ∇²f_I) = 0 on an open set, so that a step may map it to a null set.

    Attributes
    ----------
    step
        1/λ.
    eigenvalue
        λ > 0.
    brick
        The pieces that the selections of I take there.
    minibatch
        The samples I.
    mass
        The share of the sampled points of the box that are in the brick with this eigenvalue.
    direction
        A unit eigenvector at one of these points, shape (p,).
    multiplicity
        The multiplicity of λ at that point.
    point
        That point, shape (p,).
    points
        The number of sampled points in the brick with this eigenvalue.
    """

    step: float
    eigenvalue: float
    brick: Brick
    minibatch: tuple[int, ...]
    mass: float
    direction: Array
    multiplicity: int
    point: Array
    points: int


def bad_steps(
    program: Program | Objective,
    data: ArrayLike | None,
    box: ArrayLike,
    samples: int = 200,
    seed: int = 0,
    minibatches: str | Iterable[Sequence[int]] = "all",
) -> list[BadStep]:
    """Return the bad steps 1/λ of Theorem 7 in the bricks of a sample of points.

    Parameters
    ----------
    program
        A program with one output, or an objective.
    data
        The data of a program, shape (n, d); None for a program without data inputs, and for an objective.
    box
        (low, high), each a number or shape (p,): where points are sampled, uniformly.
    samples
        The number of points.
    seed
        Of the random points.
    minibatches
        "all" nonempty ones (for at most 8 rows), "single", "full", or tuples of indices.

    Returns
    -------
    list of BadStep
        One entry for each minibatch, brick and λ, by step in descending order.

    Raises
    ------
    ProgramError
        If an argument does not fit, or a second derivative is not finite.

    Notes
    -----
    By Claim 3 of the paper's proof, a step that is bad on a set of positive measure is 1/λ for an eigenvalue λ of
    ∇²f_I that is constant on an open set; for an eigenvalue that varies, 1/λ equals the step on a null set only. At
    each point, λ is taken to be constant if the Hessian of the same brick at a second point has it too, up to rounding.
    Eigenvalues below 1e-9 of the largest count as 0. Bricks that contain no sampled point are missed.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Theorem 7 and its proof.

    Examples
    --------
    >>> import simsa
    >>> program = simsa.expression("where(x > 1, l*x**2/2, l*(x - 0.5))", ["x"], ["l"])
    >>> [step.step for step in bad_steps(program, [[1.0], [4.0]], (0, 2), samples=20)]
    [1.0, 0.4, 0.25]
    """
    total = scalar(terms(program, data))
    low, high = box_of(total, box)
    batches = _minibatches(minibatches, len(total.rows))
    if samples < 1:
        raise ProgramError(f"expected at least one sample, got {samples}")
    rng = np.random.default_rng(seed)
    found: dict[tuple[tuple[int, ...], Brick], list[_Atom]] = defaultdict(list)
    for x in low + (high - low) * rng.random((samples, total.p)):
        each = _terms(total, x, high - low, rng)
        for batch in batches:
            here, there = mean([each[i][0] for i in batch]), mean([each[i][1] for i in batch])
            brick = tuple(chain.from_iterable(each[i][2] for i in batch))
            _collect(found[batch, brick], x, here, there)
    result = [
        BadStep(
            1.0 / atom.eigenvalue, atom.eigenvalue, brick, batch, atom.points / samples, atom.direction,
            atom.multiplicity, atom.point, atom.points,
        )
        for (batch, brick), atoms in found.items()
        for atom in atoms
    ]  # fmt: skip
    return sorted(result, key=lambda bad: (-bad.step, bad.minibatch, str(bad.brick)))


@dataclass
class _Atom:
    """An eigenvalue of one brick that is constant on an open set; points counts the sampled points where it was met."""

    eigenvalue: float
    direction: Array
    multiplicity: int
    point: Array
    points: int = 1


def _minibatches(wanted: str | Iterable[Sequence[int]], n: int) -> list[tuple[int, ...]]:
    """Return the minibatches of n samples that `wanted` names, as tuples of indices."""
    if wanted == "all":
        if n > MOST_TERMS:
            raise ProgramError(f"2^{n} - 1 minibatches are too many; name some, or 'single' or 'full'")
        return [batch for size in range(1, n + 1) for batch in combinations(range(n), size)]
    if isinstance(wanted, str):
        if wanted not in ("single", "full"):
            raise ProgramError(f"minibatches must be 'all', 'single', 'full' or index tuples, got {wanted!r}")
        return [(i,) for i in range(n)] if wanted == "single" else [tuple(range(n))]
    try:
        batches = [tuple(operator.index(i) for i in batch) for batch in wanted]
    except TypeError:
        raise ProgramError(f"minibatches must be 'all', 'single', 'full' or index tuples, got {wanted!r}") from None
    if not batches or any(not batch or min(batch) < 0 or max(batch) >= n for batch in batches):
        raise ProgramError(f"a minibatch names some of the rows 0..{n - 1}")
    return batches


def _terms(total: Objective, x: Array, widths: Array, rng: np.random.Generator) -> list[tuple[Array, Array, Brick]]:
    """Return for each term its Hessian at x, its Hessian at a second point under the same pieces, and its brick.

    The second point need not be in the brick, since the pieces of x are used there. They are analytic where they are
    defined, so an eigenvalue that is constant on a neighbourhood of x is constant there, too. The second point is moved
    towards x until the pieces are defined.
    """
    runs, axes = list(total.runs(x)), np.eye(total.p)
    here = [finite(second(total, x, i, run, axes)) for i, run in enumerate(runs)]
    step = rng.uniform(0.5, 1.0, total.p) * rng.choice([-1.0, 1.0], total.p) * np.where(widths > 0, widths, 1.0)
    for exponent in (6, 12, 18):
        there = [second(total, x + step * 2.0**-exponent, i, run, axes) for i, run in enumerate(runs)]
        if np.isfinite(there).all():
            break
    bricks = [
        tuple(
            (i, int(total.interpreter.tape.nodes[k]), branches.label(total.interpreter, k, decision))
            for k, decision in run.decisions.items()
        )
        for i, run in enumerate(runs)
    ]
    return list(zip(here, map(finite, there), bricks, strict=True))


def _collect(atoms: list[_Atom], x: Array, here: Array, there: Array) -> None:
    """Add the positive eigenvalues that the Hessians at both points have in common to the atoms of a brick."""
    values, vectors = np.linalg.eigh((here + here.T) / 2)
    others = np.linalg.eigvalsh((there + there.T) / 2)
    largest = float(np.abs(values).max(initial=0.0))
    small = EQUAL * max(largest, float(np.abs(others).max(initial=0.0)))
    taken = np.zeros(len(values), bool)
    for i, value in enumerate(values.tolist()):
        if taken[i] or value <= max(ZERO * largest, small):
            continue
        equal = np.abs(values - value) <= small
        taken |= equal
        multiplicity = min(int(equal.sum()), int((np.abs(others - value) <= small).sum()))
        if not multiplicity:
            continue
        known = next((atom for atom in atoms if abs(atom.eigenvalue - value) <= ZERO * largest), None)
        if known:
            known.points += 1
        else:
            atoms.append(_Atom(value, vectors[:, i], multiplicity, x))
