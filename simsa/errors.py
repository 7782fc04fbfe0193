"""The errors a user can meet: one family, each with the place and the cure in its message.

Failures inside the kernels are status codes, counted and reported; they are never raised.
"""

from collections.abc import Collection


class SimsaError(Exception):
    """Any mistake in what simsa was given; the message stands on its own, without a traceback."""


class ScenarioError(SimsaError):
    """A scenario that does not say what it must; one line a problem: file, line, key, expected, got."""


class ProgramError(SimsaError):
    """A function, formula or network that is no program: an unknown primitive, a shape that does not fit."""


class TapeError(SimsaError):
    """An ill-formed tape, with the instruction that is at fault."""


class DataError(SimsaError):
    """Data that cannot be read: a missing file or column, a cell that is no finite number, no rows."""


class RecordsError(SimsaError):
    """Records that cannot be opened or continued: another scenario, another version, damaged chunks."""


def known(what: str, name: object, names: Collection[str]) -> None:
    """Raise SimsaError, with what was expected, unless a name is in a closed set.

    what: the kind of name, for the message. name: the name. names: the closed set.
    """
    if name not in names:
        raise SimsaError(f"unknown {what} {name!r}; expected one of {', '.join(map(repr, names))}")
