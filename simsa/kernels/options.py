"""How kernels are compiled: the one place that says so.

IEEE arithmetic as written: no fastmath, not even contraction, which would already break exact ties.

There are two ways with the same bits. The quick one needs Numba's internals (`compilers`). The plain one needs `njit`
and a function's address; compiling takes several times as long. It is taken where the internals are missing, with a
warning, or with SIMSA_PLAIN_NUMBA=1 in the environment.
"""

import os
import warnings
from functools import partial

import numba


def _plain():
    """Tell whether the environment asks for the plain way; raises ValueError if it says neither 0 nor 1."""
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
"""Division by zero follows IEEE, and the interpreter lock is released. Without `_nrt` nothing can be allocated, and no
reference is counted: counting those of the arrays in the arguments, which takes locks, took an eighth of the time of a
scalar program. All memory comes from Python."""

INNER = OPTIONS if PLAIN else {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of what Python does not call."""

EXTENSION = INNER if PLAIN else {**INNER, "pipeline_class": compilers.Kernels}
"""What `numba.extending` takes to compile a function as `kernel` does."""


def _inner(function, pipeline=None, **options):
    """Return what compiles a function for other compiled code. pipeline: a class of `compilers`, if not Numba's own."""
    if PLAIN:
        return numba.njit(**OPTIONS)(function)
    given = {} if pipeline is None else {"pipeline_class": getattr(compilers, pipeline)}
    return compilers.Inner(function, targetoptions={"nopython": True, **options, **INNER}, **given)


def kernel(function):
    """Compile a function that other kernels call.

    Numba would make each one executable, with all that it calls, which takes as long as compiling them.
    """
    return _inner(function, "Kernels")


def walk(function):
    """Compile a kernel that calls many others. It is optimised with its caller only: twice would take seconds more.

    Short kernels are optimised by themselves first: without that, the gradient of a network took 4 to 7 % longer.
    """
    return _inner(function, "Walks")


def part(function):
    """Compile a part of a kernel that stands in it once: it is put in its place, and costs no call."""
    return _inner(function, "Walks", forceinline=True)


def called(function):
    """Compile a function that other compiled code calls by its address (`calls`): once, however many call it.

    It is executable, kept on disk, and has `address(types)`, which returns the address of the code for these types of
    arguments, and the type of its result.
    """
    made = _inner(function)
    made.enable_caching()
    made.address = partial(_address, made)
    return made


def _address(made, args):
    """Return the address of a compiled function for these types of arguments, and the type of its result."""
    made.compile(args)
    result = made.overloads[args]
    return result.library.get_pointer_to_function(result.fndesc.llvm_func_name), result.signature.return_type


def entry(function):
    """Compile a function that Python calls, and keep the result on disk.

    Numba's disk cache does not see changes in the files a kernel imports from: use it only for files in a folder that
    is named after a digest of everything it is made from.
    """
    return numba.njit(cache=True, no_cfunc_wrapper=True, **OPTIONS)(function)
