"""The point of a convex hull that is nearest to 0, with a proof in rational arithmetic if that is asked for."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.errors import ProgramError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MinNorm:
    """The point v of smallest Euclidean norm in conv(G), for a list G of r vertices g_i.

    Attributes
    ----------
    point
        v = Σ λ_i g_i, shape (p,).
    norm
        |v|.
    weights
        λ, shape (r,), at least 0 with sum 1.
    gap
        max(0, |v|² − min_i <v, g_i>) / max_i |g_i|². It is 0 exactly if v is the min-norm point, and the error of |v|
        is at most sqrt(gap) max_i |g_i|.
    contains
        Whether 0 is in conv(G), decided in rational arithmetic on the vertices as given: "in", "out" or "undecided";
        None if that was not asked for.
    """

    point: Array
    norm: float
    weights: Array
    gap: float
    contains: str | None = None


def min_norm_point(vertices: ArrayLike, exact: bool = False) -> MinNorm:
    """Return the point of conv(G) that is nearest to 0.

    Parameters
    ----------
    vertices
        G, shape (r, p) with r and p at least 1, finite.
    exact
        Whether to decide in rational arithmetic whether 0 is in the hull.

    Returns
    -------
    MinNorm
        The point, its weights and a bound of its error.

    Raises
    ------
    ProgramError
        If the vertices have another shape, or are not finite.

    Notes
    -----
    It minimises |Gᵀλ| over λ ≥ 0 with Σλ = 1, by nonnegative least squares on the scaled problem [Gᵀ/max|G|; 1] u =
    [0; 1] with λ = u/Σu. The weights are then computed once more on the vertices with λ_i > 0, where the problem is
    linear.

    References
    ----------
    Lawson and Hanson, Solving Least Squares Problems (1974), Chapter 23.

    Examples
    --------
    >>> min_norm_point([[1.0, 1.0], [1.0, -1.0]]).point.tolist()
    [1.0, 0.0]
    >>> min_norm_point([[1.0], [-3.0]], exact=True).contains
    'in'
    """
    g = np.asarray(vertices, np.float64)
    if g.ndim != 2 or 0 in g.shape or not np.isfinite(g).all():
        raise ProgramError(f"min_norm_point needs finite vertices of shape (r, p), r and p at least 1, got {g.shape}")
    largest = float(np.abs(g).max())
    if largest == 0.0:
        weights = np.full(len(g), 1.0 / len(g))
        return MinNorm(np.zeros(g.shape[1]), 0.0, weights, 0.0, "in" if exact else None)
    _, exponent = np.frexp(largest)
    scaled = np.ldexp(g, -exponent)  # a power of two: no rounding
    weights = _refined(scaled, _nonnegative(scaled))
    point = weights @ scaled
    gap = max(0.0, float(point @ point - (scaled @ point).min())) / float((scaled**2).sum(1).max())
    contains = None
    if exact:
        contains, proof = _contains(scaled, weights)
        if proof is not None:
            weights, point, gap = proof, np.zeros_like(point), 0.0
    norm = np.ldexp(np.linalg.norm(point), exponent)
    return MinNorm(np.ldexp(point, exponent), float(norm), weights, gap, contains)


def _nonnegative(g: Array) -> Array:
    """Return the weights of the min-norm point by nonnegative least squares."""
    from scipy.optimize import nnls  # imported here since it takes 0.2 s, and most sweeps do not need it

    distinct, back = np.unique(g, axis=0, return_inverse=True)
    system = np.vstack([distinct.T, np.ones(len(distinct))])
    target = np.zeros(len(system))
    target[-1] = 1.0
    u, _ = nnls(system, target, maxiter=50 * max(system.shape))
    weights = np.zeros(len(g))
    first = np.full(len(distinct), -1)
    for i, j in enumerate(back.ravel()):
        if first[j] < 0:
            first[j] = i
    weights[first] = u
    result: Array = weights / weights.sum()
    return result


def _refined(g: Array, weights: Array) -> Array:
    """Return the weights recomputed on their support, if they are at least 0 and give a point of smaller norm."""
    support = np.flatnonzero(weights)
    if len(support) == 1:
        return weights
    # The heaviest vertex carries the constraint Σλ = 1; the others are free.
    anchor = support[np.argmax(weights[support])]
    others = support[support != anchor]
    solution, *_ = np.linalg.lstsq((g[others] - g[anchor]).T, -g[anchor], rcond=None)
    refined = np.zeros_like(weights)
    refined[others] = solution
    refined[anchor] = 1.0 - solution.sum()
    better = (refined >= 0).all() and np.linalg.norm(refined @ g) <= np.linalg.norm(weights @ g)
    return refined if better else weights


def _contains(g: Array, weights: Array) -> tuple[str, Array | None]:
    """Return whether 0 is in conv(g), as proved in rational arithmetic, and if it is, the weights, rounded."""
    support = np.flatnonzero(weights)
    columns = [[Fraction(v) for v in g[i].tolist()] for i in support]
    shares = [Fraction(w) for w in weights[support].tolist()]
    v = [sum((w * c[j] for w, c in zip(shares, columns, strict=True)), Fraction(0)) for j in range(g.shape[1])]
    if any(v) and all(sum(a * Fraction(b) for a, b in zip(v, row, strict=True)) > 0 for row in g.tolist()):
        return "out", None
    solution = _solve([*map(list, zip(*columns, strict=True)), [Fraction(1)] * len(columns)])
    if solution is None or min(solution) < 0:
        return "undecided", None
    proof = np.zeros_like(weights)
    proof[support] = [float(w) for w in solution]
    return "in", proof


def _solve(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """Return the solution of rows · λ = (0, ..., 0, 1), or None unless there is exactly one."""
    table = [[*row, Fraction(int(i == len(rows) - 1))] for i, row in enumerate(rows)]
    unknowns = len(rows[0])
    for column in range(unknowns):
        pivot = next((i for i in range(column, len(table)) if table[i][column]), None)
        if pivot is None:
            return None
        table[column], table[pivot] = table[pivot], table[column]
        head = [entry / table[column][column] for entry in table[column]]
        table[column] = head
        for i, row in enumerate(table):
            if i != column and row[column]:
                table[i] = [a - row[column] * b for a, b in zip(row, head, strict=True)]
    if any(row[-1] for row in table[unknowns:]):
        return None
    return [table[i][-1] for i in range(unknowns)]
