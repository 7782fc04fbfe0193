"""How kernels are compiled: the one place that says so.

IEEE arithmetic as written: no fastmath, not even contraction, which would already break exact ties.
"""

import numba

OPTIONS = {"error_model": "numpy", "nogil": True}


def kernel(function):
    """Compile a function that other kernels call: division by zero follows IEEE, the interpreter lock is released.

    It is optimised by itself, and once more in what calls it. Leaving out the first would save a fifth of the time to
    compile, but in the process that compiles, a call that is not inlined may find the version that was not optimised
    (measured: ten times slower, until the next process loads the cached code).
    """
    return numba.njit(**OPTIONS)(function)


def entry(function):
    """Compile a function that Python calls, and keep the result on disk.

    Numba's disk cache does not see changes in the files a kernel imports from: use it only for files in a folder that
    is named after a digest of everything it is made from.
    """
    return numba.njit(cache=True, **OPTIONS)(function)
