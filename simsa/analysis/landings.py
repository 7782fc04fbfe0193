"""Who landed: what the first sensitive point of each trajectory is, as everything that counts landings takes it."""

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
    """What is known of a trajectory: one that met no sensitive tie has not landed."""

    NOT_LANDED = 0
    LANDED = 1
    UNDECIDED = 2
    NOT_EXAMINED = 3


@dataclass(frozen=True, eq=False)
class Landings:
    """What is known of the trajectories of a cell that met a sensitive tie.

    run: shape (trajectories,), which were run. who: their numbers, in ascending order, shape (s,). step: of the first
    sensitive tie of each, shape (s,). outcome: the `Landing` of each, shape (s,).
    """

    run: NDArray[np.bool_]
    who: NDArray[np.int64]
    step: NDArray[np.int64]
    outcome: NDArray[np.int64]

    @classmethod
    def of(cls, cell: Mapping[str, Any]) -> "Landings":
        """Return the sensitive trajectories of a cell, none of them examined."""
        run, step = np.asarray(cell["status"]) != Status.NOT_RUN, np.asarray(cell["sensitive_first"])
        who = np.flatnonzero(run & (step >= 0))
        return cls(run, who, step[who].astype(np.int64), np.full(who.size, Landing.NOT_EXAMINED))

    def outcomes(self) -> NDArray[np.int64]:
        """Return the outcome of every trajectory, shape (trajectories,)."""
        found = np.full(self.run.size, Landing.NOT_LANDED)
        found[self.who] = self.outcome
        return found

    def tally(self, among: NDArray[np.bool_] | None = None) -> Tally:
        """Return how many landed, of those that were run; or how many of these are `among` some, shape (s,).

        Who was examined was drawn at random from the sensitive ones, so it is a random sample of any of them.
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
    """Return one tally for several cells.

    Strata that are sampled in the same way are one stratum: drawn apart they vary less than drawn together (Hoeffding,
    Annals of Mathematical Statistics 27, 1956, as for the mean over cells).
    """
    total, alike = 0, defaultdict[tuple[int, int], list[Stratum]](list)
    for tally in tallies:
        total += tally.total
        for stratum in tally.strata:
            alike[stratum.size, stratum.examined].append(stratum)
    strata = (Stratum(*(sum(one[j] for one in several) for j in range(4))) for several in alike.values())
    return Tally(total, tuple(strata))
