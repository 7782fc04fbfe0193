"""Figures are drawn from a summary alone, show what it says, and come out the same each time."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

import simsa
from simsa import plots
from simsa.analysis import clopper_pearson, codimension, interval, upper_bound
from simsa.analysis.intervals import Stratum, Tally
from simsa.analysis.scaling import margin_curve
from simsa.plots.paper import paper_figure_1
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
                        "kinds": {"artificial": {"strata": [[hits, hits, hits, 0]]}},
                        "points": ENDS[p],
                    },
                }
            )
    met = [i for i, cell in enumerate(cells) if cell["landed"]]
    scales = [{"c": cells[i]["c"], "cells": [i]} for i in met] + [{"c": scale, "cells": []} for scale in bad]
    bad_scales = {"scales": scales, "scales_in_all": len(scales), "cells": met}
    return {"scenario": "made_up", "title": title, "cells": cells, "bad_scales": bad_scales}


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
}


EMPTY = {
    *(("plane", case) for case in CASES),
    ("first_passage", "zero"),
    ("first_passage", "one"),
    ("zero_hits", "all"),
    ("codimension", "all"),
    ("margins", "all"),
    ("codimension", "one"),
}
"""What has nothing to show."""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", plots.FIGURES)
@pytest.mark.parametrize("width", [7.0, 3.4])
def test_every_figure_of_every_case_is_drawn_at_its_width(case, name, width):
    figure = plots.FIGURES[name](CASES[case], width=width)
    if (name, case) in EMPTY:
        assert figure is None
        return
    figure.canvas.draw()
    assert figure.get_size_inches()[0] == width
    assert all(ax.get_xlabel() and np.isfinite(ax.get_ylim()).all() for ax in figure.axes if ax.lines)
    assert figure.axes[0].get_ylabel()


def test_a_cell_without_landings_is_an_open_marker_at_its_upper_bound():
    figure = plots.landing(CASES["zero"])
    bound = CASES["zero"]["cells"][0]["probability"]["landed"]["bound"]
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(figure.axes[0].lines) == 3, "no bad scale is marked where none is predicted"
    assert [tuple(line.get_ydata()) for line in points] == [(bound,)] * 3
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


def test_the_bound_after_no_hit_is_on_its_law():
    """Cells without a landing, and the cells at no bad scale together, known before anything was seen."""
    figure = plots.zero_hits(CASES["few"])
    (law, *points) = figure.axes[0].lines
    found = {line.get_label(): line.get_xydata().tolist() for line in points}
    np.testing.assert_allclose(found["no landing, one cell"], [[1000, upper_bound(1000)]])
    np.testing.assert_allclose(found["no landing, all c that are not bad"], [[2000, upper_bound(2000)]])
    assert "no landing, all c together" not in found, "some landed"
    np.testing.assert_allclose(law.get_ydata(), 1 - 0.05 ** (1 / law.get_xdata()))
    assert len({line.get_marker() for line in points}) == len(points)
    together = {line.get_label(): line.get_xdata().tolist() for line in plots.zero_hits(CASES["zero"]).axes[0].lines}
    assert together["no landing, all c together"] == together["no artificial end, all c together"] == [3000]


def test_cells_that_share_their_random_numbers_are_not_counted_together():
    """Two conventions at three c, one of them bad: 2000 trajectories that are not at it, and not 4000."""
    (_, *points) = plots.zero_hits(summary_of([0.1, 0.2, 0.5], [0, 0, 9], ("tensorflow", "jax"))).axes[0].lines
    found = {line.get_label(): line.get_xdata().tolist() for line in points}
    assert found["no landing, all c that are not bad"] == [2000]


def test_ends_that_were_not_all_classified_have_no_bound_of_their_number():
    summary = summary_of([0.1], [0])
    summary["cells"][0]["final_kinds"]["kinds"]["artificial"]["strata"] = [[900, 100, 0, 0]]
    assert [line.get_label() for line in plots.zero_hits(summary).axes[0].lines][1:] == ["no landing, one cell"]


def test_sensitive_points_that_nobody_classified_have_a_bound_and_no_estimate():
    """83 of 1000 are sensitive: at most that many landed, so the marker is the one-sided bound at 83."""
    summary = summary_of([0.1, 0.2], [0, 0])
    tally = Tally(1000, (Stratum(83, 0, 0),))
    summary["cells"][0] |= {"sensitive": 83, "tie_kinds": {"strata": [[83, 0, 0, 0]]}}
    summary["cells"][0]["probability"]["landed"] = asdict(tally.interval())
    points = [line for line in plots.landing(summary).axes[0].lines if line.get_marker() == "o"]
    assert [line.get_ydata()[0] for line in points] == [upper_bound(1000, hits=83), upper_bound(1000)]
    found = {line.get_label(): line.get_xdata().tolist() for line in plots.zero_hits(summary).axes[0].lines}
    assert found["no landing, one cell"] == [1000] and "no landing, all c together" not in found


def test_margins_have_their_share_and_the_fitted_slope():
    """In the case made up, i / 1000 are the margins of those that did not land: P(margin <= e) = e, slope 1."""
    figure = plots.margins(CASES["one"])
    curve, fit = figure.axes[0].lines
    np.testing.assert_allclose(curve.get_ydata(), curve.get_xdata())
    (slope, *_, last) = np.diff(np.log(fit.get_ydata())) / np.diff(np.log(fit.get_xdata()))
    assert last == pytest.approx(slope)
    assert slope == pytest.approx(CASES["one"]["cells"][0]["codimension"]["slope"]) and abs(slope - 1) < 0.3
    assert figure.legends[0].get_texts()[0].get_text().startswith("c = 0.1\nslope ")
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
    (ax,) = plots.final_points(CASES["network"]).axes
    assert ax.get_yscale() == "log" and 0 < ax.collections[3].get_offsets()[0, 1] < 1e-6


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
    assert sorted(written) == sorted(tmp_path.iterdir())


def test_an_estimate_has_its_interval():
    figure = plots.landing(CASES["all"])
    bars = figure.axes[0].containers[0]
    (segment,) = bars.lines[2][0].get_segments()
    low, high = clopper_pearson(1000, 1000)
    assert segment[:, 1].tolist() == pytest.approx([float(low), float(high)])


def test_families_differ_in_marker_and_not_only_in_colour():
    figure = plots.landing(CASES["conventions"])
    markers = {handle.get_marker() for handle in figure.legends[0].legend_handles[:4]}
    assert len(markers) == 4


def test_curves_differ_in_marker_line_style_and_colour():
    for draw in (plots.objective, plots.first_passage):
        handles = draw(CASES["few"]).legends[0].legend_handles
        looks = {(h.get_marker(), str(h.get_linestyle()), h.get_color()) for h in handles}
        assert len({look[0] for look in looks}) == len({look[2] for look in looks}) == len(handles)


def test_a_value_of_c_looks_the_same_in_every_figure():
    along = {h.get_label(): h.get_color() for h in plots.objective(CASES["few"]).legends[0].legend_handles}
    passage = {h.get_label(): h.get_color() for h in plots.first_passage(CASES["few"]).legends[0].legend_handles}
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
    assert names == sorted(f"{name}.{kind}" for name in plots.FIGURES if name != "plane" for kind in ("png", "pdf"))
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
