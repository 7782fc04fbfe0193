"""What a program is, and the ways to one: a Python function, a formula, a network."""

from simsa.program.artificial import artificial
from simsa.program.build import build
from simsa.program.expression import expression
from simsa.program.network import network
from simsa.program.program import Branches, Builder, Guard, Layer, Node, Program, Row
from simsa.program.trace import trace

__all__ = [
    "Branches",
    "Builder",
    "Guard",
    "Layer",
    "Node",
    "Program",
    "Row",
    "artificial",
    "build",
    "expression",
    "network",
    "trace",
]
