"""An independent answer: programs as trees, and their germs along directions in rational arithmetic.

Nothing of simsa is used. A tree is evaluated at x + t d as a polynomial in t together with its gradient at x; a guard
has the sign of its first coefficient that is not 0. All guards are products of affine forms (and of sines of these),
so the directions that need to be tried are one in each cell of the arrangement of the hyperplanes of these forms.
"""

from fractions import Fraction
from itertools import combinations
from math import gcd

import numpy as np

import simsa

DEGREE = 9


class Germ:
    """c_0 + c_1 t + ..., and the gradient at t = 0."""

    def __init__(self, series, gradient):
        self.series = (list(series) + [Fraction(0)] * DEGREE)[:DEGREE]
        self.gradient = gradient

    def __add__(self, other):
        return Germ(
            [a + b for a, b in zip(self.series, other.series, strict=True)],
            [a + b for a, b in zip(self.gradient, other.gradient, strict=True)],
        )

    def __mul__(self, other):
        product = [Fraction(0)] * (2 * DEGREE)
        for i, a in enumerate(self.series):
            if a:
                for j, b in enumerate(other.series):
                    product[i + j] += a * b
        u, v = self.series[0], other.series[0]
        return Germ(product, [u * b + v * a for a, b in zip(self.gradient, other.gradient, strict=True)])

    def times(self, factor):
        return Germ([factor * a for a in self.series], [factor * a for a in self.gradient])

    def sign(self):
        return next((1 if c > 0 else -1 for c in self.series if c), 0)


def constant(value, p):
    return Germ([Fraction(value)], [Fraction(0)] * p)


def germ(tree, x, d):
    """The germ of a tree along d: (series, gradient)."""
    kind, *args = tree
    p = len(x)
    if kind == "affine":
        coefficients, shift = args
        value = sum((Fraction(c) * v for c, v in zip(coefficients, x, strict=True)), Fraction(shift))
        move = sum((Fraction(c) * v for c, v in zip(coefficients, d, strict=True)), Fraction(0))
        return Germ([value, move], [Fraction(c) for c in coefficients])
    if kind == "constant":
        return constant(args[0], p)
    if kind == "sin":  # of what is 0 at x
        u = germ(args[0], x, d)
        cube = u * u * u
        return u + cube.times(Fraction(-1, 6)) + (cube * u * u).times(Fraction(1, 120))
    if kind == "scale":
        return germ(args[1], x, d).times(Fraction(args[0]))
    if kind == "where":  # guard > 0: first, else second
        guard, *pieces = args
        return germ(pieces[0] if germ(guard, x, d).sign() > 0 else pieces[1], x, d)
    if kind == "sign":
        return constant(germ(args[0], x, d).sign(), p)
    parts = [germ(arg, x, d) for arg in (args[1:] if kind == "order" else args)]
    if kind in ("add", "mul"):
        return parts[0] + parts[1] if kind == "add" else parts[0] * parts[1]
    if kind == "relu":
        return parts[0] if parts[0].sign() > 0 else constant(0, p)
    if kind == "abs":
        return parts[0].times(parts[0].sign())
    ordered = []
    for part in parts:
        at = len(ordered)
        while at and (part + ordered[at - 1].times(-1)).sign() < 0:
            at -= 1
        ordered.insert(at, part)
    return ordered[{"max": -1, "min": 0, "order": args[0]}[kind]]


def build(tree, x):
    """The same tree as simsa traces it."""
    kind, *args = tree
    if kind == "affine":
        coefficients, shift = args
        total = sum(float(c) * v for c, v in zip(coefficients, x, strict=True) if c)
        return total + float(shift) if shift else total
    if kind == "constant":
        return float(args[0])
    if kind == "scale":
        return float(args[0]) * build(args[1], x)
    if kind == "order":
        return np.sort(np.stack([build(arg, x) for arg in args[1:]]))[args[0]]
    parts = [build(arg, x) for arg in args]
    if kind == "where":
        return simsa.where(parts[0] > 0, parts[1], parts[2])
    if kind == "sign":
        return simsa.where(parts[0] > 0, 1.0, simsa.where(parts[0] < 0, -1.0, 0.0))
    return {
        "add": lambda a, b: a + b, "mul": lambda a, b: a * b, "relu": simsa.relu, "abs": abs, "sin": np.sin,
        "max": simsa.maximum, "min": simsa.minimum,
    }[kind](*parts)  # fmt: skip


def affine(tree):
    """The coefficients of a tree that is affine, or None."""
    kind, *args = tree
    if kind == "affine":
        return [Fraction(c) for c in args[0]]
    if kind == "constant":
        return []
    if kind == "scale":
        inner = affine(args[1])
        return None if inner is None else [Fraction(args[0]) * c for c in inner]
    return None


def normals(tree, x, d, found):
    """Add the normals of the forms whose signs are asked for along d to `found`; returns nothing."""
    kind, *args = tree

    def ask(guard):
        for form in factors(guard, x, d):
            if any(form):
                found.add(primitive(form))

    for arg in args:
        if isinstance(arg, tuple) and arg and isinstance(arg[0], str):
            normals(arg, x, d, found)
    if kind in ("relu", "abs", "sign", "where"):
        ask([args[0]])
    if kind in ("max", "min", "order"):
        parts = args[1:] if kind == "order" else args
        for a, b in combinations(parts, 2):
            ask([("add", a, ("scale", -1, b))])


def factors(trees, x, d):
    """The gradients of the affine factors of a guard, its selections decided along d."""
    for tree in trees:
        kind, *args = tree
        if kind == "mul":
            yield from factors(args, x, d)
        elif kind in ("sin", "scale"):
            yield from factors(args[-1:], x, d)
        else:
            yield germ(tree, x, d).gradient


def primitive(form):
    """The normal in whole numbers, of a fixed sign."""
    scale = np.lcm.reduce([c.denominator for c in form])
    whole = [int(c * int(scale)) for c in form]
    divisor = gcd(*whole)
    whole = [c // divisor for c in whole]
    sign = 1 if next(c for c in whole if c) > 0 else -1
    return tuple(sign * c for c in whole)


def directions(found, p):
    """One direction in each cell of the arrangement of hyperplanes with these normals and the coordinate ones."""
    lines = {*found, *(tuple(int(i == j) for j in range(p)) for i in range(p))}
    if p == 1:
        return [(1,), (-1,)]
    if p == 2:
        rays = sorted({(s * -n[1], s * n[0]) for n in lines for s in (1, -1)}, key=lambda r: np.arctan2(r[1], r[0]))
        return [(a[0] + b[0], a[1] + b[1]) for a, b in zip(rays, rays[1:] + rays[:1], strict=True)]
    result = set()
    for m, n in combinations(sorted(lines), 2):
        c = (m[1] * n[2] - m[2] * n[1], m[2] * n[0] - m[0] * n[2], m[0] * n[1] - m[1] * n[0])
        if not any(c):
            continue
        through = [k for k in lines if sum(a * b for a, b in zip(k, c, strict=True)) == 0]
        # the plane across c, in the basis m, n: a direction δ = u m + v n has <k, δ> = (u, v) · (<k, m>, <k, n>)
        flat = {primitive([Fraction(sum(a * b for a, b in zip(k, e, strict=True))) for e in (m, n)]) for k in through}
        for u, v in directions(flat, 2):
            delta = tuple(u * a + v * b for a, b in zip(m, n, strict=True))
            big = 1 + max(abs(sum(a * b for a, b in zip(k, delta, strict=True))) for k in lines)
            result |= {tuple(s * big * a + b for a, b in zip(c, delta, strict=True)) for s in (1, -1)}
    return sorted(result)


def explored(tree, x):
    """One direction in each cell that meets at x, and the normals of the forms whose signs are asked for there."""
    p = len(x)
    found, seen = set(), None
    while found != seen:
        seen = set(found)
        tried = directions(found, p)
        for d in tried:
            normals(tree, x, d, found)
    return tried, found


def clarke(tree, x):
    """The gradients of all cells that meet at x, and whether the function has other values along some of them."""
    start = germ(tree, x, [0] * len(x))
    germs = [germ(tree, x, d) for d in explored(tree, x)[0]]
    jumps = any(g.series[0] != start.series[0] for g in germs)
    return {tuple(g.gradient) for g in germs}, jumps


def jumps_beside(tree, x):
    """Whether a function of two parameters jumps on a line through x: other values, 2⁻⁹⁰ beside, than at 2⁻¹² from x.

    Slopes are below 2²⁰, and a polynomial of small rational numbers that is not 0 there is above 2⁻⁶⁰.
    """
    if len(x) != 2:
        return False

    def value(y):
        return germ(tree, y, (0, 0)).series[0]

    for a, b in explored(tree, x)[1]:
        for side in (Fraction(1, 2**12), Fraction(-1, 2**12)):
            y = (x[0] - side * b, x[1] + side * a)
            for move in (Fraction(1, 2**90), Fraction(-1, 2**90)):
                if abs(value((y[0] + move * a, y[1] + move * b)) - value(y)) > Fraction(1, 2**65):
                    return True
    return False
