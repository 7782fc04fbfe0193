"""Set-valued derivatives of programs: what the gradient could have been, and whether a point is critical at all."""

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
from simsa.calculus.hessian import hessian, hessian_vector
from simsa.calculus.minnorm import MinNorm, min_norm_point
from simsa.calculus.objective import Objective, objective
from simsa.calculus.sets import SetValue, minkowski_sum, selection_operator
from simsa.calculus.steps import BadStep, bad_steps

__all__ = [
    "BadStep",
    "Classification",
    "Goldstein",
    "Membership",
    "MinNorm",
    "Objective",
    "SetValue",
    "bad_steps",
    "clarke",
    "classify",
    "goldstein",
    "hessian",
    "hessian_vector",
    "is_clarke",
    "lexicographic",
    "min_norm_point",
    "minkowski_sum",
    "objective",
    "selection_operator",
]
