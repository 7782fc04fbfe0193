"""Which trajectories landed. Every count of landings is taken from here."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.analysis.intervals import Stratum, Tally
from simsa.records.status import Status


class Landing(IntEnum):
    """What is known of a trajectory. One that met no sensitive tie has not landed.

    UNDECIDED: it was examined without a result. NOT_EXAMINED: it met a sensitive tie, which was not classified.
    """

    NOT_LANDED = 0
    LANDED = 1
    UNDECIDED = 2
    NOT_EXAMINED = 3


@dataclass(frozen=True, eq=False)
class Landings:
    """What is known of the trajectories of a cell that met a sensitive tie.

    run: which trajectories of the cell were run, shape (trajectories,). trajectory: the numbers of the s sensitive ones
    among these, in ascending order, shape (s,). step: of the first sensitive tie of each, shape (s,). outcome: the
    `Landing` of each, shape (s,).
    """

    run: NDArray[np.bool_]
    trajectory: NDArray[np.int64]
    step: NDArray[np.int64]
    outcome: NDArray[np.int64]

    @classmethod
    def of(cls, cell: Mapping[str, Any]) -> "Landings":
        """Return the sensitive trajectories of a cell, none of them examined."""
        run, step = np.asarray(cell["status"]) != Status.NOT_RUN, np.asarray(cell["sensitive_first"])
        sensitive = np.flatnonzero(run & (step >= 0))
        return cls(run, sensitive, step[sensitive].astype(np.int64), np.full(sensitive.size, Landing.NOT_EXAMINED))

    def outcomes(self) -> NDArray[np.int64]:
        """Return the outcome of every trajectory, shape (trajectories,)."""
        found = np.full(self.run.size, Landing.NOT_LANDED)
        found[self.trajectory] = self.outcome
        return found

    def tally(self, among: NDArray[np.bool_] | None = None) -> Tally:
        """Return how many trajectories landed, among all that were run, or counting only the sensitive ones in `among`.

        among: of each sensitive trajectory, whether it counts, shape (s,). The examined are a random sample of the
        sensitive trajectories, and so, of any subset of these that does not depend on which were examined.
        """
        outcome = self.outcome if among is None else self.outcome[among]
        counts = np.bincount(outcome, minlength=len(Landing))
        examined = int(outcome.size - counts[Landing.NOT_EXAMINED])
        stratum = Stratum(outcome.size, examined, int(counts[Landing.LANDED]), int(counts[Landing.UNDECIDED]))
        return Tally(int(np.count_nonzero(self.run)), (stratum,))


def landed(cell: Mapping[str, Any]) -> Tally:
    """Return the tally of landings in a cell of a summary."""
    return Tally(cell["trajectories"], tuple(Stratum(*stratum) for stratum in cell["tie_kinds"]["strata"]))


def joined(tallies: Iterable[Tally]) -> Tally:
    """Return one tally for several cells, of the mean of their probabilities.

    Strata of equal size, with equally many examined, become one stratum. Its interval is valid: a sum of draws from
    each of them varies less than as many draws from all together (Hoeffding, Annals of Mathematical Statistics 27,
    1956).
    """
    total, alike = 0, defaultdict[tuple[int, int], list[Stratum]](list)
    for tally in tallies:
        total += tally.total
        for stratum in tally.strata:
            alike[stratum.size, stratum.examined].append(stratum)
    strata = (Stratum(*(sum(one[j] for one in several) for j in range(4))) for several in alike.values())
    return Tally(total, tuple(strata))
