"""The only door to the kernels, and the reference interpreter that defines what they compute."""

from simsa.machine.evaluator import Machine, tape_of
from simsa.machine.reference import FLOAT32, FLOAT64, Interpreter

__all__ = ["FLOAT32", "FLOAT64", "Interpreter", "Machine", "tape_of"]
