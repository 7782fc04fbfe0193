"""How kernels are compiled: the one place that says so.

IEEE arithmetic as written: no fastmath, not even contraction, which would already break exact ties.

There are two ways to compile, with the same bits. The quick one needs Numba's internals (`compilers`). The plain one
needs only `njit` and the address of a function, and takes several times as long. It is used where the internals are
missing, with a warning, and with SIMSA_PLAIN_NUMBA=1 in the environment.
"""

import os
import warnings
from functools import partial

import numba


def _plain():
    """Tell whether SIMSA_PLAIN_NUMBA asks for the plain way; raises ValueError if it is neither 0, 1 nor empty."""
    said = os.environ.get("SIMSA_PLAIN_NUMBA") or "0"
    if said not in ("0", "1"):
        raise ValueError(f"SIMSA_PLAIN_NUMBA must be 0 or 1, got {said!r}")
    return said == "1"


PLAIN = _plain()
"""Whether kernels are compiled the plain way."""

if not PLAIN:
    try:
        from simsa.kernels import compilers
    except ImportError as error:
        PLAIN = True
        warnings.warn(f"kernels are compiled slowly, since Numba has changed: {error}", RuntimeWarning, stacklevel=2)

OPTIONS = {"error_model": "numpy", "nogil": True, **({} if PLAIN else {"_nrt": False})}
"""Options of all compiled functions: division by zero follows IEEE 754, and the interpreter lock is released.

With `_nrt` off nothing can be allocated, and no references are counted. Counting those of the arrays in the arguments,
which takes locks, took an eighth of the time of a scalar program. All memory comes from Python.
"""

INNER = OPTIONS if PLAIN else {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of functions that Python does not call."""

EXTENSION = INNER if PLAIN else {**INNER, "pipeline_class": compilers.Kernels}
"""Options with which `numba.extending` compiles a function as `kernel` does."""


def _inner(function, pipeline=None, **options):
    """Return a function that compiled code calls. pipeline: the name of a class of `compilers`, or None."""
    if PLAIN:
        return numba.njit(**OPTIONS)(function)
    given = {} if pipeline is None else {"pipeline_class": getattr(compilers, pipeline)}
    return compilers.Inner(function, targetoptions={"nopython": True, **options, **INNER}, **given)


def kernel(function):
    """Compile a function that other kernels call.

    It is not made executable. Numba would do that with each function and all that it calls, which takes as long as
    compiling them.
    """
    return _inner(function, "Kernels")


def walk(function):
    """Compile a kernel that calls many others.

    It is optimised only together with its caller; optimising it before as well would take seconds. Short kernels are
    optimised before as well (`kernel`): without that, the gradient of a network took 4 to 7 % longer.
    """
    return _inner(function, "Walks")


def part(function):
    """Compile a part of a kernel that is called in one place; it is inlined there."""
    return _inner(function, "Walks", forceinline=True)


def called(function):
    """Compile a function that compiled code calls by its address (`calls`), once for all its callers.

    The result is executable, is kept on disk, and has the method `address(types)`, which returns the address of the
    code for arguments of these types, and the type of its result.
    """
    made = _inner(function)
    made.enable_caching()
    made.address = partial(_address, made)
    return made


def _address(made, args):
    """Return the address of a compiled function for arguments of the types `args`, and the type of its result."""
    made.compile(args)
    result = made.overloads[args]
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name), result.signature.return_type


def entry(function):
    """Compile a function that Python calls, and keep the result on disk.

    Numba's disk cache does not notice changes in other files that a kernel imports. So this is only for files in a
    folder that is named after a digest of everything that they are made from (`machine.generate`).
    """
    return numba.njit(cache=True, no_cfunc_wrapper=True, **OPTIONS)(function)
