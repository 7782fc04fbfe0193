"""Tapes: programs as flat arrays of instructions, which are checked before they run."""

from simsa.tape.assemble import assemble
from simsa.tape.check import check
from simsa.tape.tape import Tape

__all__ = ["Tape", "assemble", "check"]
