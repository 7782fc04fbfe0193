"""What stands beside the rows of the table and computes them, one object for each kind of row."""

from simsa.primitives.operations.affine import Dense, Dot, Sum
from simsa.primitives.operations.extreme import Extreme
from simsa.primitives.operations.operation import (
    PLAIN,
    RULES,
    Call,
    Case,
    Guard,
    Judge,
    Operation,
    Partials,
    Selection,
    Table,
    Term,
    spelled,
    total,
)
from simsa.primitives.operations.pieces import SIGNS, Elementary, Pieces, Select
from simsa.primitives.operations.smooth import LogSumExp, Norm
from simsa.primitives.operations.sort import Sort

ELEMENTARY, PIECES = Elementary(), Pieces()
"""The operations of rows whose pieces are text: of one piece, and of several."""

__all__ = [
    "ELEMENTARY",
    "PIECES",
    "PLAIN",
    "RULES",
    "SIGNS",
    "Call",
    "Case",
    "Dense",
    "Dot",
    "Extreme",
    "Guard",
    "Judge",
    "LogSumExp",
    "Norm",
    "Operation",
    "Partials",
    "Select",
    "Selection",
    "Sort",
    "Sum",
    "Table",
    "Term",
    "spelled",
    "total",
]
