"""Calls of compiled code by its address: what many kernels call is compiled once, and not again with each of them."""

from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic


def sensitive_types(number):
    """Return the types of the arguments of `engine.sensitive`, for a dtype of Numba."""
    integers, words = types.Array(types.int64, 1, "C"), types.Array(types.int64, 2, "C")
    floats = types.Array(number, 1, "C")
    return (
        words, words, types.Array(types.int8, 1, "C"), types.Array(types.float64, 1, "C"), words, words, integers,
        integers, floats, floats, floats, floats, floats, types.Array(types.boolean, 1, "C"), integers,
        *(types.intp,) * 4, integers,
    )  # fmt: skip


def types_of_sensitive(precision):
    """Return the types of its arguments for a precision, "float64" or "float32"."""
    return sensitive_types({"float64": types.float64, "float32": types.float32}[precision])


@intrinsic
def call_sensitive(typingctx, address, args):
    """Call `engine.sensitive` at an address with a tuple of arguments, whose types must be those of `sensitive_types`.

    A function called with other types than it was compiled for would compute wrong numbers, so it is not compiled.
    """
    wanted = sensitive_types(args[8].dtype)
    for n, (given, expected) in enumerate(zip(args, wanted, strict=True)):
        if types.unliteral(given) != expected:
            raise TypingError(f"argument {n} is {given}, expected {expected}")

    def code(context, b, sig, values):
        pointer = b.inttoptr(values[0], context.call_conv.get_function_type(types.none, wanted).as_pointer())
        unpacked = cgutils.unpack_tuple(b, values[1], len(wanted))
        unpacked = [context.cast(b, v, fe, to) for v, fe, to in zip(unpacked, sig.args[1], wanted, strict=True)]
        status, _ = context.call_conv.call_function(b, pointer, types.none, wanted, unpacked)
        with cgutils.if_unlikely(b, status.is_error):
            context.call_conv.return_status_propagate(b, status)
        return context.get_dummy_value()

    return types.void(types.intp, args), code
