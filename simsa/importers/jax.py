"""JAX: the jaxpr of a function becomes a program, one equation after the other.

Functions with a derivative of their own (`jax.custom_jvp`) are not inlined, since that would change derivatives at
ties: that of relu at 0 becomes 1/2, and that of the smooth softplus 0 (measured on JAX 0.10.2).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsa import primitives
from simsa.errors import ProgramError, known
from simsa.importers import lax
from simsa.importers.arrays import Order, condition, constants, log_softmax, moved, numbers, pick
from simsa.importers.imported import FAULTS, ImportedProgram, Model, first_line, placed
from simsa.primitives import ROW, Convention
from simsa.program.program import Builder, Program
from simsa.program.symbolic import Array, builder_of, symbolic

INLINED = frozenset(("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"))
"""Equations that hold a jaxpr which is computed as it stands."""

MOST_STEPS = 10_000
"""The most times that a `while` loop is gone through."""


def from_jax(
    loss: Callable[..., Any],
    params: Any,
    *inputs: Any,
    convention: str | Mapping[str, str | float] | Convention = "jax",
    order: str = "pytree",
) -> ImportedProgram:
    """Return the program of a JAX function of a pytree of parameters.

    Parameters
    ----------
    loss
        A function of the parameters and of the inputs of one sample, which JAX can trace.
    params
        A pytree of parameters of the right shapes. The parameters of the program are its leaves, one after the other.
    inputs
        Example inputs, pytrees of arrays of the shapes of one sample. Their leaves are the data inputs of the program,
        in this order; integers such as class labels are data as well.
    convention
        Decides the derivative at ties, as for `simsa.trace`. Under "jax" it is what JAX returns for each operation as
        it is spelled in the function.
    order
        Of the parameters of the program: "pytree", that of `jax.flatten_util.ravel_pytree`; or "dense", in which the
        entries of a leaf lie as the layer that it is the weights of reads them, so that no weight is copied.
        `parameters_of` and `unflatten` translate.

    Returns
    -------
    ImportedProgram
        A `Program`, with `parameters_of(params)`, `unflatten(w)` and `data_of(*inputs)`.

    Raises
    ------
    ProgramError
        If JAX is not installed or cannot trace the function; or if a primitive cannot be imported, with its name and
        the line of the function.

    Notes
    -----
    The function is traced with 64-bit numbers, and computed in the format of the run. `stop_gradient` passes no
    derivative. A function with a derivative of its own is refused, unless it is one of JAX's that are known here.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 3: what a program is.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, simsa
    >>> loss = lambda params, x, y: (jax.nn.relu(x @ params["w"]) @ params["v"] - y) ** 2
    >>> params = {"w": jnp.ones((3, 2)), "v": jnp.ones(2)}
    >>> program = simsa.from_jax(loss, params, jnp.zeros(3), 1.0)
    >>> program.gradient(program.parameters_of(params), program.data_of(jnp.zeros(3), 1.0)).shape
    (8,)
    """
    wanted = primitives.convention(convention)
    known("order", order, ("pytree", "dense"))
    model = JaxModel(loss, params, inputs)
    program = model.program(wanted)
    if order == "pytree" or not model.rearranged(program):
        return program
    return model.program(wanted)


def _jax() -> Any:
    """Return the module `jax`; raises ProgramError if it is not installed."""
    try:
        import jax
    except ImportError:
        raise ProgramError("from_jax needs JAX: pip install 'simsa[jax]'") from None
    return jax


class JaxModel(Model):
    """A function of a pytree of parameters, as `jax.make_jaxpr` traces it.

    loss, params, inputs: as for `from_jax`. order: (p,), of each parameter of a program its place in the pytree.
    """

    framework = "jax"

    def __init__(self, loss: Callable[..., Any], params: Any, inputs: tuple[Any, ...]) -> None:
        self.jax = _jax()
        if not callable(loss):
            raise ProgramError(f"from_jax expects a function of the parameters, got {type(loss).__name__}")
        with self.jax.enable_x64(True):
            leaves, self.tree = self.jax.tree_util.tree_flatten(params)
            self.like = [np.asarray(leaf) for leaf in leaves]
            if any(leaf.dtype.kind != "f" and leaf.dtype.name != "bfloat16" for leaf in self.like):
                raise ProgramError("from_jax expects parameters that are real numbers; close over the others")
            self.shapes = [leaf.shape for leaf in self.like]
            self.count = sum(leaf.size for leaf in self.like)
            self.order = np.arange(self.count)
            wide = [self._wide(leaf) for leaf in self.like]
            examples = self.jax.tree_util.tree_map(self._wide, inputs)
            kept = [np.asarray(leaf) for leaf in self.jax.tree_util.tree_leaves(examples)]
            self.inputs = [leaf.shape for leaf in kept]
            self.booleans = [leaf.dtype == np.bool_ for leaf in kept]
            try:
                traced = self.jax.make_jaxpr(loss)
                self.closed = traced(self.jax.tree_util.tree_unflatten(self.tree, wide), *examples)
            except Exception as error:  # what the function raises
                raise ProgramError(f"jax.make_jaxpr cannot trace the function: {first_line(error)}") from error
        self.home = str(Path(self.jax.__file__).parent)

    def _wide(self, value: Any) -> Any:
        """Return an array with 64 bits for each real number."""
        array = np.asarray(value)
        real = array.dtype.kind == "f" or array.dtype.name == "bfloat16"
        return self.jax.numpy.asarray(array.astype(np.float64) if real else array)

    # Translation.

    def parameters_of(self, holder: Any) -> NDArray[np.float64]:
        """Return the numbers of a pytree of parameters, shape (p,)."""
        leaves, tree = self.jax.tree_util.tree_flatten(holder)
        found = [np.asarray(leaf) for leaf in leaves]
        if tree != self.tree or [leaf.shape for leaf in found] != self.shapes:
            raise ProgramError("the pytree differs from that of the imported parameters")
        return np.concatenate([np.zeros(0), *(leaf.astype(np.float64).reshape(-1) for leaf in found)])[self.order]

    def unflatten(self, w: NDArray[np.float64]) -> Any:
        """Return numbers as a pytree of arrays of the dtypes of the imported parameters."""
        ends = np.cumsum([leaf.size for leaf in self.like])[:-1]
        parts = np.split(w[np.argsort(self.order)], ends)
        leaves = [part.reshape(leaf.shape).astype(leaf.dtype) for part, leaf in zip(parts, self.like, strict=True)]
        return self.jax.tree_util.tree_unflatten(self.tree, [self.jax.numpy.asarray(leaf) for leaf in leaves])

    def leaves(self, inputs: Sequence[Any]) -> list[NDArray[np.float64]]:
        """Return the leaves of pytrees as arrays of numbers."""
        found = self.jax.tree_util.tree_leaves(tuple(inputs))
        if len(found) != len(self.inputs):
            raise ProgramError(f"expected inputs with {len(self.inputs)} arrays, got {len(found)}")
        return [np.asarray(leaf).astype(np.float64) for leaf in found]

    def rearranged(self, program: Program) -> bool:
        """Order the entries of each leaf as the first layer that it is the weights of reads them.

        program: of this model, in the order of the pytree. Returns whether an order has changed.
        """
        ends = np.cumsum([leaf.size for leaf in self.like])
        order = self.order.copy()
        settled: set[int] = set()
        for node in program.nodes:
            operation = ROW[node.primitive].operation if node.primitive in ROW else None
            blocks = operation.affine_blocks(node.operands, node.outputs) if operation else None
            if blocks is None:
                continue
            weights = np.array(blocks[0])
            number = int(np.searchsorted(ends, weights[0], "right"))
            if number < len(ends) and number not in settled:
                place = np.arange(ends[number] - self.like[number].size, ends[number])
                if np.array_equal(np.sort(weights), place):
                    order[place] = weights
                    settled.add(number)
        changed = not np.array_equal(order, self.order)
        self.order = order
        return changed

    # The graph.

    def outputs(self, parameters: Array, inputs: Sequence[Any]) -> Any:
        """Return what the jaxpr computes."""
        arguments: list[Any] = []
        at, held = 0, parameters[np.argsort(self.order)]
        for leaf in self.like:
            arguments.append(np.reshape(held[at : at + leaf.size], leaf.shape))
            at += leaf.size
        arguments += [condition(x) if boolean else x for x, boolean in zip(inputs, self.booleans, strict=True)]
        with self.jax.enable_x64(True):
            results = self._run(self.closed.jaxpr, self.closed.consts, arguments, parameters.builder)
        for one in results:
            if isinstance(one, Order):
                raise ProgramError("the positions of a sort cannot be the result of a program")
        return results

    def _run(self, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], builder: Builder) -> list[Any]:
        """Return what a jaxpr returns for symbolic arrays or NumPy arrays."""
        values: dict[Any, Any] = dict(zip(jaxpr.constvars, map(np.asarray, consts), strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))

        def read(variable: Any) -> Any:
            return np.asarray(variable.val) if hasattr(variable, "val") else values[variable]

        wanted = self._needed(jaxpr)
        for equation, needed in zip(jaxpr.eqns, wanted, strict=True):
            if not needed:
                continue
            try:
                results = self._equation(equation, [read(one) for one in equation.invars], builder)
            except (ProgramError, *FAULTS) as error:
                name = f"the primitive {equation.primitive.name}"
                raise placed(error, self._place(equation), name) from None
            values.update(zip(equation.outvars, results, strict=True))
        return [read(one) for one in jaxpr.outvars]

    def _needed(self, jaxpr: Any) -> list[bool]:
        """Tell for each equation whether a result of the jaxpr depends on it."""
        live = {one for one in jaxpr.outvars if not hasattr(one, "val")}
        found = []
        for equation in reversed(jaxpr.eqns):
            needed = any(one in live for one in equation.outvars)
            found.append(needed)
            if needed:
                live.update(one for one in equation.invars if not hasattr(one, "val"))
        return found[::-1]

    def _equation(self, equation: Any, operands: list[Any], builder: Builder) -> Sequence[Any]:
        """Return the results of an equation."""
        name, options = equation.primitive.name, equation.params
        if not any(symbolic(one) or isinstance(one, Order) for one in operands):
            return self._constant(equation, operands)
        if any(isinstance(one, Order) for one in operands) and name not in INLINED:
            return [self._positions(name, operands, equation)]
        if name in INLINED:
            return self._inlined(equation, operands, builder)
        if name in ("custom_jvp_call", "custom_vjp_call"):
            return [self._custom(equation, operands)]
        if name == "cond":
            return self._cond(options["branches"], operands, builder)
        if name == "scan":
            return self._scan(options, operands, builder)
        if name == "while":
            return self._while(options, operands, builder)
        if name == "convert_element_type":
            return [self._converted(operands[0], equation.invars[0].aval.dtype, options["new_dtype"])]
        if name in ("gather", "dynamic_slice") and any(symbolic(one) for one in operands[1:]):
            return [self._at(name, operands, options)]
        if name.startswith("scatter") and name != "scatter":
            return [self._scattered(equation, operands)]
        if name in lax.MOVES:
            return self._moved(equation, operands, builder)
        function = lax.PRIMITIVES.get(name)
        if function is None:
            raise ProgramError(f"the primitive {name} of JAX cannot be imported")
        result = function(*operands, **options)
        return result if equation.primitive.multiple_results else [result]

    def _constant(self, equation: Any, operands: list[Any], **changed: Any) -> Sequence[Any]:
        """Return the results of an equation of known numbers, which JAX computes itself.

        changed: parameters of the equation in place of its own.
        """
        found = equation.primitive.get_bind_params({**equation.params, **changed})
        functions, options = found if isinstance(found, tuple) else ((), found)  # JAX before 0.10 returns a pair
        result = equation.primitive.bind(*functions, *map(self.jax.numpy.asarray, operands), **options)
        results = result if equation.primitive.multiple_results else [result]
        return [np.asarray(one) for one in results]

    def _inlined(self, equation: Any, operands: list[Any], builder: Builder) -> Sequence[Any]:
        """Return the results of a jaxpr in an equation, or of the function of JAX that it is."""
        closed = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
        inner, consts = getattr(closed, "jaxpr", closed), getattr(closed, "consts", ())
        name = self._library(inner)
        if name == "log_softmax":
            axes = [one.params["axes"] for one in inner.eqns if one.primitive.name == "reduce_max"]
            if len(axes) == 1 and len(axes[0]) == 1 and len(inner.outvars) == 1:
                return [log_softmax(operands[0], axes[0][0])]
        function = lax.NAMED.get(name)
        if function is not None and len(inner.outvars) == 1:
            return [function(*operands)]
        return self._run(inner, consts, operands, builder)

    def _library(self, inner: Any) -> str:
        """Return the name of the function of JAX that a jaxpr is of; empty if it is not one of JAX's own."""
        name, _, place = str(getattr(inner.debug_info, "func_src_info", None) or "").partition(" at ")
        return name if place.startswith(self.home) else ""

    def _custom(self, equation: Any, operands: list[Any]) -> Any:
        """Return the result of a function with a derivative of its own, if it is one that is known here."""
        closed = equation.params["call_jaxpr"]
        name = self._library(closed.jaxpr)
        function = lax.CUSTOM.get(name)
        if function is None:
            said = str(getattr(closed.jaxpr.debug_info, "func_src_info", "")).partition(" at ")[0] or "a function"
            kind = equation.primitive.name.removesuffix("_call")
            raise ProgramError(f"{said} has a derivative of its own (jax.{kind}), which a program cannot have")
        return function(*operands[equation.params["num_consts"] :])

    def _converted(self, x: Any, before: Any, after: Any) -> Any:
        """Return a value with another dtype: numbers cut off for integers, conditions for truth values."""
        if np.dtype(after) == np.bool_:
            return condition(x)
        if before.kind == "f" and np.dtype(after).kind in "iu":
            return np.trunc(x)
        return numbers(x)

    # Equations that hold other programs.

    def _cond(self, branches: Sequence[Any], operands: list[Any], builder: Builder) -> list[Any]:
        """Return the results of the branch that an index chooses."""
        index, *rest = operands
        if not symbolic(index):
            chosen = branches[int(np.clip(index, 0, len(branches) - 1))]
            return self._run(chosen.jaxpr, chosen.consts, rest, builder)
        results = [self._run(one.jaxpr, one.consts, rest, builder) for one in branches]
        return [pick(numbers(index), [numbers(one) for one in each]) for each in zip(*results, strict=True)]

    def _scan(self, options: Mapping[str, Any], operands: list[Any], builder: Builder) -> list[Any]:
        """Return the results of a loop with a known number of steps, one after the other."""
        consts, carried = options["num_consts"], options["num_carry"]
        fixed, state = operands[:consts], list(operands[consts : consts + carried])
        rows = operands[consts + carried :]
        inner = options["jaxpr"]
        steps = range(options["length"])
        outs: list[list[Any]] = []
        for k in reversed(steps) if options["reverse"] else steps:
            results = self._run(inner.jaxpr, inner.consts, [*fixed, *state, *(one[k] for one in rows)], builder)
            state = results[:carried]
            outs.append(results[carried:])
        if options["reverse"]:
            outs.reverse()
        columns = zip(*outs, strict=True)
        return [*state, *(np.stack([constants(numbers(one), builder) for one in column]) for column in columns)]

    def _while(self, options: Mapping[str, Any], operands: list[Any], builder: Builder) -> list[Any]:
        """Return the results of a loop whose number of steps is known when the program is built."""
        tests, bodies = options["cond_nconsts"], options["body_nconsts"]
        asked, fixed = operands[:tests], operands[tests : tests + bodies]
        state = list(operands[tests + bodies :])
        test, body = options["cond_jaxpr"], options["body_jaxpr"]
        for _ in range(MOST_STEPS):
            (go,) = self._run(test.jaxpr, test.consts, [*asked, *state], builder)
            if symbolic(go):
                raise ProgramError("a while loop whose number of steps depends on parameters or data is no program")
            if not bool(go):
                return state
            state = self._run(body.jaxpr, body.consts, [*fixed, *state], builder)
        raise ProgramError(f"a while loop of more than {MOST_STEPS} steps cannot be imported")

    # Equations that move entries.

    def _moved(self, equation: Any, operands: list[Any], builder: Builder) -> Sequence[Any]:
        """Return the results of an equation that moves entries, by moving their registers.

        The operands after the first of `gather`, `dynamic_slice`, `dynamic_update_slice` and `scatter` that are
        positions are integers that are known.
        """
        positions = {"gather": (1,), "scatter": (1,), "dynamic_slice": range(1, len(operands))}
        positions["dynamic_update_slice"] = range(2, len(operands))
        where = positions.get(equation.primitive.name, ())
        if any(symbolic(operands[i]) for i in where):
            raise ProgramError(f"{equation.primitive.name}: positions that depend on parameters or data")
        values = [one for i, one in enumerate(operands) if i not in where]
        lost = {"fill_value": -1} if equation.primitive.name == "gather" else {}

        def function(registers: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
            given = iter(registers)
            merged = [one if i in where else next(given) for i, one in enumerate(operands)]
            return [np.asarray(one) for one in self._constant(equation, merged, **lost)]

        return moved(values, builder, function)

    def _at(self, name: str, operands: list[Any], options: Mapping[str, Any]) -> Any:
        """Return entries at positions that depend on parameters or data, along one axis."""
        x, *rest = operands
        if name == "dynamic_slice":
            moving = [i for i, one in enumerate(rest) if symbolic(one)]
            sizes = options["slice_sizes"]
            if len(moving) != 1:
                raise ProgramError("dynamic_slice with several symbolic positions cannot be imported")
            axis = moving[0]
            key = [slice(None)] * np.ndim(x)
            for i, size in enumerate(sizes):
                if i != axis:
                    start = int(np.clip(rest[i], 0, np.shape(x)[i] - size))
                    key[i] = slice(start, start + size)
            x, count, size = x[tuple(key)], np.shape(x)[axis], sizes[axis]
            starts = [np.take(x, range(k, k + size), axis=axis) for k in range(count - size + 1)]
            return pick(rest[axis], starts)
        return self._gathered(x, rest[0], options)

    def _gathered(self, x: Any, indices: Any, options: Mapping[str, Any]) -> Any:
        """Return a gather at symbolic positions: JAX takes the slices at each known one, and the index chooses."""
        builder = builder_of(x, indices)
        entries = constants(numbers(x), builder).entries
        where, sizes = options["dimension_numbers"], options["slice_sizes"]
        counts = [np.shape(x)[axis] - sizes[axis] + 1 for axis in where.start_index_map]
        index = indices[..., 0]
        for i, count in enumerate(counts[1:], 1):
            index = index * float(count) + indices[..., i]
        candidates = []
        for place in np.ndindex(*counts):
            known = np.broadcast_to(np.array(place, np.int64), np.shape(indices))
            given = map(self.jax.numpy.asarray, (entries, known))
            taken = self.jax.lax.gather_p.bind(*given, **{**options, "fill_value": -1})
            candidates.append(Array(builder, np.asarray(taken)))
        batch = iter(np.shape(index))
        spread = [1 if i in where.offset_dims else next(batch) for i in range(candidates[0].ndim)]
        return pick(np.reshape(index, spread), candidates)

    def _scattered(self, equation: Any, operands: list[Any]) -> Any:
        """Return `scatter-add`, `scatter-max` and the like, at positions that are known."""
        x, indices, updates = operands
        how = equation.primitive.name.removeprefix("scatter-").removeprefix("scatter_")
        if symbolic(indices) or how not in ("add", "mul", "max", "min"):
            raise ProgramError(f"{equation.primitive.name} cannot be imported here")
        builder = builder_of(x, updates)
        base, given = constants(numbers(x), builder).entries, constants(numbers(updates), builder).entries
        members: list[list[int]] = [[register] for register in base.reshape(-1).tolist()]
        neutral = builder.constant({"add": 0.0, "mul": 1.0, "max": -math.inf, "min": math.inf}[how])
        options = {key: equation.params[key] for key in ("dimension_numbers", "mode")}
        for u, register in enumerate(given.reshape(-1).tolist()):
            one = np.eye(1, given.size, u).reshape(given.shape)  # JAX says where this update lands
            landed = self.jax.lax.scatter_add(np.zeros(base.shape), indices, one, **options)
            for at in np.flatnonzero(np.asarray(landed)):
                members[at] = [register] if members[at] == [neutral] else [*members[at], register]
        result = np.array([self._combined(builder, how, each) for each in members], np.int64)
        return Array(builder, result.reshape(base.shape))

    def _combined(self, builder: Builder, how: str, registers: list[int]) -> int:
        """Return the sum, product, maximum or minimum of registers."""
        if len(registers) == 1:
            return registers[0]
        if how == "mul":
            result: Any = np.prod(Array(builder, np.array(registers)))
            return int(result.entries)
        name = {"add": "sum", "max": "max", "min": "min"}[how]
        return builder.apply(name, registers)

    def _positions(self, name: str, operands: list[Any], equation: Any) -> Any:
        """Return what becomes of the positions of a sort: they stay, or choose the entries that were sorted."""
        order = next(one for one in operands if isinstance(one, Order))
        if name in ("lt", "gt", "ge") and operands[0] is order and not symbolic(operands[1]):
            below = {"lt": False, "gt": True, "ge": True}[name]
            if np.all(np.equal(operands[1], 0)) and name != "gt":
                return np.full(order.shape, below)
        if name == "select_n" and not symbolic(operands[0]) and not np.any(operands[0]):
            return operands[1]
        if name in ("add", "broadcast_in_dim", "reshape", "convert_element_type", "copy"):
            return order
        if name == "slice":
            raise ProgramError("some positions of a sort: use jnp.sort, and take its entries")
        if name == "gather" and operands[1] is order:
            result = order.of(operands[0], order.axis)
            return np.reshape(result, equation.outvars[0].aval.shape)
        raise ProgramError("the positions of a sort can be used only to take the entries of what was sorted")

    # Messages.

    def _place(self, equation: Any) -> str:
        """Return "file:line: " of the user's line that an equation comes from; empty if it is not known."""
        trace = equation.source_info.traceback
        own = str(Path(__file__).parent)
        for frame in trace.frames if trace else ():
            file = str(frame.file_name)
            if not file.startswith((self.home, own, "<")):
                return f"{file}:{frame.line_num}: "
        return ""
