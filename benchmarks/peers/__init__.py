"""The peers, one small class each, all with the interface of `base.Peer`."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from benchmarks.work import Work


class Entry(NamedTuple):
    """A peer: its name for readers, what must be installed, its class, and the class's options."""

    title: str
    package: str
    place: str
    options: dict[str, Any]

    def kind(self) -> Any:
        """Return the class."""
        module, name = self.place.split(":")
        return getattr(import_module(f"benchmarks.peers.{module}"), name)

    def cannot(self, work: Work) -> str:
        """Return why this peer does not do the work here, or nothing."""
        if not find_spec(self.package):
            return f"{self.package} is not installed"
        return str(self.kind().cannot(work, **self.options))


PEERS = {
    "simsa": Entry("simsa, specialised", "simsa", "simsa:Simsa", {"engine": "specialised"}),
    "interpreter": Entry("simsa, interpreter", "simsa", "simsa:Simsa", {"engine": "interpreter"}),
    "simsa-unwatched": Entry(
        "simsa, specialised, guards not watched", "simsa", "simsa:Simsa", {"engine": "specialised", "recording": False}
    ),
    "cpp": Entry("C++ for this work", "numpy", "cpp:Cpp", {"fused": True}),
    "cpp-unfused": Entry("C++ for this work, no FMA", "numpy", "cpp:Cpp", {"fused": False}),
    "jax-vmap": Entry("JAX jit(vmap(scan))", "jax", "jax:Jax", {"outer": "vmap"}),
    "jax-scan": Entry("JAX jit(scan(vmap))", "jax", "jax:Jax", {"outer": "scan"}),
    "torch": Entry("PyTorch vmap(grad)", "torch", "torch:Torch", {"compiled": False}),
    "torch-compiled": Entry("PyTorch compile(vmap(grad))", "torch", "torch:Torch", {"compiled": True}),
    "tensorflow": Entry("TensorFlow vectorized_map", "tensorflow", "tensorflow:TensorFlow", {"compiled": False}),
    "tensorflow-xla": Entry("TensorFlow XLA", "tensorflow", "tensorflow:TensorFlow", {"compiled": True}),
    "casadi": Entry("CasADi Function.map", "casadi", "casadi:Casadi", {}),
    "numpy": Entry("NumPy by hand", "numpy", "numpy:Numpy", {}),
}
OURS = ("simsa", "interpreter")
LIMITS = ("cpp", "cpp-unfused")
JAX = ("jax-vmap", "jax-scan")
WITHOUT = ("simsa-unwatched",)
"""What is measured to tell a cost; only where a work asks for it."""


def others() -> list[str]:
    """Return the peers that anyone would pick instead: neither simsa nor the limit."""
    return [peer for peer in PEERS if peer not in (*OURS, *LIMITS, *WITHOUT)]


def usual(work: Work, threads: int) -> list[str]:
    """Return the peers of a work, unless some are named: on one core only those that tell how simsa does there."""
    few = [*OURS, *(WITHOUT if work.unwatched else ()), *LIMITS, *JAX]
    return few if threads == 1 else [peer for peer in PEERS if peer not in WITHOUT]
