"""The sections of what was found: bad step scales, claims, verdicts, and how the hypotheses are met.

`bad_scales`, `claims`, `verdicts` and `hypotheses` go from the summary of a run to a section, or to None.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from simsa.errors import known
from simsa.report.section import Bullets, Paragraph, Section, Summary
from simsa.report.words import event, interval, scale
from simsa.vocabulary import Met

STATES = (Met.NOT_MET, Met.OPEN, Met.COVERED, Met.AS_STATED)
"""How a hypothesis can be met, in the order in which they are listed."""


def bad_scales(summary: Summary) -> Section | None:
    """Return what a summary predicts about bad step scales, and what was found there; None if it was not asked."""
    bad = summary.get("bad_scales")
    if bad is None:
        return None
    details: tuple[str, ...] = ()
    if not bad["computed"]:
        text = f"not computed, {bad['why']}"
    elif not bad["steps"]:
        text = "none predicted"
    else:
        taken = ", ".join(dict.fromkeys(scale(one) for one in bad["scales"] if one["cells"])) or "none of the cells"
        text = (
            f"{len(bad['steps'])} bad step(s) 1/lambda predicted, which make {bad['scales_in_all']} bad scale(s) in "
            f"the range of the sweep; taken: {taken}"
        )
        details = tuple(_there(bad))
    return Section("Bad step scales", (Paragraph(text, details),), heading="run in")


def _there(bad: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many landed at bad scales and elsewhere, each convention and precision by itself.

    bad: the `bad_scales` of a summary.
    """
    for where in ("at", "elsewhere"):
        for p in bad[where]:
            family = f", {p['convention']}, {p['precision']}" if len(bad[where]) > 1 else ""
            yield f"{where}{family}: landed {p['landed']} of {p['trajectories']}, {interval(p)}"


def claims(summary: Summary) -> Section | None:
    """Return an item for each claim of a summary, with a line for each cell where it fails; None without claims."""
    entries = summary.get("claims") or []
    if not entries:
        return None
    by_claim: dict[int, list[Mapping[str, Any]]] = {}
    for entry in entries:
        by_claim.setdefault(entry["claim"], []).append(entry)
    items = tuple(_claim(summary, mine) for mine in by_claim.values())
    return Section(f"Claims, tested together at level {entries[0]['level']:.0%} (exact, Holm)", (Bullets(items),))


def _claim(summary: Summary, entries: list[Mapping[str, Any]]) -> Paragraph:
    """Return whether a claim holds, and in how many cells, and what was found where it does not.

    entries: those of the claim, one for each cell that it is about.
    """
    tested = [entry for entry in entries if entry["holds"] is not None]
    rejected = [entry for entry in tested if not entry["holds"]]
    first = entries[0]
    state = "REJECTED" if rejected else "holds" if tested else first["method"]
    where = f" in {len(rejected or tested)} of {len(entries)} cells" if len(entries) > 1 else ""
    return Paragraph(
        f"{state}{where}: P({event(summary, first)}) = {first['claimed_text']}: {first['text']}",
        tuple(f"c = {scale(one)}, {one['convention']}, {one['precision']}: found {interval(one)}" for one in rejected),
    )


def verdicts(summary: Summary) -> Section | None:
    """Return the verdicts of a summary, one item for conventions that share their words; None without verdicts."""
    found: dict[str, list[str]] = {}
    for verdict in summary["verdicts"]:
        line = f"Theorem {verdict['theorem']}, {verdict['part']}: {verdict['verdict']}. {verdict['words']}"
        mark = f", {verdict['convention']}, {verdict['precision']})"
        found.setdefault(line.replace(mark, f", {{}}, {verdict['precision']})"), []).append(verdict["convention"])
    items = [line.replace("{}", " and ".join(conventions)) for line, conventions in found.items()]
    return Section("Verdicts (Bolte and Pauwels 2020)", (Bullets(tuple(map(Paragraph, items))),)) if items else None


def hypotheses(summary: Summary) -> Section | None:
    """Return how the hypotheses are met, each reason once: those that are not met first, those as stated in one item.

    summary: has what the scenario and what the verdicts say of them. None if there are no hypotheses. Raises SimsaError
    if a hypothesis is met in a way that is none of STATES.
    """
    said = _reasons(summary)
    items = [
        f"{state}: {hypothesis}: {'; '.join(reasons)}"
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
    return Section("Hypotheses", (Bullets(tuple(map(Paragraph, items))),)) if items else None


def _reasons(summary: Summary) -> dict[tuple[str, str], list[str]]:
    """Return the reasons by the state and the name of a hypothesis, each reason once.

    What verdicts say of a hypothesis, cell by cell, stands for what the scenario says of it.
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
