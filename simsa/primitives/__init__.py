"""The table of primitives, and the conventions that choose a derivative at a tie."""

from simsa.primitives.conventions import FRAMEWORKS, Convention, convention
from simsa.primitives.primitive import Primitive
from simsa.primitives.table import INNER, OPCODE, ROW, ROWS, add
from simsa.primitives.texts import Branch, Piece, Weights

__all__ = [
    "FRAMEWORKS",
    "INNER",
    "OPCODE",
    "ROW",
    "ROWS",
    "Branch",
    "Convention",
    "Piece",
    "Primitive",
    "Weights",
    "add",
    "convention",
]
