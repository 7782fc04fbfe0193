"""simsa: stochastic approximation with automatic differentiation, simulated and measured."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa.errors import SimsaError
from simsa.machine.evaluator import Machine
from simsa.primitives import Convention
from simsa.program import Builder, Program, artificial, expression, network, trace
from simsa.program.functions import (
    apply,
    clip,
    conv2d,
    dense,
    elu,
    erf,
    hardtanh,
    hinge,
    huber,
    leaky_relu,
    logsumexp,
    max_pool1d,
    max_pool2d,
    maximum,
    median,
    minimum,
    one_hot,
    piecewise,
    relu,
    relu6,
    sigmoid,
    softplus,
    top_k,
    where,
    zero,
)
from simsa.run import Run, exhaustive, load, normal, points, sweep, uniform

if TYPE_CHECKING:
    import xarray

    from simsa import calculus
    from simsa.ensemble.replay import Replay
    from simsa.importers import from_jax, from_torch


Program.evaluator = Machine()

__version__ = "0.1.0"

__all__ = [
    "Builder",
    "Convention",
    "Program",
    "Run",
    "SimsaError",
    "apply",
    "artificial",
    "calculus",
    "clip",
    "conv2d",
    "dense",
    "elu",
    "erf",
    "exhaustive",
    "expression",
    "from_jax",
    "from_torch",
    "hardtanh",
    "hinge",
    "huber",
    "leaky_relu",
    "load",
    "logsumexp",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "median",
    "minimum",
    "network",
    "normal",
    "one_hot",
    "open_records",
    "piecewise",
    "points",
    "relu",
    "relu6",
    "replay",
    "sigmoid",
    "softplus",
    "sweep",
    "top_k",
    "trace",
    "uniform",
    "where",
    "zero",
]


def open_records(path: str | Path) -> "xarray.Dataset":
    """Open the records of a sweep.

    Parameters
    ----------
    path
        The folder of the run.

    Returns
    -------
    xarray.Dataset
        A variable for each field, with the dimensions cell and trajectory.

    Raises
    ------
    RecordsError
        If there are no records in the folder, or if they are damaged.
    """
    from simsa.records import read

    return read.open(path)


def replay(results: str | Path, cell: int, trajectory: int, first: int = 0, last: int | None = None) -> "Replay":
    """Return one trajectory of a sweep, which can be computed again step by step.

    Parameters
    ----------
    results
        The folder of the run.
    cell
        The number of the cell in the records.
    trajectory
        The number of the trajectory in the cell.
    first, last
        The steps first <= k < last; to the end if `last` is left out.

    Returns
    -------
    simsa.ensemble.replay.Replay
        Iterating over it yields the steps.

    Raises
    ------
    RecordsError
        If there is no such trajectory or step, or if the scenario, its data or its program have changed since.
    """
    from simsa.ensemble.replay import replay

    return replay(results, cell, trajectory, first, last)


def __getattr__(name: str) -> Any:
    """Return `simsa.calculus`, `from_torch` or `from_jax`, which are imported when they are first asked for."""
    if name == "calculus":
        return import_module("simsa.calculus")
    if name in ("from_jax", "from_torch"):
        return getattr(import_module("simsa.importers"), name)
    raise AttributeError(f"module 'simsa' has no attribute '{name}'")


def __dir__() -> list[str]:
    """Return what a user needs: the public names."""
    return [*__all__, "__version__"]
