"""The page docs/findings/results.md: the known answers of all scenarios, and the verdicts on the theorems."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simsa import questions
from simsa.ensemble.plan import plan
from simsa.ensemble.resolve import resolve
from simsa.errors import known
from simsa.records.disk import read_json
from simsa.report.section import Link, Paragraph, Section, Summary, Table, Text, marked
from simsa.report.words import event, scales
from simsa.scenario import load
from simsa.vocabulary import Event, Met, PointKind, Verdict, family, named

HEAD = """\
Every scenario of `scenarios/`, run in full. `make catalogue` writes this page from the records; it is not edited by
hand. The comment at the top of each scenario derives its known answers; [definitions](../theory/definitions.md) defines
the terms.\
"""

CLAIMS = """\
A claim is that an event has the probability *known*, for trajectories with the step scales *c*. *Hits* are the
trajectories with the event; "examined" means that only a sample was classified. *Measured* is the estimated probability
in a cell with its exact two-sided interval; for several cells, the range of the estimates and the range of the
intervals. All intervals of a scenario hold together with 95 %, and so do its tests (Holm)."""

VERDICTS = """\
There is a row for each part of Theorems 4 and 7, convention and precision. *Hits* are the trajectories that are
evidence against the part: those that landed (Theorem 7); those that did not converge to a selection critical point,
or that ended at an artificial critical point (Theorem 4). "In a sample of" means that not all of them were
classified. *Probability* is that of a hit, averaged over the cells, with the exact two-sided interval at 95 %, and
after no hit also the exact one-sided bound, 1 - 0.05^(1/N) after N trajectories. The last column names the hypotheses
that are the reason for the verdict: those not met, or those that are open, or those that the proof covers although
they are not met as the theorem states them."""

CLAIMED = ("scenario", "claim", "event", "c", "known", "hits", "measured", "verdict")
JUDGED = (
    "scenario", "part", "cells", "steps", "hits", "probability", "verdict", "not met; open; or covered by the proof"
)  # fmt: skip
"""The columns of the two tables."""

REASONS = {
    Verdict.CONSISTENT: Met.COVERED,
    Verdict.CONTRADICTED: Met.COVERED,
    Verdict.NOT_DECIDED: Met.OPEN,
    Verdict.NOT_MET: Met.NOT_MET,
}
"""The state of the hypotheses that are named beside each verdict, as its reason."""

Row = tuple[Text, ...]


def summary_of(file: Path, folder: Path) -> Summary | str:
    """Return the summary of a scenario's run, or in words why there is none for the file as it is now.

    file: the scenario. folder: that of its run. The summary is out of date if the digest of the scenario has changed,
    or its claims, which are not part of the digest.
    """
    summary = read_json(folder / "summary.json")
    if summary is None:
        return "not run"
    scenario = load(file)
    claimed = {(entry["claim"], entry["event"], entry["claimed_text"], entry["text"]) for entry in summary["claims"]}
    now = {(i, one.event, one.probability_text, one.text) for i, one in enumerate(questions.claims(scenario))}
    if summary["digest"] != plan(resolve(scenario)).layout.digest or claimed != now:
        return "not run since the file changed"
    return summary


def rejected(summary: Summary | str) -> bool:
    """Tell whether a claim was rejected in a run; False if there is no summary, but only the words for why."""
    return not isinstance(summary, str) and any(entry["holds"] is False for entry in summary["claims"])


def sections(summaries: Mapping[str, Summary | str]) -> list[Section]:
    """Return the sections of the page.

    summaries: by the name of each scenario, in the order of the rows, its summary, or in words why there is none
    (`summary_of`). Raises SimsaError if a summary has an unknown verdict.
    """
    claims: list[Row] = []
    verdicts: list[Row] = []
    for name, summary in summaries.items():
        link = (Link(name, f"../../scenarios/{name}.toml"),)
        if isinstance(summary, str):
            claims.append((link, summary, *[""] * 6))
        else:
            claims += [(link, *row) for row in _claimed(summary)] or [(link, "none", *[""] * 6)]
            verdicts += [(link, *row) for row in judged(summary)]
    answers = Table(CLAIMED, tuple(claims), "l" * len(CLAIMED))
    parts = Table(JUDGED, tuple(verdicts), "l" * len(JUDGED))
    return [
        Section("Results", (Paragraph(marked(HEAD)),)),
        Section("Known answers", (Paragraph(marked(CLAIMS)), answers)),
        Section("Verdicts on the theorems", (Paragraph(marked(VERDICTS)), parts)),
    ]


def _claimed(summary: Summary) -> Iterator[tuple[str, ...]]:
    """Yield a row, without the scenario, for each claim of a run."""
    for number in dict.fromkeys(entry["claim"] for entry in summary["claims"]):
        mine = [entry for entry in summary["claims"] if entry["claim"] == number]
        first, tested = mine[0], [entry for entry in mine if entry["holds"] is not None]
        row = (
            first["text"],
            event(summary, first),
            scales([entry["c"] for entry in tested], digits=4),
            first["claimed_text"],
        )
        if not tested:
            yield (*row, "", "", first["method"])
            continue
        wrong = sum(not entry["holds"] for entry in tested)
        verdict = f"rejected in {wrong} of {len(tested)} cells" if wrong else "holds"
        yield (*row, _hits(summary, tested), _measured(tested), verdict)


def _hits(summary: Summary, entries: Sequence[Mapping[str, Any]]) -> str:
    """Return in words how many trajectories had the event of a claim, out of how many that were examined.

    entries: those of the claim that were tested, one for each cell.
    """
    total, found = sum(entry["trajectories"] for entry in entries), sum(entry["hits"] for entry in entries)
    looked, kind = total, entries[0]["event"]
    if kind in (PointKind.CLARKE, PointKind.ARTIFICIAL, Event.LANDED):
        looked = sum(_examined(summary["cells"][entry["cell"]], kind) for entry in entries)
    return f"{found:,} of {looked:,}" + (f" examined, of {total:,}" if looked < total else "")


def _examined(cell: Mapping[str, Any], kind: str) -> int:
    """Return for how many trajectories of a cell it was examined whether they landed, or ended as `kind`.

    kind: "landed", "clarke" or "artificial". Trajectories for which it is impossible need no examination, and count.
    """
    strata = cell["tie_kinds"]["strata"] if kind == Event.LANDED else cell["final_kinds"]["kinds"][kind]["strata"]
    left_out: int = sum(stratum[0] - stratum[1] for stratum in strata)
    return int(cell["trajectories"]) - left_out


def judged(summary: Summary) -> Iterator[tuple[str, ...]]:
    """Yield a row, without the scenario, for each verdict of a run.

    Raises SimsaError if a verdict is none of REASONS.
    """
    several = set(map(family, summary["verdicts"]))
    for one in summary["verdicts"]:
        known("verdict", one["verdict"], REASONS)
        where = f", {named(one)}" if len(several) > 1 else ""
        sampled = "hypergeometric" in one["method"]
        of = "in a sample of" if sampled else "of"
        yield (
            f"{one['theorem']}, {one['part']}{where}",
            str(one["cells"]),
            f"{summary['cells'][0]['steps']:,}",
            f"{one['hits']:,} {of} {one['trajectories']:,}" if one["examined"] else "not computed",
            _measured([one]) if one["examined"] else "",
            one["verdict"],
            "; ".join(h["hypothesis"] for h in one["hypotheses"] if h["state"] == REASONS[one["verdict"]]),
        )


def _measured(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the range of some estimates and of their two-sided intervals, and of a single one without hits the bound.

    entries: claims or verdicts, at least one, each with estimate, low, high and bound. Without an estimate, because
    some trajectories are undecided, it begins with "undecided".
    """
    low, high = min(entry["low"] for entry in entries), max(entry["high"] for entry in entries)
    estimates = [entry["estimate"] for entry in entries if entry["estimate"] is not None]
    least, largest = (f"{pick(estimates):.4g}" if estimates else "undecided" for pick in (min, max))
    bound = f"; at most {entries[0]['bound']:.2g}" if len(entries) == 1 and largest == "0" else ""
    return f"{least if least == largest else f'{least} to {largest}'} ({low:.4g} to {high:.4g}{bound})"
