"""simsa: stochastic approximation with automatic differentiation, simulated and measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsa import calculus
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
from simsa.run import Run, load, normal, points, sweep, uniform

if TYPE_CHECKING:
    import xarray

    from simsa.calculus import Explanation
    from simsa.ensemble.replay import Replay


def _explained(found: "Explanation", **options: Any) -> Any:
    """Draw an explanation; matplotlib is imported when something is drawn."""
    from simsa.plots.at_point import explanation

    return explanation(found, **options)


Program.evaluator = Machine()
calculus.Explanation.drawer = staticmethod(_explained)

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
    "expression",
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
    """Open the records of a sweep: a variable for each field, by (cell, trajectory).

    path: the folder of the run. Raises RecordsError if there are no records.
    """
    from simsa.records import read

    return read.open(path)


def replay(results: str | Path, cell: int, trajectory: int, first: int = 0, last: int | None = None) -> "Replay":
    """Return one trajectory of a sweep, to be walked again step by step: see `simsa.ensemble.replay.replay`."""
    from simsa.ensemble.replay import replay

    return replay(results, cell, trajectory, first, last)


def __dir__() -> list[str]:
    """Return what a user needs: the public names."""
    return [*__all__, "__version__"]
