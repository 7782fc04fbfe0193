"""`check_gradient` on generated piecewise linear programs, against Clarke's subdifferential by exact enumeration.

A program is a tree of max, min, abs, relu and medians over affine forms in two parameters with small integers, all of
which vanish at the point. Its breaklines are among the lines where two of the linear functions that meet at a selection
agree; so the gradients at one rational direction between each two neighbouring lines are all gradients beside the
point, and their hull is Clarke's subdifferential. `artificial` moves AD's answer, and nothing else, to where it is
wanted: f + zero(<a, x>) is f, with AD at 0 moved by a.
"""

from fractions import Fraction
from functools import cmp_to_key
from itertools import combinations, product
from math import gcd

import numpy as np
import pytest

import simsa
from simsa import calculus

KIND = 131


def tree(rng, depth):
    """Return a random tree: a form ("x", a, b), or the name of a function and its arguments."""
    if depth == 0:
        return ("x", int(rng.integers(-2, 3)), int(rng.integers(-2, 3)))
    name = str(rng.choice(["max", "min", "abs", "relu", "median", "add", "sub", "max"]))
    count = {"abs": 1, "relu": 1, "median": 3}.get(name, 2)
    return (name, *(tree(rng, depth - 1 if i == 0 else int(rng.integers(0, depth))) for i in range(count)))


def symbolic(node, x):
    """Return what a tree means in a program."""
    if node[0] == "x":
        return node[1] * x[0] + node[2] * x[1]
    values = [symbolic(part, x) for part in node[1:]]
    functions = {
        "max": np.maximum,
        "min": np.minimum,
        "abs": np.abs,
        "relu": simsa.relu,
        "median": lambda *v: np.median(np.stack(v)),
        "add": np.add,
        "sub": np.subtract,
    }
    return functions[node[0]](*values)


def candidates(node, lines):
    """Return the linear functions that a tree may be somewhere; add to `lines` the differences that selections ask."""
    if node[0] == "x":
        return {node[1:]}
    parts = [candidates(part, lines) for part in node[1:]]
    if node[0] in ("add", "sub"):
        sign = 1 if node[0] == "add" else -1
        return {(a + sign * c, b + sign * d) for (a, b), (c, d) in product(*parts)}
    found = set().union(*parts) | ({(0, 0)} if node[0] == "relu" else set())
    found |= {(-a, -b) for a, b in found} if node[0] == "abs" else set()
    lines.update((a - c, b - d) for (a, b), (c, d) in combinations(sorted(found), 2))
    return found


def gradient(node, d):
    """Return the gradient of a tree at a direction at which none of its selections is tied, but by equal forms."""
    if node[0] == "x":
        return node[1:]
    parts = [gradient(part, d) for part in node[1:]]
    if node[0] in ("add", "sub"):
        sign = 1 if node[0] == "add" else -1
        return tuple(p + sign * q for p, q in zip(*parts, strict=True))
    if node[0] == "relu":
        parts.append((0, 0))
    if node[0] == "abs":
        parts.append(tuple(-p for p in parts[0]))
    ordered = sorted(parts, key=lambda g: g[0] * d[0] + g[1] * d[1])
    return {"min": ordered[0], "median": ordered[len(ordered) // 2]}.get(node[0], ordered[-1])


def clarke(node):
    """Return the gradients beside 0 in all directions: those whose hull is Clarke's subdifferential."""
    lines = set()
    candidates(node, lines)
    normals = {(a // gcd(a, b), b // gcd(a, b)) for a, b in lines if (a, b) != (0, 0)} | {(1, 0), (0, 1)}
    rays = {(s * b, -s * a) for a, b in normals for s in (-1, 1)}

    def half(v):
        return 0 if v[1] > 0 or (v[1] == 0 and v[0] > 0) else 1

    def order(v, w):
        return half(v) - half(w) or (w[0] * v[1] - w[1] * v[0])

    around = sorted(rays, key=cmp_to_key(order))
    found = set()
    for v, w in zip(around, [*around[1:], around[0]], strict=True):
        scale = [Fraction(1, abs(u[0]) + abs(u[1])) for u in (v, w)]
        found.add(gradient(node, tuple(a * scale[0] + b * scale[1] for a, b in zip(v, w, strict=True))))
    return sorted(found)


def hull_distance(vertices, point):
    """Return the distance of a point from the hull of integer points, by the nearest point of each edge and vertex."""
    inside = all(
        any(u[0] * (v[0] - point[0]) + u[1] * (v[1] - point[1]) >= 0 for v in vertices)
        for u in directions(vertices, point)
    )
    if inside:
        return 0.0
    nearest = []
    for a, b in product(vertices, vertices):
        along = [b[i] - a[i] for i in (0, 1)]
        length = along[0] ** 2 + along[1] ** 2
        t = 0 if not length else Fraction(sum(along[i] * (point[i] - a[i]) for i in (0, 1)), length)
        t = min(max(t, 0), 1)
        nearest.append(float(sum((a[i] + t * along[i] - point[i]) ** 2 for i in (0, 1))) ** 0.5)
    return min(nearest)


def directions(vertices, point):
    """Return enough directions that one of them separates a point from the hull, if any does: normals of all edges."""
    normals = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    for a, b in combinations([*vertices, point], 2):
        normals += [
            (b[1] - a[1], a[0] - b[0]),
            (a[1] - b[1], b[0] - a[0]),
            (b[0] - a[0], b[1] - a[1]),
            (a[0] - b[0], a[1] - b[1]),
        ]
    shifted = [(1000 * u + p, 1000 * v + q) for u, v in normals for p, q in ((0, 0), (-v, u), (v, -u))]
    return [u for u in shifted if u != (0, 0)]


@pytest.mark.torture
def test_no_clarke_element_is_called_wrong_and_what_is_far_is(programs):
    """AD is moved to a Clarke gradient, or the middle of two, and to a point at least 1/2 away from the set."""
    failures, decided = [], 0
    for number in range(programs):
        rng = np.random.default_rng([KIND, number])
        node, convention = tree(rng, 2), str(rng.choice(["tensorflow", "pytorch", "jax"]))
        program = simsa.trace(lambda x, node=node: symbolic(node, x), 2, convention=convention)
        vertices = clarke(node)
        some = [vertices[i] for i in rng.permutation(len(vertices))[: 1 + number % 2]]
        element = tuple(np.mean(some, axis=0).tolist())
        far = next(
            v for v in (tuple(rng.integers(-9, 10, 2).tolist()) for _ in range(99)) if hull_distance(vertices, v) >= 0.5
        )
        own = program.gradient([0.0, 0.0])
        for wanted in (element, far):
            shift = np.array(wanted) - own
            moved = simsa.artificial(program, 0.0, 1.0, form=shift) if shift.any() else program
            assert moved.gradient([0.0, 0.0]).tolist() == list(map(float, wanted))
            found = calculus.check_gradient(moved, [0.0, 0.0])
            known = "undecided" not in found.verdicts
            decided += known
            if (wanted != far and not found.ok) or (wanted == far and known and found.ok):
                failures.append((number, node, wanted, vertices, found.verdicts))
    assert not failures, f"{len(failures)} of {programs}: {failures}"
    assert decided > 0.9 * 2 * programs
