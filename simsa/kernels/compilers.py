"""What Numba does not offer: code that is linked into its callers without being made executable itself.

This leans on Numba's internals. `options` compiles plainly where they are missing, and a test compiles kernels both
ways and compares bits.
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
    """The code of a kernel: optimised, but not made executable, since it is there to be linked into what calls it."""

    codegen = SimpleNamespace(set_env=lambda name, env: None)

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class Draft(Part):
    """The code of a walk, which what calls it optimises."""

    def _optimize_final_module(self):
        pass


class Kernels(Compiler):
    """Compiles a kernel."""

    library = Part

    def define_pipelines(self):
        """Replace the library that the kernel's code goes to."""
        self.state.library = self.library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        return super().define_pipelines()


class Walks(Kernels):
    """Compiles a walk."""

    library = Draft


class Inner(CPUDispatcher):
    """A function for other compiled code. When Python calls it, it is compiled by itself."""

    def add_overload(self, result):
        """Keep what has been compiled."""
        self.overloads[tuple(result.signature.args)] = result  # and not to those that Python finds

    @cached_property
    def _outer(self):
        return numba.jit(**{**self.targetoptions, "no_cpython_wrapper": False})(self.py_func)

    def _compile_for_args(self, *args, **kws):
        return self._outer._compile_for_args(*args, **kws)
