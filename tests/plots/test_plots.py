"""Figures are drawn from a summary alone, show what it says, and come out the same each time."""

import json
import re
import shutil
import subprocess
import sys
import zlib
from dataclasses import asdict
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

import simsa
from simsa import plots
from simsa.analysis import clopper_pearson, codimension, interval, upper_bound
from simsa.analysis.comparisons import comparisons
from simsa.analysis.intervals import Stratum, Tally
from simsa.analysis.landings import Landings
from simsa.analysis.scaling import margin_curve
from simsa.plots import style
from simsa.plots.paper import paper_figure_1
from simsa.plots.plane import _spread
from simsa.plots.style import save
from tests.support.runs import swept

STEPS = 500


ENDS = {
    1: {"axes": ["x"], "at": [[0.0], [-1.5], [0.25]]},
    2: {"axes": ["x", "y"], "at": [[0.0, 1.0], [-1.5, 2.0], [0.25, 0.5]]},
    3: {"axes": ["largest |gradient|"], "at": [[0.0], [1e-6], [0.5]]},
}
"""Final points of one, two and more parameters; the first of them is a trap that caught a half."""
for ends in ENDS.values():
    ends |= {"kind": ["artificial", "clarke", "not_settled"], "share": [0.5, 0.25, 0.25]}


def summary_of(c, landed, conventions=("tensorflow",), trajectories=1000, title="Made up", bad=(), p=1):
    """Return a summary in which `landed[i]` of the trajectories land for c[i], one after the other.

    bad: predicted bad scales, besides all c at which something landed.
    """
    cells = []
    for scale, hits in zip(c, landed, strict=True):
        for convention in conventions:
            step = np.unique([0, *np.linspace(3, 80, min(hits, 30)).astype(int), STEPS - 1])
            by = np.searchsorted(np.linspace(3, 80, hits), step, side="right")
            low, high = clopper_pearson(by, trajectories)
            ks = np.arange(0, STEPS + 1, 50)
            quantiles = {q: ((1 + float(q)) / (1 + scale * ks / 20)).tolist() for q in ("0.25", "0.5", "0.75")}
            if scale >= 5:  # half of the runs explode and stop
                quantiles["0.5"] = [2.0, 1e4] + [None] * 9
                quantiles["0.75"] = [3.0] + [None] * 10
            margin = np.concatenate([np.zeros(hits), (np.arange(1, trajectories - hits + 1) / trajectories)])
            cells.append(
                {
                    "c": float(scale),
                    "convention": convention,
                    "precision": "float64",
                    "trajectories": trajectories,
                    "steps": STEPS,
                    "sensitive": hits,
                    "landed": hits,
                    "tie_kinds": {"strata": [[hits, hits, hits, 0]]},
                    "probability": {"landed": asdict(interval(hits, trajectories))},
                    "first_passage": {
                        "step": step.tolist(),
                        "estimate": (by / trajectories).tolist(),
                        "low": low.tolist(),
                        "high": high.tolist(),
                    },
                    "objective": {"step": ks.tolist(), "trajectories": 64, "quantiles": quantiles},
                    "codimension": {**asdict(codimension(margin)), "curve": margin_curve(margin)},
                    "final_kinds": {
                        "why": "",
                        "classified": trajectories,
                        "kinds": {
                            kind: {
                                "count": count,
                                "strata": [[count, count, count, 0]],
                                **asdict(interval(count, trajectories)),
                            }
                            for kind, count in (("artificial", hits), ("clarke", trajectories - hits))
                        },
                        "points": ENDS[p],
                    },
                }
            )
    met = [i for i, cell in enumerate(cells) if cell["landed"]]
    scales = [{"c": cells[i]["c"], "cells": [i]} for i in met] + [{"c": scale, "cells": []} for scale in bad]
    bad_scales = {"scales": scales, "scales_in_all": len(scales), "cells": met}
    return {"scenario": "made_up", "title": title, "cells": cells, "bad_scales": bad_scales}


def compared(c, differ, of=("tensorflow", "jax"), axis="convention", trajectories=1000):
    """Return comparisons in which `differ[i]` trajectories differ at c[i], the first half of them at step 10."""
    found = []
    for scale, many in zip(c, differ, strict=True):
        shares = [interval(count, trajectories) for count in (0, many // 2, many)]
        first = {end: [getattr(share, end) for share in shares] for end in ("estimate", "low", "high")}
        other = {"precision": "float64"} if axis == "convention" else {"convention": "tensorflow"}
        found.append(
            {
                "axis": axis,
                "of": list(of),
                "c": scale,
                **other,
                "trajectories": trajectories,
                "differ": many,
                "probability": asdict(interval(many, trajectories)),
                "first": {"step": [0, 10, 20], **first, "trajectories": trajectories},
            }
        )
    return found


def on_a_map(summary):
    """Return a summary with a map: a line of ties, a trajectory that lands on it, and one that passes."""
    grid = np.linspace(-1, 1, 9)
    landing = {"landed": True, "points": [[0.8, 0.5], [0.0, 0.4], [0.0, 0.3], [0.0, 0.25]]}
    passing = {"landed": False, "points": [[0.9, -0.5], [0.2, -0.2], [-0.4, 0.0]]}
    ties = [{"at": [0.0, y], "tie": "C", "kind": "artificial"} for y in grid.tolist()]
    ties += [{"at": [x, -0.7], "tie": kind, "kind": "regular"} for x, kind in ((0.3, "Sing"), (0.5, "harmless"))]
    found = {
        "names": ["x", "y"],
        "x": grid.tolist(),
        "y": grid.tolist(),
        "objective": [[x + y / 2 for x in grid.tolist()] for y in grid.tolist()],
        "ties": ties,
        "cells": [{"cell": 0, "c": 0.5, "paths": [passing, landing]}, {"cell": 1, "c": 0.4, "paths": [passing]}],
    }
    return {**summary, "plane": found}


def with_settings(summary, names):
    """Return a summary with the cells of another at each of some settings; none lands at the first."""
    cells = [{**cell, "setting": name} for cell in summary["cells"] for name in names[1:]]
    other = summary_of([cell["c"] for cell in summary["cells"]], [0] * len(summary["cells"]))
    return {**summary, "axes": ["initial"], "cells": [*({**c, "setting": names[0]} for c in other["cells"]), *cells]}


def with_precisions(summary, names):
    """Return a summary with the cells of another in each of some precisions."""
    cells = [{**cell, "precision": name} for cell in summary["cells"] for name in names]
    return {**summary, "cells": cells, "bad_scales": None}


CASES = {
    "few": summary_of([0.01, 0.1, 0.5, 1.0], [0, 12, 300, 0], bad=[0.25]),
    "zero": summary_of([0.01, 0.1, 0.5], [0, 0, 0]),
    "all": summary_of([0.1], [1000]),
    "one": summary_of([0.1], [0]),
    "many": summary_of(np.geomspace(1e-3, 1, 40), [0] * 20 + [300] * 10 + [1] * 10),
    "conventions": summary_of([0.1, 0.5, 5.0], [3, 200, 0], ("tensorflow", "pytorch", "jax", "mine")),
    "exploding": summary_of([0.1, 5.0], [0, 4]),
    "two parameters": summary_of([0.1, 0.5], [0, 3], ("tensorflow", "jax"), p=2),
    "many in the plane": summary_of(np.linspace(0.1, 1, 30), [0] * 29 + [4], p=2),
    "network": summary_of([0.1, 0.5], [0, 3], p=3),
    "untitled": summary_of([0.1, 0.2], [0, 4], title=""),
    "paired": {
        **summary_of([0.1, 0.5], [0, 300], ("tensorflow", "jax")),
        "comparisons": compared([0.1, 0.5], [0, 40]) + compared([0.1, 0.5], [0, 0], ("tensorflow", "mine")),
    },
    "precise": {
        **with_precisions(summary_of([0.1, 0.5], [0, 300]), ("float32", "float64", "exact")),
        "comparisons": compared([0.1, 0.5], [1000, 900], ("float32", "float64"), "precision")
        + compared([0.1, 0.5], [1000, 1000], ("float32", "exact"), "precision"),
    },
    "ladder of many": with_precisions(summary_of(np.linspace(0.1, 1, 12), [0] * 9 + [4, 5, 600]), ("float32", "exact")),
    "mapped": on_a_map(summary_of([0.4, 0.5], [0, 4], p=2)),
    "settings": with_settings(summary_of([0.1, 0.3, 2.0], [30, 500, 1000]), ("random start", "at 0", "near 0")),
    "long title": summary_of([0.1, 0.2], [0, 4], title="Words " * 30),
}


EMPTY = {
    **{("settings", case): "there is one setting" for case in CASES if case != "settings"},
    **{("plane", case): "a map is drawn of programs of two parameters" for case in CASES if case != "mapped"},
    **{("steps", case): "a map is drawn of programs of two parameters" for case in CASES if case != "mapped"},
    **{("differences", case): "no two conventions" for case in CASES if case not in ("paired", "precise")},
    **{("first_difference", case): "no two conventions" for case in CASES if case not in ("paired", "precise")},
    **{("precisions", case): "one precision, float64" for case in CASES if case not in ("precise", "ladder of many")},
    ("landing", "zero"): "nothing is known to have landed, and P(landed) ≤ 0.003 at each of 3 cells",
    ("landing", "one"): "nothing is known to have landed, and P(landed) ≤ 0.003 in the one cell",
    ("first_passage", "zero"): "nothing is known to have landed",
    ("first_passage", "one"): "nothing is known to have landed",
    ("zero_hits", "all"): "there was a hit",
    ("zero_hits", "one"): "one bound: P(hit) ≤ 0.003 after 1000 trajectories",
    **{("zero_hits", case): "one bound" for case in ("exploding", "two parameters", "network", "untitled", "paired")},
    **{("zero_hits", case): "one bound" for case in ("precise", "mapped", "long title", "conventions")},
    ("zero_hits", "ladder of many"): "one bound",
    ("codimension", "all"): "no slope was fitted, of 1 cells",
    ("codimension", "one"): "1 slope was fitted, of 1 cells",
    ("margins", "all"): "all trajectories met a tie exactly",
}
"""What has nothing to show, and how the reason begins, or what it says."""


def drawn(name, case, **how):
    """Return a figure of a case, or None if there is nothing to show in it."""
    if (name, case) in EMPTY:
        return None
    figure = plots.FIGURES[name](CASES[case], **how)
    figure.draw_without_rendering()
    return figure


AT_WIDTH = {7.0: ("few", "conventions", "paired", "precise", "mapped", "network", "settings"), 3.4: tuple(CASES)}
"""What is drawn at which width: laying out a figure takes a third of a second, and most collisions are in a column."""


@pytest.mark.parametrize(("width", "case"), [(width, case) for width, cases in AT_WIDTH.items() for case in cases])
@pytest.mark.parametrize("name", plots.FIGURES)
def test_every_figure_of_every_case_is_drawn_at_its_width_without_colliding_texts(case, name, width):
    if (name, case) in EMPTY:
        with pytest.raises(plots.NothingToShow) as found:
            plots.FIGURES[name](CASES[case], width=width)
        assert str(found.value).startswith(f"{name}: ") and EMPTY[name, case] in str(found.value)
        return
    figure = drawn(name, case, width=width)
    assert figure.get_size_inches()[0] == width
    assert all(np.isfinite(ax.get_ylim()).all() for ax in figure.axes if ax.lines)
    assert figure.axes[-1].get_ylabel() or figure.get_supylabel() or figure.axes[0].get_ylabel() or name == "zero_hits"
    assert any(ax.get_xlabel() for ax in figure.axes)
    assert colliding(figure) == []


def texts(figure):
    """Return what is written on a figure that was drawn, and where: pairs of a text and its box, in pixels."""
    axes = [axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)]
    of_ticks = {id(text) for axis in axes for text in axis.findobj(Text)} - {id(axis.label) for axis in axes}
    found = [text for text in figure.findobj(Text) if id(text) not in of_ticks]
    for axis in axes:
        low, high = sorted(axis.get_view_interval())
        major = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)
        minor = zip(axis.get_minorticklocs(), axis.get_minorticklabels(), strict=False)
        for place, label in (*major, *minor):
            if axis.get_visible() and label.get_visible() and low <= place <= high:
                found.append(label)
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_text().strip()]


def colliding(figure):
    """Return the pairs of texts that overlap, and the texts that are not all on the figure, as texts."""
    found, whole = texts(figure), figure.bbox
    apart = [
        f"{one!r} and {other!r}"
        for (one, a), (other, b) in combinations(found, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
    ]
    outside = [text for text, box in found if box.x0 < -0.5 or box.x1 > whole.x1 + 0.5 or box.y0 < -0.5]
    return apart + outside


def test_texts_that_collide_are_seen():
    """The control: two texts in one place, and one beyond the edge."""
    figure = Figure()
    figure.text(0.5, 0.5, "one")
    figure.text(0.51, 0.5, "two")
    figure.text(0.99, 0.1, "three")
    figure.draw_without_rendering()
    assert colliding(figure) == ["'one' and 'two'", "three"]


def test_where_the_bounds_of_cells_without_landings_differ_they_are_open_markers():
    summary = summary_of([0.01, 0.1, 0.5], [0, 0, 0])
    summary["cells"][0] |= {"trajectories": 500}
    summary["cells"][0]["probability"]["landed"] = asdict(interval(0, 500))
    figure = plots.landing(summary)
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(figure.axes[0].lines) == 3, "no bad scale is marked where none is predicted"
    assert [tuple(line.get_ydata()) for line in points] == [(upper_bound(n),) for n in (500, 1000, 1000)]
    assert {line.get_markerfacecolor() for line in points} == {"white"}
    assert len(figure.axes[0].texts) == 3, "an arrow each"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "no known landing: 95% exact one-sided bound"
    ]


def test_predicted_bad_scales_are_marked_where_the_summary_has_them():
    """Ticks for all of them, and dashed lines at those the sweep took; a legend that says which is which."""
    figure = plots.landing(CASES["few"])
    (ax,) = figure.axes
    (ticks,) = [line for line in ax.lines if line.get_marker() == "|"]
    assert ticks.get_xdata().tolist() == [0.1, 0.25, 0.5]
    down = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2 and line.is_dashed()]
    assert down == [0.1, 0.5]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[-2:] == ["predicted bad scale c = 1/(λ $α_k$)", "bad scale in the sweep"]


def bounds(summary):
    """Return the number of trajectories that `zero_hits` has for each set of them, and check the bound it draws."""
    (ax,) = plots.zero_hits(summary).axes
    bars = [line.get_xdata()[1] for line in ax.lines if len(line.get_xdata()) == 2]
    found = {}
    for bar, text in zip(bars, ax.texts, strict=True):
        name, number = text.get_text().split(": P ≤ ")[0].split(", N = ")
        found[name] = int(number.replace(",", ""))
        assert bar == pytest.approx(upper_bound(found[name]))
        assert text.get_text().endswith(f"P ≤ {bar:.2g}")
    return found


def test_the_bound_after_no_hit_is_on_its_law():
    """Cells without a landing, and the cells at no bad scale together, known before anything was seen."""
    ends = "no end at an artificial critical point"
    assert bounds(CASES["few"]) == {
        "no landing, one cell": 1000,
        "no landing, all c that are not bad": 2000,
        f"{ends}, one cell": 1000,
    }
    assert bounds(CASES["zero"]) == {
        "no landing, one cell": 1000,
        "no landing, all c together": 3000,
        f"{ends}, one cell": 1000,
        f"{ends}, all c together": 3000,
    }


def test_cells_that_share_their_random_numbers_are_not_counted_together():
    """Two conventions at three c, one of them bad: 2000 trajectories that are not at it, and not 4000."""
    found = bounds(summary_of([0.1, 0.2, 0.5], [0, 0, 9], ("tensorflow", "jax")))
    assert found["no landing, all c that are not bad"] == 2000


def test_ends_that_were_not_all_classified_have_no_bound_of_their_number():
    summary = summary_of([0.1, 0.2], [0, 0])
    summary["cells"][0]["final_kinds"]["kinds"]["artificial"]["strata"] = [[900, 100, 0, 0]]
    summary["cells"][1]["final_kinds"]["kinds"]["artificial"]["strata"] = [[900, 100, 0, 0]]
    assert list(bounds(summary)) == ["no landing, one cell", "no landing, all c together"]


def test_sensitive_points_that_nobody_classified_have_a_bound_and_no_estimate():
    """83 of 1000 are sensitive: at most that many landed, so the marker is the one-sided bound at 83."""
    summary = summary_of([0.1, 0.2], [0, 0])
    tally = Tally(1000, (Stratum(83, 0, 0),))
    summary["cells"][0] |= {"sensitive": 83, "tie_kinds": {"strata": [[83, 0, 0, 0]]}}
    summary["cells"][0]["probability"]["landed"] = asdict(tally.interval())
    points = [line for line in plots.landing(summary).axes[0].lines if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in points] == [upper_bound(1000, hits=83), upper_bound(1000)]
    assert "no landing, all c together" not in bounds(summary)
    assert bounds(summary)["no landing, one cell"] == 1000


def test_margins_have_their_share_and_the_fitted_slope():
    """In the case made up, i / 1000 are the margins of those that did not land: P(margin <= e) = e, slope 1."""
    figure = plots.margins(CASES["one"])
    curve, fit = figure.axes[0].lines
    np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata())
    (slope, *_, last) = np.diff(np.log(fit.get_ydata())) / np.diff(np.log(fit.get_xdata()))
    assert last == pytest.approx(slope)
    assert slope == pytest.approx(CASES["one"]["cells"][0]["codimension"]["slope"]) and abs(slope - 1) < 0.3
    assert figure.legends[0].get_texts()[0].get_text().startswith("c = 0.1: slope ")
    curves = [line for line in plots.margins(CASES["few"]).axes[0].lines if line.get_marker() != "None"]
    assert [line.get_ydata()[0] for line in curves] == [0.001, 0.012, 0.3, 0.001], "flat at what met a tie"


def test_checkpoints_that_grow_are_on_a_logarithmic_axis_and_the_legend_is_in_order():
    summary = summary_of([0.3, 0.1, 0.2], [0, 0, 0])
    assert plots.objective(summary).axes[0].get_xscale() == "linear"
    for cell in summary["cells"]:
        cell["objective"]["step"] = [round(100 ** (i / 10)) for i in range(len(cell["objective"]["step"]))]
    figure = plots.objective(summary)
    assert figure.axes[0].get_xscale() == "log" and figure.axes[0].lines[0].get_xdata()[0] == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["c = 0.1", "c = 0.2", "c = 0.3"]


def test_final_points_have_their_place_and_a_marker_for_their_kind():
    figure = plots.final_points(CASES["few"])
    artificial = figure.axes[0].collections[3]  # of the first c, in the order of LOOKS
    assert artificial.get_offsets().tolist() == [[0, 0]]
    assert artificial.get_sizes() > figure.axes[0].collections[2].get_sizes(), "it caught more"
    handles = figure.legends[0].legend_handles
    assert len({handle.get_marker() for handle in handles}) == len(handles) == 3
    figure = plots.final_points(CASES["two parameters"])
    assert [ax.get_title("left") for ax in figure.axes][:2] == ["c = 0.1, tensorflow, float64", "c = 0.1, jax, float64"]
    assert figure.axes[0].collections[3].get_offsets().tolist() == [[0, 1]]


TRAP = """
[scenario]
name = "line"
title = "A trap that is a half line"
seed = 5
[program]
kind = "expression"
parameters = ["x", "y"]
data = ["l"]
expression = "where(x >= 1, l * x**2 / 2, l * (x - 0.5)) - l * zero(x) + relu(y - 1.5) / 8"
convention = "tensorflow"
[data]
source = "inline"
rows = [[1.0], [2.0]]
[sgd]
steps = 3
batch = { law = "uniform_subset" }
step_size = { family = "power", exponent = 1.0 }
[initial]
law = "uniform"
low = 1.0
high = 3.0
[sweep]
c = [0.45, 0.5]
trajectories = 60
"""


def test_the_map_shows_what_ties_are_and_who_landed(tmp_path):
    """Known: x = 1 is harmless, x = 0 is C and, where y moves no more (y < 1.5), artificial; y = 1.5 is Sing."""
    (tmp_path / "line.toml").write_text(TRAP)
    out = tmp_path / "out"
    summary = swept(tmp_path / "line.toml", out)
    found = summary["plane"]
    at = np.array([tie["at"] for tie in found["ties"]])
    known = {"harmless": np.abs(at[:, 0] - 1), "C": np.abs(at[:, 0]), "Sing": np.abs(at[:, 1] - 1.5)}
    for kind, distance in known.items():
        mine = np.array([tie["tie"] == kind for tie in found["ties"]])
        assert mine.sum() > 5 and distance[mine].max() < 1e-6 < 1e-3 < distance[~mine].min()
    artificial = np.array([tie["kind"] == "artificial" for tie in found["ties"]])
    assert (artificial == ((np.abs(at[:, 0]) < 1e-6) & (at[:, 1] < 1.5))).all()
    high, low = found["cells"]
    assert (high["c"], low["c"]) == (0.5, 0.45)
    ends = np.array([path["points"][-1] for path in high["paths"] if path["landed"]])
    assert len(ends) == 3 and (ends[:, 0] == 0).all() and not any(path["landed"] for path in low["paths"])
    records = simsa.open_records(out)
    landed = np.flatnonzero(records.sensitive_first.values[1] >= 0)[:3]
    np.testing.assert_allclose(ends, records.final.values[1][landed], rtol=1e-5)
    figure = plots.plane(summary)
    assert [ax.get_title("left") for ax in figure.axes] == ["c = 0.5", "c = 0.45"]
    looks = [(h.get_marker(), h.get_linestyle(), h.get_linewidth()) for h in figure.legends[0].legend_handles]
    assert len(set(looks)) == len(looks)
    assert {path.stem for path in out.glob("*.pdf")} >= {"plane", "final_points"}


def test_of_many_cells_in_the_plane_those_that_landed_are_shown():
    titles = [ax.get_title("left") for ax in plots.final_points(CASES["many in the plane"]).axes]
    assert len(titles) == 6 and titles[0] == "c = 0.1" and titles[-1] == "c = 1"


def test_slopes_of_runs_that_met_a_tie_are_open():
    figure = plots.codimension(CASES["few"])
    bars = figure.axes[0].containers
    fits = [cell["codimension"] for cell in CASES["few"]["cells"]]
    assert [bar.lines[0].get_ydata()[0] for bar in bars] == [fit["slope"] for fit in fits]
    assert [bar.lines[0].get_markerfacecolor() for bar in bars] == ["#000000", "white", "white", "#000000"]


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with the figures of a case; a test that changes them copies it."""
    folder = tmp_path_factory.mktemp("few")
    plots.save_all(CASES["few"], folder)
    return folder


def test_what_shows_nothing_is_not_written_and_not_left_over(few, tmp_path):
    shutil.copytree(few, tmp_path, dirs_exist_ok=True)
    assert (tmp_path / "first_passage.png").exists()
    written = plots.save_all(CASES["zero"], tmp_path)
    assert not list(tmp_path.glob("first_passage*"))
    assert sorted([*written, tmp_path / "figures.json"]) == sorted(tmp_path.iterdir())
    listed = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert list(listed) == list(plots.FIGURES) and all(one["caption"].endswith(".") for one in listed.values())
    assert {name for name, one in listed.items() if not one["nothing"]} == {path.stem for path in written}
    assert listed["first_passage"]["nothing"] == "nothing is known to have landed"


def test_an_estimate_has_its_interval():
    figure = plots.landing(CASES["all"])
    bars = figure.axes[0].containers[0]
    (segment,) = bars.lines[2][0].get_segments()
    low, high = clopper_pearson(1000, 1000)
    assert segment[:, 1].tolist() == pytest.approx([float(low), float(high)])


def test_each_family_has_landings_on_axes_of_its_own_at_their_c():
    """No marker is moved off its c, or hides the interval of another family; families with the same points are one."""
    summary = CASES["conventions"]
    (together,) = plots.landing(summary).axes
    assert together.get_title("left") == ""
    names = ("tensorflow", "pytorch", "jax", "mine")
    cells = [
        {**cell, "landed": i, "probability": {**cell["probability"], "landed": asdict(interval(i, 1000))}}
        for i, name in enumerate(names)
        for cell in summary["cells"]
        if cell["convention"] == name
    ]
    figure = plots.landing({**summary, "cells": cells})
    assert [ax.get_title("left") for ax in figure.axes] == [f"{n}; float64" for n in names]
    for ax in figure.axes:
        at = sorted(line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o")
        assert at == [0.1, 0.5, 5.0]
        assert all(line.get_transform() == ax.transData for line in ax.lines if line.get_marker() == "o")


def test_families_of_slopes_differ_in_marker_and_not_only_in_colour():
    handles = plots.codimension(CASES["conventions"]).legends[0].legend_handles[:4]
    assert len({handle.get_marker() for handle in handles}) == 4


def lines(figure):
    """Return the lines in the legend of a figure."""
    return [handle for handle in figure.legends[0].legend_handles if isinstance(handle, Line2D)]


def test_curves_differ_in_marker_line_style_and_colour():
    for draw in (plots.objective, plots.first_passage):
        handles = lines(draw(CASES["few"]))
        looks = {(h.get_marker(), str(h.get_linestyle()), h.get_color()) for h in handles}
        assert len({look[0] for look in looks}) == len({look[2] for look in looks}) == len(handles)


def test_a_value_of_c_looks_the_same_in_every_figure():
    along = {line.get_label(): line.get_color() for line in lines(plots.objective(CASES["few"]))}
    passage = {line.get_label(): line.get_color() for line in lines(plots.first_passage(CASES["few"]))}
    assert passage == {label: along[label] for label in ("c = 0.1", "c = 0.5")}


def test_many_values_of_c_are_a_scale_with_a_bar():
    figure = plots.objective(CASES["many"])
    assert figure.axes[-1].get_ylabel() == "step scale c"
    assert not figure.legends


def test_an_explosion_does_not_flatten_the_others():
    (ax,) = plots.objective(CASES["exploding"]).axes
    assert ax.get_ylim()[1] < 1e3


def test_files_are_reproducible_and_of_both_kinds(few, tmp_path):
    plots.save_all(CASES["few"], tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    shown = [name for name in plots.FIGURES if (name, "few") not in EMPTY]
    assert names == sorted(["figures.json", *(f"{name}.{kind}" for name in shown for kind in ("png", "pdf"))])
    for name in names:
        assert (tmp_path / name).read_bytes() == (few / name).read_bytes()
        assert b"CreationDate" not in (few / name).read_bytes()


def test_figures_are_not_blank_and_keep_inside_their_edges(few):
    for path in few.glob("*.png"):
        dark = imread(path)[..., :3].min(axis=-1) < 0.95
        assert dark.mean() > 0.01
        edge = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
        assert not edge.any(), f"{path.name} is cut off"


def test_the_settings_of_the_user_are_left_alone():
    before = dict(mpl.rcParams)
    plots.landing(CASES["few"])
    assert dict(mpl.rcParams) == before


def test_drawing_needs_neither_numba_nor_the_machine(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps(CASES["few"]))
    script = (
        "import json, sys; from simsa import plots; from pathlib import Path\n"
        "plots.save_all(json.loads(Path('summary.json').read_text()), Path('.'))\n"
        "assert not {'pandas', 'xarray', 'matplotlib.pyplot'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "landing.png").exists()


def test_figure_1_of_the_paper_shows_what_ad_returns(tmp_path):
    """Six panels; at each tie the marker is where the paper has it, within the bar of D."""
    figure = paper_figure_1()
    marks = []
    for ax in figure.axes:
        found = [line.get_xydata()[0].tolist() for line in ax.lines if line.get_label() == "derivative by AD at a tie"]
        marks.append(found)
        bars = {
            line.get_xdata()[0]: line.get_ydata() for line in ax.lines if line.get_label() == "selection operator D"
        }
        assert all(bars[t].min() <= slope <= bars[t].max() for t, slope in found)
    assert marks[:5] == [[[0.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.5]], [[0.0, 1.0]], [[0.0, 0.0]]]
    prescribed = [[-6, -1], [-4, 1.5], [-2, 0], [0, -1.5], [2, 1], [4, 0], [6, -0.5]]
    np.testing.assert_allclose(marks[5], prescribed, atol=1e-12)
    written = [path.read_bytes() for path in save(figure, tmp_path / "one")]
    assert written == [path.read_bytes() for path in save(paper_figure_1(), tmp_path / "two")]


# ---------------------------------------------------------------- what each figure shows


def labels(figure):
    """Return the texts of a figure's legend, each on one line."""
    return [text.get_text().replace("\n", " ") for text in figure.legends[0].get_texts()]


def test_all_figures_are_called_alike():
    """In a part of another figure, in a figure that is given, without a title, at a width."""
    for name, figure in plots.FIGURES.items():
        case = next(case for case in CASES if (name, case) not in EMPTY)
        alone = figure(CASES[case], width=4.0, title=False)
        assert alone.get_size_inches()[0] == 4.0 and alone.get_suptitle() == ""
        assert figure(CASES[case]).get_suptitle() == "Made up"
        left, right = Figure(figsize=(14, 7), layout="constrained").subfigures(1, 2)
        assert figure(CASES[case], figure=left) is left and left.axes and not right.axes
        assert left.get_suptitle() == "Made up"
        given = Figure(figsize=(5, 5), layout="constrained")
        assert figure(CASES[case], figure=given, title=False) is given
        assert given.get_size_inches().tolist() == [5, 5]


def test_a_pdf_has_truetype_fonts_alone(tmp_path):
    """Journals refuse Type 3. The figure is saved by one who prefers them."""
    with mpl.rc_context({"pdf.fonttype": 3}):
        plots.save_all(CASES["mapped"], tmp_path)
        for path in tmp_path.glob("*.pdf"):
            kinds = fonts(path)
            assert kinds and kinds <= {b"TrueType", b"Type0", b"CIDFontType2"}, path
        control = Figure()
        control.text(0.5, 0.5, "text")
        control.savefig(tmp_path / "control.pdf")
    assert fonts(tmp_path / "control.pdf") == {b"Type3"}
    assert style.STYLE["ps.fonttype"] == 42


def fonts(path):
    """Return the types of the fonts in a PDF, whose objects may be compressed."""
    data = path.read_bytes()
    parts = [data]
    for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            parts.append(zlib.decompress(part))
        except zlib.error:
            continue
    return {found for part in parts for found in re.findall(rb"/Type\s*/Font\s*/Subtype\s*/(\w+)", part)} | {
        found for part in parts for found in re.findall(rb"/Subtype\s*/(Type3|Type0|TrueType|CIDFontType2)\b", part)
    }


def test_empty_decades_between_rounding_and_all_other_margins_are_left_out():
    summary = summary_of([0.1], [0])
    margin = np.concatenate([np.full(200, 1e-16), np.linspace(0.01, 1, 800)])
    summary["cells"][0]["codimension"] = {**asdict(codimension(margin)), "curve": margin_curve(margin)}
    figure = plots.margins(summary)
    (ax,) = figure.axes
    left = min(e for e in summary["cells"][0]["codimension"]["curve"]["epsilon"] if e > 1e-15) / 3
    assert ax.get_xlim()[0] == pytest.approx(left) and left > 0.001
    assert ax.lines[0].get_xdata()[0] == pytest.approx(left) and ax.lines[0].get_ydata()[0] == 0.2
    assert labels(figure)[-1] == "Further left: ties, and margins of at most 1e-16, which rounding makes."


def test_of_many_values_of_c_few_margins_stand_out():
    """The outermost, one in the middle and the one that met most ties; the others are light and thin."""
    figure = plots.margins(CASES["many"])
    own = [label.split(":")[0] for label in labels(figure)]
    c = [cell["c"] for cell in CASES["many"]["cells"]]
    assert own == [*(f"c = {value:.4g}" for value in (c[0], c[19], c[20], c[-1])), "the other 36 values of c"]
    light = [line for line in figure.axes[0].lines if line.get_color() == "0.75"]
    assert len(light) == 36


def test_a_cell_whose_curve_ends_is_named():
    """Of c = 5 half explode between steps 50 and 100; the curve of the others goes to the end."""
    assert labels(plots.objective(CASES["exploding"])) == [
        "c = 0.1",
        "c = 5",
        "c = 5: the median is above the axes at step 50",
    ]
    summary = summary_of([0.1, 5.0], [0, 0])
    summary["cells"][1]["objective"]["quantiles"]["0.5"][1] = None
    assert labels(plots.objective(summary))[-1] == "c = 5: half of the trajectories, or more, have stopped by step 50"


def test_ticks_of_steps_are_integers_that_do_not_collide():
    summary = summary_of([0.1], [3])
    for cell in summary["cells"]:
        cell["objective"]["step"] = [150 * i for i in range(11)]
    figure = plots.objective(summary, width=3.4)
    figure.draw_without_rendering()
    assert colliding(figure) == []
    ticks = figure.axes[0].get_xticks()
    assert (ticks == ticks.astype(int)).all() and len(ticks) <= 7


def test_landings_of_a_short_run_stay_to_its_end():
    summary = summary_of([0.1], [2])
    summary["cells"][0] |= {"steps": 3}
    low, high = clopper_pearson([0, 100, 200], 1000)
    curve = {"step": [0, 1, 2], "estimate": [0.0, 0.1, 0.2], "low": low.tolist(), "high": high.tolist()}
    summary["cells"][0]["first_passage"] = curve
    (line,) = plots.first_passage(summary).axes[0].lines
    assert line.get_xydata().tolist() == [[0, 0.0], [1, 0.1], [2, 0.2], [3, 0.2]]
    curve |= {"estimate": [0.0, 0.1, 0.1], "low": [low[0], low[1], low[1]], "high": [high[0], high[1], high[1]]}
    with pytest.raises(plots.NothingToShow, match="all known landings are in step 1"):
        plots.first_passage(summary)


def test_a_course_without_an_estimate_is_its_band():
    summary = summary_of([0.1], [20])
    curve = summary["cells"][0]["first_passage"]
    curve["estimate"] = [None] * len(curve["step"])
    low, high = plots.first_passage(summary).axes[0].lines
    assert low.get_ydata()[:-1].tolist() == curve["low"] and high.get_ydata()[:-1].tolist() == curve["high"]


def test_final_points_of_many_parameters_are_shares_with_intervals():
    figure = plots.final_points(CASES["network"])
    (ax,) = figure.axes
    shown = {(bar.lines[0].get_marker(), *bar.lines[0].get_xydata()[0]) for bar in ax.containers}
    assert shown == {("o", 0.0, 1.0), ("X", 0.0, 0.0), ("o", 1.0, 0.997), ("X", 1.0, 0.003)}
    assert labels(figure) == ["artificial critical point", "Clarke critical"]
    summary = summary_of([0.1, 0.5], [0, 0], p=3)
    with pytest.raises(plots.NothingToShow, match="of one kind: Clarke critical"):
        plots.final_points(summary)
    for cell in summary["cells"]:
        cell["final_kinds"] |= {"classified": 0, "why": "too large"}
    with pytest.raises(plots.NothingToShow, match="no final point was classified: too large"):
        plots.final_points(summary)


def test_a_strip_follows_the_trajectory_that_landed_step_by_step():
    figure = plots.steps(CASES["mapped"])
    assert [ax.get_title("left") for ax in figure.axes] == [f"c = 0.5, k = {k}" for k in range(4)]
    last = [ax.lines[-1].get_xydata()[0].tolist() for ax in figure.axes]
    assert last == CASES["mapped"]["plane"]["cells"][0]["paths"][1]["points"]
    assert "trajectory that did not land" in labels(plots.plane(CASES["mapped"]))


def test_of_a_long_trajectory_the_first_steps_are_shown_and_then_ever_fewer():
    assert _spread(101, 6) == [0, 1, 3, 10, 32, 100]
    for points, most in ((1, 6), (6, 6), (7, 6), (12, 6), (41, 40), (201, 40)):
        shown = _spread(points, most)
        assert shown[0] == 0 and shown[-1] == points - 1 and len(shown) == min(points, most)
        assert (np.diff(shown) > 0).all()


def test_an_animation_has_a_frame_for_each_step_and_is_the_same_each_time(tmp_path):
    for name in ("a.gif", "b.gif"):
        plots.animation(CASES["mapped"], tmp_path / name)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 4 and gif.info["loop"] == 0
    with pytest.raises(plots.NothingToShow, match="two parameters"):
        plots.animation(CASES["few"], tmp_path / "c.gif")


def test_comparisons_have_their_shares_and_those_without_a_difference_a_sentence():
    figure = plots.differences(CASES["paired"])
    (ax,) = figure.axes
    assert ax.get_title("left") == "tensorflow and jax, float64"
    points = [bar.lines[0] for bar in ax.containers]
    assert [line.get_xydata()[0].tolist() for line in points] == [[0.1, 0.0], [0.5, 0.04]]
    assert [line.get_markerfacecolor() for line in points] == ["white", "#000000"]
    (segment,) = ax.containers[1].lines[2][0].get_segments()
    assert segment[:, 1].tolist() == pytest.approx([float(end) for end in clopper_pearson(40, 1000)])
    none = f"no trajectory differs, P(ever differs) ≤ {upper_bound(1000):.2g} at each c (one-sided, 95%)"
    assert labels(figure)[1:] == [f"{none}: tensorflow and mine, float64"]
    figure = plots.first_difference(CASES["paired"])
    never, some = figure.axes[0].lines
    assert never.get_ydata().tolist() == [0, 0, 0] and some.get_xydata().tolist() == [[0, 0], [10, 0.02], [20, 0.04]]


def recorded(convention, precision, final, objective, status=(0, 0, 0, 255)):
    """Return the records of a cell of four trajectories, the last of them not run."""
    fields = {"status": np.array(status, np.uint8), "final": np.array(final)[:, None], "margin": np.ones(4)}
    axes = {"c": 0.5, "convention": convention, "precision": precision, "checkpoint": np.array([0, 5, 9])}
    return {**fields, **axes, "objective": np.array(objective)}


def test_trajectories_are_compared_bit_by_bit():
    """Known: of three that ran, one ends elsewhere, its J differs from step 5; one ends in a zero of another sign."""
    J = [[3.0, 2.0, np.nan], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [np.nan] * 3]
    K = [[3.0, 2.0, np.nan], [3.0, 2.5, 1.0], [3.0, 2.0, 1.0], [np.nan] * 3]
    one = recorded("tensorflow", "float64", [0.0, 1.0, 0.0, np.nan], J)
    two = recorded("jax", "float64", [0.0, 1.5, -0.0, 7.0], K)
    header = {"objective_trajectories": 2}
    known = Landings.of({**one, "sensitive_first": np.full(4, -1)})
    (found,) = comparisons([one, two], [known] * 2, header)
    assert (found["axis"], found["of"], found["c"]) == ("convention", ["tensorflow", "jax"], 0.5)
    assert (found["trajectories"], found["differ"]) == (3, 2)
    assert found["probability"] == asdict(interval(2, 3))
    assert found["first"]["step"] == [0, 5, 9] and found["first"]["estimate"] == [0.0, 0.5, 0.5]
    assert found["first"]["trajectories"] == 2
    other = {**two, "convention": "tensorflow", "precision": "float32", "final": one["final"]}
    (found,) = comparisons([one, other], [known] * 2, header)
    assert found["axis"] == "precision" and found["differ"] == 0, "J alone differs, by its rounding"
    assert comparisons([one, {**other, "convention": "mine"}], [known] * 2, header) == [], "two axes differ"
    assert comparisons([one], [known], header) == []


def test_comparisons_that_show_nothing_are_a_reason():
    summary = summary_of([0.1], [4], ("tensorflow", "jax"))
    summary["comparisons"] = compared([0.1], [0])
    with pytest.raises(plots.NothingToShow, match=r"no trajectory differs, .* tensorflow and jax, float64"):
        plots.differences(summary)
    summary["comparisons"][0]["first"] |= {"trajectories": 0, "estimate": []}
    with pytest.raises(plots.NothingToShow, match="J was not recorded"):
        plots.first_difference(summary)


def test_the_ladder_of_precisions_has_landings_and_the_last_j():
    figure = plots.precisions(CASES["precise"])
    landed, last = figure.axes
    (bar,) = landed.containers
    assert bar.lines[0].get_ydata().tolist() == [0.3, 0.3, 0.3]
    assert [tick.get_text() for tick in landed.get_xticklabels()] == ["float32", "float64", "exact"]
    expected = [cell["objective"]["quantiles"]["0.5"][-1] for cell in CASES["precise"]["cells"]]
    assert [y for line in last.lines for y in line.get_ydata()] == expected
    assert labels(figure)[-1] == "Nothing is known to have landed at 1 of 2 c, which have no line."


def relative_luminance(colour):
    """Return the luminance of a colour as CIE L*, 0 to 100: how light it is in grey."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)]
    y = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def test_the_first_colours_are_apart_in_grey_and_shades_get_lighter():
    first = sorted(relative_luminance(colour) for colour in style.COLOURS[:3])
    assert min(np.diff(first)) > 20
    shades = [relative_luminance(style.SHADES(i)[:3]) for i in range(0, 256, 5)]
    assert (np.diff(shades) > 0).all() and shades[-1] < 85, "light, and not lost on white"


DICHROMATS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira and Fernandes, IEEE Transactions on Visualization and Computer Graphics 15 (2009), severity 1."""


@pytest.mark.parametrize("kind", DICHROMATS)
def test_the_first_colours_are_apart_for_the_colour_blind(kind):
    """In linear RGB as that eye sees it, no two of the first four are near; markers and lines differ besides."""
    seen = []
    for colour in style.COLOURS[:4]:
        linear = np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour)])
        seen.append(np.clip(np.array(DICHROMATS[kind]) @ linear, 0, 1))
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 0.1


def test_settings_stand_beside_each_other_and_those_that_look_alike_are_one_line():
    figure = plots.settings(CASES["settings"])
    landed, last = figure.axes
    assert labels(figure) == ["random start", "at 0, near 0"]
    bounds = [line.get_xydata()[0].tolist() for line in landed.lines if line.get_markerfacecolor() == "white"]
    assert bounds == [[c, pytest.approx(upper_bound(1000))] for c in (0.1, 0.3, 2.0)]
    estimates = [bar.lines[0].get_ydata()[0] for bar in landed.containers]
    assert estimates == [0.03, 0.5, 1.0] and len(last.lines) == 2
