"""What several files of this folder use."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from simsa.importers.arrays import row

CLAMP = "torch.clamp"

relu = row("relu", "torch.relu")
absolute = row("abs", "torch.abs")


class Results(Sequence[Any]):
    """Results of an operation that has several, each computed when it is first asked for.

    functions: one for each result, without arguments.
    """

    def __init__(self, *functions: Callable[[], Any]) -> None:
        self.functions = list(functions)

    def __len__(self) -> int:
        return len(self.functions)

    def __getitem__(self, i: Any) -> Any:
        return self.functions[i]()

    def __iter__(self) -> Iterator[Any]:
        return (function() for function in self.functions)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    """`clamp`: with both bounds the row `clip`, with one of them `maximum` or `minimum`."""
    if min is not None and max is not None:
        return row("clip")(x, min, max)
    if min is not None:
        return row("maximum", CLAMP)(x, min)
    return row("minimum", CLAMP)(x, max)


def dims(dim: Any) -> Any:
    """Return the axes of a reduction: None for all, also for the empty list."""
    if dim is None or (isinstance(dim, list | tuple) and not len(dim)):
        return None
    return tuple(dim) if isinstance(dim, list | tuple) else int(dim)
