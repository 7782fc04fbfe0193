"""Kernels are compiled in two ways, with Numba's internals and without: the bits are the same."""

import os
import subprocess
import sys

import numba
import pytest

PROGRAM = """
import hashlib
import numpy as np
from simsa import relu, trace
from simsa.kernels import options
from simsa.machine import tape_of
from simsa.machine.generate import engine_package
from simsa.machine.launch import evaluate_with
from simsa.machine.layout import laid_out
from simsa.machine.specialise import engine_text
from simsa.rules import SGD

program = trace(lambda x, d: np.sum(relu(x * d)) + np.exp(x[0]) + np.linalg.norm(np.tanh(x)) + np.max(x), 6, 6)
where = laid_out(tape_of(program), 4, 1, 1)
x, data = np.random.default_rng(0).normal(size=(2, 64, 6)).round(1)
found = np.empty((64, 1)), np.zeros((64, 1, 6)), np.empty(64)
evaluate_with(engine_package(engine_text(where, SGD)), where, x, data, *found)
print(options.PLAIN, hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest())
"""

CURE = (
    f"Numba {numba.__version__} is not what simsa/kernels/compilers.py was written for: make that file follow it, or "
    "keep it out with the bound in pyproject.toml; until then, run with SIMSA_PLAIN_NUMBA=1"
)


def run(text: str, plain: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, with the kernels compiled the plain way ("1") or not ("0")."""
    environment = {**os.environ, "SIMSA_PLAIN_NUMBA": plain}
    return subprocess.run([sys.executable, "-W", "error", "-c", text], env=environment, capture_output=True, text=True)


def test_plain_numba_gives_the_same_bits() -> None:
    """The canary for another version of Numba: the functions whose internals are replaced are compiled and run."""
    plain, quick = run(PROGRAM, "1"), run(PROGRAM, "0")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.startswith("True ")
    assert quick.returncode == 0, f"{CURE}\n{quick.stderr}"
    assert quick.stdout == plain.stdout.replace("True", "False"), CURE


LACKING = """
from numba.core.codegen import JITCodeLibrary
name = "_finalize_dynamic_globals"
delattr(next(owner for owner in JITCodeLibrary.__mro__ if name in vars(owner)), name)
"""
"""What another version of Numba might lack."""


def test_without_the_internals_kernels_are_compiled_plainly_and_a_warning_says_so() -> None:
    found = run(f"{LACKING}import simsa.kernels.options", "0")
    assert found.returncode == 1
    assert "RuntimeWarning: kernels are compiled slowly" in found.stderr
    assert "JITCodeLibrary has no _finalize_dynamic_globals" in found.stderr


@pytest.mark.parametrize("said", ["yes", "2"])
def test_an_unknown_word_for_plain_is_refused(said: str) -> None:
    assert "SIMSA_PLAIN_NUMBA must be 0 or 1" in run("import simsa.kernels.options", said).stderr
