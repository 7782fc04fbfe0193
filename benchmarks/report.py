"""Tables and the page docs/performance.md, from the records alone."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import ROOT
from benchmarks.peers import OURS, PEERS

DOCUMENT = ROOT / "docs" / "performance.md"
RECORDS = ROOT / "docs" / "performance.json"


def read(path: Path) -> dict[str, Any]:
    """Return the records of earlier parts, or none."""
    records: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {"runs": [], **records}


def keep(records: dict[str, Any], run: dict[str, Any]) -> None:
    """Add a run to the records, in the place of an earlier one of the same work and threads.

    Peers that the new run left out are dropped: what stands beside each other was measured beside each other.
    """
    same = [(r["work"], r["threads"]) for r in records["runs"]]
    key = run["work"], run["threads"]
    if key in same:
        records["runs"][same.index(key)] = run
    else:
        records["runs"].append(run)


def medians(run: dict[str, Any]) -> dict[str, float]:
    """Return the median rate by peer."""
    return {peer: float(np.median(rates)) for peer, rates in run["rates"].items()}


def best(run: dict[str, Any], peers: Any) -> tuple[str, float] | None:
    """Return the fastest of some peers that were measured, and its median."""
    found = {peer: rate for peer, rate in medians(run).items() if peer in peers}
    return max(found.items(), key=lambda item: item[1]) if found else None


def table(runs: list[dict[str, Any]]) -> str:
    """Return the runs as a Markdown table; the ratio is that of simsa's faster engine."""
    lines = [
        "| work | threads | who | traj-steps/s: median (lowest to highest) | GFLOP/s | simsa is faster by |",
        "|---|---|---|---|---|---|",
    ]
    for run in runs:
        ours = best(run, OURS)
        for peer, rates in run["rates"].items():
            median = float(np.median(rates))
            flops = f"{median * run['flops'] / 1e9:.1f}" if run["flops"] else ""
            ratio = "" if peer in OURS or ours is None else f"{ours[1] / median:.2f}"
            spread = f"{median:.3g} ({min(rates):.3g} to {max(rates):.3g})"
            cells = (run["title"], run["threads"], PEERS[peer].title, spread, flops, ratio)
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def roof(records: dict[str, Any]) -> str:
    """Return the machine's roofline, and the share of it that simsa's matrix products reach."""
    roofs = {key: value for key, value in records["roofline"].items() if key != "conditions"}
    names = list(next(iter(roofs.values())))
    units = [f"{name}, {'GB/s' if name in ('L1', 'L2') else 'GFLOP/s'}" for name in names]
    lines = ["| threads | " + " | ".join(units) + " |", "|---" * (len(units) + 1) + "|"]
    lines += [f"| {n} | " + " | ".join(f"{found[name]:.0f}" for name in names) + " |" for n, found in roofs.items()]
    lines += ["", "| work | threads | simsa, GFLOP/s | of unfused peak | of fused peak |", "|---|---|---|---|---|"]
    for run in records["runs"]:
        ours = best(run, OURS)
        if run["flops"] and ours and (found := roofs.get(str(run["threads"]))):
            rate, precision = ours[1] * run["flops"] / 1e9, run["precision"]
            peaks = [found[f"{precision} {way}"] for way in ("unfused", "fused")]
            shares = [f"{100 * rate / peak:.0f} %" for peak in peaks]
            lines.append(f"| {run['title']} | {run['threads']} | {rate:.1f} | " + " | ".join(shares) + " |")
    return "\n".join(lines)


def missing(runs: list[dict[str, Any]]) -> str:
    """Return what was not measured, and why."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for peer, reason in run["cannot"].items():
            titles = found.setdefault((PEERS[peer].title, reason), [])
            if run["title"] not in titles:
                titles.append(run["title"])
    lines = [f"- {peer}: {reason} ({'; '.join(titles)})." for (peer, reason), titles in found.items()]
    return "Not measured:\n\n" + "\n".join(lines) if lines else ""


def publish(records: dict[str, Any], parts: dict[str, str]) -> None:
    """Put the records beside the page, and each part into the page, between its marks."""
    RECORDS.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    document = DOCUMENT.read_text(encoding="utf-8")
    for name, text in parts.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        if begin not in document or end not in document:
            raise SystemExit(f"benchmarks: {DOCUMENT} has no marks {begin} and {end}")
        before, _, rest = document.partition(begin)
        _, _, after = rest.partition(end)
        document = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    DOCUMENT.write_text(document, encoding="utf-8")


def parts(records: dict[str, Any]) -> dict[str, str]:
    """Return the generated parts of the page by name."""
    text = ", ".join(f"{key} {value}" for key, value in records["conditions"].items())
    runs = records["runs"]
    if loads := [run["conditions"]["load"] for run in runs]:
        text += f". Works may be measured one by one; the load average after each was {min(loads)} to {max(loads)}"
    result = {"benchmarks": "\n\n".join(filter(None, [text, table(runs), missing(runs)]))}
    if "roofline" in records:
        result["roofline"] = roof(records)
    if "growth" in records:
        slopes = [f"{name} {panel['slope']:.2f}" for name, panel in records["growth"]["panels"].items()]
        result["growth"] = f"Slopes on log-log axes: {', '.join(slopes)}."
    return result
