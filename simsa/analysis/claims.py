"""Test the known answers of a scenario on the records, all together at one level."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simsa.analysis.intervals import LEVEL, Tally, holm
from simsa.vocabulary import AXES, Event, PointKind


@dataclass(frozen=True)
class Claim:
    """A known answer: the claim that `event` has `probability` in some cells.

    probability_text: the probability as it was written, such as "1/7". text: why the claim is true. c, convention,
    precision, setting: of the cells that the claim is about; None if it is about all of them.
    """

    event: str
    probability: float
    text: str
    probability_text: str = ""
    c: tuple[float, ...] | None = None
    convention: tuple[str, ...] | None = None
    precision: tuple[str, ...] | None = None
    setting: tuple[str, ...] | None = None

    def concerns(self, cell: Mapping[str, Any]) -> bool:
        """Tell whether the claim is about a cell."""
        wanted = {key: getattr(self, key) for key in ("c", *AXES)}
        return all(values is None or cell.get(key, "") in values for key, values in wanted.items())


def evaluate(
    claims: Sequence[Claim],
    cells: Sequence[Mapping[str, Any]],
    tallies: Sequence[Mapping[str, Tally | None]],
    level: float = LEVEL,
) -> list[dict[str, Any]]:
    """Return an entry for each claim and each cell that it is about.

    claims: to be tested. cells: the summary of each cell, of which c, convention and precision are used, and why
    nothing was classified. tallies: of each cell, the tally of each event by its name; None where it was not computed.
    level: in (0, 1).

    With m entries to test, `low` and `high` are the exact two-sided interval at level 1 - (1 - level)/m: with
    probability at least `level`, all m hold at once. `p_value` is of the exact two-sided test, `adjusted` is Holm's,
    and `holds` tells whether the latter is above 1 - level. With probability at least `level` no true claim is
    rejected, and a claim that holds lies in its interval. `holds` is None if there was nothing to test, and `method`
    then has the reason. If the event is unknown for some trajectories, there is no estimate, and the claim is rejected
    only if it would be whatever these trajectories did.
    Raises SimsaError for an event that is neither an `Event` nor counted.
    """
    entries: list[dict[str, Any]] = []
    tested: list[tuple[dict[str, Any], Tally]] = []
    for number, claim in enumerate(claims):
        about: list[int | None] = [i for i, cell in enumerate(cells) if claim.concerns(cell)]
        for i in about or [None]:
            if i is not None and claim.event not in tallies[i]:
                Event(claim.event)  # raises if there is none; some are not counted where nobody says what points are
            tally = None if i is None else tallies[i].get(claim.event)
            entry: dict[str, Any] = {
                "claim": number,
                "event": claim.event,
                "text": claim.text,
                "claimed": claim.probability,
                "claimed_text": claim.probability_text or f"{claim.probability:g}",
                "cell": i,
                **{key: None if i is None else cells[i].get(key, "") for key in ("c", *AXES)},
                "trajectories": tally.total if tally else 0,
                "hits": tally.hits if tally else 0,
                "estimate": None, "low": 0.0, "high": 1.0, "bound": 1.0, "level": level,
                "method": "no such cell" if i is None else _not_computed(cells[i], claim.event),
                "p_value": None, "adjusted": None, "holds": None,
            }  # fmt: skip
            entries.append(entry)
            if tally is not None and tally.total and tally.examined:
                tested.append((entry, tally))
    adjusted = holm([tally.p_value(entry["claimed"]) for entry, tally in tested])
    for (entry, tally), corrected in zip(tested, adjusted.tolist(), strict=True):
        found = tally.interval(1 - (1 - level) / len(tested))
        entry.update(
            estimate=found.estimate,
            low=found.low,
            high=found.high,
            bound=found.bound,
            method=f"{found.method}, Bonferroni over {len(tested)}; exact test, Holm",
            p_value=tally.p_value(entry["claimed"]),
            adjusted=corrected,
            holds=corrected > 1 - level,
        )
    return entries


def _not_computed(cell: Mapping[str, Any], event: str) -> str:
    """Return that an event was not counted in a cell, with the reason if the summary has one."""
    kinds = "final_kinds" if event in (PointKind.CLARKE, PointKind.ARTIFICIAL) else "tie_kinds"
    why = (cell.get(kinds) or {}).get("why")
    return f"not computed, because {why}" if why else "not computed"
