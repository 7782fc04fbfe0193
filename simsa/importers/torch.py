"""PyTorch: the graph of `torch.export.export` becomes a program, one operation after the other.

The graph is taken as it is exported. Decomposing it first would change derivatives at ties: that of hardswish at 3
becomes 3/2 (measured on PyTorch 2.13.0).
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import primitives
from simsa.errors import ProgramError
from simsa.importers import aten
from simsa.importers.arrays import Order, condition, moved, numbers, stop
from simsa.importers.imported import FAULTS, ImportedProgram, Model, Shape, first_line, placed
from simsa.primitives import Convention
from simsa.program.program import ParameterRange
from simsa.program.symbolic import Array, Symbolic, lift, symbolic

CASTS = frozenset(("to", "_to_copy", "type_as"))
"""The operations that change the dtype of a tensor, and nothing else that a program knows of."""


def from_torch(
    net: Any,
    inputs: Sequence[Any],
    loss: Callable[[Any, Any], Any] | None = None,
    convention: str | Mapping[str, str | float] | Convention = "pytorch",
) -> ImportedProgram:
    """Return the program of a PyTorch module, or of its loss on one sample.

    Parameters
    ----------
    net
        A `torch.nn.Module`. The parameters of the program are those of the module that require a gradient, in the
        order of `torch.nn.utils.parameters_to_vector`; all other tensors of the module are constants.
    inputs
        Example inputs, tensors of the shapes of one sample, with a first axis of length 1 if the module wants one. With
        a loss, the last of them is the target. They are the data inputs of the program, in this order; integers such
        as class labels are data as well.
    loss
        A function of the module's result and the target, such as `torch.nn.functional.cross_entropy`; None if the
        result of the module is wanted, whose entries are then the outputs of the program.
    convention
        Decides the derivative at ties, as for `simsa.trace`. Under "pytorch" it is what PyTorch returns for each
        operation as it is spelled in the model.

    Returns
    -------
    ImportedProgram
        A `Program`, with `parameters_of(net)`, `unflatten(w)` and `data_of(*inputs)`.

    Raises
    ------
    ProgramError
        If PyTorch is not installed or cannot export the module; or if an operation cannot be imported, with its name
        and the line of the model.

    Notes
    -----
    Numbers are computed in the format of the run, whatever the dtypes of the module. Layers become the instructions
    that `simsa.network` has: a linear layer is one `dense`, a convolution one for each position.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 3: what a program is.

    Examples
    --------
    >>> import torch, simsa
    >>> net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    >>> example = torch.zeros(1, 64), torch.zeros(1, dtype=torch.long)
    >>> program = simsa.from_torch(net, example, loss=torch.nn.functional.cross_entropy)
    >>> program.gradient(program.parameters_of(net), program.data_of(*example)).shape
    (2410,)
    """
    wanted = primitives.convention(convention)
    return TorchModel(net, tuple(inputs), loss).program(wanted)


def _torch() -> Any:
    """Return the module `torch`; raises ProgramError if it is not installed."""
    try:
        import torch
    except ImportError:
        raise ProgramError("from_torch needs PyTorch: pip install 'simsa[torch]'") from None
    return torch


class TorchModel(Model):
    """A module, with a loss if there is one, as `torch.export` exports it.

    net, inputs, loss: as for `from_torch`.
    """

    framework = "pytorch"

    def __init__(self, net: Any, inputs: tuple[Any, ...], loss: Callable[[Any, Any], Any] | None) -> None:
        self.torch = _torch()
        if not isinstance(net, self.torch.nn.Module):
            raise ProgramError(f"from_torch expects a torch.nn.Module, got {type(net).__name__}")
        if not all(isinstance(one, self.torch.Tensor) for one in inputs) or (loss is not None and len(inputs) < 2):
            raise ProgramError("from_torch expects a tuple of example tensors; with a loss, the last is the target")
        module = net if loss is None else _with_loss(self.torch, net, loss)
        try:
            self.exported = self.torch.export.export(module, inputs)
        except Exception as error:  # torch.export raises errors of many types
            raise ProgramError(f"torch.export cannot export the model: {first_line(error)}") from error
        self.inputs = [tuple(one.shape) for one in inputs]
        self.booleans = [one.dtype == self.torch.bool for one in inputs]
        self.places: dict[str, slice] = {}
        self.shapes: dict[str, Shape] = {}
        seen: dict[int, str] = {}
        at = 0
        for name, tensor in module.named_parameters(remove_duplicate=False):
            if not tensor.requires_grad:
                continue
            first = seen.setdefault(id(tensor), name)
            if first == name:
                self.places[name], self.shapes[name] = slice(at, at + tensor.numel()), tuple(tensor.shape)
                at += tensor.numel()
            else:  # a parameter that two layers share
                self.places[name], self.shapes[name] = self.places[first], tuple(tensor.shape)
        self.owners = set(seen.values())
        self.count, self.inside = at, "" if loss is None else "net."
        self.ranges = [*self._ranges()]

    def _ranges(self) -> "Sequence[ParameterRange]":
        """Return the weights and biases of linear layers and convolutions, by their shapes and names."""
        found = []
        for name in self.places:
            shape, place = self.shapes[name], self.places[name]
            if name not in self.owners:
                continue
            if len(shape) > 1:
                field = int(np.prod(shape[2:]))
                fans = shape[1] * field, shape[0] * field
                found.append(ParameterRange("weight", place.start, place.stop, *fans))
            elif name.rpartition(".")[2].startswith("bias"):
                before = found[-1] if found else ParameterRange("bias", 0, 0, shape[0], shape[0])
                found.append(ParameterRange("bias", place.start, place.stop, before.fan_in, before.fan_out))
        return found

    # Translation.

    def parameters_of(self, holder: Any) -> NDArray[np.float64]:
        """Return the numbers of the parameters of a module like the imported one, shape (p,)."""
        if not isinstance(holder, self.torch.nn.Module):
            raise ProgramError(f"expected a torch.nn.Module, got {type(holder).__name__}")
        held = dict(holder.named_parameters(remove_duplicate=False))
        point = np.empty(self.count)
        for name, place in self.places.items():
            own = name.removeprefix(self.inside)
            if own in held:
                tensor = held[own]
            elif name in self.loss_parameters:
                tensor = self.loss_parameters[name]
            else:
                raise ProgramError(f"the module has no parameter '{own}'")
            if tuple(tensor.shape) != self.shapes[name]:
                raise ProgramError(f"the parameter '{own}' has the shape {tuple(tensor.shape)}")
            point[place] = _array(tensor).reshape(-1)
        return point

    @property
    def loss_parameters(self) -> Mapping[str, Any]:
        """Return the parameters of the loss, if it is a module that has some."""
        return {name: value for name, value in self.exported.state_dict.items() if name.startswith("loss.")}

    def unflatten(self, w: NDArray[np.float64]) -> dict[str, Any]:
        """Return the parameters as tensors of the dtypes of the module, by name."""
        found = {}
        for name, place in self.places.items():
            like = self.exported.state_dict.get(name)
            values = self.torch.as_tensor(w[place].reshape(self.shapes[name]))
            found[name.removeprefix(self.inside)] = values if like is None else values.to(like.dtype)
        return found

    def leaves(self, inputs: Sequence[Any]) -> list[NDArray[np.float64]]:
        """Return tensors or arrays as arrays of numbers."""
        if len(inputs) != len(self.inputs):
            raise ProgramError(f"expected {len(self.inputs)} inputs, got {len(inputs)}")
        return [np.asarray(_array(one), np.float64) for one in inputs]

    # The graph.

    def outputs(self, parameters: Array, inputs: Sequence[Any]) -> Any:
        """Return what the exported graph computes."""
        signature = self.exported.graph_signature
        given = iter(
            condition(value) if boolean else value for value, boolean in zip(inputs, self.booleans, strict=True)
        )
        arguments: list[Any] = []
        for spec in signature.input_specs:
            match spec.kind.name:
                case "USER_INPUT":
                    arguments.append(next(given))
                case "PARAMETER" if spec.target in self.places:
                    shape = self.shapes[spec.target]
                    arguments.append(parameters[self.places[spec.target]].reshape(shape))
                case "PARAMETER" | "BUFFER":
                    held = self.exported.state_dict
                    arguments.append(held[spec.target] if spec.target in held else self.exported.constants[spec.target])
                case "CONSTANT_TENSOR":
                    arguments.append(self.exported.constants[spec.target])
                case other:
                    raise ProgramError(f"the exported model has an input of the kind {other}, which is no tensor")
        results = self._run(self.exported.graph_module, arguments, parameters.builder)
        wanted = [spec.kind.name == "USER_OUTPUT" for spec in signature.output_specs]
        return [_known(one) for one, user in zip(results, wanted, strict=True) if user]

    def _run(self, module: Any, arguments: Sequence[Any], builder: Any) -> Sequence[Any]:
        """Return what a graph module returns for symbolic arrays or tensors."""
        values: dict[Any, Any] = {}
        given = iter(arguments)
        writes = any(_base(node)[1] for node in module.graph.nodes if node.op == "call_function")
        for node in module.graph.nodes:
            if node.op == "placeholder":
                values[node] = next(given)
            elif node.op == "get_attr":
                values[node] = operator.attrgetter(node.target)(module)
            elif node.op == "call_function":
                if not node.users and not _base(node)[1]:
                    continue
                args = self.torch.fx.node.map_arg(node.args, values.__getitem__)
                kwargs = self.torch.fx.node.map_arg(node.kwargs, values.__getitem__)
                values[node] = self._call(node, args, dict(kwargs), builder, writes)
            else:
                (results,) = self.torch.fx.node.map_arg(node.args, values.__getitem__)
                return results if isinstance(results, list | tuple) else (results,)
        raise AssertionError("a graph has an output")

    def _call(self, node: Any, args: Any, kwargs: dict[str, Any], builder: Any, writes: bool) -> Any:
        """Return what a node computes. writes: whether some node of the graph writes into a tensor."""
        try:
            if getattr(node.target, "__module__", None) == "_operator":  # of Python: results[0], numbers of PyTorch
                return node.target(*args)
            if str(node.target) == "wrap_with_set_grad_enabled":
                enabled, module, *rest = args
                results = self._run(module, rest, builder)
                return results if enabled else [stop(one) if symbolic(one) else one for one in results]
            name, inplace = _base(node)
            ordered = any(isinstance(one, Order) for one in _flat([args, kwargs]))
            if ordered and name not in aten.BY_ORDER:
                raise ProgramError("the positions of a sort can be used only to take the entries of what was sorted")
            if not ordered and not symbolic(_flat([args, kwargs])):
                return self._constant(node, args, kwargs, builder, writes)
            if name in CASTS:
                return self._cast(node, args[0])
            if name in aten.MOVES and not ordered and not symbolic(_flat(args[1:])):
                return self._moved(node, name, args, kwargs, builder)
            function = aten.OPERATIONS.get(f"{name}.{_overload(node)}") or aten.OPERATIONS.get(name)
            if function is None:
                raise ProgramError(f"the operation {node.target} of PyTorch cannot be imported")
            result = function(*_known(args), **{k: v for k, v in _known(kwargs).items() if k not in aten.IGNORED})
        except (ProgramError, *FAULTS) as error:
            raise placed(error, _place(node, self.torch), str(node.target)) from None
        if inplace:
            args[0][...] = result
            return args[0]
        return result

    def _cast(self, node: Any, x: Any) -> Any:
        """Return a value with the dtype of a node: numbers cut off for integers, conditions for truth values."""
        before, after = (one.meta["val"].dtype for one in (node.args[0], node))
        if after == self.torch.bool:
            return condition(x)
        if before.is_floating_point and not after.is_floating_point:
            return np.trunc(x)
        return numbers(x)

    def _moved(self, node: Any, name: str, args: Any, kwargs: dict[str, Any], builder: Any) -> Any:
        """Return the result of an operation that moves entries. name: of the operation."""
        several = False

        def function(registers: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
            nonlocal several
            tensors = [self.torch.from_numpy(one if one.flags.writeable else one.copy()) for one in registers]
            result = node.target(tensors if name in aten.JOINS else tensors[0], *args[1:], **kwargs)
            several = isinstance(result, list | tuple)
            return [one.numpy() for one in (result if several else [result])]

        results = moved(_known(list(args[0])) if name in aten.JOINS else [args[0]], builder, function)
        return results if several else results[0]

    def _constant(self, node: Any, args: Any, kwargs: Any, builder: Any, writes: bool) -> Any:
        """Return the result of an operation on tensors, which PyTorch computes itself."""
        tags = getattr(node.target, "tags", ())
        if self.torch.Tag.nondeterministic_seeded in tags and not _eval_dropout(node):
            raise ProgramError(f"{node.target} draws random numbers; a program has none")
        result = node.target(*args, **kwargs)
        if writes and isinstance(result, self.torch.Tensor) and result.is_floating_point():
            return Array(builder, lift(_array(result), builder, (-np.inf, np.inf)))
        return result


def _with_loss(torch: Any, net: Any, loss: Callable[[Any, Any], Any]) -> Any:
    """Return the module that computes the loss of the result of `net` against the last of its inputs."""

    class WithLoss(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net, self.loss = net, loss

        def forward(self, *inputs: Any) -> Any:
            return self.loss(self.net(*inputs[:-1]), inputs[-1])

    return WithLoss().train(net.training) if net.training else WithLoss().eval()


def _array(tensor: Any) -> NDArray[Any]:
    """Return a tensor as a NumPy array, and anything else as NumPy makes it one."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        return np.asarray(tensor.double().numpy() if tensor.is_floating_point() else tensor.numpy())
    return np.asarray(tensor)


def _known(value: Any) -> Any:
    """Return arguments in which tensors are NumPy arrays."""
    if isinstance(value, Mapping):
        return {key: _known(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_known(one) for one in value]
    return _array(value) if hasattr(value, "detach") and not isinstance(value, Symbolic) else value


def _flat(value: Any) -> list[Any]:
    """Return the leaves of nested arguments."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in _flat(one)]
    return [value]


def _overload(node: Any) -> str:
    """Return the name of the overload of a node's operation, such as "Tensor"."""
    return str(getattr(node.target, "_overloadname", ""))


def _base(node: Any) -> tuple[str, bool]:
    """Return the name of a node's operation without its overload, and whether it writes into its first argument."""
    packet = getattr(node.target, "overloadpacket", None)
    name = str(packet).rpartition(".")[2] if packet is not None else str(node.target)
    inplace = name.endswith("_") and not name.startswith("_")
    return (name[:-1] if inplace and name not in ("detach_", "lift_fresh_") else name), inplace


def _eval_dropout(node: Any) -> bool:
    """Tell whether a node is a dropout that is switched off."""
    return "dropout" in str(node.target) and not node.args[-1]


def _place(node: Any, torch: Any) -> str:
    """Return "file:line: " of the user's line that a node comes from; empty if it is not known."""
    home = str(Path(torch.__file__).parent)
    own = str(Path(__file__).parent)
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    users = [f"{file}:{line}: " for file, line in frames if not file.startswith((home, own))]
    return users[-1] if users else ""
