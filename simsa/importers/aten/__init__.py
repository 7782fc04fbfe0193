"""The operations of PyTorch (ATen), each as a function of symbolic arrays.

To add one, add a row to a table of this folder. The functions take the arguments of the operations, by the names of
PyTorch's schema (<https://docs.pytorch.org/docs/stable/torch.html>). Where PyTorch has its own word for the derivative
at a tie, the function says it; what that word returns is in the table of primitives.

Shared arguments.
Those of the operations of the same names. x, x1, x2: the tensors that the operation is of. dim: axes. keepdim: whether
reduced axes are kept with length 1. p: of a norm. eps: a small number that keeps a quotient finite. min, max: bounds.
"""

from collections.abc import Callable, Mapping
from typing import Any

from simsa.importers.aten.elementwise import ELEMENTWISE
from simsa.importers.aten.entries import ENTRIES
from simsa.importers.aten.layers import LAYERS
from simsa.importers.aten.losses import LOSSES
from simsa.importers.aten.reductions import REDUCTIONS

IGNORED = frozenset(("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "copy"))
"""Arguments that change no number: dtypes are chosen when a program is run."""

JOINS = frozenset(("cat", "concat", "stack", "hstack", "vstack", "broadcast_tensors"))
MOVES = JOINS | frozenset(
    (
        *("view", "reshape", "_unsafe_view", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze", "expand"),
        *("broadcast_to", "permute", "transpose", "swapaxes", "movedim", "t", "numpy_T", "mT", "adjoint", "split"),
        *("split_with_sizes", "chunk", "tensor_split", "unbind", "select", "slice", "narrow", "index", "index_select"),
        *("gather", "take_along_dim", "roll", "flip", "rot90", "repeat", "tile", "repeat_interleave", "diagonal"),
        *("unfold", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "clone", "contiguous", "alias"),
    )
)
"""The operations that only move entries, as long as positions are known. PyTorch itself moves the registers. JOINS are
those whose first argument is a list of tensors."""

BY_ORDER = frozenset(("index", "index_select", "gather", "take_along_dim"))
"""The operations that may take entries at the positions of a sort."""

OPERATIONS: Mapping[str, Callable[..., Any]] = {**ELEMENTWISE, **REDUCTIONS, **ENTRIES, **LAYERS, **LOSSES}
"""The functions by the names of the operations, without or with the overload: "pow", "pow.Scalar"."""
