"""`simsa new FILE`: a scenario to begin with."""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simsa.commands import command
from simsa.commands.command import DONE, Call, Commands
from simsa.errors import DataError, ScenarioError

MOST = 100
"""Samples of a file of one's own that a new scenario takes, so that it runs in seconds."""

FORMULA = 12
"""Most columns that a formula is written with; with more, the program is a network."""

TEMPLATE = """\
# {claim}
#
# Run it:           simsa sweep {file}
# Change one key:   simsa sweep {file} --set sgd.steps=500
# What a key means: simsa explain sgd.step_size

[scenario]
name = {name}
title = {title}
seed = 1                   # of every random number; another seed is another experiment

# The loss of one sample. AD has a choice where two sides of a relu, max, abs or `where` are equal: a tie.
[program]
{program}
convention = "tensorflow"  # what AD returns at ties: "tensorflow", "pytorch", "jax", or a table of your own

[data]
{data}

# x_(k+1) = x_k - c alpha_k g_k, where g_k is the mean gradient of the minibatch
[sgd]
steps = 50
batch = {batch}
step_size = {{ family = "power", exponent = 0.75 }}  # alpha_k = (k + 1)^-0.75

# The law of x_0
[initial]
law = "normal"             # or "uniform", "points", "grid", and for networks "he" and "glorot"

[sweep]
c = [0.1, "1/3"]           # step scales; or {scales}
trajectories = 30          # in each cell; the more, the narrower the intervals

[record]
checkpoints = 5            # J is evaluated so many times
objective_trajectories = 4 # and for so many trajectories of each cell
classify = 20              # most points of each cell whose kind is determined afterwards

# A known answer, tested when the run is done:
# [[claim]]
# event = "landed"
# probability = 0
# text = "almost no start lands"
"""

PLAIN = {
    "claim": "The median of three numbers, by minibatch SGD: how often does it land where |x - a| has its kink?",
    "title": json.dumps("The median of three numbers"),
    "program": """\
kind = "expression"
parameters = ["x"]
data = ["a"]               # the columns of the data, by name
expression = "abs(x - a)"\
""",
    "data": """\
source = "inline"          # or "csv" with path = "data.csv", "digits", "uniform", "stream", ...
rows = [[0.0], [1.0], [3.0]]\
""",
    "batch": '{ law = "uniform_subset" }  # or { law = "fixed_size", size = 4 }, { law = "full" }',
}
"""What stands in a scenario without a file of data."""


def add(commands: "Commands[Any]") -> None:
    """Add the command."""
    parser = command.add(
        commands,
        "new",
        run,
        "write a scenario to begin with, which runs as it is",
        "simsa new my.toml --csv data.csv",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the scenario, a new file that ends in .toml")
    parser.add_argument("--csv", type=Path, metavar="DATA", help="samples, of which the last column is the target")


def run(chosen: argparse.Namespace, call: Call) -> int:
    """Write a new scenario; return the exit code."""
    file: Path = chosen.file
    if file.suffix != ".toml":
        raise ScenarioError(f"{file}: expected a file that ends in .toml")
    if file.exists():
        raise ScenarioError(f"{file} is there already; choose another file")
    said = PLAIN if chosen.csv is None else _of_data(chosen.csv, file)
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", file.stem).lstrip("_.-") or "scenario"
    scales = '{ law = "uniform", low = 0.0, high = 1.0, count = 8 }'
    file.write_text(TEMPLATE.format(file=file, name=json.dumps(name), scales=scales, **said), encoding="utf-8")
    print(f"written: {file}; run it with: simsa sweep {file}")
    return DONE


def _of_data(csv: Path, file: Path) -> dict[str, str]:
    """Return what stands in the scenario `file` about a file of samples."""
    from simsa.scenario.data import Csv

    given = Csv(source="csv", path=str(csv.resolve()))
    columns = given.read(file, (), 0)
    *features, target = columns.names
    if not features:
        raise DataError(f"{csv}: there is one column, '{target}'; expected features, and the target in the last column")
    plain = len(features) < FORMULA and all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", one) for one in columns.names)
    try:
        path = csv.resolve().relative_to(file.resolve().parent)
    except ValueError:  # elsewhere than beside the scenario
        path = csv.resolve()
    data = [
        f'source = "csv"\npath = {json.dumps(path.as_posix())}\ntarget = {json.dumps(target)}',
        "standardise = true         # features have mean 0 and variance 1" + (", and so has the target" * plain),
    ]
    if len(columns.rows) > MOST:
        data.append(f"limit = {MOST}                # of {len(columns.rows)} rows: the first ones")
    return {
        "claim": f"Absolute deviations of '{target}' from what {len(features)} features of {csv.name} predict.",
        "title": json.dumps(f"Prediction of {target}"),
        "program": _formula(features, target) if plain else _network(features),
        "data": "\n".join(data),
        "batch": f'{{ law = "fixed_size", size = {min(4, len(columns.rows))} }}  # or {{ law = "uniform_subset" }}',
    }


def _formula(features: Sequence[str], target: str) -> str:
    """Return the program |bias + sum of weight * feature - target|, with names that no column has."""
    mark = "w"
    while any(name.startswith(mark) for name in (*features, target)):
        mark += "w"
    weights = [f"{mark}{j}" for j in range(len(features) + 1)]
    terms = [weights[0], *(f"{weight} * {name}" for weight, name in zip(weights[1:], features, strict=True))]
    return (
        f'kind = "expression"\nparameters = {json.dumps(weights)}\ndata = {json.dumps([*features, target])}\n'
        f'expression = "abs({" + ".join(terms)} - {target})"'
    )


def _network(features: Sequence[str]) -> str:
    """Return a network with a hidden layer."""
    return (
        f'kind = "network"\nlayers = [{len(features)}, 4, 1]{"":5}# features, hidden units, output\n'
        'activation = "relu"\nloss = "l1"                # |output - target|'
    )
