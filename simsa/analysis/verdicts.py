"""Verdicts of a run on the theorems of Bolte and Pauwels (NeurIPS 2020), in words.

A verdict is a pure function of a summary. It is never "proved": the theorems are about real numbers and limits, and a
run has finitely many steps in some arithmetic.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from simsa.analysis.intervals import LEVEL, Interval, Stratum, Tally
from simsa.analysis.landings import joined, landed
from simsa.formats import EXACT
from simsa.vocabulary import AXES, Asked, Met, PointKind, Verdict, family

BAD_STEP = "at predicted bad scales some c alpha_k is 1/lambda for a constant eigenvalue lambda"
"""Why a step is in F, the finite set of Theorem 7."""

Cells = Sequence[Mapping[str, Any]]
Hypotheses = list[dict[str, Any]]
Stated = Sequence[Mapping[str, Any]]


def verdicts(
    cells: Cells,
    hypotheses: Stated,
    bad: Mapping[str, Any] | None = None,
    level: float = LEVEL,
) -> list[dict[str, Any]]:
    """Return the verdicts on Theorems 4 and 7, for each convention, precision and setting of a run.

    cells: those of the summary. hypotheses: those of the scenario. bad: the summary's `bad_scales`, or None. level:
    confidence of the intervals, in (0, 1).

    Each verdict has theorem, part, verdict, words, convention, precision, setting, c (the least and the largest), the
    number of cells and trajectories, `hits` (the number of runs that are evidence against the part), estimate, low,
    high, bound, level and method of their probability, averaged over the cells, and `hypotheses`: those that this part
    needs, each with state and why. `words` name neither the cells nor the level, which stand beside them.

    Hypotheses are decided for each cell. Cells at predicted bad step scales have verdicts of their own. So do, for the
    parts on limits, cells with c above 1, and cells in which a run left the ball.

    A verdict is `hypothesis not met` if a hypothesis is not met, whatever was found. Otherwise it is `consistent` if no
    run is evidence against the part; `contradicted` if some run is, and every hypothesis is met, as stated or covered
    by the proof; and `not decided` in all other cases. So a landing in floating point contradicts nothing: rounding may
    have made it.
    """
    at_bad = set(bad["cells"]) if bad else set()
    found = []
    for key in dict.fromkeys(map(family, cells)):
        group = [i for i, cell in enumerate(cells) if family(cell) == key]
        mine = [cells[i] for i in group]
        setting = mine[0].get("setting", "")
        stated = [one for one in hypotheses if one.get("setting", setting) == setting]
        good = [cells[i] for i in group if i not in at_bad]
        at_bad_steps = [cells[i] for i in group if i in at_bad]
        if good:
            found.append(_finite_time(good, stated, bad, level))
        if at_bad_steps:
            found.append(_bad_steps(at_bad_steps, stated, level))
        found += [_limits(part, stated, level) for part in _by_hypotheses(mine)]
        found += [_artificial(part, stated, not good, level) for part in _by_hypotheses(good or at_bad_steps)]
    return found


def _by_hypotheses(cells: Cells) -> list[Cells]:
    """Return the cells in groups for which the same hypotheses are met: by c above 1, and by runs in the ball."""
    parts: dict[tuple[bool, bool], list[Mapping[str, Any]]] = {}
    for cell in cells:
        parts.setdefault((cell["c"] > 1, bool(_unbounded([cell]))), []).append(cell)
    return [parts[key] for key in sorted(parts)]


def _unbounded(cells: Cells) -> int:
    """Return how many runs left the ball, or met a number that is not finite."""
    return sum(cell["unbounded"] + cell["not_finite"] for cell in cells)


def _finite_time(cells: Cells, stated: Stated, bad: Mapping[str, Any] | None, level: float) -> dict[str, Any]:
    """Theorem 7, in finite time: unless a step is in F, for almost all x_0 no iterate is in Sing or C."""
    avoids = _met(Asked.GOOD_STEPS, Met.OPEN, "the bad steps were not computed")
    if any(one["hypothesis"] == Asked.ALMOST_ALL_C and one["state"] == Met.AS_STATED for one in stated):
        avoids = _met(Asked.GOOD_STEPS, Met.AS_STATED, "c is drawn from a density, and bad c are countably many")
    elif bad and bad["computed"]:
        where = "at the other scales " if bad["cells"] else ""
        why = f"{where}no step is one of the bad steps that were found; bricks that were not sampled may have others"
        avoids = _met(Asked.GOOD_STEPS, Met.OPEN, why)
    needs = [*_on_terms(stated), _hypothesis(stated, Asked.STARTS, cells), avoids, _reals(cells)]
    event = f"Landed where AD's answer depends on a tie (Sing or C) within {_steps(cells)}"
    return _verdict("7", "finite time", cells, needs, joined(map(landed, cells)), event, _certified(cells), level)


def _bad_steps(cells: Cells, stated: Stated, level: float) -> dict[str, Any]:
    """Theorem 7, steps in F: at a bad step, landing may have positive probability."""
    needs = [
        *_on_terms(stated),
        _hypothesis(stated, Asked.STARTS, cells),
        _met(Asked.GOOD_STEPS, Met.NOT_MET, BAD_STEP),
    ]
    event = f"Landed in Sing or C within {_steps(cells)}, at predicted bad step scales"
    return _verdict("7", "bad steps", cells, needs, joined(map(landed, cells)), event, _certified(cells), level)


def _limits(cells: Cells, stated: Stated, level: float) -> dict[str, Any]:
    """Theorem 4, first part: for every x_0, J(x_k) converges and limits are selection critical.

    Evidence against it is a run that has not converged. It may do so later, so this part is never contradicted.
    """
    names = (Asked.VANISHING, Asked.DIVERGENT, Asked.UNIT, Asked.BATCHES)
    needs = [*_on_terms(stated), *(_hypothesis(stated, name, cells) for name in names), _bounded(cells)]
    needs.append(_met(Asked.ENDLESS, Met.OPEN, "a run is finite, and one that has not converged may do so later"))
    event = f"Not converged to a selection critical point after {_steps(cells)}"
    tally = _joined([_of_kind(cell, PointKind.NOT_SETTLED) for cell in cells])
    return _verdict("4", "limits are selection critical", cells, needs, tally, event, "", level, "final points")


def _artificial(cells: Cells, stated: Stated, at_bad: bool, level: float) -> dict[str, Any]:
    """Theorem 4, second part: for almost all c and x_0 limits are Clarke critical, so none is artificial."""
    names = (Asked.VANISHING, Asked.DIVERGENT, Asked.UNIT, Asked.ALMOST_ALL_C, Asked.BATCHES, Asked.STARTS)
    needs = [*_on_terms(stated), *(_hypothesis(stated, name, cells) for name in names), _bounded(cells), _reals(cells)]
    if at_bad:
        needs.append(_met(Asked.GOOD_STEPS, Met.NOT_MET, BAD_STEP))
    tallies = [
        Tally.of(0, cell["trajectories"]) if _none_landed(cell) else _of_kind(cell, PointKind.ARTIFICIAL)
        for cell in cells
    ]
    event = f"At an artificial critical point after {_steps(cells)}"
    sure = _certified(cells, "final_kinds")
    return _verdict(
        "4", "limits are Clarke critical", cells, needs, _joined(tallies), event, sure, level, "final points"
    )


def _steps(cells: Cells) -> str:
    """Return how many steps a run has, in words: "1 step", "1,000 steps"."""
    steps: int = cells[0]["steps"]
    return f"{steps:,} step" + "s" * (steps != 1)


def _none_landed(cell: Mapping[str, Any]) -> bool:
    """Tell whether it is known that no trajectory of a cell landed."""
    tally = landed(cell)
    return tally.complete and not tally.hits


def _met(hypothesis: Asked, state: Met, why: str) -> dict[str, Any]:
    """Return a hypothesis, how it is met, and why."""
    return {"hypothesis": hypothesis, "state": state, "why": why}


def _hypothesis(stated: Stated, hypothesis: Asked, cells: Cells) -> dict[str, Any]:
    """Return a hypothesis as the scenario states it for these cells; open if it states nothing about it."""
    scales = {cell["c"] for cell in cells}
    for one in stated:
        if one["hypothesis"] == hypothesis and (one["c"] is None or scales <= set(one["c"])):
            return _met(hypothesis, Met(one["state"]), one["why"])
    return _met(hypothesis, Met.OPEN, "the records do not say")


def _on_terms(stated: Stated) -> Hypotheses:
    """Return the stated hypotheses that every part needs: a finite sum, recursion (8), and continuous f_i."""
    names = (Asked.FINITE_SUM, Asked.RECURSION, Asked.CONTINUOUS)
    return [_met(name, Met(one["state"]), one["why"]) for name in names for one in stated if one["hypothesis"] == name]


def _bounded(cells: Cells) -> dict[str, Any]:
    """Return whether all runs stayed in the ball, and finite."""
    left, total = _unbounded(cells), sum(c["trajectories"] for c in cells)
    why = f"{left:,} of {total:,} runs left the ball or met a number that is not finite"
    if not left:
        why = f"all {total:,} runs stayed in the ball"
    return _met(Asked.BOUNDED, Met.NOT_MET if left else Met.AS_STATED, why)


def _reals(cells: Cells) -> dict[str, Any]:
    """Return whether the cells were computed over the reals."""
    precision = cells[0]["precision"]
    exact = precision == EXACT
    why = "rational arithmetic" if exact else f"in {precision}, rounding both makes and destroys landings"
    return _met(Asked.REALS, Met.AS_STATED if exact else Met.OPEN, why)


def _certified(cells: Cells, key: str = "tie_kinds") -> str:
    """Return a sentence on how many of the classified points are certified; empty if there are none."""
    sure, classified = (sum(cell.get(key, {}).get(name, 0) for cell in cells) for name in CERTIFIED[key])
    return f" The classification is certified for {sure:,} of {classified:,} points." if classified else ""


CERTIFIED = {"tie_kinds": ("certified", "classified"), "final_kinds": ("certified", "candidates")}
"""The names, in a cell of a summary, of the number of certified points and of the number that they are out of."""


def _of_kind(cell: Mapping[str, Any], kind: PointKind) -> Tally | None:
    """Return the tally of a kind of final point in a cell; None if none were classified."""
    finals = cell.get("final_kinds")
    if not finals or finals["why"]:
        return None
    return Tally(cell["trajectories"], tuple(Stratum(*stratum) for stratum in finals["kinds"][kind]["strata"]))


def _joined(tallies: Sequence[Tally | None]) -> Tally | None:
    """Return one tally for several cells; None if one is missing."""
    known = [tally for tally in tallies if tally is not None]
    return None if len(known) < len(tallies) else joined(known)


def _verdict(
    theorem: str,
    part: str,
    cells: Cells,
    needs: Hypotheses,
    tally: Tally | None,
    event: str,
    certified: str,
    level: float,
    points: str = "sensitive points",
) -> dict[str, Any]:
    """Return a verdict by the rule of `verdicts`, with its words.

    points: what has to be classified for it.
    """
    broken, unknown = ([h for h in needs if h["state"] == state] for state in (Met.NOT_MET, Met.OPEN))
    found = None if tally is None else tally.interval(level)
    if broken:
        verdict = Verdict.NOT_MET
    elif tally is None or not tally.total or not tally.examined or (tally.unknown and not tally.hits):
        verdict = Verdict.NOT_DECIDED
    elif not tally.hits:
        verdict = Verdict.CONSISTENT
    else:
        verdict = Verdict.NOT_DECIDED if unknown else Verdict.CONTRADICTED
    total = sum(cell["trajectories"] for cell in cells)
    scales = sorted({cell["c"] for cell in cells})
    words = f"{event}: {_counted(tally, total, points)}"
    if tally is not None and tally.examined and found is not None:
        words += f"; probability {limits(found)}.{certified}"
    elif tally is not None and found is not None and tally.total:
        words += f"; probability at most {_percent(found.bound)} %."
    else:
        words += "."
    if early := sum(cell["unbounded"] + cell["not_finite"] + cell["too_long"] for cell in cells):
        words += f" {early:,} trajectories stopped early."
    reasons = broken or (unknown if verdict == Verdict.NOT_DECIDED and tally is not None and tally.hits else [])
    if reasons:
        listed = "; ".join(h["hypothesis"] for h in reasons)
        words += f" {'Hypotheses not met' if broken else 'Hypotheses left open'}: {listed}."
    return {
        "theorem": theorem,
        "part": part,
        "verdict": verdict,
        "words": words,
        **dict(zip(AXES, family(cells[0]), strict=True)),
        "c": [scales[0], scales[-1]],
        "cells": len(cells),
        "trajectories": total,
        "examined": tally is not None and tally.examined,
        "hits": tally.hits if tally else None,
        "estimate": found.estimate if found else None,
        "low": found.low if found else 0.0,
        "high": found.high if found else 1.0,
        "bound": found.bound if found else 1.0,
        "level": level,
        "method": found.method if found else "not computed",
        "hypotheses": needs,
    }


def _counted(tally: Tally | None, total: int, points: str) -> str:
    """Return in words how many of `total` trajectories had an event, and how many were examined.

    points: what was not examined, if that is why it is not known.
    """
    if tally is None or not total:
        return f"not computed for {total:,} trajectories, as {points} were not examined"
    candidates, examined = (sum(stratum[i] for stratum in tally.strata) for i in (0, 1))
    among = f"all {total:,} trajectories"
    if candidates < total:
        among = f"the {candidates:,} of {total:,} trajectories for which it is possible"
    if not tally.examined:
        return f"not computed for {among}, as {points} were not examined"
    words = f"{tally.hits:,}" if tally.hits else "none"
    words += (
        f" of {examined:,} examined, drawn from {among}" if candidates > examined else f" of {total:,} trajectories"
    )
    return words + (f"; {tally.unknown:,} are undecided" if tally.unknown else "")


def limits(found: Interval) -> str:
    """Return a probability in words, as percentages: "about 8 % (5 to 12 %)", or "0 % (0 to 3 %; at most 2.5 %)".

    In brackets is the exact two-sided interval; where nothing was found, also the exact one-sided bound. Where there is
    no estimate, the limits stand alone.
    """
    low, high = _percent(found.low), _percent(found.high)
    if found.estimate is None:
        return f"{low} to {high} %"
    if not found.estimate:
        return f"0 % ({low} to {high} %; one-sided, at most {_percent(found.bound)} %)"
    return f"about {_percent(found.estimate)} % ({low} to {high} %)"


def _percent(probability: float) -> str:
    """Return a probability in percent, to three digits, without the sign."""
    return f"{100 * probability:.3g}"
