"""The closed sets of words in which results are told: in records, summaries, tables and figures.

Each set is one enum, and the value of a member is the text that stands in JSON. They are here, below everything else,
because scenarios, the calculus, the analysis and the figures all use them and must not import each other for that.
"""

from enum import StrEnum
from typing import NoReturn

from simsa.errors import SimsaError


class Word(StrEnum):
    """A word of a closed set: it is its text, and prints as it. A text that no member has raises SimsaError."""

    def __repr__(self) -> str:
        return repr(self.value)

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        """Refuse a text that is none of the set."""
        raise SimsaError(f"unknown {cls.__name__} {value!r}; expected one of {', '.join(map(repr, cls))}")


class Met(Word):
    """How a hypothesis of the theorems is met.

    COVERED: not as the theorem states it, but the proof needs no more than holds. OPEN: it cannot be decided.
    """

    AS_STATED = "as stated"
    COVERED = "covered by the proof"
    NOT_MET = "not met"
    OPEN = "open"


class Asked(Word):
    """The hypotheses of Theorems 4 and 7 of Bolte and Pauwels (NeurIPS 2020), as tables and verdicts name them."""

    FINITE_SUM = "J is a finite sum"
    RECURSION = "x_k follows recursion (8)"
    VANISHING = "alpha_k = o(1/log k)"
    DIVERGENT = "the sum of alpha_k is infinite (used for limits to be critical)"
    UNIT = "c in (0, 1]"
    ALMOST_ALL_C = "almost all c"
    BATCHES = "I_k iid uniform over the nonempty subsets"
    STARTS = "almost all x_0"
    BOUNDED = "x_k is bounded"
    CONTINUOUS = "each f_i is continuous (Def. 3)"
    REALS = "real numbers"
    GOOD_STEPS = "no step in F"
    ENDLESS = "infinitely many steps"


class Verdict(Word):
    """What a run says about a part of a theorem (`analysis.verdicts`)."""

    CONSISTENT = "consistent"
    CONTRADICTED = "contradicted"
    NOT_MET = "hypothesis not met"
    NOT_DECIDED = "not decided"


class TieKind(Word):
    """What a tie is for a function (`calculus.classify`).

    HARMLESS: the function is differentiable there, and AD returns its gradient. C: it is differentiable, and AD returns
    another vector. SING: it is not differentiable. Of a recorded point, also ROUNDING: no guard is zero there, so that
    rounding made the tie; and UNDECIDED: too many branches meet there, or the function cannot be classified.
    """

    HARMLESS = "harmless"
    C = "C"
    SING = "Sing"
    ROUNDING = "rounding"
    UNDECIDED = "undecided"


class Event(Word):
    """What may happen to a trajectory, whose probability a claim may give; `docs/theory/definitions.md` has each.

    An observable that is hit is an event, too, and is called by the observable's name.
    """

    LANDED = "landed"
    SENSITIVE = "sensitive"
    TIED = "tied"
    UNBOUNDED = "unbounded"
    NOT_FINITE = "not_finite"
    ARTIFICIAL = "artificial"
    CLARKE = "clarke"
    SETTLED = "settled"


class PointKind(Word):
    """What a point is for a function (`calculus.classify`).

    CLARKE: 0 is in Clarke's subdifferential. ARTIFICIAL: it is not, but in D. REGULAR: it is in neither. Of the last
    point of a run, in place of REGULAR, NOT_SETTLED: the gradients around it do not come near 0.
    """

    CLARKE = "clarke"
    ARTIFICIAL = "artificial"
    REGULAR = "regular"
    NOT_SETTLED = "not_settled"
