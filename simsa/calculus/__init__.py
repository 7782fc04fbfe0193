"""Set-valued derivatives of programs: D_f, Clarke's subdifferential, critical points, bad steps, and checks of AD."""

from simsa.calculus.balls import Body, Nearest, RoundSet, round_clarke
from simsa.calculus.checks import Comparison, GradientCheck, check_gradient, compare, forward_backward_gap
from simsa.calculus.clarke import (
    Classification,
    Goldstein,
    Membership,
    clarke,
    classify,
    goldstein,
    is_clarke,
    lexicographic,
)
from simsa.calculus.curves import (
    Conservativity,
    Continuity,
    Counterexample,
    check_conservative,
    check_continuity,
    continuity_at,
)
from simsa.calculus.explain import Explanation, explain
from simsa.calculus.hessian import hessian, hessian_vector
from simsa.calculus.kinks import kinked
from simsa.calculus.minnorm import MinNorm, min_norm_point
from simsa.calculus.objective import Objective, objective
from simsa.calculus.sets import SetValue, minkowski_sum, selection_operator
from simsa.calculus.steps import BadStep, bad_steps

__all__ = [
    "BadStep",
    "Body",
    "Classification",
    "Comparison",
    "Conservativity",
    "Continuity",
    "Counterexample",
    "Explanation",
    "Goldstein",
    "GradientCheck",
    "Membership",
    "MinNorm",
    "Nearest",
    "Objective",
    "RoundSet",
    "SetValue",
    "bad_steps",
    "check_conservative",
    "check_continuity",
    "check_gradient",
    "clarke",
    "classify",
    "compare",
    "continuity_at",
    "explain",
    "forward_backward_gap",
    "goldstein",
    "hessian",
    "hessian_vector",
    "is_clarke",
    "kinked",
    "lexicographic",
    "min_norm_point",
    "minkowski_sum",
    "objective",
    "round_clarke",
    "selection_operator",
]
