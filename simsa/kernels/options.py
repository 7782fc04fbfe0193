"""How kernels are compiled: the one place that says so.

IEEE arithmetic as written: no fastmath, not even contraction, which would already break exact ties.
"""

import numba
from numba.core import config
from numba.core.compiler import Compiler

OPTIONS = {"error_model": "numpy", "nogil": True}


class _Part(Compiler):
    """Compiles a function that only other kernels call, without optimising it.

    Numba optimises a function's code by itself, and again in each function that it is linked into. Only the last time
    counts, and it sees everything: leaving out the others halves the time to compile the walks over a tape.
    """

    def _compile_core(self):
        level = config.OPT
        config.OPT = config._OptLevel(0)
        try:
            return super()._compile_core()
        finally:
            config.OPT = level


def kernel(function):
    """Compile a function that other kernels call: division by zero follows IEEE, the interpreter lock is released."""
    return numba.njit(pipeline_class=_Part, **OPTIONS)(function)


def entry(function):
    """Compile a function that Python calls, optimised as a whole, and keep the result on disk.

    Numba's disk cache does not see changes in the files a kernel imports from: use it only for files in a folder that
    is named after a digest of everything it is made from.
    """
    return numba.njit(cache=True, **OPTIONS)(function)
