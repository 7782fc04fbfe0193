"""How kernels are compiled: the one place that says so.

IEEE arithmetic as written: no fastmath, not even contraction, which would already break exact ties.
"""

import numba

OPTIONS = {"error_model": "numpy", "nogil": True}


def kernel(function, *, cache=False):
    """Compile a function that other kernels call, or a whole computation if `cache` is set.

    Division by zero follows IEEE; the interpreter lock is released; a compiled version is kept on disk only if `cache`.
    Numba's disk cache does not see changes in the files a kernel imports from: cache only what lies in a folder that
    is named after a digest of everything it is made from.
    """
    return numba.njit(cache=cache, **OPTIONS)(function)


def entry(function):
    """Compile a function that Python calls, and keep the result on disk."""
    return kernel(function, cache=True)
