"""What a run says about the theorems of Bolte and Pauwels (NeurIPS 2020): verdicts, with their words.

A verdict is a pure function of a summary: nothing is looked at again here. It is never "proved": the theorems speak of
real numbers and of limits, a run of finitely many steps in some arithmetic.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from simsa.analysis.continuity import CONTINUOUS
from simsa.analysis.intervals import LEVEL, Tally

CONSISTENT, CONTRADICTED = "consistent", "contradicted"
NOT_MET, NOT_DECIDED = "hypothesis not met", "not decided"

VANISHING, DIVERGENT = "alpha_k = o(1/log k)", "the sum of alpha_k is infinite (used for limits to be critical)"
UNIT, DRAWN = "c in (0, 1]", "almost all c"
BATCHES, STARTS = "I_k iid uniform over the nonempty subsets", "almost all x_0"
BOUNDED, FINITE = "x_k is bounded", "J is a finite sum"
"""Hypotheses as scenarios name them (`simsa.scenario.hypotheses`); the last is named where it does not hold."""

REALS, GOOD, AT_BAD = "real numbers", "no step in F", "no step in F (the bad steps)"
"""Hypotheses that the cells tell."""

Cells = Sequence[Mapping[str, Any]]
Hypotheses = list[dict[str, Any]]


def verdicts(
    cells: Cells,
    hypotheses: Iterable[Mapping[str, Any]],
    bad: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> list[dict[str, Any]]:
    """Return the verdicts on Theorems 4 and 7, for each convention and precision of a run.

    cells: those of the summary. hypotheses: those of the scenario. bad: the summary's `bad_scales`, or None. Each
    verdict has theorem, part, verdict, words, convention, precision, the number of cells and trajectories, `hits` (runs
    that speak against the part), estimate, low, high, level and method of their probability, averaged over the
    cells, and `hypotheses`: those that this part needs, each with held (None: not decided) and why.

    The rule: `hypothesis not met` if one did not hold, whatever was seen. Else `consistent` if nothing was found that
    speaks against the part; `contradicted` if something was, and every hypothesis is known to hold; `not decided` in
    all other cases. So a landing in floating point contradicts nothing: rounding may have made it.
    """
    said = {h["hypothesis"]: dict(h) for h in hypotheses}
    at_bad = set(bad["cells"]) if bad else set()
    found = []
    for key in dict.fromkeys((cell["convention"], cell["precision"]) for cell in cells):
        group = [i for i, cell in enumerate(cells) if (cell["convention"], cell["precision"]) == key]
        mine = [cells[i] for i in group]
        good = [cells[i] for i in group if i not in at_bad]
        trapping = [cells[i] for i in group if i in at_bad]
        if good:
            found.append(_finite_time(good, said, bad, level))
        if trapping:
            found.append(_bad_steps(trapping, said, level))
        found.append(_limits(mine, said, level))
        found.append(_artificial(good or trapping, said, not good, level))
    return found


def _finite_time(cells: Cells, said: Mapping[str, Any], bad: Mapping[str, Any] | None, level: float) -> dict[str, Any]:
    """Theorem 7, in finite time: off finitely many steps, almost no x_0 ever lands in Sing or C."""
    avoids = _held(GOOD, None, "the bad steps were not computed")
    if said.get(DRAWN, {}).get("held"):
        avoids = _held(GOOD, True, "c is drawn from a density, and bad c are countably many")
    elif bad and bad["computed"]:
        why = "no bad step that was found is taken; others may be in bricks that were not sampled"
        avoids = _held(GOOD, None, why)
    needs = [*_finite(said), _said(said, STARTS), avoids, _reals(cells)]
    tally = _sum(cells, "landed")
    event = f"landed where AD's answer depends on a tie (Sing or C) within {cells[0]['steps']} steps"
    return _verdict("7", "finite time", cells, needs, tally, event, level)


def _bad_steps(cells: Cells, said: Mapping[str, Any], level: float) -> dict[str, Any]:
    """Theorem 7's exception: at a bad step, landing may have positive probability."""
    needs = [
        *_finite(said),
        _said(said, STARTS),
        _held(AT_BAD, False, "some c alpha_k is 1/lambda for a constant eigenvalue lambda"),
    ]
    event = f"landed in Sing or C within {cells[0]['steps']} steps, at predicted bad step scales"
    return _verdict("7", "bad steps", cells, needs, _sum(cells, "landed"), event, level)


def _limits(cells: Cells, said: Mapping[str, Any], level: float) -> dict[str, Any]:
    """Theorem 4, first part: for every x_0, J(x_k) converges and limits are selection critical.

    What speaks against it is a run that has not settled. It may yet, so that this part is never contradicted.
    """
    needs = [*_finite(said), *(_said(said, name) for name in (VANISHING, DIVERGENT, UNIT, BATCHES)), _bounded(cells)]
    tallies = [_of_kind(cell, "not_settled") for cell in cells]
    needs.append(_held("infinitely many steps", None, "the run is finite: a run that has not settled may do so later"))
    event = "had not come near a selection critical point at the end"
    return _verdict("4", "limits are selection critical", cells, needs, _joined(tallies), event, level)


def _artificial(cells: Cells, said: Mapping[str, Any], at_bad: bool, level: float) -> dict[str, Any]:
    """Theorem 4, second part: for almost all c and x_0 limits are Clarke critical, so none is artificial."""
    names = (VANISHING, DIVERGENT, UNIT, DRAWN, BATCHES, STARTS)
    needs = [*_finite(said), *(_said(said, name) for name in names), _bounded(cells), _reals(cells)]
    if at_bad:
        needs.append(_held(AT_BAD, False, "every step scale is a predicted bad one"))
    tallies = [_of_kind(cell, "artificial") if cell["landed"] else Tally.of(0, cell["trajectories"]) for cell in cells]
    event = "ended at an artificial critical point"
    return _verdict("4", "limits are Clarke critical", cells, needs, _joined(tallies), event, level)


def _held(hypothesis: str, held: bool | None, why: str) -> dict[str, Any]:
    """Return a hypothesis, whether it held, and why."""
    return {"hypothesis": hypothesis, "held": held, "why": why}


def _said(said: Mapping[str, Any], hypothesis: str) -> dict[str, Any]:
    """Return a hypothesis as the scenario has it; undecided if it does not speak of it."""
    known = said.get(hypothesis, {"held": None, "why": "the records do not say"})
    return _held(hypothesis, known["held"], known["why"])


def _finite(said: Mapping[str, Any]) -> Hypotheses:
    """Return that J is no finite sum, if the scenario says so, and whether its terms are continuous."""
    return [_said(said, name) for name in (FINITE, CONTINUOUS) if name in said]


def _bounded(cells: Cells) -> dict[str, Any]:
    """Return whether all runs stayed in the ball, and finite."""
    left, total = sum(cell["unbounded"] + cell["not_finite"] for cell in cells), sum(c["trajectories"] for c in cells)
    why = f"{left} of {total} runs left the ball or were not finite" if left else f"all {total} runs stayed in the ball"
    return _held(BOUNDED, not left, why)


def _reals(cells: Cells) -> dict[str, Any]:
    """Return whether the cells were computed over the reals."""
    precision = cells[0]["precision"]
    exact = precision == "exact"
    why = "rational arithmetic" if exact else f"{precision}: rounding both makes and destroys landings"
    return _held(REALS, exact or None, why)


def _sum(cells: Cells, event: str) -> Tally:
    """Return the tally of an event that is recorded of every trajectory, over cells."""
    return Tally.of(sum(cell[event] for cell in cells), sum(cell["trajectories"] for cell in cells))


def _of_kind(cell: Mapping[str, Any], kind: str) -> Tally | None:
    """Return the tally of a kind of final point in a cell; None if none were classified."""
    finals = cell.get("final_kinds")
    if not finals or finals["why"]:
        return None
    return Tally(cell["trajectories"], tuple(map(tuple, finals["kinds"][kind]["strata"])))


def _joined(tallies: Sequence[Tally | None]) -> Tally | None:
    """Return one tally for several cells; None if one is missing.

    Strata that are sampled in the same way are one stratum: drawn apart they vary less than drawn together (Hoeffding
    1956, as for the mean over cells).
    """
    known = [tally for tally in tallies if tally is not None]
    if len(known) < len(tallies):
        return None
    alike: dict[tuple[int, int], list[int]] = {}
    for size, examined, hits in (stratum for tally in known for stratum in tally.strata):
        alike.setdefault((size, examined), []).append(hits)
    strata = ((len(hits) * size, len(hits) * examined, sum(hits)) for (size, examined), hits in alike.items())
    return Tally(sum(tally.total for tally in known), tuple(strata))


def _verdict(
    theorem: str, part: str, cells: Cells, needs: Hypotheses, tally: Tally | None, event: str, level: float
) -> dict[str, Any]:
    """Return a verdict by the rule of `verdicts`, with its words."""
    broken = [h for h in needs if h["held"] is False]
    unknown = [h for h in needs if h["held"] is None]
    found = None if tally is None or tally.estimate is None else tally.interval(level, one_sided=True)
    if broken:
        verdict = NOT_MET
    elif tally is None or found is None:
        verdict = NOT_DECIDED
    elif not tally.hits:
        verdict = CONSISTENT
    else:
        verdict = NOT_DECIDED if unknown else CONTRADICTED
    total = sum(cell["trajectories"] for cell in cells)
    scales = sorted({cell["c"] for cell in cells})
    c = f"c = {scales[0]:.6g}"
    which = "its probability, averaged over these cells," if len(cells) > 1 else "its probability"
    if len(scales) > 1:
        c = f"{len(scales)} step scales c from {scales[0]:.4g} to {scales[-1]:.4g}"
    where = f"{c}, {cells[0]['convention']}, {cells[0]['precision']}"
    if tally is None or found is None:
        words = f"It was not computed how many of {total:,} trajectories ({where}) {event}."
    else:
        who = f"{tally.hits:,} of {total:,} trajectories" if tally.hits else f"none of {total:,} trajectories"
        if not tally.complete:
            may, many = (sum(stratum[i] for stratum in tally.strata) for i in (0, 1))
            who = f"{tally.hits or 'none'} of {many:,} examined, of {may:,} candidates among {total:,} trajectories"
        bound = f"at most {found.high:.2g}"
        if tally.hits:
            bound = f"{found.estimate:.4g}, between {found.low:.4g} and {found.high:.4g}"
        words = f"{who[0].upper()}{who[1:]} ({where}) {event}: {which} is {bound} (exact, {level:.0%} confidence)."
    early = sum(cell["unbounded"] + cell["not_finite"] + cell["too_long"] for cell in cells)
    if early:
        words += f" {early:,} of them stopped early."
    reasons = broken or (unknown if verdict == NOT_DECIDED and tally is not None and tally.hits else [])
    if reasons:
        listed = "; ".join(f"{h['hypothesis']} ({h['why']})" for h in reasons)
        words += f" {'Not met' if broken else 'Left open by'}: {listed}."
    return {
        "theorem": theorem,
        "part": part,
        "verdict": verdict,
        "words": words,
        "convention": cells[0]["convention"],
        "precision": cells[0]["precision"],
        "cells": len(cells),
        "trajectories": total,
        "hits": tally.hits if tally else None,
        "estimate": found.estimate if found else None,
        "low": found.low if found else 0.0,
        "high": found.high if found else 1.0,
        "level": level,
        "method": found.method if found else "not computed",
        "hypotheses": needs,
    }
