"""The rows of `simsa.rules` against PyTorch's optimisers, and against the formulas of papers in NumPy.

`tests/data/optimisers.json` holds iterates of PyTorch 2.13, so that they are compared where there is no PyTorch; they
are written again by `python -m tests.machine.test_optimisers`. Where there is one, all steps are compared.
"""

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest

import simsa
from simsa.machine import Descent, Initial, Walker, draws, tape_of
from simsa.machine.reference import FLOAT64
from simsa.rules import MODIFIERS, RULES, Rule
from simsa.scenario.optimizer import TABLES
from tests.support import DATA

KNOWN = DATA / "optimisers.json"
STEPS, KEPT = 200, (1, 2, 10, 50, 100, 200)
CLOSE = 1e-12
"""The largest difference of a coordinate; PyTorch adds and divides in another order."""

SAMPLES = np.random.default_rng(5).normal(size=(6, 4)).round(2)
"""Samples of three numbers a and a target y."""

START = np.array([0.5, -0.75, 1.25])
GAMMA = 0.1 / np.sqrt(np.arange(1.0, STEPS + 1))
BATCH = {"law": "fixed_size", "size": 2, "replace": False}

CASES: dict[str, dict[str, Any]] = {
    "sgd": {"kind": "sgd"},
    "sgd_decay": {"kind": "sgd", "weight_decay": 0.25},
    "heavy_ball": {"kind": "heavy_ball", "momentum": 0.9},
    "heavy_ball_decay": {"kind": "heavy_ball", "momentum": 0.9, "weight_decay": 0.25},
    "nesterov": {"kind": "nesterov", "momentum": 0.9},
    "rmsprop": {"kind": "rmsprop"},
    "rmsprop_decay": {"kind": "rmsprop", "alpha": 0.9, "eps": 0.01, "weight_decay": 0.25},
    "adagrad": {"kind": "adagrad"},
    "adagrad_decay": {"kind": "adagrad", "eps": 0.01, "weight_decay": 0.25},
    "adam": {"kind": "adam"},
    "adam_decay": {"kind": "adam", "betas": [0.8, 0.95], "eps": 0.01, "weight_decay": 0.25},
    "adamw": {"kind": "adamw"},
    "adamw_decay": {"kind": "adamw", "betas": [0.8, 0.95], "eps": 0.01, "weight_decay": 0.25},
    "amsgrad": {"kind": "amsgrad", "betas": [0.8, 0.95]},
    "adam_clip_norm": {"kind": "adam", "clip": {"norm": 0.3}},
    "sgd_clip_value": {"kind": "sgd", "clip": {"value": 0.2}, "weight_decay": 0.25},
    "average": {"kind": "heavy_ball", "momentum": 0.5, "average": "uniform"},
    "tail": {"kind": "sgd", "average": {"tail": 0.25}},
}
"""The tables [optimizer] that PyTorch has an optimiser for; what they leave out are PyTorch's defaults."""


def loss(x: Any, row: Any) -> Any:
    """Be strictly convex, and not differentiable where x[0] is a number of the sample."""
    error = sum(x[i] * row[i] for i in range(3)) - row[3]
    return error * error / 2 + abs(x[0] - row[1]) / 4 + simsa.relu(x[1]) / 8


def descent(rule: Rule, numbers: tuple[Fraction, ...]) -> Descent:
    start = Initial("points", np.zeros(3), np.ones(3), START[None])
    return Descent(
        STEPS, **BATCH, alpha=GAMMA, radius=1e6, seed=7, initial=start, checkpoints=np.zeros(0, np.int64),
        objective_trajectories=0, rule=rule, numbers=numbers,
    )  # fmt: skip


def taken(rule: Rule, numbers: tuple[Fraction, ...], scale: float = 1.0) -> np.ndarray:
    """Return x_1, x_2, ..., (STEPS, 3), or the average of the iterates so far, if the rule keeps one.

    scale: what the step sizes GAMMA are multiplied by.
    """
    walker = Walker(tape_of(simsa.trace(loss, 3, 4)), SAMPLES, FLOAT64, rule=rule, constants=numbers)
    steps = walker.walk(descent(rule, numbers), scale * GAMMA, c=1.0, trajectory=0)
    place = rule.state.index("average") if "average" in rule.state else None
    return np.array([step.following if place is None else step.kept[place] for step in steps], np.float64)


def said(table: dict[str, Any]) -> tuple[Rule, tuple[Fraction, ...]]:
    """Return the rule of a table [optimizer], and its numbers."""
    found = TABLES[table["kind"]].model_validate(table)
    return found.rule, found.values(STEPS)


def batches() -> Iterator[np.ndarray]:
    """Yield the samples of the minibatch of each step."""
    plain, numbers = said(CASES["sgd"])
    for batch in islice(draws.minibatches(descent(plain, numbers), len(SAMPLES), 1.0, 0, 0), STEPS):
        yield SAMPLES[batch]


def of_torch(table: dict[str, Any]) -> np.ndarray:
    """Return what `taken` does, computed by PyTorch. table: one of CASES."""
    import torch

    x = torch.nn.Parameter(torch.tensor(START))
    given = {key: value for key, value in table.items() if key not in ("kind", "clip", "average")}
    kind, clip, average = table["kind"], table.get("clip", {}), table.get("average")
    if kind in ("heavy_ball", "nesterov"):
        given["nesterov"] = kind == "nesterov"
    if kind == "amsgrad":
        given["amsgrad"] = True
    name = {"heavy_ball": "SGD", "nesterov": "SGD", "sgd": "SGD", "rmsprop": "RMSprop", "adagrad": "Adagrad",
            "adamw": "AdamW"}.get(kind, "Adam")  # fmt: skip
    optimiser = getattr(torch.optim, name)([x], lr=1.0, **given)
    module = torch.nn.ParameterList([x])
    mean = torch.optim.swa_utils.AveragedModel(module) if average else None
    first = STEPS - int(average["tail"] * STEPS) if isinstance(average, dict) else 0
    found = []
    for k, rows in enumerate(batches()):
        optimiser.zero_grad()
        data = torch.tensor(rows)
        error = data[:, :3] @ x - data[:, 3]
        each = error * error / 2 + (x[0] - data[:, 1]).abs() / 4 + torch.relu(x[1]) / 8
        each.mean().backward()
        if "norm" in clip:
            torch.nn.utils.clip_grad_norm_([x], clip["norm"])
        if "value" in clip:
            torch.nn.utils.clip_grad_value_([x], clip["value"])
        optimiser.param_groups[0]["lr"] = float(GAMMA[k])
        optimiser.step()
        if mean and k >= first:
            mean.update_parameters(module)
        kept = x if mean is None else next(iter(mean.module)) if k >= first else torch.zeros(3)
        found.append(kept.detach().double().numpy().copy())
    return np.array(found)


@pytest.mark.parametrize("name", CASES)
def test_every_step_is_that_of_pytorch(name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; its stored iterates are compared")
    expected, found = of_torch(CASES[name]), taken(*said(CASES[name]))
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_that_pytorch_took(name: str) -> None:
    stored = np.array(json.loads(KNOWN.read_text(encoding="utf-8"))["iterates"][name])
    found = taken(*said(CASES[name]))[np.array(KEPT) - 1]
    np.testing.assert_allclose(found, stored, rtol=0, atol=CLOSE)


WRONG = {
    "the momentum of before the step": (
        "heavy_ball", "m = momentum * m + g\nchange = gamma * m", "change = gamma * m\nm = momentum * m + g",
    ),
    "the gradient weighted, as by an average": ("heavy_ball", "momentum * m + g", "momentum * m + (1 - momentum) * g"),
    "the step size inside the momentum": ("heavy_ball", "m + g\nchange = gamma * m", "m + gamma * g\nchange = m"),
    "no look ahead": ("nesterov", "(g + momentum * m)", "m"),
    "eps inside the root": ("rmsprop_decay", "(sqrt(v) + eps)", "sqrt(v + eps)"),
    "eps inside the root of AdaGrad": ("adagrad_decay", "(sqrt(v) + eps)", "sqrt(v + eps * eps)"),
    "no correction of the first average": ("adam", "gamma / weight1", "gamma"),
    "no correction of the second average": ("adam", "(sqrt(v) / sqrt(weight2) + eps)", "(sqrt(v) + eps)"),
    "eps added before the correction": (
        "adam_decay", "(sqrt(v) / sqrt(weight2) + eps)", "((sqrt(v) + eps) / sqrt(weight2))",
    ),
    "decay that is scaled by the averages": ("adamw_decay", "decayed = x * (1 - gamma * weight_decay)", "decayed = x"),
    "the latest average of squares": ("amsgrad", "maximum(largest, v)", "maximum(v, v)"),
    "the largest of the corrected averages": (
        "amsgrad", "maximum(largest, v)", "maximum(largest, v / weight2) * weight2",
    ),
    "a clip without 1e-6": ("adam_clip_norm", " + 1e-06", ""),
    "a clip that also lengthens": ("adam_clip_norm", "minimum(1, norm / (sqrt(norm2) + 1e-06))", "norm / sqrt(norm2)"),
    "decay before the clip": (
        "sgd_clip_value", "minimum(clip, g))\ng = g + weight_decay * x", "minimum(clip, g + weight_decay * x))",
    ),
    "x_k averaged, not x_{k+1}": ("average", "(next - average)", "(x - average)"),
    "a tail that begins early": ("tail", "counted - skipped", "counted - skipped + 1"),
}  # fmt: skip
"""Mistakes: the case, what is replaced in the text of its rule, and by what."""


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_update_is_told_from_pytorchs(mistake: str) -> None:
    name, right, wrong = WRONG[mistake]
    rule, numbers = said(CASES[name])
    text = "\n".join(f"{target} = {expression}" for target, expression in rule.lines)
    assert text.count(right) == 1, text
    other = Rule("other", mistake, text.replace(right, wrong), state=rule.state, numbers=rule.numbers)
    stored = np.array(json.loads(KNOWN.read_text(encoding="utf-8"))["iterates"][name])
    assert np.abs(taken(other, numbers)[np.array(KEPT) - 1] - stored).max() > 1e4 * CLOSE


def gradients(x: np.ndarray, rows: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of the losses, and of their gradients."""
    error = rows[:, :3] @ x - rows[:, 3]
    slope = error[:, None] * rows[:, :3]
    slope[:, 0] += np.sign(x[0] - rows[:, 1]) / 4
    slope[:, 1] += (x[1] > 0) / 8
    each = error * error / 2 + abs(x[0] - rows[:, 1]) / 4 + max(x[1], 0.0) / 8
    return float(each.mean()), slope.mean(axis=0)


def inna() -> Iterator[np.ndarray]:
    """Castera, Bolte, Févotte and Pauwels, JMLR 22 (2021), in theta and psi, psi_0 = (1 - alpha beta) theta_0."""
    alpha, beta = 0.75, 0.25
    x, psi = START.copy(), (1 - alpha * beta) * START
    for gamma, rows in zip(GAMMA, batches(), strict=True):
        both = (1 / beta - alpha) * x - psi / beta
        x, psi = x + gamma * (both - beta * gradients(x, rows)[1]), psi + gamma * both
        yield x


def signs() -> Iterator[np.ndarray]:
    """Bernstein et al., ICML 2018, Algorithm 1."""
    x = START.copy()
    for gamma, rows in zip(GAMMA, batches(), strict=True):
        x = x - gamma * np.sign(gradients(x, rows)[1])
        yield x


def feedback() -> Iterator[np.ndarray]:
    """Karimireddy et al., ICML 2019, Algorithm 1."""
    x, error = START.copy(), np.zeros(3)
    for gamma, rows in zip(GAMMA, batches(), strict=True):
        p = gamma * gradients(x, rows)[1] + error
        delta = np.abs(p).sum() / 3 * np.sign(p)
        x, error = x - delta, p - delta
        yield x


def truncated() -> Iterator[np.ndarray]:
    """Asi and Duchi, PNAS 116 (2019): the minimum of max(f + <g, y - x>, 0) + |y - x|^2 / (2 gamma)."""
    x, short = START.copy(), []
    for gamma, rows in zip(20 * GAMMA, batches(), strict=True):
        f, g = gradients(x, rows)
        short.append(f / (g @ g) < gamma)
        x = x - min(gamma, f / (g @ g)) * g
        yield x
    assert 0 < sum(short) < STEPS


def ball() -> Iterator[np.ndarray]:
    """The projection on the ball of radius 1/2 after each step."""
    x = START.copy()
    for gamma, rows in zip(GAMMA, batches(), strict=True):
        x = x - gamma * gradients(x, rows)[1]
        x = x * min(1.0, 0.5 / np.linalg.norm(x))
        yield x


def box() -> Iterator[np.ndarray]:
    """The projection on a box after each step."""
    x = START.copy()
    for gamma, rows in zip(GAMMA, batches(), strict=True):
        x = np.clip(x - gamma * gradients(x, rows)[1], -0.125, 0.25)
        yield x


PAPERS: dict[str, tuple[dict[str, Any], Callable[[], Iterator[np.ndarray]]]] = {
    "inna": ({"kind": "inna", "alpha": 0.75, "beta": 0.25}, inna),
    "signsgd": ({"kind": "signsgd"}, signs),
    "ef_signsgd": ({"kind": "ef_signsgd"}, feedback),
    "ball": ({"kind": "sgd", "project": {"ball": 0.5}}, ball),
    "truncated": ({"kind": "truncated"}, truncated),
    "box": ({"kind": "sgd", "project": {"box": [-0.125, 0.25]}}, box),
}
"""Tables [optimizer], and the iterates by the formulas of papers."""


@pytest.mark.parametrize("name", PAPERS)
def test_steps_are_those_of_the_papers(name: str) -> None:
    table, formula = PAPERS[name]
    scale = 20.0 if name == "truncated" else 1.0
    np.testing.assert_allclose(taken(*said(table), scale), np.array(list(formula())), rtol=0, atol=CLOSE)


def test_every_row_is_compared_with_an_independent_formula() -> None:
    tables = [*CASES.values(), *(table for table, _ in PAPERS.values())]
    assert {table["kind"] for table in tables} == set(RULES)
    used = {name for table in tables for name in said(table)[0].name.split("+")[1:]}
    assert used == set(MODIFIERS)


if __name__ == "__main__":
    import torch

    iterates = {name: of_torch(table)[np.array(KEPT) - 1].tolist() for name, table in CASES.items()}
    written = {"torch": torch.__version__, "steps": KEPT, "iterates": iterates}
    KNOWN.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
