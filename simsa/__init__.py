"""simsa: stochastic approximation with automatic differentiation, simulated and measured."""

from simsa.machine.evaluator import Machine
from simsa.program.program import Program

Program.evaluator = Machine()

__version__ = "0.1.0"
