"""Clarke's sets of generated programs, beside exact answers that are found without simsa (tests/support/germs.py)."""

from fractions import Fraction

import numpy as np
import pytest

import simsa
from simsa import calculus
from simsa.errors import ProgramError
from tests.support import germs

KINDS = {"linear": 1, "thin": 2, "flat": 3, "jumping": 4}


def form(rng, p):
    """An affine form that is 0 at 0, three times in four."""
    coefficients = rng.integers(-3, 4, size=p)
    if not coefficients.any():
        coefficients[rng.integers(p)] = 1
    return ("affine", tuple(coefficients.tolist()), int(rng.integers(-1, 2)) if rng.random() < 0.25 else 0)


def leaf(rng, p, kind):
    """A small function of the kind that is asked for."""
    h, g = form(rng, p), form(rng, p)
    if kind == "linear":
        return h
    if kind == "thin":
        k = int(rng.integers(1, 4))
        u = ("affine", h[1], 0)
        if rng.random() < 0.5:
            u = ("sin", u)
        return (
            "add",
            ("relu", u),
            ("scale", int(rng.choice([-1, 1])), ("relu", ("scale", int(rng.choice([-k, k])), u))),
        )
    if kind == "flat":
        guard = h
        for _ in range(int(rng.integers(0, 4))):
            guard = ("mul", guard, h if rng.random() < 0.7 else g)
        if rng.random() < 0.3:
            guard = ("sin", ("affine", h[1], 0))
        pieces = (("scale", int(rng.integers(-2, 3)), h), ("scale", int(rng.integers(-2, 3)), h))
        return ("where", ("scale", int(rng.choice([-1, 1, 2])), guard), *pieces)
    step = ("where", h, ("constant", int(rng.integers(-2, 3))), ("constant", int(rng.integers(-2, 3))))
    return [
        ("mul", step, h),
        ("mul", ("sign", h), ("abs", h)),
        ("where", h, ("mul", ("where", h, h, ("constant", 1)), ("where", h, h, ("constant", 1))), ("constant", 0)),
        ("mul", ("mul", h, step), g),
        ("mul", ("sign", ("mul", h, ("mul", h, h))), h),
        ("add", ("mul", step, h), ("where", h, ("constant", 0), ("constant", int(rng.random() < 0.1)))),
    ][rng.integers(6)]


def tree(rng, p, kind, depth):
    """A tree over such functions. Guards behind products would be no products of affine forms, so these are on top."""
    if depth == 0:
        return leaf(rng, p, kind)
    a, b = (tree(rng, p, kind, depth - 1) for _ in range(2))
    if kind == "linear":
        c = tree(rng, p, kind, depth - 1)
        h = form(rng, p)
        return [
            ("relu", a),
            ("abs", a),
            ("max", a, b),
            ("min", a, b),
            ("add", a, b),
            ("scale", int(rng.integers(-3, 4)), a),
            ("order", int(rng.integers(3)), a, b, c),
            ("where", h, ("add", a, ("scale", int(rng.integers(-2, 3)), h)), a),
            ("add", a, ("add", ("relu", b), ("scale", -1, ("relu", ("scale", -1, b))))),
        ][rng.integers(9)]
    return [("add", a, b), ("add", ("scale", int(rng.integers(-3, 4)), a), b)][rng.integers(2)]


def generated(kind, number):
    """The tree and the point of a number."""
    rng = np.random.default_rng([KINDS[kind], number])
    p = int(rng.integers(1, 4)) if kind == "linear" else int(rng.integers(1, 3))
    found = tree(rng, p, kind, int(rng.integers(1, 3)) if kind == "linear" else 1)
    return found, [int(v) for v in (rng.integers(-1, 2, size=p) if rng.random() < 0.2 else np.zeros(p, int))]


def hull_holds(vertices, gradient):
    """Whether a gradient is among some, or between them."""
    if any(all(Fraction(a) == b for a, b in zip(v, gradient, strict=True)) for v in vertices.tolist()):
        return True
    if vertices.shape[1] == 1:
        return vertices.min() <= gradient[0] <= vertices.max()
    shifted = vertices - np.array([float(v) for v in gradient])
    return calculus.min_norm_point(shifted, exact=True).contains == "in"


def wrong(kind, number):
    """What is wrong with a program, in a word, or "sampled"; empty if nothing is."""
    found, x = generated(kind, number)
    try:
        at_zero = kind in ("thin", "flat") and any(x)
        x = [0] * len(x) if at_zero else x
        exact, jumps = germs.clarke(found, x)
        program = simsa.trace(lambda v: germs.build(found, v) + 0.0 * v[0], len(x))
    except TypeError:  # a constant
        return ""
    if jumps:
        for ask in (calculus.clarke, lambda P, y: calculus.selection_operator(P, y, "local")):
            try:
                ask(program, x)
            except ProgramError as error:
                if "jumps" not in str(error):
                    return f"jumps, and says {error}"
            else:
                return "jumps, and has a set"
        return ""
    if germs.jumps_beside(found, x):
        try:
            answer = calculus.clarke(program, x)
        except ProgramError as error:
            return "" if "jumps beside" in str(error) else f"jumps beside the point, and says {error}"
        return "jumps beside the point, and has a set" if answer.certified else "sampled"
    answer = calculus.clarke(program, x)
    listed = {tuple(map(Fraction, v)) for v in answer.vertices.tolist()}
    if not listed <= exact:
        return f"has {listed - exact} too much of {exact}"
    if not all(hull_holds(answer.vertices, gradient) for gradient in exact):
        return f"lacks {exact - listed}"
    local = calculus.selection_operator(program, x, "local")
    if not all(hull_holds(local.vertices, gradient) for gradient in exact):
        return "local lacks some of Clarke's set"
    if not hull_holds(local.vertices, [Fraction(v) for v in program.gradient(x).tolist()]):
        return "local lacks AD's gradient"
    try:
        full = calculus.selection_operator(program, x, "full", limit=300)
    except ProgramError as error:
        if "over the limit" not in str(error):
            return str(error)
    else:
        if not {tuple(v) for v in local.vertices.tolist()} <= {tuple(v) for v in full.vertices.tolist()}:
            return "local is no subset of full"
    try:
        lexicographic = calculus.lexicographic(program, x)
    except ProgramError as error:
        if "to first order" not in str(error):
            return str(error)
    else:
        if not hull_holds(answer.vertices, [Fraction(v) for v in lexicographic.tolist()]):
            return f"lexicographic {lexicographic} is none of {exact}"
    kind_of = calculus.classify(program, x)
    ad = tuple(map(Fraction, program.gradient(x).tolist()))
    if kind_of.tie is not None:
        tie = "Sing" if len(exact) > 1 else "C" if {ad} != exact else "harmless"
        if kind_of.tie != tie:
            return f"tie {kind_of.tie}, not {tie}"
    return "" if answer.certified else "sampled"


@pytest.mark.torture
@pytest.mark.parametrize("kind", KINDS)
def test_clarke_sets_are_the_exact_ones(kind, programs):
    said = {number: word for number in range(programs) if (word := wrong(kind, number))}
    assert not said


# where(g > 0, a, b), with a guard that is 0 on known surfaces through 0: polynomials as {exponents: coefficient}.


def times(*polynomials):
    """The product of some polynomials."""
    total = {(0,) * len(next(iter(polynomials[0]))): Fraction(1)}
    for polynomial in polynomials:
        found = {}
        for m, a in total.items():
            for n, b in polynomial.items():
                both = tuple(i + j for i, j in zip(m, n, strict=True))
                found[both] = found.get(both, 0) + a * b
        total = found
    return {m: c for m, c in total.items() if c}


def plus(one, two):
    """The sum of two polynomials."""
    return {m: c for m in {**one, **two} if (c := one.get(m, 0) + two.get(m, 0))}


def value(polynomial, x):
    """A polynomial at a rational point."""
    return sum(c * np.prod([v**e for v, e in zip(x, m, strict=True)]) for m, c in polynomial.items())


def traced(polynomial, x):
    """A polynomial as simsa traces it."""
    total = 0.0 * x[0]
    for m, c in sorted(polynomial.items()):
        term = float(c)
        for i, e in enumerate(m):
            term = term * x[i] ** e if e else term
        total = total + term
    return total


def small(rng, p, degree):
    """A polynomial without constant, of a few terms."""
    found = {}
    for _ in range(int(rng.integers(1, 4))):
        m = np.bincount(rng.integers(p, size=int(rng.integers(1, degree + 1))), minlength=p)
        found[tuple(m.tolist())] = Fraction(int(rng.choice([-3, -2, -1, 1, 2])), int(rng.choice([1, 1, 2])))
    return found


def surface(rng, p):
    """x_j + q, with q a polynomial in the others: the index j, and the polynomial; its zeros are a graph."""
    j = int(rng.integers(p))
    q = small(rng, p, 1 if rng.random() < 0.5 else 2) if rng.random() < 0.7 else {}
    return j, plus({tuple(int(i == j) for i in range(p)): Fraction(1)}, {m: c for m, c in q.items() if not m[j]})


def walled(number):
    """A program of p parameters, and whether it jumps beside 0: None where that is not known."""
    rng = np.random.default_rng([5, number])
    p = int(rng.integers(2, 4))
    surfaces = [surface(rng, p) for _ in range(int(rng.integers(1, 3)))]
    powers = [int(rng.choice([1, 1, 1, 2, 3])) for _ in surfaces]
    sign, whole = int(rng.choice([-1, 1])), rng.random() < 0.2
    factors = [f for (_, f), e in zip(surfaces, powers, strict=True) for _ in range(e)]
    g = times({(0,) * p: Fraction(sign)}, *factors)
    b, h, u = small(rng, p, 2), small(rng, p, 2), rng.integers(p + 2)
    agree = rng.random() < 0.5
    if agree:
        h = times(h, *(f for _, f in surfaces))
    relation = str(rng.choice([">", "<=", "=="]))
    outside = small(rng, p, 1)

    def program(x):
        guard = traced(g, x)
        if not whole:
            guard = float(sign)
            for f in factors:
                guard = guard * traced(f, x)
        a, c = traced(plus(b, h), x), traced(b, x)
        where = simsa.where
        chosen = where(guard > 0, a, c) if relation == ">" else where(guard <= 0, c, a) if relation == "<=" else (
            where(guard == 0, c, a)
        )  # fmt: skip
        chosen = chosen * x[u] if u < p else chosen
        return 2 * chosen + simsa.relu(traced(outside, x)) if number % 2 else chosen

    jumps = None if not agree else False
    for i, (j, f) in enumerate(surfaces) if not agree else ():
        for _ in range(4):
            y = [Fraction(int(v), 2**20) for v in rng.integers(-50, 51, size=p)]
            y[j] = Fraction(0)
            y[j] = -value(f, y)
            rest = sign * value(times({(0,) * p: Fraction(1)}, *(k for n, (_, k) in enumerate(surfaces)
                                for _ in range(powers[n]) if n != i)), y)  # fmt: skip
            # Beside y on the surface g has this sign, or both, and what is selected there is h more than on it.
            beside = rest != 0 and (relation == "==" or powers[i] % 2 == 1 or rest > 0)
            if beside and value(h, y) and (u >= p or y[u]):
                jumps = True
    return program, p, jumps


@pytest.mark.torture
def test_jumps_on_walls_are_refused_and_continuous_programs_are_not(programs):
    said, seen = {}, {"refused": 0, "open": 0, "certified": 0}
    for number in range(programs):
        function, p, jumps = walled(number)
        program = simsa.trace(function, p)
        try:
            found = calculus.clarke(program, [0.0] * p)
        except ProgramError as error:
            if "jumps beside" not in str(error) or jumps is False:
                said[number] = str(error)
            seen["refused"] += 1
        else:
            if found.certified and jumps:
                said[number] = "jumps, and has a set"
            if not jumps:
                seen["certified" if found.certified else "open"] += 1
    assert not said
    assert seen["refused"] > programs / 4
    assert seen["certified"] > 3 * seen["open"]
