"""How kernels are compiled: the one place that says so.

IEEE arithmetic as written: no fastmath, not even contraction, which would already break exact ties.
"""

from functools import cached_property
from types import SimpleNamespace

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

OPTIONS = {"error_model": "numpy", "nogil": True, "_nrt": False}
"""Without `_nrt` nothing can be allocated, and no reference is counted: counting those of the arrays in the arguments,
which takes locks, took an eighth of the time of a scalar program. All memory comes from Python."""


class _Part(JITCodeLibrary):
    """The code of a kernel: optimised, but not made executable, since it is there to be linked into what calls it."""

    codegen = SimpleNamespace(set_env=lambda name, env: None)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class _Draft(_Part):
    """The code of a walk, which what calls it optimises."""

    def _optimize_final_module(self):
        pass


class _Kernels(Compiler):
    """Compiles a kernel."""

    library = _Part

    def define_pipelines(self):
        self.state.library = self.library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()


class _Walks(_Kernels):
    """Compiles a walk."""

    library = _Draft


class _Inner(CPUDispatcher):
    """A function for other compiled code. When Python calls it, it is compiled by itself."""

    def add_overload(self, result):
        self.overloads[tuple(result.signature.args)] = result  # and not to those that Python finds

    @cached_property
    def _outer(self):
        return numba.njit(**OPTIONS)(self.py_func)

    def _compile_for_args(self, *args, **kws):
        return self._outer._compile_for_args(*args, **kws)


INNER = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def kernel(function):
    """Compile a function that other kernels call: division by zero follows IEEE, the interpreter lock is released.

    Numba would make each one executable, with all that it calls, which takes as long as compiling them.
    """
    return _Inner(function, targetoptions={"nopython": True, **INNER}, pipeline_class=_Kernels)


def walk(function):
    """Compile a kernel that calls many others. It is optimised with its caller only: twice would take seconds more.

    Short kernels are optimised by themselves first: without that, the gradient of a network took 4 to 7 % longer.
    """
    return _Inner(function, targetoptions={"nopython": True, **INNER}, pipeline_class=_Walks)


def part(function):
    """Compile a part of a kernel that stands in it once: it is put in its place, and costs no call."""
    return _Inner(function, targetoptions={"nopython": True, "forceinline": True, **INNER}, pipeline_class=_Walks)


class _Called(_Inner):
    """A function that compiled code calls by its address: executable, kept on disk, without wrappers for Python."""

    def address(self, args):
        """Return the address of the code for these types of arguments, and the type of its result."""
        self.compile(args)
        result = self.overloads[args]
        return result.library.get_pointer_to_function(result.fndesc.llvm_func_name), result.signature.return_type


def called(function):
    """Compile a function that other compiled code calls by its address (`calls`): once, however many call it."""
    made = _Called(function, targetoptions={"nopython": True, **INNER})
    made.enable_caching()
    return made


EXTENSION = {**INNER, "pipeline_class": _Kernels}
"""What `numba.extending` takes to compile a function as `kernel` does."""


def entry(function):
    """Compile a function that Python calls, and keep the result on disk.

    Numba's disk cache does not see changes in the files a kernel imports from: use it only for files in a folder that
    is named after a digest of everything it is made from.
    """
    return numba.njit(cache=True, no_cfunc_wrapper=True, **OPTIONS)(function)
