"""How a trajectory ended."""

from enum import IntEnum
from typing import NoReturn

from simsa.errors import RecordsError


class Status(IntEnum):
    """How a trajectory ended: the number that the records hold, and what it means in words.

    The kernels have the first three numbers of their own (`simsa.kernels.descent`); a test holds them equal.
    `Status(7)` raises RecordsError, as does any other number that no member has.
    """

    words: str

    def __new__(cls, number: int, words: str = "") -> "Status":
        """Make a member of its number and its words."""
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
        """Refuse a number that means nothing."""
        expected = ", ".join(f"{one.value} ({one.words})" for one in cls)
        raise RecordsError(f"unknown status {value}; expected one of {expected}")
