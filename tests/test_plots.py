"""Figures are drawn from a summary alone, show what it says, and come out the same each time."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from simsa import plots
from simsa.analysis import clopper_pearson, interval
from simsa.plots.figures import save
from simsa.plots.paper import paper_figure_1

STEPS = 500


def summary_of(c, landed, conventions=("tensorflow",), trajectories=1000, title="Made up"):
    """Return a summary in which `landed[i]` of the trajectories land for c[i], one after the other."""
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
            cells.append(
                {
                    "c": float(scale),
                    "convention": convention,
                    "precision": "float64",
                    "trajectories": trajectories,
                    "steps": STEPS,
                    "landed": hits,
                    "probability": {"landed": asdict(interval(hits, trajectories))},
                    "first_passage": {
                        "step": step.tolist(),
                        "estimate": (by / trajectories).tolist(),
                        "low": low.tolist(),
                        "high": high.tolist(),
                    },
                    "objective": {"step": ks.tolist(), "trajectories": 64, "quantiles": quantiles},
                }
            )
    return {"scenario": "made_up", "title": title, "cells": cells}


CASES = {
    "few": summary_of([0.01, 0.1, 0.5, 1.0], [0, 12, 300, 0]),
    "zero": summary_of([0.01, 0.1, 0.5], [0, 0, 0]),
    "all": summary_of([0.1], [1000]),
    "one": summary_of([0.1], [0]),
    "many": summary_of(np.geomspace(1e-3, 1, 40), [0] * 20 + [300] * 10 + [1] * 10),
    "conventions": summary_of([0.1, 0.5, 5.0], [3, 200, 0], ("tensorflow", "pytorch", "jax", "mine")),
    "exploding": summary_of([0.1, 5.0], [0, 4]),
    "untitled": summary_of([0.1, 0.2], [0, 4], title=""),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", plots.FIGURES)
@pytest.mark.parametrize("width", [7.0, 3.4])
def test_every_figure_of_every_case_is_drawn_at_its_width(case, name, width):
    figure = plots.FIGURES[name](CASES[case], width=width)
    figure.canvas.draw()
    assert figure.get_size_inches()[0] == width
    assert all(ax.get_xlabel() and np.isfinite(ax.get_ylim()).all() for ax in figure.axes if ax.lines)
    assert figure.axes[0].get_ylabel()


def test_a_cell_without_landings_is_an_open_marker_at_its_upper_bound():
    figure = plots.landing(CASES["zero"])
    bound = CASES["zero"]["cells"][0]["probability"]["landed"]["high"]
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [tuple(line.get_ydata()) for line in points] == [(bound,)] * 3
    assert {line.get_markerfacecolor() for line in points} == {"white"}
    assert len(figure.axes[0].texts) == 3, "an arrow each"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["nothing landed: 95% upper bound"]


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


def test_files_are_reproducible_and_of_both_kinds(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        plots.save_all(CASES["few"], tmp_path / folder)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(f"{name}.{kind}" for name in plots.FIGURES for kind in ("png", "pdf"))
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert b"CreationDate" not in (tmp_path / "a" / name).read_bytes()


def test_figures_are_not_blank_and_keep_inside_their_edges(tmp_path):
    plots.save_all(CASES["few"], tmp_path)
    for path in tmp_path.glob("*.png"):
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
    root = str(Path(__file__).parent.parent)
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}, check=True)
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
