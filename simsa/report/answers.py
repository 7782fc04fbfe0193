"""The sentences that a report begins with: what was found, and what to do next.

`answers` goes from the summary of a run to at most MOST sentences. docs/reference/report.md says what each means.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from simsa.analysis.comparisons import together
from simsa.analysis.intervals import Interval, Tally, upper_bound
from simsa.analysis.landings import joined, landed
from simsa.report.section import Code, Span, Summary, Text
from simsa.report.words import FEW, Cell, ascending, differing, event, percent, scales
from simsa.vocabulary import AXES, Family, PointKind, TieKind, families, family, named

MOST = 6
"""Most sentences."""

TIMES, IN_WORDS = 10, "ten"
"""How many times as many trajectories or steps are suggested."""

SMALL = 1e-4
"""Probabilities below this are written as powers of ten, the others in percent."""

SUGGESTED = 4
"""Most step scales in a suggestion."""

LARGEST, EQUAL = 1000, 1e-12
"""A step scale is taken for a fraction with a denominator up to LARGEST if they differ by no more than EQUAL of it: it
comes from computed eigenvalues, and is rounded."""

RECORDS_ALONE = "only the records were read, without the program and the data"
"""Why nothing is classified in a summary that was made without a subject."""

SHARED = "trajectories with the same starts and minibatches"


def answers(summary: Summary) -> list[Text]:
    """Return the answers that a summary gives, a sentence each, the most important first; at most MOST.

    They say whether trajectories landed, where, and with what bound; whether the convention or the precision matters;
    what the verdicts on the theorems are; what the final points are; which claims are rejected, if any are; and, as far
    as there is room, what to do next.
    """
    if not any(cell["trajectories"] for cell in summary["cells"]):
        return ["No trajectory was run, so nothing is known."]
    found: list[Text] = [
        _landings(summary["cells"]),
        *_matters(summary),
        *_theorems(summary),
        _final_points(summary["cells"]),
        *_rejected(summary),
    ]
    return [*found, *_next(summary)][:MOST]


# ---------------------------------------------------------------- landings


def _landings(cells: Sequence[Cell]) -> str:
    """Return whether trajectories landed, at which step scales, and how likely that is."""
    hit = [cell for cell in cells if landed(cell).hits]
    unknown = [cell for cell in cells if not landed(cell).complete]
    if not hit:
        return _none_landed(cells, unknown)
    level = _level(cells)
    where = {cell["c"] for cell in hit}
    rest = [cell for cell in cells if cell["c"] not in where]
    all_scales = {cell["c"] for cell in cells}
    several = "every step scale" if not rest else f"{len(where)} of {len(all_scales)} step scales"
    named = f"c = {scales(sorted(where))}" if len(where) <= FEW else f"c from {min(where):.6g} to {max(where):.6g}"
    each = [landed(cell).interval(1 - (1 - level) / len(cells)) for cell in hit]
    dry = [cell for cell in cells if cell["c"] in where and not landed(cell).hits]
    many = len(hit) + len(dry)
    but = f", but in {len(dry)} of {many} cells there ({families(dry)}) none is known to have landed" if dry else ""
    said = f"Trajectories landed at {several}, {named}{but}: P(landed) is {_range(each, level)}"
    if undecided := sum(landed(cell).unknown for cell in cells):
        said += f"; whether {undecided:,} more landed is not known"
    said += _unclassified(cells)
    if rest:
        bound, total = _bounded(rest)
        known = all(landed(cell).complete for cell in rest)
        said += f"; at the others {f'none of {total} landed, and P(landed)' if known else 'it'} is at most {bound}"
    return f"{said}."


def _none_landed(cells: Sequence[Cell], unknown: Sequence[Cell]) -> str:
    """Return that no landing was found. unknown: the cells in which it is not known of every trajectory."""
    bound, total = _bounded(cells)
    so = f"P(landed) is at most {bound} (at {percent(_level(cells))})"
    sensitive = sum(cell["sensitive"] for cell in cells)
    if unknown:
        examined, candidates = (sum(s[i] for cell in cells for s in cell["tie_kinds"]["strata"]) for i in (1, 0))
        undecided = sum(landed(cell).unknown for cell in unknown)
        few = f"; of {undecided:,} of these it is not known" if undecided else ""
        if not examined:
            why = _unclassified(cells)
            return f"Whether trajectories landed is not known{why}; {candidates:,} were sensitive, so {so}."
        return (
            f"No landing was found among {examined:,} of {candidates:,} sensitive trajectories that were examined{few}"
            f"{_unclassified(cells)}; {so}."
        )
    said = f"No trajectory landed where AD's answer depends on a tie (Sing or C), of {total}, so {so}"
    if sensitive:
        kinds = {kind: sum(cell["tie_kinds"]["kinds"][kind]["count"] for cell in cells) for kind in TieKind}
        counts = ", ".join(f"{kind} {count:,}" for kind, count in kinds.items() if count)
        said += f"; {sensitive:,} were sensitive to a tie, at points that are no landing: {counts}"
    return f"{said}."


def _unclassified(cells: Sequence[Cell]) -> str:
    """Return in how many cells sensitive points were not classified, and why; empty if they were in all."""
    reasons: dict[str, int] = {}
    for cell in cells:
        if why := cell["tie_kinds"]["why"]:
            reasons[why] = reasons.get(why, 0) + 1
    said = (f"{many} of {len(cells)} cells, because {why}" for why, many in reasons.items())
    return f"; sensitive points were not classified in {', and in '.join(said)}" if reasons else ""


def _bounded(cells: Sequence[Cell]) -> tuple[str, str]:
    """Return the bound of the probability of landing, averaged over cells, and how many trajectories it is from.

    Families share their random numbers, so that none of them is more than one experiment: the bound is the largest of
    all, and the number that of each.
    """
    tallies = list(_by_family(cells).values())
    bound = max(tally.interval(_level(cells)).bound for tally in tallies)
    totals = sorted({tally.total for tally in tallies})
    settings = ", precision and setting" if differing(cells, ("setting",)) else " and precision"
    each = f" of each convention{settings}" if len(tallies) > 1 else ""
    return _chance(bound), f"{f'{totals[0]:,} to ' * (len(totals) > 1)}{totals[-1]:,} trajectories{each}"


def _by_family(cells: Sequence[Cell]) -> dict[Family, Tally]:
    """Return the tally of landings in the cells of each family."""
    found: dict[Family, list[Cell]] = {}
    for cell in cells:
        found.setdefault(family(cell), []).append(cell)
    return {key: joined(map(landed, mine)) for key, mine in found.items()}


def _range(intervals: Sequence[Interval], level: float) -> str:
    """Return the least and the largest estimate, with the least and the largest limit of all intervals.

    level: at which all of them hold together.
    """
    low, high = min(one.low for one in intervals), max(one.high for one in intervals)
    estimates = [one.estimate for one in intervals if one.estimate is not None]
    limits = f"{_span(low, high)}; all cells together {percent(level)}"
    if len(estimates) < len(intervals):
        return f"{_span(low, high)} (all cells together {percent(level)})"
    least, largest = _chance(min(estimates)), _chance(max(estimates))
    return f"{least if least == largest else _span(min(estimates), max(estimates))} ({limits})"


def _span(low: float, high: float) -> str:
    """Return two probabilities: "5 to 12 %"."""
    first, last = _chance(low), _chance(high)
    return f"{first.removesuffix(' %') if last.endswith(' %') else first} to {last}"


def _chance(p: float) -> str:
    """Return a probability to three digits: "2.47 %", or "7.49e-07" if it is small."""
    return f"{100 * p:.3g} %" if p >= SMALL or not p else f"{p:.3g}"


def _level(cells: Sequence[Cell]) -> float:
    """Return the confidence level of the intervals of some cells."""
    return float(cells[0]["probability"]["landed"]["level"])


# ---------------------------------------------------------------- conventions, precisions, theorems


def _matters(summary: Summary) -> list[str]:
    """Return which of the axes besides c matter, by trajectories with the same starts and minibatches."""
    cells = summary["cells"]
    several = differing(cells)
    if not several:
        one = named(cells[0])
        return [f"Whether the convention or the precision matters was not asked: one of each was run ({one})."]
    if summary.get("comparisons") is None:
        return ["Whether the convention or the precision matters is not in this summary, which an older version wrote."]
    plain = "; ".join(
        _compared(axis, summary) if axis in several else f"one {axis} was run ({cells[0][axis]})" for axis in AXES[:2]
    )
    further = [_compared(axis, summary) for axis in AXES[2:] if axis in several]
    return [f"{one[:1].upper()}{one[1:]}." for one in (plain, *further)]


def _called(axis: str, summary: Summary) -> str:
    """Return what an axis is called: settings by the keys of the scenario that they are values of."""
    return f"setting of {' and '.join(summary['axes'])}" if axis == "setting" else axis


def _compared(axis: str, summary: Summary) -> str:
    """Return whether an axis matters of which several values were run."""
    mine = together([one for one in summary["comparisons"] if one["axis"] == axis], _level(summary["cells"]))
    names = list(dict.fromkeys(name for one in mine for name in one["of"]))
    called = _called(axis, summary)
    if axis != "precision" and not any(one["differ"] for one in mine):
        total = sum(one["trajectories"] for one in mine)
        return (
            f"the {called} does not matter here: all records of {total:,} pairs of {SHARED} are the same bits "
            f"({', '.join(names)})"
        )
    changed = [one for one in mine if one["only_first"] + one["only_second"]]
    said = _changed(called, changed, len(mine)) if changed else _unchanged(called, names, mine)
    return f"{said}{_objectives(mine)}"


def _objectives(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return where J at the end differs most between two cells, if the interval of some difference is away from 0.

    entries: what `together` returns.
    """
    pairs = [(entry, one) for entry in entries for one in entry["comparisons"] if one["objective"]["low"] is not None]
    apart = [(entry, one) for entry, one in pairs if one["objective"]["low"] > 0 or one["objective"]["high"] < 0]
    if not apart:
        return ""
    entry, one = max(apart, key=lambda pair: abs(float(pair[1]["objective"]["median"])))
    (first, second), found = one["of"], one["objective"]
    low, high = sorted((abs(found["low"]), abs(found["high"])))
    way = "lower" if found["median"] < 0 else "higher"
    where = f"; {entry['beside']}" if len(entries) > 1 else ""
    return (
        f"; J at the end differs most at c = {one['c']:.4g}{where}: {found['of'][0]:.3g} in {first}, "
        f"{found['of'][1]:.3g} in {second} (medians), {way} by {abs(found['median']):.3g} ({low:.3g} to {high:.3g}) in "
        f"pairs"
    )


def _changed(axis: str, changed: Sequence[Mapping[str, Any]], comparisons: int) -> str:
    """Return how the landings of trajectories differ between two values of an axis, those that differ most.

    changed: the entries of `together` with trajectories that landed in one cell alone. comparisons: how
    many entries there are for the axis.
    """
    one = max(changed, key=lambda entry: entry["only_first"] + entry["only_second"])
    (first, second), p = one["of"], one["probability"]
    most = f"; of {comparisons} comparisons the one that differs most" if comparisons > 1 else ""
    estimate = "" if p["estimate"] is None else f"{_chance(p['estimate'])}, "
    alone = " for this comparison by itself" if comparisons > 1 else ""
    return (
        f"the {axis} matters: of {one['trajectories']:,} pairs of {SHARED} ({first}, {second}; {one['beside']}{most}), "
        f"{_differing([one])}{one['only_first'] + one['only_second']:,} landed in one alone "
        f"({estimate}{_span(p['low'], p['high'])}{alone}): {one['only_first']:,} in {first}, {one['only_second']:,} in "
        f"{second}, at c = {scales(one['c'])}{_unknown([one])}"
    )


def _unchanged(axis: str, names: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> str:
    """Return that no trajectory is known to have landed under one value of an axis alone.

    names: the values. entries: all that `together` returns for the axis.
    """
    bound = max(one["probability"]["bound"] for one in entries)
    total = sum(one["trajectories"] for one in entries)
    each = f" in each of {len(entries)} comparisons" if len(entries) > 1 else ""
    return (
        f"the {axis} changed no landing that is known: of {total:,} pairs of {SHARED} ({', '.join(names)}), "
        f"{_differing(entries)}none landed in one alone (at most {_chance(bound)}{each}){_unknown(entries)}"
    )


def _differing(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return how many trajectories differ in a record; empty between precisions, where nearly all do."""
    if entries[0]["axis"] == "precision":
        return ""
    return f"{sum(one['differ'] for one in entries):,} differ in some record, and "


def _unknown(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return of how many trajectories it is not known whether they landed in one cell alone; empty if of none."""
    many = sum(one["unclassified"] for one in entries)
    return f"; of {many:,} it is not known" if many else ""


def _theorems(summary: Summary) -> Iterator[str]:
    """Yield the verdicts on the parts of the theorems, in one sentence, if there are any."""
    parts: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in summary["verdicts"]:
        parts.setdefault((one["theorem"], one["part"]), []).append(one)
    said: list[str] = []
    named = ""
    for (theorem, part), mine in sorted(parts.items(), key=lambda entry: entry[0][0], reverse=True):
        said.append(f"{'' if theorem == named else f'Theorem {theorem}, '}{part}: {_verdicts(mine)}")
        named = theorem
    if said:
        yield f"{'; '.join(said)}."


def _verdicts(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the verdicts on a part, each with what it is about if there are several."""
    by_verdict: dict[str, list[Mapping[str, Any]]] = {}
    for one in entries:
        by_verdict.setdefault(one["verdict"], []).append(one)
    if len(by_verdict) == 1:
        return next(iter(by_verdict))
    by_scale = len({tuple(one["c"]) for one in entries}) > 1
    names = {verdict: scope(mine) if by_scale else families(mine) for verdict, mine in by_verdict.items()}
    return ", ".join(f"{verdict} ({names[verdict]})" for verdict in by_verdict)


def scope(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the step scales that some verdicts are about: "c = 0.5", or "c from 0.1 to 0.9"."""
    low, high = min(one["c"][0] for one in entries), max(one["c"][1] for one in entries)
    return f"c = {low:.6g}" if low == high else f"c from {low:.6g} to {high:.6g}"


# ---------------------------------------------------------------- final points, claims


def _final_points(cells: Sequence[Cell]) -> Text:
    """Return what the final points are for J, and how to run more steps if some have not converged."""
    kinds = [cell["final_kinds"] for cell in cells if cell.get("final_kinds", {}).get("classified")]
    ended = sum(cell["final"]["settled"] + cell["final"]["moving"] for cell in cells)
    if not kinds:
        whys = dict.fromkeys(cell["final_kinds"]["why"] if "final_kinds" in cell else RECORDS_ALONE for cell in cells)
        why = "; ".join(filter(None, whys)) or "no trajectory took all its steps"
        return f"Final points were not examined, because {why}; the last step moved {_moved(cells)}."
    names = {PointKind.CLARKE: "critical", PointKind.ARTIFICIAL: "artificial", PointKind.NOT_SETTLED: "not converged"}
    count = {kind: sum(found["kinds"][kind]["count"] for found in kinds) for kind in names}
    examined = sum(found["classified"] for found in kinds)
    said = f"Final points examined {examined:,} of {ended:,}: " + ", ".join(
        f"{name} {count[kind]:,}" for kind, name in names.items()
    )
    if not count[PointKind.NOT_SETTLED]:
        return f"{said}."
    more = TIMES * cells[0]["steps"]
    return (f"{said}; take {IN_WORDS} times as many steps with ", _set(f"sgd.steps={more}"), ".")


def _moved(cells: Sequence[Cell]) -> str:
    """Return how many of the trajectories that ended still moved."""
    moving = sum(cell["final"]["moving"] for cell in cells)
    return (
        f"{moving:,} of {moving + sum(cell['final']['settled'] for cell in cells):,} trajectories that took all steps"
    )


def _rejected(summary: Summary) -> Iterator[str]:
    """Yield which claims are rejected, in one sentence, if any are."""
    wrong = {entry["claim"]: entry for entry in summary.get("claims") or [] if entry["holds"] is False}
    if wrong:
        claims = len({entry["claim"] for entry in summary["claims"]})
        named = [f"P({event(summary, one)}) = {one['claimed_text']}" for one in wrong.values()]
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        are = "is" if len(wrong) == 1 else "are"
        yield f"{len(wrong)} of {claims} claims {are} rejected: {', '.join(named[:3])}{more}."


# ---------------------------------------------------------------- what to do next


def _set(override: str) -> Span:
    """Return how a key of the scenario is changed on the command line."""
    return Code(f"--set {shlex.quote(override)}")


def _next(summary: Summary) -> Iterator[Text]:
    """Yield what would settle what this run leaves open, the most useful first."""
    cells = summary["cells"]
    whys = {cell[kinds]["why"] for cell in cells for kinds in ("tie_kinds", "final_kinds") if kinds in cell}
    if any("record.points" in why for why in whys):
        yield ("Points can be classified if they are kept: run it again with ", _set("record.points=all"), ".")
    if any("record.classify" in why for why in whys):
        yield ("Points are classified without another run by ", Code("--resume --set record.classify=100"), ".")
    yield from _bad_scales(summary)
    if all(landed(cell).complete and not landed(cell).hits for cell in cells):
        level = _level(cells)
        total = min(tally.total for tally in _by_family(cells).values())
        more = TIMES * max(cell["trajectories"] for cell in cells)
        yield (
            f"{IN_WORDS.capitalize()} times as many trajectories, ",
            _set(f"sweep.trajectories={more}"),
            f", would see an event of probability {_chance(upper_bound(TIMES * total, level))} with {percent(level)}, "
            "or bound P(landed) by that.",
        )


def _bad_scales(summary: Summary) -> Iterator[Text]:
    """Yield how to sweep the predicted bad scales that are in no cell, if there are any."""
    bad = summary.get("bad_scales")
    if not bad or not bad["computed"]:
        return
    taken = {_written(one["c"]) for one in bad["scales"] if one["cells"]}
    left = {_written(one["c"]): one for one in sorted(bad["scales"], key=lambda one: -one["step"])}
    left = {written: one for written, one in left.items() if written not in taken}
    if not left:
        return
    earliest = ascending(sorted(left.values(), key=lambda one: one["step"])[:SUGGESTED])
    all_listed, rest = len(bad["scales"]) == bad["scales_in_all"], len(left) > len(earliest)
    many = f"{'' if all_listed else 'at least '}{len(left):,} bad scale{'s are' if len(left) > 1 else ' is'}"
    named = ", ".join(f"{one['c']:.4g}" for one in earliest)
    these = "the earliest" if rest else "them" if len(left) > 1 else "it"
    yield (
        f"{many[:1].upper()}{many[1:]} predicted in the range of the sweep that no cell has ({named}"
        f"{', ...' if rest else ''}): sweep {these} with ",
        _set(f"sweep.c=[{', '.join(_written(one['c']) for one in earliest)}]"),
        ".",
    )


def _written(c: float) -> str:
    """Return a step scale as a scenario has it: as a fraction if it is one, because exact cells need all of it."""
    fraction = Fraction(c).limit_denominator(LARGEST)
    if abs(fraction - Fraction(c)) > EQUAL * c:
        return repr(c)
    return f'"{fraction}"' if fraction.denominator > 1 else str(fraction)
