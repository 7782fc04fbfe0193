"""How kernels are compiled: the one place that says so.

IEEE arithmetic as written: no fastmath, not even contraction, which would already break exact ties.
"""

from types import SimpleNamespace

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

OPTIONS = {"error_model": "numpy", "nogil": True}


class _Part(JITCodeLibrary):
    """The code of a kernel, optimised, but not made executable: it is linked into what calls it."""

    codegen = SimpleNamespace(set_env=lambda name, env: None)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class _Raw(_Part):
    """The code of a walk, which is optimised as part of what calls it only."""

    def _optimize_final_module(self):
        pass


class _Inner(Compiler):
    """Compiles a kernel."""

    made = _Part

    def define_pipelines(self):
        self.state.library = self.made(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()


class _Walk(_Inner):
    """Compiles a walk."""

    made = _Raw


PART = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _Inner}
"""What `numba.extending` takes to compile a function as `kernel` does."""


class _Kernel(CPUDispatcher):
    """A function that is compiled with what calls it; if that is Python, by itself."""

    def __init__(self, function, pipeline=_Inner):
        options = {key: value for key, value in PART.items() if key != "pipeline_class"}
        super().__init__(function, targetoptions={"nopython": True, **options}, pipeline_class=pipeline)
        self._alone = numba.njit(**OPTIONS)(function)

    def add_overload(self, result):
        self.overloads[tuple(result.signature.args)] = result  # and not to what Python may call

    def _compile_for_args(self, *args, **kws):
        return self._alone._compile_for_args(*args, **kws)


def kernel(function):
    """Compile a function that other kernels call: division by zero follows IEEE, the interpreter lock is released."""
    return _Kernel(function)


def walk(function):
    """Compile a kernel that goes from kernel to kernel, and is too long to be optimised twice."""
    return _Kernel(function, _Walk)


def entry(function):
    """Compile a function that Python calls, and keep the result on disk.

    Numba's disk cache does not see changes in the files a kernel imports from: use it only for files in a folder that
    is named after a digest of everything it is made from.
    """
    return numba.njit(cache=True, **OPTIONS)(function)
