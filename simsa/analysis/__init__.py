"""From records to counts, exact intervals, curves, verdicts and the summary of a run, by pure functions."""

from simsa.analysis.claims import Claim
from simsa.analysis.estimates import (
    counts,
    final_states,
    first_passage,
    margins,
    objective_quantiles,
)
from simsa.analysis.intervals import Interval, Tally, clopper_pearson, holm, interval, upper_bound
from simsa.analysis.kinds import Subject, tie_kinds
from simsa.analysis.landings import Landings
from simsa.analysis.scaling import Slope, codimension
from simsa.analysis.summary import summarise
from simsa.analysis.verdicts import verdicts

__all__ = [
    "Claim",
    "Interval",
    "Landings",
    "Slope",
    "Subject",
    "Tally",
    "clopper_pearson",
    "codimension",
    "counts",
    "final_states",
    "first_passage",
    "holm",
    "interval",
    "margins",
    "objective_quantiles",
    "summarise",
    "tie_kinds",
    "upper_bound",
    "verdicts",
]
