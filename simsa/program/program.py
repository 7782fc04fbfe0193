"""What a program is: P = (p, q, m, pr, G) of Bolte and Pauwels (NeurIPS 2020), Section 3.

Registers are numbered from 0: the p parameters, then the data inputs (constants for differentiation), then the
outputs of the nodes in order. Memory is never overwritten, and a node reads only registers before its own.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.errors import ProgramError
from simsa.primitives import ROW, Convention, Weights
from simsa.primitives.conventions import TENSORFLOW
from simsa.primitives.operations import Case, Guard
from simsa.primitives.texts import RELATIONS as RELATIONS


@dataclass(frozen=True)
class Node:
    """One function g_i of a program, with the registers that it reads.

    primitive: the name of a row of the table, or "constant". operands: the registers that are read. immediates: the
    numbers that are fixed when the program is built; for a constant, its value. outputs: the number of consecutive
    registers that are written; more than one for `dense` and `sort`. tie: the convention's weights or rule. cases: the
    branch table of a `select`; the guards and pieces are positions among the operands.
    """

    primitive: str
    operands: tuple[int, ...] = ()
    immediates: tuple[float, ...] = ()
    outputs: int = 1
    tie: Weights | str = ()
    cases: tuple[Case, ...] = ()


def _many(count: int, what: str) -> str:
    """Return a count with its noun: "1 node", "7 nodes"."""
    return f"{count} {what}{'s' * (count != 1)}"


@dataclass(frozen=True)
class ParameterRange:
    """The weights or the biases of one layer of a network, for the initial laws that depend on the layer.

    kind: "weight" or "bias". start, stop: the parameters x[start:stop]. fan_in, fan_out: the numbers of inputs and
    outputs of the layer; for a convolution, times the size of its filters.
    """

    kind: str
    start: int
    stop: int
    fan_in: int
    fan_out: int


class Evaluator(Protocol):
    """What evaluates programs. Importing `simsa` sets `Program.evaluator` to `simsa.machine.evaluator.Machine`."""

    def value(self, program: "Program", x: NDArray[np.float64], data: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the outputs of `program`, shape (batch, q). x: shape (batch, p). data: shape (batch, d)."""

    def jacobian(
        self, program: "Program", x: NDArray[np.float64], data: NDArray[np.float64], mode: str
    ) -> NDArray[np.float64]:
        """Return the selection Jacobians of `program`, shape (batch, q, p).

        x: shape (batch, p). data: shape (batch, d). mode: "backward" or "forward".
        """

    def branches(self, program: "Program", x: NDArray[np.float64], data: NDArray[np.float64]) -> "list[Branches]":
        """Return the selected pieces and the ties of `program` at each point.

        x: shape (batch, p). data: shape (batch, d).
        """

    def listing(self, program: "Program") -> str:
        """Return the program as text."""


@dataclass(frozen=True)
class Branches:
    """The branches taken at one point.

    nodes: the register of each selection node. pieces: what each node selected: the number of a piece; for `max` and
    `min` the position of the operand that is returned; for `sort` the permutation. tied: whether a guard of the node is
    exactly 0. Euclidean norms of operands that depend on parameters come last, with piece 0; they are tied where they
    are 0.
    """

    nodes: tuple[int, ...]
    pieces: tuple[int | tuple[int, ...], ...]
    tied: tuple[bool, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Program:
    """A program (Section 3 of the paper), as `trace`, `expression`, `network` and `Builder` make them.

    Parameters
    ----------
    parameters
        The number p of parameters, which derivatives are taken with respect to.
    data
        The number d of data inputs, which are constants for differentiation.
    nodes
        The functions g_i in the order in which they are computed.
    outputs
        The q registers that are returned.
    convention
        The tie convention that the program was built with.
    ranges
        For a network, the weights and biases of its layers; else empty.
    names
        The names of the parameters; empty if they have none.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 3: P = (p, q, m, pr, G).
    """

    parameters: int
    data: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    convention: Convention = TENSORFLOW
    ranges: tuple[ParameterRange, ...] = ()
    names: tuple[str, ...] = field(default=())

    evaluator: ClassVar[Evaluator]

    @property
    def p(self) -> int:
        """Return the number of differentiable inputs."""
        return self.parameters

    @property
    def q(self) -> int:
        """Return the number of outputs."""
        return len(self.outputs)

    @property
    def m(self) -> int:
        """Return the number of registers."""
        return self.parameters + self.data + sum(node.outputs for node in self.nodes)

    @property
    def predecessors(self) -> tuple[tuple[int, ...], ...]:
        """Return pr(i) for each of the m registers; empty for inputs and constants."""
        table: list[tuple[int, ...]] = [()] * (self.parameters + self.data)
        for node in self.nodes:
            table += [tuple(dict.fromkeys(node.operands))] * node.outputs
        return tuple(table)

    def _inputs(self, x: ArrayLike, data: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64], bool]:
        """Return x of shape (batch, p), data of shape (batch, d), and whether a batch was given."""
        points = np.asarray(x, dtype=np.float64)
        samples = np.zeros(self.data) if data is None else np.asarray(data, dtype=np.float64)
        if data is None and self.data:
            raise ProgramError(f"the program reads {self.data} data inputs; pass data=")
        if points.ndim not in (1, 2) or points.shape[-1] != self.parameters:
            raise ProgramError(f"expected a point of length {self.parameters}, got shape {points.shape}")
        if samples.ndim not in (1, 2) or samples.shape[-1] != self.data:
            raise ProgramError(f"expected data of length {self.data}, got shape {samples.shape}")
        batch = np.broadcast_shapes(points.shape[:-1], samples.shape[:-1])
        rows = batch or (1,)
        return (
            np.broadcast_to(points, (*rows, self.parameters)),
            np.broadcast_to(samples, (*rows, self.data)),
            bool(batch),
        )

    def __repr__(self) -> str:
        """Return what the program is in a line; `listing` has all of it."""
        selections = sum(node.primitive in ROW and ROW[node.primitive].selection for node in self.nodes)
        data = _many(self.data, "data input") + ", " if self.data else ""
        return (
            f"{type(self).__name__}({_many(self.parameters, 'parameter')}, {data}{_many(len(self.nodes), 'node')}, "
            f"{_many(selections, 'selection')}, {self.convention.label})"
        )

    def __call__(self, x: ArrayLike, data: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the value at a point, or at several: see `value`."""
        return self.value(x, data)

    def value(self, x: ArrayLike, data: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the program's outputs (Algorithm 1).

        Parameters
        ----------
        x
            A point, shape (p,), or several, shape (batch, p).
        data
            The data inputs, shape (d,) or (batch, d); needed if d > 0. A single row is used for every point.

        Returns
        -------
        array
            float64 of shape (q,) or (batch, q); without the last axis if q = 1.

        Raises
        ------
        ProgramError
            If a shape does not fit, or data are missing.

        Examples
        --------
        >>> import simsa
        >>> float(simsa.trace(lambda x: simsa.relu(x[0]) + x[1], 2).value([3.0, 1.0]))
        4.0
        """
        points, samples, batched = self._inputs(x, data)
        result = self.evaluator.value(self, points, samples)
        result = result[:, 0] if self.q == 1 else result
        return result if batched else result[0]

    def jacobian(self, x: ArrayLike, data: ArrayLike | None = None, mode: str = "backward") -> NDArray[np.float64]:
        """Return the selection Jacobian (Def. 4).

        Parameters
        ----------
        x
            A point, shape (p,), or several, shape (batch, p).
        data
            The data inputs, shape (d,) or (batch, d); needed if d > 0.
        mode
            "backward" or "forward". The two agree up to rounding, also at ties (Lemma 1).

        Returns
        -------
        array
            float64 of shape (q, p) or (batch, q, p).

        Raises
        ------
        ProgramError
            If a shape does not fit, data are missing, or the mode is unknown.

        Notes
        -----
        At a tie it is the Jacobian of the pieces that the convention selects, or their weighted mean.

        References
        ----------
        Bolte and Pauwels (NeurIPS 2020), Definition 4 and Algorithm 2.

        Examples
        --------
        >>> import simsa
        >>> simsa.trace(lambda x: [simsa.relu(x[0]), x[0] * x[1]], 2).jacobian([0.0, 3.0]).tolist()
        [[0.0, 0.0], [3.0, 0.0]]
        """
        if mode not in ("backward", "forward"):
            raise ProgramError(f"mode must be 'backward' or 'forward', got {mode!r}")
        points, samples, batched = self._inputs(x, data)
        result = self.evaluator.jacobian(self, points, samples, mode)
        return result if batched else result[0]

    def gradient(self, x: ArrayLike, data: ArrayLike | None = None, mode: str = "backward") -> NDArray[np.float64]:
        """Return the selection gradient of a program with one output.

        Parameters
        ----------
        x
            A point, shape (p,), or several, shape (batch, p).
        data
            The data inputs, shape (d,) or (batch, d); needed if d > 0.
        mode
            "backward" or "forward", as for `jacobian`.

        Returns
        -------
        array
            float64 of shape (p,) or (batch, p).

        Raises
        ------
        ProgramError
            If the program has several outputs; else as for `jacobian`.

        Examples
        --------
        >>> import simsa
        >>> simsa.trace(lambda x: x[0] - simsa.zero(x[0]), 1).gradient([0.0]).tolist()
        [0.0]
        """
        if self.q != 1:
            raise ProgramError(f"gradient needs one output, the program has {self.q}; use jacobian")
        return self.jacobian(x, data, mode)[..., 0, :]

    def branches(self, x: ArrayLike, data: ArrayLike | None = None) -> Branches | list[Branches]:
        """Return which piece each selection node selects, and which nodes are tied.

        Parameters
        ----------
        x
            A point, shape (p,), or several, shape (batch, p).
        data
            The data inputs, shape (d,) or (batch, d); needed if d > 0.

        Returns
        -------
        Branches or list of Branches
            For several points, one for each.

        Examples
        --------
        >>> import simsa
        >>> simsa.trace(lambda x: simsa.relu(x[0]) + abs(x[1]), 2).branches([0.0, 3.0]).tied
        (True, False)
        """
        points, samples, batched = self._inputs(x, data)
        result = self.evaluator.branches(self, points, samples)
        return result if batched else result[0]

    def listing(self) -> str:
        """Return the program as text, one instruction a line.

        Examples
        --------
        >>> import simsa
        >>> print(simsa.trace(lambda x: 2 * abs(x[0]), 1).listing().splitlines()[0])
        1 parameters, 0 data, 4 registers
        """
        return self.evaluator.listing(self)

    def under(self, convention: Convention) -> "Program":
        """Return the same function as a program under a tie convention.

        Parameters
        ----------
        convention
            The tie convention.

        Raises
        ------
        ProgramError
            For another convention than the program's own, unless the program knows what it was made of.

        Examples
        --------
        >>> import simsa
        >>> program = simsa.trace(lambda x: abs(x[0]), 1)
        >>> program.under(program.convention) is program
        True
        """
        if convention.label != self.convention.label:
            raise ProgramError(
                f"a Program was traced for one, {self.convention.label}; to compare conventions, "
                "pass the function that it was traced from"
            )
        return self


class Builder:
    """Builds a program node by node. A finished program reads only registers that were written before.

    Parameters
    ----------
    parameters
        The number of parameters, at least 1. They are the registers 0 to p - 1.
    data
        The number of data inputs. They are the registers p to p + d - 1.
    convention
        Gives each selection its weights or rule at ties.

    Raises
    ------
    ProgramError
        If there is no parameter, or a negative number of data inputs.

    Examples
    --------
    >>> builder = Builder(1)
    >>> program = builder.finish([builder.apply("relu", [0])])
    >>> [node.primitive for node in program.nodes]
    ['relu']
    """

    def __init__(self, parameters: int, data: int = 0, convention: Convention = TENSORFLOW) -> None:
        """Begin a program that has inputs only. The attribute `node` maps a register to the node that begins there."""
        if parameters < 1 or data < 0:
            raise ProgramError(
                f"a program needs at least one parameter and no negative data count, got {parameters}, {data}"
            )
        self.parameters, self.data, self.convention = parameters, data, convention
        self.nodes: list[Node] = []
        self.registers = parameters + data
        self._constants: dict[bytes, int] = {}
        self._values: dict[int, float] = {}
        self.node: dict[int, Node] = {}

    def _add(self, node: Node) -> int:
        """Append a node, and return its first register."""
        first = self.registers
        if any(not 0 <= operand < first for operand in node.operands):
            raise ProgramError(f"{node.primitive}: an operand is not a register of this program")
        self.nodes.append(node)
        self.node[first] = node
        self.registers += node.outputs
        return first

    def constant(self, value: float) -> int:
        """Return the register that holds the constant `value`. Constants with equal bits share a register."""
        bits = np.float64(value).tobytes()
        if bits not in self._constants:
            self._constants[bits] = self._add(Node("constant", immediates=(float(value),)))
            self._values[self._constants[bits]] = float(value)
        return self._constants[bits]

    def apply(
        self,
        primitive: str,
        operands: Sequence[int],
        immediates: Sequence[float] = (),
        outputs: int = 1,
        tie: str | None = None,
    ) -> int:
        """Apply a primitive to registers, and return the first register of its result.

        Parameters
        ----------
        primitive
            The name of a row of the table.
        operands
            The registers that it reads.
        immediates
            The numbers that the row needs, in its order.
        outputs
            The number of results, for `dense` and `sort`.
        tie
            A framework spelling ("torch.fmax") or a rule ("first") for this node alone. An override of the convention
            takes precedence over it.

        Returns
        -------
        int
            The first of the consecutive registers that hold the result.

        Raises
        ------
        ProgramError
            If the primitive or the tie rule is unknown, a count does not fit, or an operand is not a register.

        Notes
        -----
        A `clip` whose bounds are not two constants low < high is built as the minimum of a maximum. Where the bounds
        are equal there are ties that the row of `clip` does not have; where low > high this is the value of NumPy,
        PyTorch and JAX.
        """
        if primitive not in ROW:
            raise ProgramError(f"unknown primitive '{primitive}'; expected one of {', '.join(ROW)}")
        row = ROW[primitive]
        if row.arity is not None and len(operands) != row.arity:
            raise ProgramError(f"{primitive} takes {row.arity} operands, got {len(operands)}")
        if row.arity is None and not operands:
            raise ProgramError(f"{primitive} needs at least one operand")
        if len(immediates) != len(row.immediates):
            raise ProgramError(f"{primitive} takes the numbers ({', '.join(row.immediates)}), got {len(immediates)}")
        weights = self.convention.tie(primitive, tie) if row.ties else ()
        reads = tuple(map(int, operands))
        if primitive == "clip" and not operator.lt(*(self._values.get(bound, math.nan) for bound in reads[1:])):
            below, above = (tuple(map(float, tie_row)) for tie_row in weights)
            larger = self._add(Node("maximum", reads[:2], tie=(below[::-1],)))
            clipped = self._add(Node("minimum", (larger, reads[2]), tie=(above,)))
            met = ROW["minimum"].ties.get(f"{self.convention.spelling(primitive, tie)}(lo = hi)")
            if not isinstance(met, tuple):
                return clipped
            x, low, high = reads
            bound = self._add(Node("minimum", (low, high), tie=met))
            return self.select([([(x, "<", low)], bound)], clipped)
        return self._add(Node(primitive, reads, tuple(map(float, immediates)), outputs, weights))

    def select(self, rows: Sequence[tuple[Sequence[tuple[int, str, int]], int]], otherwise: int) -> int:
        """Append a selection with a branch table, and return its register (Def. 2 and 3).

        rows: pairs (guards, register of the piece), where guards are triples (left register, relation, right register).
        otherwise: the register of the piece of the last row, which has no guard. The value is the piece of the first
        row whose guards all hold, also where a guard is tied. Raises ProgramError for an unknown relation.
        """
        operands: dict[int, int] = {}

        def position(register: int) -> int:
            return operands.setdefault(register, len(operands))

        cases = [
            Case(tuple(Guard(position(a), relation, position(b)) for a, relation, b in guards), position(piece))
            for guards, piece in rows
        ]
        if any(guard.relation not in RELATIONS for case in cases for guard in case.guards):
            raise ProgramError(f"a guard's relation must be one of {' '.join(RELATIONS)}")
        cases.append(Case((), position(otherwise)))
        return self._add(Node("select", tuple(operands), cases=tuple(cases)))

    def finish(
        self, outputs: Sequence[int], ranges: Sequence[ParameterRange] = (), names: Sequence[str] = ()
    ) -> Program:
        """Return the finished program.

        outputs: the registers that the program returns, at least one. ranges: for a network, the weights and biases of
        its layers. names: the names of the parameters, if they have any. Raises ProgramError if an output is not a
        register of the program.
        """
        if not outputs or any(not 0 <= register < self.registers for register in outputs):
            raise ProgramError("a program must return at least one of its own registers")
        return Program(
            self.parameters,
            self.data,
            tuple(self.nodes),
            tuple(map(int, outputs)),
            self.convention,
            tuple(ranges),
            tuple(names),
        )
