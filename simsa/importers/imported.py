"""What both importers return: a program that knows the model it was made of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa.errors import ProgramError
from simsa.primitives import Convention
from simsa.program.program import Builder, ParameterRange, Program
from simsa.program.symbolic import Array
from simsa.program.trace import finish

Shape = tuple[int, ...]


FAULTS = (TypeError, ValueError, LookupError, AttributeError)
"""What a function of a table may raise for arguments that it was not written for."""


def first_line(error: Exception) -> str:
    """Return the first line of the message of an error, or its type if it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Refusal(ProgramError):
    """An operation that cannot be imported; the message begins with the line of the model."""


def placed(error: Exception, place: str, name: str) -> ProgramError:
    """Return the error of an operation with the place in front, if it has none yet.

    error: a ProgramError, or one of FAULTS. place: "file:line: ", or empty if it is not known. name: of the operation.
    """
    if isinstance(error, Refusal):
        return error
    what = str(error) if isinstance(error, ProgramError) else f"{name} cannot be imported so: {first_line(error)}"
    return Refusal(f"{place}{what}") if place else ProgramError(what)


class Model(ABC):
    """The graph of a model of a framework, which can be made into a program under any tie convention.

    framework: whose words decide ties unless a convention says otherwise: "pytorch" or "jax". count: the number of
    parameters. inputs: the shapes of the example inputs, in the order of their numbers in a data row. ranges: the
    weights and biases of the layers, as far as they are known.
    """

    framework: str
    count: int
    inputs: Sequence[Shape]
    ranges: Sequence[ParameterRange] = ()

    @abstractmethod
    def outputs(self, parameters: Array, inputs: Sequence[Any]) -> Any:
        """Return what the model computes, as symbolic arrays.

        parameters: all of them, shape (p,). inputs: symbolic arrays of the shapes `inputs`.
        """

    @abstractmethod
    def parameters_of(self, holder: Any) -> NDArray[np.float64]:
        """Return the numbers of the parameters that a module or a pytree holds, shape (p,)."""

    @abstractmethod
    def unflatten(self, w: NDArray[np.float64]) -> Any:
        """Return numbers of shape (p,) as the framework holds parameters."""

    @abstractmethod
    def leaves(self, inputs: Sequence[Any]) -> list[NDArray[np.float64]]:
        """Return inputs as arrays of numbers, in the order of `self.inputs`."""

    def program(self, convention: Convention) -> "ImportedProgram":
        """Return the program of the model under a tie convention."""
        width = sum(int(np.prod(shape)) for shape in self.inputs)
        builder = Builder(self.count, width, convention)
        at, inputs = self.count, []
        for shape in self.inputs:
            stop = at + int(np.prod(shape))
            inputs.append(Array(builder, np.arange(at, stop).reshape(shape)))
            at = stop
        result = self.outputs(Array(builder, np.arange(self.count)), inputs)
        made = pruned(finish(builder, result, "the model", ranges=self.ranges))
        return ImportedProgram(**{one.name: getattr(made, one.name) for one in fields(made)}, model=self)


def pruned(program: Program) -> Program:
    """Return a program without the nodes that no output depends on, which a model may have many of."""
    first, firsts = program.parameters + program.data, []
    for node in program.nodes:
        firsts.append(first)
        first += node.outputs
    wanted, kept = set(program.outputs), []
    for node, first in zip(reversed(program.nodes), reversed(firsts), strict=True):
        if wanted.intersection(range(first, first + node.outputs)):
            wanted.update(node.operands)
            kept.append((node, first))
    number = {register: register for register in range(program.parameters + program.data)}
    nodes = []
    for node, first in reversed(kept):
        nodes.append(replace(node, operands=tuple(number[register] for register in node.operands)))
        start = len(number)
        number.update((first + i, start + i) for i in range(node.outputs))
    return replace(program, nodes=tuple(nodes), outputs=tuple(number[register] for register in program.outputs))


@dataclass(frozen=True, eq=False, repr=False)
class ImportedProgram(Program):
    """A program that was made from a model of PyTorch or JAX by `from_torch` or `from_jax`.

    Parameters
    ----------
    model
        The graph of the model.

    Notes
    -----
    It is a `Program` in every respect, and is stored and swept like one. `parameters_of`, `unflatten` and `data_of`
    translate between the framework's objects and vectors.
    """

    model: Model | None = None

    @property
    def _model(self) -> Model:
        """Return the model; raises ProgramError if the program has none."""
        if self.model is None:
            raise ProgramError("the program has no model of a framework")
        return self.model

    def under(self, convention: Convention) -> "ImportedProgram":
        """Return the same model as a program under another tie convention."""
        return self if convention.label == self.convention.label else self._model.program(convention)

    def parameters_of(self, holder: Any) -> NDArray[np.float64]:
        """Return the point that a module (PyTorch) or a pytree of parameters (JAX) holds.

        Parameters
        ----------
        holder
            A module like the imported one, or a pytree like its parameters.

        Returns
        -------
        array
            float64 of shape (p,): the parameters that are trained, one after the other, in the order of
            `torch.nn.utils.parameters_to_vector` or `jax.flatten_util.ravel_pytree`.

        Raises
        ------
        ProgramError
            If the parameters are not those of the imported model.
        """
        return self._model.parameters_of(holder)

    def unflatten(self, w: Any) -> Any:
        """Return a point as the framework holds parameters.

        Parameters
        ----------
        w
            A point, shape (p,).

        Returns
        -------
        dict or pytree
            For PyTorch the tensors by name, which `torch.func.functional_call` and `load_state_dict` take; for JAX a
            pytree like the imported one.

        Raises
        ------
        ProgramError
            If w has another shape.
        """
        point = np.asarray(w, np.float64)
        if point.shape != (self.p,):
            raise ProgramError(f"expected a point of shape ({self.p},), got shape {point.shape}")
        return self._model.unflatten(point)

    def data_of(self, *inputs: Any) -> NDArray[np.float64]:
        """Return inputs of the model as a data row, or as several.

        Parameters
        ----------
        inputs
            As many as the example inputs, each of the shape of the example. If every example has a first axis of length
            1, inputs whose first axis has length n are n samples.

        Returns
        -------
        array
            float64 of shape (d,), which `gradient` takes as `data`; for n samples of shape (n, d), which `simsa.sweep`
            takes as `data`.

        Raises
        ------
        ProgramError
            If a shape does not fit.
        """
        expected = self._model.inputs
        given = self._model.leaves(inputs)
        shapes = [one.shape for one in given]
        if shapes == list(expected):
            return np.concatenate([np.zeros(0), *(one.reshape(-1) for one in given)])
        counts = {shape[:1] for shape in shapes}
        single = all(shape[:1] == (1,) for shape in expected)
        if not (single and len(counts) == 1 and [s[1:] for s in shapes] == [s[1:] for s in expected]):
            raise ProgramError(f"expected inputs of the shapes {', '.join(map(str, expected))}, got {shapes}")
        n = len(given[0])
        return np.concatenate([one.reshape(n, -1) for one in given], axis=1)
