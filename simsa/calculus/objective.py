"""Objectives, which the functions of the calculus take in place of a program, and checks of their arguments."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus.dual import DUAL
from simsa.errors import ProgramError
from simsa.machine.evaluator import interpreter_of
from simsa.machine.reference import Execution, Interpreter
from simsa.primitives import ROWS
from simsa.program.program import Program
from simsa.tape.tape import ADJOINED, FLAGS, GUARDED, OP

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Objective:
    """J = (1/n) Σ f_i, where f_i is the function of one program with row i of the data.

    Attributes
    ----------
    program
        The program.
    rows
        The data, shape (n, d), which `objective` checks. Sums run over the rows in order and are then divided by n, as
        in the recursion.
    """

    program: Program
    rows: Array

    @cached_property
    def interpreter(self) -> Interpreter:
        """Return the reference interpreter of the program."""
        return interpreter_of(self.program)

    @cached_property
    def dual(self) -> Interpreter:
        """Return an interpreter of the program in dual numbers."""
        return Interpreter(self.interpreter.tape, DUAL)

    @property
    def p(self) -> int:
        """Return the number of parameters."""
        return self.program.p

    @property
    def q(self) -> int:
        """Return the number of outputs."""
        return self.program.q

    def minibatch(self, indices: Sequence[int]) -> "Objective":
        """Return f_I, the mean over the rows with the given indices; raises ProgramError for an invalid index."""
        chosen = np.asarray(indices, np.int64).reshape(-1)
        if not len(chosen) or chosen.min() < 0 or chosen.max() >= len(self.rows):
            raise ProgramError(f"a minibatch names some of the rows 0..{len(self.rows) - 1}, got {list(indices)}")
        return Objective(self.program, self.rows[chosen])

    def runs(self, x: Array) -> Iterator[Execution]:
        """Yield the execution of each term at x."""
        return (self.run(x, i) for i in range(len(self.rows)))

    def run(self, x: Array, sample: int, choices: Mapping[int, Any] | None = None) -> Execution:
        """Return the execution of one term.

        x: the point, shape (p,). sample: the number of the term. choices: by instruction, decisions that are forced.
        """
        return self.interpreter.run(x.tolist(), self.rows[sample].tolist(), choices)

    def outputs(self, run: Execution) -> Array:
        """Return the outputs of an execution, shape (q,)."""
        return np.array([float(run.values[r]) for r in self.interpreter.tape.outputs])

    def slopes(self, run: Execution) -> Array:
        """Return the Jacobian of an execution, shape (q, p), by backward mode."""
        return np.array([self.interpreter.backward(run, j) for j in range(self.q)], np.float64)

    def values(self, x: ArrayLike) -> Array:
        """Return the q outputs at x."""
        return mean([self.outputs(run) for run in self.runs(point(self, x))])

    def value(self, x: ArrayLike) -> float:
        """Return J(x); raises ProgramError unless q = 1."""
        return float(scalar(self).values(x)[0])

    def jacobian(self, x: ArrayLike) -> Array:
        """Return the selection Jacobian at x, shape (q, p)."""
        return mean([self.slopes(run) for run in self.runs(point(self, x))])

    def gradient(self, x: ArrayLike) -> Array:
        """Return the selection gradient at x, shape (p,); raises ProgramError unless q = 1."""
        gradient: Array = scalar(self).jacobian(x)[0]
        return gradient


def objective(program: Program, rows: ArrayLike) -> Objective:
    """Return the finite sum J = (1/n) Σ f_i over data rows.

    Parameters
    ----------
    program
        A program with d data inputs; f_i is its function with row i.
    rows
        The data, shape (n, d), n at least 1, finite.

    Returns
    -------
    Objective
        It can take the place of a program in every function of the calculus.

    Raises
    ------
    ProgramError
        If the rows do not fit the program, or are not finite.

    Notes
    -----
    D_J and ∂^c J are the sets of the sum. `minkowski_sum` returns the means of the sets of the terms, which may be
    larger.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 5.2.

    Examples
    --------
    >>> import simsa
    >>> J = objective(simsa.trace(lambda x, s: s[0] * abs(x[0]), 1, 1), [[1.0], [2.0]])
    >>> J.value([-2.0]), J.minibatch([1]).value([-2.0])
    (3.0, 4.0)
    """
    table = numbers(rows, "rows")
    if table.ndim != 2 or len(table) < 1 or table.shape[1] != program.data:
        raise ProgramError(f"expected rows of shape (n, {program.data}), n at least 1, got {table.shape}")
    if not np.isfinite(table).all():
        raise ProgramError(f"expected rows of finite numbers, got {table[~np.isfinite(table).all(1)][0].tolist()}")
    return Objective(program, table)


def terms(subject: Program | Objective, data: ArrayLike | None) -> Objective:
    """Return the objective of a program and data rows; an objective is returned as it is, with data=None."""
    if not isinstance(subject, Program):
        return resolve(subject, data)
    if data is None and subject.data:
        raise ProgramError(f"the program reads {subject.data} data inputs; pass its rows")
    return objective(subject, np.zeros((1, 0)) if data is None else data)


def resolve(subject: Program | Objective, data: ArrayLike | None = None) -> Objective:
    """Return a program with one row of data as an objective of one term; an objective is returned as it is."""
    if isinstance(subject, Objective):
        if data is not None:
            raise ProgramError("an objective has its data already; data= is for programs")
        return subject
    if not isinstance(subject, Program):
        raise ProgramError(f"expected a program or an objective, got {type(subject).__name__}")
    if data is None and subject.data:
        raise ProgramError(f"the program reads {subject.data} data inputs; pass data=")
    row = np.zeros(0) if data is None else numbers(data, "data")
    if row.shape != (subject.data,):
        raise ProgramError(f"expected data of shape ({subject.data},), got {row.shape}; for several rows, objective()")
    return objective(subject, row.reshape(1, -1))


def numbers(values: ArrayLike, what: str) -> Array:
    """Return values as an array of float64; raises ProgramError, which calls them `what`, if that is not possible."""
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ProgramError(f"expected {what} of numbers, got {values!r}") from None


def executions(subject: Objective, x: Array) -> list[Execution]:
    """Return the execution of each term at x; raises ProgramError if an output is not finite, or a norm is 0."""
    runs = list(subject.runs(x))
    for i, run in enumerate(runs):
        outputs = subject.outputs(run)
        if not np.isfinite(outputs).all():
            term = f" of row {i}" if len(runs) > 1 else ""
            raise ProgramError(f"the program's value{term} is {outputs.tolist()} at {x.tolist()}, not finite")
        if norms(subject.interpreter, run):
            raise ProgramError(
                f"a norm is 0 at {x.tolist()}, and its gradients fill a ball: ask round_clarke, or classify"
            )
    return runs


def norms(interpreter: Interpreter, run: Execution) -> list[int]:
    """Return the Euclidean norms that are 0, depend on parameters, and are needed by an output, as instructions."""
    needed = GUARDED | ADJOINED
    return [
        k
        for k, line in enumerate(interpreter.code)
        if ROWS[line[OP]].is_norm and line[FLAGS] & needed == needed and run.margins[k] == 0
    ]


def point(subject: Objective, x: ArrayLike) -> Array:
    """Return x as an array of shape (p,); raises ProgramError if it has another shape, or is not finite."""
    array = numbers(x, "a point")
    if array.shape != (subject.p,):
        raise ProgramError(f"expected a point of length {subject.p}, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ProgramError(f"expected a point of finite numbers, got {array.tolist()}")
    return array


def scalar(subject: Objective) -> Objective:
    """Return the objective; raises ProgramError unless it has one output."""
    if subject.q != 1:
        raise ProgramError(f"expected a program with one output, got {subject.q}")
    return subject


def box_of(subject: Objective, box: ArrayLike) -> tuple[Array, Array]:
    """Return the corners of a box, given as (low, high), each a number or shape (p,)."""
    try:
        low, high = (np.broadcast_to(np.asarray(side, np.float64), (subject.p,)) for side in box)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise ProgramError(f"expected a box (low, high), each a number or of length {subject.p}, got {box!r}") from None
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
        raise ProgramError(f"expected a box with finite low <= high, got {box!r}")
    return low, high


def mean(terms: Sequence[Array]) -> Array:
    """Return the mean of arrays, summed from left to right."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total / len(terms) if len(terms) > 1 else total
