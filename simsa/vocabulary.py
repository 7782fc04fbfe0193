"""The closed sets of words in which results are told: in records, summaries, tables and figures.

Each set is one enum, and the value of a member is the text that stands in JSON. They are here, below everything else,
because scenarios, the calculus, the analysis and the figures all use them and must not import each other for that.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from itertools import product
from typing import Any, NoReturn

from simsa.errors import SimsaError

AXES = ("convention", "precision", "setting")
"""The axes of a sweep besides c. A setting is a value of each of the axes that a scenario adds (`sweep.axes`)."""

Family = tuple[str, ...]
"""A value of each of AXES. Cells of one family differ in c alone; those of one c share their random numbers."""


def family(entry: Mapping[str, Any]) -> Family:
    """Return the family of a cell of a summary, or of anything else that has a value of each of AXES.

    entry: without a setting, as older summaries are, it has the empty one.
    """
    return tuple(str(entry.get(axis, "")) for axis in AXES)


def named(entry: Mapping[str, Any]) -> str:
    """Return the name of the family of a cell: "tensorflow, float64", and the setting if there is one."""
    return ", ".join(filter(None, family(entry)))


def families(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return the names of the families of some cells: "tensorflow, jax; float64, exact" if these are all combinations.

    entries: at least one. Otherwise each family is listed, as in "tensorflow, float64; jax, exact". What is empty in
    all of them, such as a setting, is left out.
    """
    found = list(dict.fromkeys(map(family, entries)))
    axes = [list(dict.fromkeys(axis)) for axis in zip(*found, strict=True)]
    if set(product(*axes)) != set(found):
        return "; ".join(", ".join(filter(None, one)) for one in found)
    return "; ".join(", ".join(axis) for axis in axes if any(axis))


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
