"""What the records say: counts, exact intervals, curves, and the summary of a run; pure functions."""

from simsa.analysis.estimates import (
    counts,
    final_states,
    first_passage,
    margins,
    objective_quantiles,
)
from simsa.analysis.intervals import Interval, clopper_pearson, interval, upper_bound
from simsa.analysis.summary import summarise

__all__ = [
    "Interval",
    "clopper_pearson",
    "counts",
    "final_states",
    "first_passage",
    "interval",
    "margins",
    "objective_quantiles",
    "summarise",
    "upper_bound",
]
