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
from simsa.primitives.texts import RELATIONS as RELATIONS


@dataclass(frozen=True)
class Guard:
    """A condition `left relation right` between two operand positions of a select node."""

    left: int
    relation: str
    right: int


@dataclass(frozen=True)
class Row:
    """A row of a user's branch table: if every guard holds, the operand at position `piece` is the value."""

    guards: tuple[Guard, ...]
    piece: int


@dataclass(frozen=True)
class Node:
    """One function g_i, with the registers it reads.

    primitive: its row in the table, or "constant". operands: registers. immediates: numbers fixed at build; of a
    constant, its value. outputs: how many consecutive registers it writes (more than one for `dense` and `sort`). tie:
    the convention's weights or rule. rows: the branch table of a `select`.
    """

    primitive: str
    operands: tuple[int, ...] = ()
    immediates: tuple[float, ...] = ()
    outputs: int = 1
    tie: Weights | str = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A run of parameters with its fan-in and fan-out, for the initial laws of networks.

    kind: "weight" or "bias". start, stop: the parameters' range.
    """

    kind: str
    start: int
    stop: int
    fan_in: int
    fan_out: int


class Evaluator(Protocol):
    """What a program asks of the machine; `simsa` binds the machine to `Program.evaluator` on import."""

    def value(self, program: "Program", x: NDArray[np.float64], data: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the outputs, shape (batch, q)."""

    def jacobian(
        self, program: "Program", x: NDArray[np.float64], data: NDArray[np.float64], mode: str
    ) -> NDArray[np.float64]:
        """Return the selection Jacobians, shape (batch, q, p)."""

    def branches(self, program: "Program", x: NDArray[np.float64], data: NDArray[np.float64]) -> "list[Branches]":
        """Return which pieces are selected and which selections are tied, one entry for each point."""

    def listing(self, program: "Program") -> str:
        """Return the program as text."""


@dataclass(frozen=True)
class Branches:
    """The branches taken at one point.

    nodes: register of each selection node. pieces: what each selected (a piece number; for `max`, `min` the winning
    operand; for `sort` the permutation). tied: whether a guard of the node is exactly zero. The norms that parameters
    move come last, with piece 0; they are tied where they are 0.
    """

    nodes: tuple[int, ...]
    pieces: tuple[int | tuple[int, ...], ...]
    tied: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Program:
    """A program (Section 3 of the paper): p parameters, d data inputs, nodes, and the registers it returns.

    parameters: p. data: d. nodes: in order. outputs: the q registers returned. convention: how ties were decided
    when it was built. layers: ranges of parameters with fans, if it is a network. names: of the parameters.
    """

    parameters: int
    data: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    convention: Convention = TENSORFLOW
    layers: tuple[Layer, ...] = ()
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

    def value(self, x: ArrayLike, data: ArrayLike | None = None) -> NDArray[np.float64]:
        """Return the program's outputs (Algorithm 1).

        x: shape (p,) or (batch, p). data: shape (d,) or (batch, d), if d > 0. The result has shape (q,) or
        (batch, q), and no last axis if q = 1. Raises ProgramError if a shape does not fit.

        >>> import simsa
        >>> float(simsa.trace(lambda x: simsa.relu(x[0]) + x[1], 2).value([3.0, 1.0]))
        4.0
        """
        points, samples, batched = self._inputs(x, data)
        result = self.evaluator.value(self, points, samples)
        result = result[:, 0] if self.q == 1 else result
        return result if batched else result[0]

    def jacobian(self, x: ArrayLike, data: ArrayLike | None = None, mode: str = "backward") -> NDArray[np.float64]:
        """Return the selection Jacobian (Def. 4, Algorithm 2), shape (q, p) or (batch, q, p).

        At a tie it is the Jacobian of the piece that the convention selects. mode: "backward" or "forward"; they
        agree up to rounding, at ties too (Lemma 1).
        """
        if mode not in ("backward", "forward"):
            raise ProgramError(f"mode must be 'backward' or 'forward', got {mode!r}")
        points, samples, batched = self._inputs(x, data)
        result = self.evaluator.jacobian(self, points, samples, mode)
        return result if batched else result[0]

    def gradient(self, x: ArrayLike, data: ArrayLike | None = None, mode: str = "backward") -> NDArray[np.float64]:
        """Return the selection gradient of a program with one output, shape (p,) or (batch, p).

        >>> import simsa
        >>> simsa.trace(lambda x: x[0] - simsa.zero(x[0]), 1).gradient([0.0]).tolist()
        [0.0]
        """
        if self.q != 1:
            raise ProgramError(f"gradient needs one output, the program has {self.q}; use jacobian")
        return self.jacobian(x, data, mode)[..., 0, :]

    def branches(self, x: ArrayLike, data: ArrayLike | None = None) -> Branches | list[Branches]:
        """Return which piece each selection node takes at x, and which nodes are tied; a list for a batch."""
        points, samples, batched = self._inputs(x, data)
        result = self.evaluator.branches(self, points, samples)
        return result if batched else result[0]

    def listing(self) -> str:
        """Return the program as text, one instruction a line."""
        return self.evaluator.listing(self)


class Builder:
    """Collects nodes; every register it hands out is valid, so a finished program is well formed.

    parameters, data: how many of each. convention: decides the tie of every selection that is applied.
    """

    def __init__(self, parameters: int, data: int = 0, convention: Convention = TENSORFLOW) -> None:
        """Start a program with its inputs and nothing else; `node` has each node by its first register."""
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
        """Return the register that holds `value`; equal bits share a register."""
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

        tie: a framework spelling ("torch.fmax") or rule ("first") for this node alone; a convention's override
        still wins. Raises ProgramError if the primitive is unknown or the counts do not fit.

        A `clip` whose bounds are not two numbers low < high becomes the minimum of a maximum: where bounds meet there
        are more ties than the row has, and where they cross that is its value in NumPy, PyTorch and JAX.
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
        """Return a selection written by the user: the piece of the first row whose guards all hold.

        rows: ((left register, relation, right register), ...) and the register of the piece; otherwise: the piece of
        the last row, which has no guard. The first row that holds wins, at a tie too (Def. 2 and 3).
        """
        operands: dict[int, int] = {}

        def position(register: int) -> int:
            return operands.setdefault(register, len(operands))

        table = [
            Row(tuple(Guard(position(a), relation, position(b)) for a, relation, b in guards), position(piece))
            for guards, piece in rows
        ]
        if any(guard.relation not in RELATIONS for row in table for guard in row.guards):
            raise ProgramError(f"a guard's relation must be one of {' '.join(RELATIONS)}")
        table.append(Row((), position(otherwise)))
        return self._add(Node("select", tuple(operands), rows=tuple(table)))

    def finish(self, outputs: Sequence[int], layers: Sequence[Layer] = (), names: Sequence[str] = ()) -> Program:
        """Return the finished program that returns the registers `outputs`."""
        if not outputs or any(not 0 <= register < self.registers for register in outputs):
            raise ProgramError("a program must return at least one of its own registers")
        return Program(
            self.parameters,
            self.data,
            tuple(self.nodes),
            tuple(map(int, outputs)),
            self.convention,
            tuple(layers),
            tuple(names),
        )
