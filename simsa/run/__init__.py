"""The Python front door: run a scenario from a notebook or a program, and ask what came of it.

Whatever a sweep is made of, a function or a file, it is a scenario file in the folder of its results before anything is
run. The command line does the same steps (`perform`).
"""

from simsa.run.exhaustive import exhaustive
from simsa.run.run import Run, load, sweep
from simsa.run.starts import normal, points, uniform
from simsa.run.trajectory import Trajectory

__all__ = ["Run", "Trajectory", "exhaustive", "load", "normal", "points", "sweep", "uniform"]
