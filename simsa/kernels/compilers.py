"""Compilers that Numba does not have: their code is linked into its callers, and is not made executable itself.

They call and replace some of Numba's internals. Where these are missing, this module raises ImportError, and `options`
compiles without them. A test compiles kernels both ways and compares bits.
"""

from functools import cached_property
from types import SimpleNamespace

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

INTERNALS = (
    (JITCodeLibrary, "_finalize_final_module _finalize_dynamic_globals _verify_declare_only_symbols"),
    (JITCodeLibrary, "_optimize_final_module get_pointer_to_function"),
    (Compiler, "define_pipelines"),
    (CPUDispatcher, "add_overload _compile_for_args"),
)
"""The methods that are called or replaced below."""

for _owner, _names in INTERNALS:
    for _name in _names.split():
        if not hasattr(_owner, _name):
            raise ImportError(f"numba {numba.__version__}: {_owner.__name__} has no {_name}")


class Part(JITCodeLibrary):
    """The code of a kernel: it is optimised, and then linked into its callers, but not made executable."""

    codegen = SimpleNamespace(set_env=lambda name, env: None)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class Draft(Part):
    """The code of a walk: it is optimised together with its caller, and not before."""

    def _optimize_final_module(self):
        pass


class Kernels(Compiler):
    """The compiler of kernels."""

    library = Part

    def define_pipelines(self):
        """Replace the library that receives the code, and return the passes of the compiler."""
        self.state.library = self.library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()


class Walks(Kernels):
    """The compiler of walks."""

    library = Draft


class Inner(CPUDispatcher):
    """A function that compiled code calls. If Python calls it, it is compiled once more, in Numba's own way."""

    def add_overload(self, result):
        """Keep a compilation for callers in compiled code."""
        self.overloads[tuple(result.signature.args)] = (
            result  # Numba adds it as well to the overloads that Python calls; this code cannot be called so.
        )

    @cached_property
    def _outer(self):
        return numba.jit(**{**self.targetoptions, "no_cpython_wrapper": False})(self.py_func)

    def _compile_for_args(self, *args, **kws):
        return self._outer._compile_for_args(*args, **kws)
