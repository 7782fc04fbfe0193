"""The tape: a program as flat instruction arrays with a branch table."""

from simsa.tape.assemble import assemble
from simsa.tape.check import check
from simsa.tape.tape import Tape

__all__ = ["Tape", "assemble", "check"]
