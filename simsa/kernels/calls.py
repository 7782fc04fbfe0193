"""Calls of compiled walks by address, so that a walk is compiled once, and not again with each kernel that calls it.

A function that is called with other types than those it was compiled for computes wrong numbers, without an error.
Three checks prevent that. A caller is checked against the list of signatures below when it is compiled; a walk, when
its address is taken; and `Walks.bytes`, the size of a number, when a block is run.
"""

from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from simsa.kernels.arguments import CODE, SHAPE, differences, memory

KINDS = {"float64": types.float64, "float32": types.float32}
"""The Numba type of the numbers of each precision."""


def signature(name, kind):
    """Return the types of a walk's arguments, and of its result, for a type of numbers. Raises KeyError for no walk."""
    numbers, floats = (types.Array(of, 1, "C") for of in (kind, types.float64))
    flags = types.Array(types.boolean, 1, "C")
    return {
        "forward": ((CODE, SHAPE, memory(kind)), types.none),
        "backward": ((CODE, SHAPE, memory(kind), types.int64, types.boolean), types.none),
        "gradient": ((CODE, SHAPE, memory(kind), types.boolean), types.none),
        "fused_step": ((CODE, SHAPE, memory(kind), numbers, numbers, floats), types.int64),
        "step_loop": (
            (CODE, memory(kind), numbers, numbers, floats, floats, types.int64, types.int64),
            types.int64,
        ),
        "update": (
            (
                SHAPE,
                memory(kind),
                *(numbers,) * 5,
                flags,
                numbers,
                floats,
                types.float64,
                types.float64,
                types.int64,
                types.boolean,
                types.boolean,
            ),
            types.boolean,
        ),
        "sensitive": ((CODE, SHAPE, memory(kind), differences(kind)), types.none),
    }[name]


def address_of(walk, name, precision):
    """Compile a walk, or load it from disk, and return its address.

    walk: the function, decorated with `options.called`. name: which walk it is, as in `signature`. precision: a key of
    KINDS. Raises TypeError if the walk returns another type than its signature says.
    """
    arguments, result = signature(name, KINDS[precision])
    address, found = walk.address(arguments)
    if found != result:
        raise TypeError(f"the walk {name} returns {found}, expected {result}")
    return address


def _caller(name):
    """Return the function that calls a walk in compiled code: call(address, (argument, ...)).

    Numba raises TypingError where it compiles a call with other arguments than the signature has.
    """

    @intrinsic
    def call(typingctx, address, args):
        """Call a walk at an address with a tuple of arguments."""
        kind = next(arg for arg in args if isinstance(arg, types.NamedTuple) and "values" in arg.fields)[0].dtype
        wanted, result = signature(name, kind)
        if len(args) != len(wanted):
            raise TypingError(f"{name} takes {len(wanted)} arguments, got {len(args)}")
        for n, (given, expected) in enumerate(zip(args, wanted, strict=True)):
            if types.unliteral(given) != expected:
                raise TypingError(f"{name}: argument {n} is {given}, expected {expected}")

        def code(context, b, sig, values):
            pointer = b.inttoptr(values[0], context.call_conv.get_function_type(result, wanted).as_pointer())
            unpacked = cgutils.unpack_tuple(b, values[1], len(wanted))
            unpacked = [context.cast(b, v, fe, to) for v, fe, to in zip(unpacked, sig.args[1], wanted, strict=True)]
            status, out = context.call_conv.call_function(b, pointer, result, wanted, unpacked)
            with cgutils.if_unlikely(b, status.is_error):
                context.call_conv.return_status_propagate(b, status)
            return context.get_dummy_value() if result == types.none else out

        return result(types.int64, args), code

    return call


call_forward, call_backward, call_gradient, call_fused_step, call_step_loop, call_update, call_sensitive = map(
    _caller, ("forward", "backward", "gradient", "fused_step", "step_loop", "update", "sensitive")
)
