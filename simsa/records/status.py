"""How a trajectory ended."""

from enum import IntEnum
from typing import NoReturn

from simsa.errors import RecordsError


class Status(IntEnum):
    """How a trajectory ended: the number that the records hold, and its meaning in words.

    The kernels define the first three numbers again (`simsa.kernels.descent`); a test compares them. Any other number,
    as in `Status(7)`, raises RecordsError.
    """

    words: str

    def __new__(cls, number: int, words: str = "") -> "Status":
        """Make a member from its number and its words."""
        member = int.__new__(cls, number)
        member._value_, member.words = number, words
        return member

    FINISHED = 0, "finished"
    UNBOUNDED = 1, "left the ball"
    NOT_FINITE = 2, "met a NaN or an infinity"
    TOO_LONG = 3, "stopped: its numbers have too many bits"
    NOT_RUN = 255, "has not been run"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        """Raise RecordsError for a number that no member has."""
        expected = ", ".join(f"{one.value} ({one.words})" for one in cls)
        raise RecordsError(f"unknown status {value}; expected one of {expected}")
