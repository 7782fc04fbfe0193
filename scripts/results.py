"""Run every scenario in full, or those named after --only, and write docs/results.md from their summaries.

Runs under results/ are continued, and summarised again: claims may be new. The page is about every scenario; one
without results, or with those of another version of its file, is said to have none. Exit codes: 0 done, 1 a claim was
rejected, 2 a scenario could not be run, 3 interrupted (the same line continues).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from simsa import report
from simsa.cli import BAD_INPUT, DONE, INTERRUPTED, main
from simsa.ensemble.plan import plan
from simsa.ensemble.resolve import resolve
from simsa.scenario import load
from simsa.vocabulary import Met, Verdict

ROOT = Path(__file__).parent.parent
SCENARIOS, RESULTS, PAGE = ROOT / "scenarios", ROOT / "results", ROOT / "docs" / "results.md"

HEAD = """# Results

Every scenario of `scenarios/`, run in full. `make catalogue` writes this page from the records; it is not edited. The
opening comment of each scenario derives its known answers, [definitions.md](definitions.md) says what the words mean.
"""

CLAIMS = """
## Known answers

A claim is that an event has the probability *known*, for trajectories with the step scales *c*. *Hits* are the
trajectories with the event; "examined" is said where a sample was classified. *Measured* is their share in a cell and
its exact two-sided interval; for several cells, the range of the shares, and that of the intervals. All intervals of a
scenario hold together with 95 %, and so do its tests (Holm).
"""

VERDICTS = """
## Verdicts on the theorems

For each part of Theorems 4 and 7, convention and precision. *Hits* are trajectories that speak against the part: that
landed (Theorem 7); that had not come near a critical point, or that ended at an artificial one (Theorem 4). "In a
sample of" is said where not all of them were classified. *Probability* is theirs, averaged over the cells, with the
exact two-sided interval at 95 %, and after no hit the one-sided bound 1 - 0.05^(1/N) as well. The last column has the
hypotheses that are not met; or that are open; or that the proof covers, though they are not met as the theorem states
them.
"""


REASONS = {
    Verdict.CONSISTENT: Met.COVERED,
    Verdict.CONTRADICTED: Met.COVERED,
    Verdict.NOT_DECIDED: Met.OPEN,
    Verdict.NOT_MET: Met.NOT_MET,
}
"""The hypotheses that are named beside a verdict."""


def stale(name: str, summary: Mapping[str, Any] | None) -> str:
    """Return why a summary does not tell about the scenario's file; empty if it does."""
    if summary is None:
        return "not run"
    scenario = load(SCENARIOS / f"{name}.toml")
    claimed = {(entry["claim"], entry["event"], entry["claimed_text"], entry["text"]) for entry in summary["claims"]}
    now = {(i, one.event, one.probability_text, one.text) for i, one in enumerate(report.claims(scenario))}
    if summary["digest"] != plan(resolve(scenario)).layout.digest or claimed != now:
        return "not run since the file changed"
    return ""


def read(name: str) -> dict[str, Any] | None:
    """Return the summary of a scenario's run, or None if there is none."""
    try:
        summary: dict[str, Any] = json.loads((RESULTS / name / "summary.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return summary


def page(names: Sequence[str]) -> str:
    """Return the text of the page: the claims of each scenario, then its verdicts."""
    claims = [["scenario", "claim", "event", "c", "known", "hits", "measured", "verdict"]]
    verdicts = [
        [
            "scenario",
            "part",
            "cells",
            "steps",
            "hits",
            "probability",
            "verdict",
            "not met; open; or covered by the proof",
        ]
    ]
    for name in names:
        link = f"[{name}](../scenarios/{name}.toml)"
        summary = read(name)
        why = stale(name, summary)
        if why or summary is None:
            print(f"{name}: {why}", file=sys.stderr)
            claims.append([link, why, *[""] * 6])
            continue
        claims += [[link, *row] for row in claimed(summary)] or [[link, "none", *[""] * 6]]
        verdicts += [[link, *row] for row in judged(summary)]
    return f"{HEAD}{CLAIMS}\n{table(claims)}{VERDICTS}\n{table(verdicts)}"


def claimed(summary: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield a row for each claim of a run."""
    for number in dict.fromkeys(entry["claim"] for entry in summary["claims"]):
        mine = [entry for entry in summary["claims"] if entry["claim"] == number]
        first, tested = mine[0], [entry for entry in mine if entry["holds"] is not None]
        row = [first["text"], report.event(summary, first), scales(tested), first["claimed_text"]]
        if not tested:
            yield [*row, "", "", first["method"]]
            continue
        total, found = sum(entry["trajectories"] for entry in tested), sum(entry["hits"] for entry in tested)
        looked = total
        if first["event"] in ("clarke", "artificial", "landed"):
            looked = sum(examined(summary["cells"][entry["cell"]], first["event"]) for entry in tested)
        hits = f"{found:,} of {looked:,}" + (f" examined, of {total:,}" if looked < total else "")
        rejected = sum(not entry["holds"] for entry in tested)
        verdict = f"rejected in {rejected} of {len(tested)} cells" if rejected else "holds"
        yield [*row, hits, measured(tested), verdict]


def examined(cell: Mapping[str, Any], kind: str) -> int:
    """Return of how many trajectories of a cell it was looked at whether they landed, or ended as `kind`.

    Those that cannot have, count: nothing needs to be looked at.
    """
    strata = cell["tie_kinds"]["strata"] if kind == "landed" else cell["final_kinds"]["kinds"][kind]["strata"]
    left_out: int = sum(stratum[0] - stratum[1] for stratum in strata)
    return int(cell["trajectories"]) - left_out


def judged(summary: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield a row for each verdict of a run."""
    several = {(one["convention"], one["precision"]) for one in summary["verdicts"]}
    for one in summary["verdicts"]:
        where = f", {one['convention']}, {one['precision']}" if len(several) > 1 else ""
        wanted = REASONS[one["verdict"]]
        reasons = [h["hypothesis"] for h in one["hypotheses"] if h["state"] == wanted]
        sampled = "hypergeometric" in one["method"]
        hits = "not computed"
        if one["examined"]:
            hits = f"{one['hits']:,} {'in a sample of' if sampled else 'of'} {one['trajectories']:,}"
        yield [
            f"{one['theorem']}, {one['part']}{where}",
            str(one["cells"]),
            f"{summary['cells'][0]['steps']:,}",
            hits,
            measured([one]) if one["examined"] else "",
            one["verdict"],
            "; ".join(reasons),
        ]


def scales(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the step scales of some cells."""
    c = sorted({entry["c"] for entry in entries})
    return ", ".join(f"{one:.4g}" for one in c) if len(c) <= 4 else f"{len(c)} from {c[0]:.4g} to {c[-1]:.4g}"


def measured(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the range of some estimates and of their two-sided intervals; and of one, the one-sided bound after none.

    Where something is undecided there is no estimate.
    """
    low, high = min(entry["low"] for entry in entries), max(entry["high"] for entry in entries)
    estimates = [entry["estimate"] for entry in entries if entry["estimate"] is not None]
    least, largest = (f"{pick(estimates):.4g}" if estimates else "undecided" for pick in (min, max))
    bound = f"; at most {entries[0]['bound']:.2g}" if len(entries) == 1 and largest == "0" else ""
    return f"{least if least == largest else f'{least} to {largest}'} ({low:.4g} to {high:.4g}{bound})"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, the first row its head."""
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def catalogue(arguments: Sequence[str] | None = None) -> int:
    """Run scenarios and write the page; return the exit code."""
    names = sorted(path.stem for path in SCENARIOS.glob("*.toml"))
    parser = argparse.ArgumentParser(description="run the catalogue of scenarios, and write docs/results.md")
    parser.add_argument("--only", nargs="*", default=names, choices=names, metavar="NAME", help="the scenarios to run")
    codes = [DONE]
    for name in parser.parse_args(arguments).only:
        words = ["sweep", str(SCENARIOS / f"{name}.toml"), "--out", str(RESULTS / name), "--resume"]
        codes.append(main(words, "simsa"))
        if codes[-1] == INTERRUPTED:
            return INTERRUPTED
    text = page(names)
    PAGE.write_text(text, encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")
    return BAD_INPUT if BAD_INPUT in codes else int("| rejected" in text)


if __name__ == "__main__":
    sys.exit(catalogue())
