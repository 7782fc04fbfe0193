"""The reference, which defines what is computed, and the only calls of the kernels from Python.

Names are imported when they are first used, so that a command that computes nothing does not wait for Numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsa.machine.evaluator import Machine, branches, tape_of
    from simsa.machine.floating import arithmetic
    from simsa.machine.launch import (
        compiled,
        descend,
        evaluate,
        evaluation,
        initial_points,
        minibatches,
        streamed,
        warm_up,
    )
    from simsa.machine.reference import FLOAT64, Execution, Interpreter
    from simsa.machine.replay import Step, Walker
    from simsa.machine.task import Descent, Initial, Stream

_HOMES = {
    "evaluator": ("Machine", "branches", "tape_of"),
    "floating": ("arithmetic",),
    "launch": (
        "compiled",
        "descend",
        "evaluate",
        "evaluation",
        "initial_points",
        "minibatches",
        "streamed",
        "warm_up",
    ),
    "reference": ("FLOAT64", "Execution", "Interpreter"),
    "replay": ("Step", "Walker"),
    "task": ("Descent", "Initial", "Stream"),
}

__all__ = [
    "FLOAT64",
    "Descent",
    "Execution",
    "Initial",
    "Interpreter",
    "Machine",
    "Step",
    "Stream",
    "Walker",
    "arithmetic",
    "branches",
    "compiled",
    "descend",
    "evaluate",
    "evaluation",
    "initial_points",
    "minibatches",
    "streamed",
    "tape_of",
    "warm_up",
]


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"simsa.machine.{home}"), name)
    raise AttributeError(f"module 'simsa.machine' has no attribute '{name}'")
