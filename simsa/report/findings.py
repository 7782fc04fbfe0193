"""The sections on bad step scales, claims, verdicts, and how the hypotheses are met.

`matrix`, `bad_scales`, `claims`, `verdicts` and `hypotheses` go from the summary of a run to a section, or to None.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simsa.errors import known
from simsa.report.answers import scope
from simsa.report.section import Bullets, Paragraph, Section, Summary, Table
from simsa.report.words import differing, event, grouped, interval, percent, scales
from simsa.vocabulary import AXES, Met, families, family

STATES = (Met.NOT_MET, Met.OPEN, Met.COVERED, Met.AS_STATED)
"""How a hypothesis can be met, in the order in which they are listed."""


def bad_scales(summary: Summary) -> Section | None:
    """Return the predicted bad step scales of a summary, and the landings there; None if the summary has none."""
    bad = summary.get("bad_scales")
    if bad is None:
        return None
    details: tuple[str, ...] = ()
    if not bad["computed"]:
        text = f"not computed, because {bad['why']}"
    elif not bad["steps"]:
        text = "none predicted"
    else:
        taken = [one["c"] for one in bad["scales"] if one["cells"]]
        text = (
            f"predicted bad steps 1/lambda: {len(bad['steps'])}; bad scales c = 1/(lambda alpha_k) in the range of the "
            f"sweep: {bad['scales_in_all']}; cells at a bad scale: {scales(taken) if taken else 'none'}"
        )
        details = tuple(_there(bad))
    return Section("Bad step scales", (Paragraph(text, details),), heading="run in", detail=True)


def _there(bad: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many landed at bad scales and elsewhere, for each family of cells; equal ones share a line.

    bad: the `bad_scales` of a summary.
    """
    for key, where in (("at", "at bad scales"), ("elsewhere", "at other scales")):
        found: dict[str, list[Mapping[str, Any]]] = {}
        for p in bad[key]:
            said = f"landed {p['landed']:,} of {p['trajectories']:,} trajectories, {interval(p)}"
            found.setdefault(said, []).append(p)
        for said, alike in found.items():
            named = f" ({families(alike)})" if len(bad[key]) > 1 else ""
            yield f"{where}{named}: {said}"


def claims(summary: Summary) -> Section | None:
    """Return an item for each claim of a summary, with the cells in which it is rejected; None without claims.

    It is no detail if a claim is rejected.
    """
    entries = summary.get("claims") or []
    if not entries:
        return None
    by_claim: dict[int, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_claim.setdefault(entry["claim"], []).append(entry)
    items = tuple(_claim(summary, mine) for mine in by_claim.values())
    title = f"Claims, tested together (exact tests, Holm) at {percent(entries[0]['level'])}"
    return Section(title, (Bullets(items),), detail=all(entry["holds"] is not False for entry in entries))


def _claim(summary: Summary, entries: list[Mapping[str, Any]]) -> Paragraph:
    """Return in words whether a claim holds, in how many cells, and what was found in those where it is rejected.

    entries: those of the claim, one for each cell that it is about.
    """
    tested = [entry for entry in entries if entry["holds"] is not None]
    rejected = [entry for entry in tested if not entry["holds"]]
    first = entries[0]
    state = "REJECTED" if rejected else "holds" if tested else first["method"]
    where = f" in {len(rejected or tested)} of {len(entries)} cells" if len(entries) > 1 else ""
    keys = ("convention", "precision", *differing(entries, ("setting",)))
    rows = grouped(rejected, keys, {"found": interval})
    return Paragraph(
        f"{state}{where}: P({event(summary, first)}) = {first['claimed_text']} ({first['text']})",
        tuple(f"c = {'; '.join(where)}: found {found}" for (*where, found), _ in rows),
    )


Verdicts = list[Mapping[str, Any]]


def _by_part(summary: Summary) -> dict[str, Verdicts]:
    """Return the verdicts of a summary by the part of a theorem, with the step scales if these divide a part."""
    scopes: dict[tuple[str, str], dict[str, Verdicts]] = {}
    for one in summary["verdicts"]:
        scopes.setdefault((one["theorem"], one["part"]), {}).setdefault(scope([one]), []).append(one)
    return {
        f"Theorem {theorem}, {part}{f' ({where})' if len(divided) > 1 else ''}": mine
        for (theorem, part), divided in scopes.items()
        for where, mine in divided.items()
    }


def matrix(summary: Summary) -> Section | None:
    """Return the verdicts of a summary as a table: a row for each part, a column for each family of cells.

    Families with the same entries share a column. None if there are no verdicts.
    """
    rows = _by_part(summary)
    columns: dict[tuple[str, ...], Verdicts] = {}
    for key in dict.fromkeys(map(family, summary["verdicts"])):
        found = [[one for one in mine if family(one) == key] for mine in rows.values()]
        entries = tuple("; ".join(map(_entry, mine)) for mine in found)
        columns.setdefault(entries, []).append(dict(zip(AXES, key, strict=True)))
    if not rows:
        return None
    header = ("", *map(families, columns.values()))
    table = Table(header, tuple(zip(rows, *columns, strict=True)), "l" * len(header))
    note = "In brackets: the hits, which are trajectories that are evidence against the part, and of how many."
    return Section("Verdicts on the theorems of Bolte and Pauwels (2020)", (table, Paragraph(note)))


def _entry(verdict: Mapping[str, Any]) -> str:
    """Return a verdict with its number of hits, as in "consistent (0 of 120)"."""
    if not verdict["examined"]:
        return f"{verdict['verdict']} (not computed)"
    of = "in a sample from" if "hypergeometric" in verdict["method"] else "of"
    return f"{verdict['verdict']} ({verdict['hits']:,} {of} {verdict['trajectories']:,})"


def verdicts(summary: Summary) -> Section | None:
    """Return what each verdict of a summary is from; those with the same words about the same c share an item.

    None if there are no verdicts.
    """
    found: dict[tuple[str, ...], Verdicts] = {}
    for verdict in summary["verdicts"]:
        part = f"Theorem {verdict['theorem']}, {verdict['part']}"
        found.setdefault((part, _cells(verdict), verdict["words"]), []).append(verdict)
    if not found:
        return None
    items = [f"{part} ({which}; {families(alike)}): {words}" for (part, which, words), alike in found.items()]
    note = (
        "Probabilities are means over the cells named, each with its exact two-sided interval, and after no hit with "
        f"the exact one-sided bound, at {percent(summary['verdicts'][0]['level'])}."
    )
    return Section("What the verdicts are from", (Paragraph(note), Bullets(tuple(map(Paragraph, items)))), detail=True)


def _cells(verdict: Mapping[str, Any]) -> str:
    """Return the step scales that a verdict is about, in words."""
    low, high = verdict["c"]
    return f"c = {low:.6g}" if low == high else f"{verdict['cells']} step scales c from {low:.6g} to {high:.6g}"


def hypotheses(summary: Summary) -> Section | None:
    """Return how the hypotheses are met, each reason once: in the order of STATES, and those met as stated in one item.

    summary: has the hypotheses as stated by the scenario, and as used by the verdicts. None if there are no hypotheses.
    Raises SimsaError if a hypothesis has an unknown state.
    """
    said = _reasons(summary)
    items = [
        f"{state}: {hypothesis} - {'; '.join(reasons)}"
        for state in STATES
        if state != Met.AS_STATED
        for (found, hypothesis), reasons in said.items()
        if found == state
    ]
    elsewhere = {hypothesis for state, hypothesis in said if state != Met.AS_STATED}
    plain = [
        f"{hypothesis} ({'; '.join(reasons)})" if hypothesis in elsewhere else hypothesis
        for (state, hypothesis), reasons in said.items()
        if state == Met.AS_STATED
    ]
    if plain:
        items.append(f"{Met.AS_STATED}: {'; '.join(plain)}")
    return Section("Hypotheses", (Bullets(tuple(map(Paragraph, items))),), detail=True) if items else None


def _reasons(summary: Summary) -> dict[tuple[str, str], list[str]]:
    """Return the reasons by the state and the name of a hypothesis, each reason once.

    If the verdicts use a hypothesis, its states there, which are decided cell by cell, replace that of the scenario.
    """
    judged = [one for verdict in summary["verdicts"] for one in verdict["hypotheses"]]
    named = {one["hypothesis"] for one in judged}
    entries: Iterable[Mapping[str, Any]] = (
        *(one for one in summary["hypotheses"] if one["hypothesis"] not in named),
        *judged,
    )
    said: dict[tuple[str, str], list[str]] = {}
    for one in entries:
        known("state of a hypothesis", one["state"], STATES)
        reasons = said.setdefault((one["state"], one["hypothesis"]), [])
        if one["why"] not in reasons:
            reasons.append(one["why"])
    return said
