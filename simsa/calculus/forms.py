"""Forms: registers as functions of the parameters around a point x_0, in factored form, so that signs can be proved.

A form is a number times powers of polynomials. The variables of the polynomials are t = x − x_0, and the difference of
each transcendental function from its value at x_0. In a guard that is 0 at x_0, the factors that are not 0 there have a
known sign. Of the other factors those with odd powers decide the sign, and two guards with the same factor change sign
together: the signs of x³, −sin(x) and x exp(y) are all given by that of x.
"""

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import product
from math import isqrt
from typing import Any
from zlib import crc32

import numpy as np

from simsa.calculus.mixed import MIXED, begun, functions_of, mixed, partial, plain, proved, short
from simsa.calculus.series import FAINT, anchored, taylor
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives.arithmetic import Arithmetic
from simsa.primitives.texts import OPERANDS
from simsa.tape.tape import OUT, OUTS, Tape

Monomial = frozenset[tuple[Any, int]]
Slope = dict[int, Any]
UNIT: Monomial = frozenset()

TERMS = 64
"""A sum with more terms than this, besides linear ones, is treated as one unknown function."""


class Opaque:
    """A variable of polynomials: the difference of a function that is not a polynomial from its value at the point.

    name: of the function. args: the forms that it is applied to. slope: the gradient, by parameter.
    """

    def __init__(self, name: str, args: tuple[Any, ...], slope: Slope) -> None:
        self.name, self.args, self.slope = name, args, slope
        self._hash = hash((crc32(name.encode()), args))  # the same in every process, since it orders the terms

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Opaque) and (self._hash, self.name, self.args) == (other._hash, other.name, other.args)


class Polynomial:
    """A polynomial. terms: by monomial, the coefficients, none of which is 0.

    The coefficient of the first monomial in a fixed order is 1, so that multiples of a polynomial are equal.
    """

    def __init__(self, terms: dict[Monomial, Any]) -> None:
        self.terms = terms
        self._hash = hash(frozenset(terms.items()))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self._hash == other._hash and self.terms == other.terms

    @cached_property
    def value(self) -> Any:
        """Return the value at the point."""
        return self.terms.get(UNIT, mixed(0))

    @cached_property
    def slope(self) -> Slope:
        """Return the gradient at the point, by parameter."""
        total: Slope = {}
        for monomial, c in self.terms.items():
            if len(monomial) == 1:
                ((variable, power),) = monomial
                if power == 1:
                    moved = {variable: mixed(1)} if isinstance(variable, int) else variable.slope
                    _add(total, moved, c)
        return {i: v for i, v in total.items() if v != 0}

    @cached_property
    def short(self) -> bool:
        """Tell whether each term has at most one variable, to the power 1."""
        return all(len(m) <= 1 and all(e == 1 for _, e in m) for m in self.terms)

    @cached_property
    def affine(self) -> bool:
        """Tell whether the polynomial is affine in the parameters."""
        return all(sum(e for _, e in m) <= 1 and all(isinstance(v, int) for v, _ in m) for m in self.terms)


def _add(total: Slope, other: Slope, factor: Any) -> None:
    """Add a multiple of a gradient to another."""
    for i, v in other.items():
        total[i] = total.get(i, 0) + factor * v


class Form:
    """A form: scale · Π polynomial^power, with `factors` as powers by polynomial; a constant if there are none.

    linear: if given, the form is this sum of linear terms. It is factored only when the factors are needed, since long
    sums are built term by term.
    """

    __array_ufunc__ = None

    def __init__(
        self, scale: Any, factors: dict[Polynomial, int] | None = None, linear: dict[Monomial, Any] | None = None
    ) -> None:
        self.linear = linear
        if linear is None:
            self.scale = short(scale)
            self.factors = factors if factors and self.scale == self.scale and self.scale != 0 else {}

    def __getattr__(self, name: str) -> Any:
        if name not in ("scale", "factors") or self.linear is None:
            raise AttributeError(name)
        factored = _normal(self.linear)
        self.scale, self.factors = factored.scale, factored.factors
        return getattr(self, name)

    @cached_property
    def _hash(self) -> int:
        return hash((self.scale, frozenset(self.factors.items())))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Form):
            return False
        return self._hash == other._hash and self.scale == other.scale and self.factors == other.factors

    @property
    def short(self) -> bool:
        """Tell whether the form is a constant or a sum of linear terms."""
        if self.linear is not None or not self.factors:
            return True
        return len(self.factors) == 1 and all(e == 1 and polynomial.short for polynomial, e in self.factors.items())

    def terms(self) -> dict[Monomial, Any]:
        """Return the terms, by monomial, of a form that is `short`."""
        if self.linear is not None:
            return self.linear
        if not self.factors:
            return {UNIT: self.scale} if self.scale != 0 else {}
        (polynomial,) = self.factors
        return {m: self.scale * c for m, c in polynomial.terms.items()}

    def value(self) -> Any:
        """Return the value at the point."""
        if self.linear is not None:
            return self.linear.get(UNIT, mixed(0))
        v = self.scale
        for polynomial, power in self.factors.items():
            v = v * MIXED.functions["pow"](polynomial.value, mixed(power))
        return short(v)

    def slope(self) -> Slope:
        """Return the gradient at the point, by parameter."""
        if self.linear is not None:
            return Polynomial(self.linear).slope
        total: Slope = {}
        for polynomial, power in self.factors.items():
            rest = Form(self.scale * power, _merged(self.factors, {polynomial: 1}, -1)).value()
            _add(total, polynomial.slope, rest)
        return total

    def __add__(self, other: Any) -> "Form":
        other = form(other)
        for one, two in ((self, other), (other, self)):
            if one.linear is None and not one.factors and one.scale == 0:
                return two
        if self.short and other.short:
            few, many = sorted((self.terms(), other.terms()), key=len)
            total = dict(many)
            for monomial, c in few.items():
                total[monomial] = short(total.get(monomial, 0) + c)
                if total[monomial] == 0:
                    del total[monomial]
            return Form(None, linear=total)
        shared = {}
        for polynomial in {*self.factors, *other.factors}:
            power = min(self.factors.get(polynomial, 0), other.factors.get(polynomial, 0))
            if power:
                shared[polynomial] = power
        try:
            terms = expanded(Form(self.scale, _merged(self.factors, shared, -1)))
            for monomial, c in expanded(Form(other.scale, _merged(other.factors, shared, -1))).items():
                terms[monomial] = terms.get(monomial, 0) + c
            found = _normal(terms)
        except LongError:
            slope = self.slope()
            _add(slope, other.slope(), mixed(1))
            return _opaque("add", (self, other), self.value() + other.value(), slope)
        return Form(found.scale, _merged(found.factors, shared, 1))

    def __mul__(self, other: Any) -> "Form":
        other = form(other)
        return Form(self.scale * other.scale, _merged(self.factors, other.factors, 1))

    def __truediv__(self, other: Any) -> "Form":
        other = form(other)
        return Form(MIXED.divide(self.scale, other.scale), _merged(self.factors, other.factors, -1))

    def __neg__(self) -> "Form":
        if self.linear is not None:
            return Form(None, linear={m: -c for m, c in self.linear.items()})
        return Form(-self.scale, self.factors)

    def __sub__(self, other: Any) -> "Form":
        return self + -form(other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> "Form":
        return form(other) - self

    def __rtruediv__(self, other: Any) -> "Form":
        return form(other) / self

    def __float__(self) -> float:
        return plain(self.value())

    def __lt__(self, other: Any) -> bool:
        return bool(self.value() < form(other).value())

    def __gt__(self, other: Any) -> bool:
        return bool(self.value() > form(other).value())

    def __abs__(self) -> "Form":
        return -self if self.value() < 0 else self


class LongError(Exception):
    """A polynomial has too many terms."""


def form(value: Any) -> Form:
    """Return a number as a form."""
    return value if isinstance(value, Form) else Form(mixed(value))


def _merged(a: Mapping[Polynomial, int], b: Mapping[Polynomial, int], sign: int) -> dict[Polynomial, int]:
    """Return the powers of a product (sign = 1) or of a quotient (sign = -1), without those that are 0."""
    result = dict(a)
    for polynomial, power in b.items():
        result[polynomial] = result.get(polynomial, 0) + sign * power
    return {polynomial: power for polynomial, power in result.items() if power}


def expanded(product: Form) -> dict[Monomial, Any]:
    """Return the terms of a product of polynomials; raises LongError if it has too many."""
    terms: dict[Monomial, Any] = {UNIT: product.scale}
    for polynomial, power in product.factors.items():
        for _ in range(power):
            found: dict[Monomial, Any] = {}
            for m, a in terms.items():
                for n, b in polynomial.terms.items():
                    both = m | n if not (m and n) else _times(m, n)
                    found[both] = found.get(both, 0) + a * b
            terms = found
            if sum(len(m) > 1 or any(e > 1 for _, e in m) for m in terms) > TERMS:
                raise LongError
    return terms


def _times(m: Monomial, n: Monomial) -> Monomial:
    """Return the product of two monomials."""
    powers = dict(m)
    for variable, power in n:
        powers[variable] = powers.get(variable, 0) + power
    return frozenset(powers.items())


def _normal(terms: dict[Monomial, Any]) -> Form:
    """Return a polynomial as a form: the variables that all terms have in common are factors, and so is the rest."""
    terms = {m: c for m, c in terms.items() if c != 0}
    if not terms:
        return Form(mixed(0))
    monomials = iter(terms)
    shared = dict(next(monomials))
    for monomial in monomials:
        powers = dict(monomial)
        shared = {v: min(e, powers[v]) for v, e in shared.items() if v in powers}
        if not shared:
            break
    factors = {Polynomial({frozenset({(v, 1)}): mixed(1)}): e for v, e in shared.items()}
    if shared:
        terms = {
            frozenset((v, e - shared.get(v, 0)) for v, e in m if e > shared.get(v, 0)): c for m, c in terms.items()
        }
    first = min(terms, key=lambda m: (sum(e for _, e in m), hash(m)))
    scale = terms[first]
    if len(terms) > 1:
        rest = Polynomial({m: mixed(1) if m == first else MIXED.divide(c, scale) for m, c in terms.items()})
        factors = _merged(factors, {rest: 1}, 1)
    return Form(scale, factors)


def _opaque(name: str, args: tuple[Form, ...], value: Any, slope: Slope) -> Form:
    """Return a function that is not a polynomial: its value at the point, plus a variable for the difference."""
    return _normal({UNIT: value, frozenset({(Opaque(name, args, slope), 1)}): mixed(1)})


def _function(name: str) -> Callable[..., Form]:
    """Return an elementary function of forms."""

    def apply(*args: Any) -> Form:
        forms = tuple(form(arg) for arg in args)
        if name == "pow" and not forms[1].factors and proved(forms[1].scale) and forms[1].scale.denominator == 1:
            power = forms[1].scale.numerator
            raised = {polynomial: e * power for polynomial, e in forms[0].factors.items()} if power else {}
            return Form(MIXED.functions["pow"](forms[0].scale, mixed(power)), raised)
        values = [f.value() for f in forms]
        value = MIXED.functions[name](*values)
        if not any(f.factors for f in forms):
            return Form(value)
        slope: Slope = {}
        for i, f in enumerate(forms):
            if f.factors:
                d = partial(name, i, MIXED)(*values, *(None,) * (len(OPERANDS) - len(values)), value)
                _add(slope, f.slope(), d)
        return _opaque(name, forms, value, slope)

    return apply


def _step(name: str) -> Callable[..., Form]:
    """Return a step function of forms, a constant; the value on the other side of a jump is another piece."""
    return lambda x: Form(MIXED.functions[name](form(x).value()))


FORMS = Arithmetic(form, functions_of(_function, _step), lambda x, y: form(x) / form(y))
"""The arithmetic of forms for the reference interpreter."""


def parameter(i: int, value: float) -> Form:
    """Return parameter i, whose value at the point is given, as a form."""
    return _normal({UNIT: mixed(value), frozenset({(i, 1)}): mixed(1)})


class FormInterpreter(Interpreter):
    """Runs a tape in forms, computing only the registers that are asked for, under given decisions.

    A value at the point that agrees up to rounding with that of a given execution in float64 is replaced by it.
    """

    def __init__(self, tape: Tape, there: Execution, bounds: list[float]) -> None:
        """Set the tape, the execution at the point in float64, and the error bound of each of its registers."""
        super().__init__(tape, FORMS)
        self.there, self.bounds = there, bounds
        self.writer = {r: k for k, line in enumerate(self.code) for r in range(line[OUT], line[OUT] + line[OUTS])}

    def _margin(self, k: int, x: list[Any], values: list[Any]) -> float:
        return np.inf

    def begin(self, x: list[float], data: list[float]) -> Execution:
        """Return the execution before its first instruction. x: the point. data: the data inputs."""
        return begun(self, [*(parameter(i, v) for i, v in enumerate(x)), *map(form, data)])

    def need(self, execution: Execution, k: int, decisions: Mapping[int, Any]) -> None:
        """Compute the operands of instruction k, and all registers that they depend on under the decisions.

        execution: is changed. k: the instruction. decisions: by instruction.
        """
        self.compute(execution, self.reads[k], decisions)

    def compute(self, execution: Execution, registers: Iterable[int], decisions: Mapping[int, Any]) -> None:
        """Compute registers, and all registers that they depend on under the decisions.

        execution: is changed. registers: what is needed. decisions: by instruction.
        """
        wanted, stack = set(), list(registers)
        while stack:
            r = stack.pop()
            if execution.values[r] is None and (j := self.writer[r]) not in wanted:
                wanted.add(j)
                stack += self._executed(j, decisions.get(j))
        for j in sorted(wanted):
            self._evaluate(j, execution, decisions)
            out = self.code[j][OUT]
            for r in range(out, out + self.code[j][OUTS]):
                moved = form(execution.values[r])
                value = moved.value()
                kept = anchored(value, self.there.values[r], self.bounds[r])
                execution.values[r] = moved if kept is value else moved + Form(kept - value)

    def _executed(self, k: int, decision: Any) -> list[int]:
        """Return the operands of instruction k that its executed piece reads."""
        call, reads = self.calls[k], self.reads[k]
        return [reads[i] for i in call.row.operation.reads(call, decision)]


def signs(guard: Form) -> tuple[int, list[Polynomial], bool]:
    """Return the sign of a guard around the point as a sign times the signs of some polynomials.

    The result is (sign, polynomials, exact). The polynomials are 0 at the point, and their signs are not known. The
    sign is 0 if the guard is 0 everywhere. exact: whether the guard is 0 at the point without rounding; if not, its
    value there is subtracted first.
    """
    value, exact = guard.value(), True
    if value != 0:
        guard, exact = guard - Form(value), False
    if guard.scale == 0:
        return 0, [], exact
    sign, open_signs = 1 if guard.scale > 0 else -1, []
    for polynomial, power in guard.factors.items():
        own, rest = _reduced(polynomial)
        if power % 2:
            sign *= own
            open_signs += rest
    odd = {p for p in open_signs if open_signs.count(p) % 2}
    return sign, [p for p in dict.fromkeys(open_signs) if p in odd], exact


def _reduced(polynomial: Polynomial) -> tuple[int, list[Polynomial]]:
    """Return the sign of a polynomial around the point as a sign times those of simpler polynomials, if there are."""
    if polynomial.value != 0:
        return 1 if polynomial.value > 0 else -1, []
    terms = polynomial.terms
    if len(terms) == 1:
        ((monomial, _),) = terms.items()
        ((variable, _),) = monomial
        if isinstance(variable, Opaque) and len(variable.args) == 1:
            return _inner(polynomial, variable)
    if all(e % 2 == 0 for m in terms for _, e in m):
        if all(proved(c) and c > 0 for c in terms.values()):
            return 1, []
        if len(terms) == 2:
            return _two_squares(polynomial)
    return 1, [polynomial]


def _inner(polynomial: Polynomial, variable: Opaque) -> tuple[int, list[Polynomial]]:
    """Return the sign of f(u) − f(u_0) as that of the first power of u − u_0 in the Taylor series of f."""
    inner = variable.args[0]
    for power, c in enumerate(taylor(variable.name, inner.value())[1:], 1):
        if abs(c) > (0 if proved(c) else FAINT):
            sign, rest, _ = signs(inner - Form(inner.value()))
            own = 1 if c > 0 else -1
            return (own * sign, rest) if power % 2 else (own, [])
        if not proved(c):
            break
    return 1, [polynomial]


def _two_squares(polynomial: Polynomial) -> tuple[int, list[Polynomial]]:
    """Return a² − b² as the factors a − b and a + b, if b is rational."""
    (m, c), (n, d) = polynomial.terms.items()
    roots = [_root(abs(v)) for v in (c, d)]
    if None in roots:
        return 1, [polynomial]
    sign = 1 if c > 0 else -1
    rest: list[Polynomial] = []
    for side in (1, -1):
        a, b = (frozenset((v, e // 2) for v, e in part) for part in (m, n))
        factor = _normal({a: roots[0], b: side * roots[1]})
        own, more, _ = signs(factor)
        sign, rest = sign * own, rest + more
    return sign, rest


def _root(value: Any) -> Any:
    """Return the rational square root, or None."""
    if not proved(value):
        return None
    root = mixed(isqrt(value.numerator)) / isqrt(value.denominator)
    return root if root * root == value else None


def vanishing(guard: Form) -> list[frozenset[Polynomial]]:
    """Return sets of polynomials: around the point, a guard is 0 where all polynomials of one of the sets are 0."""
    found: dict[frozenset[Polynomial], None] = {}
    for polynomial, power in (guard - Form(guard.value())).factors.items():
        if power > 0 and polynomial.value == 0:
            found |= dict.fromkeys(_zeros(polynomial))
    return list(found)


def _zeros(polynomial: Polynomial) -> list[frozenset[Polynomial]]:
    """Return sets of polynomials: around the point, a polynomial is 0 where all polynomials of one set are 0."""
    terms = polynomial.terms
    if len(terms) == 1:
        ((monomial, _),) = terms.items()
        ((variable, _),) = monomial
        if isinstance(variable, Opaque) and len(variable.args) == 1 and _inner(polynomial, variable)[1] != [polynomial]:
            return vanishing(variable.args[0])
    elif all(e % 2 == 0 for m in terms for _, e in m):
        if all(proved(c) and c > 0 for c in terms.values()):
            lone = [[_zeros(Polynomial({frozenset({(v, 1)}): mixed(1)})) for v, _ in m] for m in terms]
            ways = product(*([way for zeros in monomial for way in zeros] for monomial in lone))
            return [frozenset().union(*way) for way in ways]
        if len(terms) == 2 and (rest := _two_squares(polynomial)[1]):
            return [frozenset({factor}) for factor in rest]
    return [frozenset({polynomial})]


def vanishes(h: Form, zeros: Sequence[Polynomial]) -> bool:
    """Tell whether a form is proved to be 0 where all of some polynomials are 0.

    A polynomial with a variable that occurs in a single linear term is solved for it, and the variable is replaced in
    the form. The form is then 0 if it is identically 0, or if a factor is a multiple of a remaining polynomial.
    """
    rest: list[Polynomial] = []
    pending = list(zeros)
    try:
        while pending:
            polynomial = pending.pop(0)
            if (solution := _solution(polynomial)) is None:
                rest.append(polynomial)
                continue
            h, pending = substituted(h, *solution), [_flat(_replaced(other, *solution)) for other in pending]
            pending = [other for other in pending if other.terms]
    except LongError:
        return False
    return h.scale == 0 or any(
        power > 0 and _multiple(factor, other) for factor, power in h.factors.items() for other in rest
    )


def _flat(product: Form) -> Polynomial:
    """Return the factors that are 0 at the point, as one polynomial; raises LongError if it has too many terms."""
    if product.scale == 0:
        return Polynomial({})
    factors = {factor: power for factor, power in product.factors.items() if power > 0 and factor.value == 0}
    return Polynomial({m: c for m, c in expanded(Form(mixed(1), factors)).items() if c != 0})


def _solution(polynomial: Polynomial) -> tuple[Any, Form] | None:
    """Return a variable that occurs in a single linear term, and its value where the polynomial is 0; else None."""
    lone = [v for m in polynomial.terms if len(m) == 1 for v, e in m if e == 1]
    for variable in sorted(lone, key=lambda v: not isinstance(v, int)):
        term = frozenset({(variable, 1)})
        others = {m: c for m, c in polynomial.terms.items() if m != term}
        if not any(v == variable or _within(variable, v) for m in others for v, _ in m):
            scale = polynomial.terms[term]
            return variable, _normal({m: MIXED.divide(-c, scale) for m, c in others.items()})
    return None


def _within(variable: Any, outer: Any) -> bool:
    """Tell whether a variable occurs in the arguments of a function."""
    return isinstance(outer, Opaque) and any(
        v == variable or _within(variable, v) for arg in outer.args for p in arg.factors for m in p.terms for v, _ in m
    )


def substituted(h: Form, variable: Any, to: Form) -> Form:
    """Return a form with a variable replaced by another form.

    h: the form. variable: a parameter's number, or an Opaque. to: what replaces it. Raises LongError if the result
    would be a quotient by 0, or has too many terms.
    """
    total = Form(h.scale)
    for polynomial, power in h.factors.items():
        factor = _replaced(polynomial, variable, to)
        if factor.scale == 0 and power < 0:
            raise LongError
        total = total * FORMS.functions["pow"](factor, mixed(power))
    return total


def _replaced(polynomial: Polynomial, variable: Any, to: Form) -> Form:
    """Return a polynomial with a variable replaced by a form."""
    if not any(v == variable or _within(variable, v) for m in polynomial.terms for v, _ in m):
        return Form(mixed(1), {polynomial: 1})
    total = Form(mixed(0))
    for monomial, c in polynomial.terms.items():
        term = Form(c)
        for v, power in monomial:
            if v == variable:
                own = to
            elif _within(variable, v):
                args = [substituted(arg, variable, to) for arg in v.args]
                moved, base = _applied(v.name, args), _applied(v.name, [Form(arg.value()) for arg in v.args])
                own = moved - base
            else:
                own = Form(mixed(1), {Polynomial({frozenset({(v, 1)}): mixed(1)}): 1})
            term = term * FORMS.functions["pow"](own, mixed(power))
        total = total + term
    return total


def _applied(name: str, args: list[Form]) -> Form:
    """Return a function that is not a polynomial, or a sum of two forms that is treated as one."""
    return args[0] + args[1] if name == "add" else FORMS.functions[name](*args)


def _multiple(polynomial: Polynomial, of: Polynomial) -> bool:
    """Tell whether a polynomial is a multiple of another, by division."""
    variables = list(dict.fromkeys(v for p in (of, polynomial) for m in p.terms for v, _ in m))

    def powers(m: Monomial) -> tuple[int, ...]:
        own = dict(m)
        return tuple(own.get(v, 0) for v in variables)

    rest = {powers(m): c for m, c in polynomial.terms.items()}
    divisor = {powers(m): c for m, c in of.terms.items()}
    lead = max(divisor)
    for _ in range(TERMS):
        if not rest:
            return True
        first = max(rest)
        step = tuple(a - b for a, b in zip(first, lead, strict=True))
        if min(step) < 0:
            return False
        factor = MIXED.divide(rest[first], divisor[lead])
        for m, c in divisor.items():
            at = tuple(a + b for a, b in zip(m, step, strict=True))
            rest[at] = rest.get(at, 0) - factor * c
            if rest[at] == 0 or at == first:
                del rest[at]
    return False


def polynomial_at(polynomial: Polynomial, t: Sequence[Any], arithmetic: Arithmetic) -> Any:
    """Return the value of a polynomial at the point plus t.

    polynomial: the polynomial. t: numbers of the arithmetic, shape (p,). arithmetic: the number type of the result.
    """
    total = arithmetic.number(0)
    for monomial, c in polynomial.terms.items():
        term = arithmetic.number(c)
        for variable, power in monomial:
            if isinstance(variable, int):
                own = t[variable]
            else:
                here = [_form_at(arg, t, arithmetic) for arg in variable.args]
                base = [arithmetic.number(arg.value()) for arg in variable.args]
                apply: Callable[..., Any] = arithmetic.functions.get(variable.name, operator.add)
                own = apply(*here) - apply(*base)
            for _ in range(power):
                term = term * own
        total = total + term
    return total


def _form_at(h: Form, t: Sequence[Any], arithmetic: Arithmetic) -> Any:
    """Return a form at the point plus t."""
    total = arithmetic.number(h.scale)
    for polynomial, power in h.factors.items():
        value = polynomial_at(polynomial, t, arithmetic)
        for _ in range(abs(power)):
            total = total * value if power > 0 else arithmetic.divide(total, value)
    return total
