"""Programs, and how to make them: from a Python function, a formula or a network."""

from simsa.program.artificial import artificial
from simsa.program.build import build
from simsa.program.expression import expression
from simsa.program.network import network
from simsa.program.program import Branches, Builder, Node, ParameterRange, Program
from simsa.program.trace import trace

__all__ = [
    "Branches",
    "Builder",
    "Node",
    "ParameterRange",
    "Program",
    "artificial",
    "build",
    "expression",
    "network",
    "trace",
]
