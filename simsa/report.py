"""Between a run and its reader: what the analysis is asked, and its answers as text."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, combinations_with_replacement
from math import comb
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa.vocabulary import Met, PointKind, TieKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simsa.analysis import Claim, Subject
    from simsa.ensemble.plan import Plan
    from simsa.ensemble.resolve import Resolved
    from simsa.machine import Descent
    from simsa.scenario import Scenario

LINES = 60
"""Most cells that are printed."""

MOST_MINIBATCHES = 255
"""Minibatches beyond which they are not listed one by one: all subsets of eight samples."""

STARTS = 256
"""Initial points whose bounding box stands for where runs begin."""

WIDTH = 110
"""Columns of prose in a terminal."""


def subject(found: "Resolved", made: "Plan") -> "Subject":
    """Return what the analysis asks about besides the records: J under each convention, and the minibatches drawn.

    found: the scenario with all that it names. made: its plan.
    """
    from simsa import analysis, calculus
    from simsa.ensemble.replay import path
    from simsa.machine.launch import initial_points, minibatches, streamed

    descent, rows, cells = made.descent, made.rows, made.layout.cells

    def minibatch(cell: int, trajectory: int, step: int) -> Sequence[int]:
        return next(minibatches(descent, len(rows), cells[cell].scale, trajectory, step))

    def fresh(cell: int, trajectory: int, step: int) -> "NDArray[np.float64]":
        return streamed(descent, cells[cell].scale, trajectory, step)

    def points(cell: int, trajectory: int) -> "NDArray[np.float64]":
        return path(made, cells[cell], trajectory, looked_at(descent.steps))

    count = min(STARTS, made.layout.trajectories)
    starts = initial_points(descent, cells[0].scale, 0, count, made.layout.parameters)
    return analysis.Subject(
        objectives={label: calculus.objective(made_of, rows) for label, made_of in found.programs.items()},
        minibatch=minibatch,
        alpha=descent.alpha,
        minibatches=None if descent.stream else drawable(descent, len(rows)),
        box=(starts.min(axis=0), starts.max(axis=0)),
        classify=found.scenario.record.classify,
        fresh=fresh if descent.stream else None,
        path=points,
    )


def looked_at(steps: int) -> "NDArray[np.int64]":
    """Return at which steps a trajectory that is drawn is looked at: the first hundred, and then ever more rarely."""
    import numpy as np

    later = np.geomspace(100, max(steps, 100), 100).round().astype(np.int64)
    return np.union1d(np.arange(min(steps, 100) + 1), later[later <= steps])


def drawable(descent: "Descent", n: int) -> list[tuple[int, ...]] | None:
    """Return every minibatch that can be drawn from n samples, or None if there are more than MOST_MINIBATCHES."""
    size = descent.size
    match descent.law:
        case "full":
            return [tuple(range(n))]
        case "uniform_subset":
            sizes = [*range(1, n + 1)]
        case "reshuffled":
            sizes = sorted({min(size, n), n % size or min(size, n)})
        case "fixed_size" if descent.replace:
            few = comb(n + size - 1, size) <= MOST_MINIBATCHES
            return list(combinations_with_replacement(range(n), size)) if few else None
        case "fixed_size":
            sizes = [size]
        case law:
            raise ValueError(f"unknown law of minibatches '{law}'")
    if sum(comb(n, k) for k in sizes) > MOST_MINIBATCHES:
        return None
    return [batch for k in sizes for batch in combinations(range(n), k)]


def claims(scenario: "Scenario") -> list["Claim"]:
    """Return the scenario's known answers as the analysis tests them."""
    from simsa import analysis
    from simsa.scenario.model import rational

    return [
        analysis.Claim(
            event=said.event,
            probability=float(rational(said.probability)),
            text=said.text,
            probability_text=said.probability if isinstance(said.probability, str) else f"{said.probability:g}",
            c=said.scales(),
            convention=said.labels(),
            precision=said.precision,
        )
        for said in scenario.claim
    ]


def text(summary: Mapping[str, Any], folder: Path) -> str:
    """Return the results as text: a line for each cell, bad scales, claims, verdicts, and where the files are."""
    sections = (
        _table(summary),
        _observables(summary),
        _rounding(summary),
        _bad_scales(summary),
        _claims(summary),
        _verdicts(summary),
        _hypotheses(summary),
    )
    return "\n".join([line for section in sections for line in section] + [f"results: {folder}"])


def _table(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each cell, in the order of c."""
    cells = summary["cells"]
    level = cells[0]["probability"]["landed"]["level"]
    shown = [key for key in ("convention", "precision") if len({cell[key] for cell in cells}) > 1]
    ties = any(cell["tie_kinds"]["classified"] for cell in cells)
    ends = any(cell.get("final_kinds", {}).get("classified") for cell in cells)
    header = ["c", *shown, "trajectories", "tied", "sensitive", "landed", "P(landed)", f"{level:.0%} interval"]
    header += ["at most", "unbounded", "not finite", "settled", "moving"]
    header += ["harmless/C/Sing", "certified"] * ties + ["Clarke/artificial"] * ends
    rows = [header]
    listed = _listed(sorted(cells, key=lambda cell: float(cell["c"])))
    for cell in listed:
        p = cell["probability"]["landed"]
        rows.append(
            [
                f"{cell['c']:.6g}",
                *(cell[key] for key in shown),
                *(str(cell[key]) for key in ("trajectories", "tied", "sensitive")),
                _landed(cell["tie_kinds"]),
                "-" if p["estimate"] is None else f"{p['estimate']:.4g}",
                "{low:.4g} .. {high:.4g}".format_map(p),
                f"{p['bound']:.3g}",
                *(str(cell[key]) for key in ("unbounded", "not_finite")),
                *(str(cell["final"][key]) for key in ("settled", "moving")),
                *(
                    [
                        _kinds(cell["tie_kinds"], (TieKind.HARMLESS, TieKind.C, TieKind.SING)),
                        _certified(cell["tie_kinds"]),
                    ]
                    * ties
                ),
                *([_kinds(cell["final_kinds"], (PointKind.CLARKE, PointKind.ARTIFICIAL))] * ends),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shared = [cells[0][key] for key in ("convention", "precision") if key not in shown]
    yield ", ".join([summary["title"] or summary["scenario"], *shared, f"seed {summary['seed']}"])
    yield from ("  ".join(entry.rjust(width) for entry, width in zip(row, widths, strict=True)) for row in rows)
    if len(listed) < len(cells):
        rest = sum(cell["sensitive"] for cell in cells) - sum(cell["sensitive"] for cell in listed)
        yield f"and {len(cells) - len(listed)} cells more, with {rest} sensitive trajectories; summary.json has them"
    yield from _wrapped(
        f"P(landed): two-sided exact interval; at most: one-sided exact bound, after no landing 1 - {1 - level:.2g}^"
        f"(1/trajectories). Each holds with {level:.0%}."
    )
    if any(" of " in entry for row in rows[1:] for entry in row[len(header) - 2 * ties - ends :]):
        yield "of n: the sensitive, or final, points of n trajectories were classified, a sample of those there are"
    for why, concerned in _reasons(cells).items():
        yield from _wrapped(f"not classified in {concerned} of {len(cells)} cells: {why}; at most the sensitive landed")
    open_ones = [cell for cell in cells if any(stratum[3] for stratum in cell["tie_kinds"]["strata"])]
    if open_ones:
        later = sum(cell["tie_kinds"]["later"] for cell in open_ones)
        many = sum(stratum[3] for cell in open_ones for stratum in cell["tie_kinds"]["strata"])
        yield from _wrapped(
            f"{many} trajectories may have landed or not, which the intervals allow for: {later} met a later tie after "
            f"a sensitive one that was no landing, {many - later} first ones are undecided"
        )
    yield from _same_bits(summary)


def _landed(found: Mapping[str, Any]) -> str:
    """Return how many landed: "3"; "3 to 5", some undecided; "3 in 10 of 60", a sample; "0 to 60", not classified."""
    size, examined, hits, unknown = (sum(stratum[j] for stratum in found["strata"]) for j in range(4))
    counted = f"{hits} to {hits + unknown}" if unknown else str(hits)
    if size and not examined:
        return f"0 to {size}"
    return f"{counted} in {examined} of {size}" if examined < size else counted


def _reasons(cells: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return why sensitive points were not classified, and in how many cells."""
    return dict(Counter(cell["tie_kinds"]["why"] for cell in cells if cell["tie_kinds"]["why"]))


def _certified(found: Mapping[str, Any]) -> str:
    """Return of how many of the classified points the calculus is certain."""
    return f"{found['certified']} of {found['classified']}" if found["classified"] else "-"


def _same_bits(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield in how many comparisons the records of all conventions are the same bits."""
    found = summary.get("same_bits")
    if found and found["same"]:
        where = (
            "everywhere" if found["same"] == found["compared"] else f"in {found['same']} of {found['compared']} pairs"
        )
        names = ", ".join(found["conventions"])
        yield from _wrapped(f"same bits under all conventions ({names}) {where} of c and precision")


def _listed(cells: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the cells that are printed: all, or LINES of them: the most sensitive ones, and the outermost."""
    middle = (len(cells) - 1) / 2
    order = sorted(range(len(cells)), key=lambda i: (-cells[i]["sensitive"], -abs(i - middle)))
    return [cells[i] for i in sorted(order[:LINES])]


def _kinds(found: Mapping[str, Any], kinds: Sequence[str]) -> str:
    """Return counts as "3/0/1", and of how many if not all were classified."""
    if not found["classified"]:
        return "-"
    counts = "/".join(str(found["kinds"][kind]["count"]) for kind in kinds)
    sampled = found["classified"] < found["of"]
    return f"{counts} of {found['classified']}" if sampled else counts


def _observables(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the observables of each cell: the median at the end, how many have hit, and the median hitting time."""
    cells = sorted(summary["cells"], key=lambda cell: float(cell["c"]))
    if not any(cell.get("observables") for cell in cells):
        return
    shown = [key for key in ("convention", "precision") if len({cell[key] for cell in cells}) > 1]
    rows = [["observed", "c", *shown, "median at the end", "hit below", "hits", "P(hit)", "median step of the hit"]]
    for name in cells[0]["observables"]:
        for cell in cells:
            found = cell["observables"][name]
            hit = found.get("hit")
            last = found["quantiles"]["0.5"][-1]
            median = "-" if last is None else f"{last:.6g}"
            row = [name, f"{cell['c']:.6g}", *(cell[key] for key in shown), median]
            if hit is not None:
                time = hit["time"]["0.5"]
                row += [f"{hit['below']:.6g}", str(hit["hits"]), _interval(hit["probability"])]
                row += ["-" if time is None else f"{time:.0f}"]
            rows.append(row + [""] * (len(rows[0]) - len(row)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield from ("  ".join(e.rjust(w) for e, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _rounding(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield how landings with and without rounding compare on the same starts, and what exact runs left open."""
    found = sorted(summary.get("pairs") or [], key=lambda pair: float(pair["c"]))
    keys = ("both", "only_exact", "only_float", "neither", "unclassified")
    felt = [pair for pair in found if any(pair[key] for key in keys if key != "neither")]
    if found:
        yield "landed exactly and in floating point, on the same starts and minibatches:"
    if felt:
        shown = ["convention"] if len({pair["convention"] for pair in found}) > 1 else []
        header = ["c", *shown, "precision", "both", "only exactly", "only in float", "neither", "not classified"]
        rows = [[f"{pair['c']:.6g}", *(str(pair[key]) for key in (*shown, "precision", *keys))] for pair in felt]
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        yield from ("  ".join(e.rjust(w) for e, w in zip(row, widths, strict=True)) for row in (header, *rows))
    if rest := len(found) - len(felt):
        yield f"nothing landed in {'the other ' if felt else ''}{rest} of {len(found)} comparisons"
    cut = [cell for cell in summary["cells"] if cell.get("too_long")]
    if cut:
        scales = ", ".join(f"{cell['c']:.6g} ({cell['too_long']} of {cell['trajectories']})" for cell in cut)
        yield from _wrapped(
            "exact trajectories that stopped because their numbers had more than sgd.bits bits, so that what they "
            f"would have met later is not known: c = {scales}"
        )


def _bad_scales(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was predicted about bad step scales, and what was found there."""
    bad = summary.get("bad_scales")
    if bad is None:
        return
    if not bad["computed"]:
        yield f"bad step scales: not computed, {bad['why']}"
        return
    if not bad["steps"]:
        yield "bad step scales: none predicted"
        return
    there = [scale for scale in bad["scales"] if scale["cells"]]
    listed = ", ".join(f"{c:.6g}" for c in dict.fromkeys(scale["c"] for scale in there)) or "none of the cells"
    yield from _wrapped(
        f"bad step scales: {len(bad['steps'])} bad step(s) 1/lambda predicted, which make {bad['scales_in_all']} bad "
        f"scale(s) in the range of the sweep; taken: {listed}"
    )
    for where in ("at", "elsewhere"):
        for p in bad[where]:
            family = f", {p['convention']}, {p['precision']}" if len(bad[where]) > 1 else ""
            yield f"  {where}{family}: landed {p['landed']} of {p['trajectories']}, {_interval(p)}"


def _interval(p: Mapping[str, Any]) -> str:
    """Return an estimate with its two-sided interval, and the one-sided bound."""
    estimate = "" if p["estimate"] is None else f"{p['estimate']:.4g} "
    return f"{estimate}({p['low']:.4g} .. {p['high']:.4g}; at most {p['bound']:.3g})"


def _claims(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each claim, and one for each cell where it does not hold."""
    entries = summary.get("claims") or []
    if entries:
        yield f"claims, tested together at level {entries[0]['level']:.0%} (exact, Holm):"
    for number in dict.fromkeys(entry["claim"] for entry in entries):
        mine = [entry for entry in entries if entry["claim"] == number]
        tested = [entry for entry in mine if entry["holds"] is not None]
        rejected = [entry for entry in tested if not entry["holds"]]
        state = "REJECTED" if rejected else "holds" if tested else mine[0]["method"]
        where = f"in {len(rejected or tested)} of {len(mine)} cells" if len(mine) > 1 else ""
        yield from _wrapped(
            f"- {state} {where}".rstrip()
            + f": P({event(summary, mine[0])}) = {mine[0]['claimed_text']}: {mine[0]['text']}"
        )
        for entry in rejected:
            yield f"  c = {entry['c']:.6g}, {entry['convention']}, {entry['precision']}: found {_interval(entry)}"


def event(summary: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    """Return the event of a claim in words: of an observable, what hits."""
    observed = summary["cells"][0].get("observables") or {}
    hit = observed.get(entry["event"], {}).get("hit")
    return entry["event"] if hit is None else f"{entry['event']} <= {hit['below']:g}"


def _verdicts(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield the verdicts with their words; one line for conventions of which the same is to be said."""
    found: dict[str, list[str]] = {}
    for verdict in summary["verdicts"]:
        line = f"Theorem {verdict['theorem']}, {verdict['part']}: {verdict['verdict']}. {verdict['words']}"
        mark = f", {verdict['convention']}, {verdict['precision']})"
        found.setdefault(line.replace(mark, f", {{}}, {verdict['precision']})"), []).append(verdict["convention"])
    if found:
        yield "verdicts (Bolte and Pauwels 2020):"
    for line, conventions in found.items():
        yield from _wrapped(f"- {line.replace('{}', ' and '.join(conventions))}")


def _hypotheses(summary: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the hypotheses are met, each reason once: those that are not met first, those as stated in one line."""
    said: dict[tuple[str, str], list[str]] = {}
    named = {one["hypothesis"] for verdict in summary["verdicts"] for one in verdict["hypotheses"]}
    scenario = [one for one in summary["hypotheses"] if one["hypothesis"] not in named]
    for one in (*scenario, *(one for verdict in summary["verdicts"] for one in verdict["hypotheses"])):
        entries = said.setdefault((one["state"], one["hypothesis"]), [])
        if one["why"] not in entries:
            entries.append(one["why"])
    if said:
        yield "hypotheses:"
    for state in (Met.NOT_MET, Met.OPEN, Met.COVERED):
        for (found, hypothesis), reasons in said.items():
            if found == state:
                yield from _wrapped(f"- {state}: {hypothesis}: {'; '.join(reasons)}")
    elsewhere = {hypothesis for state, hypothesis in said if state != Met.AS_STATED}
    plain = [
        f"{hypothesis} ({'; '.join(reasons)})" if hypothesis in elsewhere else hypothesis
        for (state, hypothesis), reasons in said.items()
        if state == Met.AS_STATED
    ]
    if plain:
        yield from _wrapped(f"- as stated: {'; '.join(plain)}")


def _wrapped(line: str) -> list[str]:
    """Return prose cut to the width of a terminal."""
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ")
