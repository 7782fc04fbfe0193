"""Bring your own model: modules of PyTorch and functions of JAX as programs.

A model is traced by its framework (`torch.export.export`, `jax.make_jaxpr`), and each operation of the graph is a row
of a table: `aten` for PyTorch, `lax` for JAX. A row is a function of symbolic arrays, and says the framework's word for
the derivative at a tie. What has no row is refused by name, with the line of the model.

Neither framework is imported before a model is.
"""

from simsa.importers.imported import ImportedProgram
from simsa.importers.jax import from_jax
from simsa.importers.torch import from_torch

__all__ = ["ImportedProgram", "from_jax", "from_torch"]
