"""The objects that compute the rows of the table, one class for each kind of row."""

from simsa.primitives.operations.affine import Dense, Dot, Sum
from simsa.primitives.operations.extreme import Extreme
from simsa.primitives.operations.operation import (
    PLAIN,
    RULES,
    Call,
    Case,
    Contribution,
    EvaluatedTable,
    Guard,
    LocalSigns,
    Operation,
    Partials,
    Selection,
    format_product,
    total,
)
from simsa.primitives.operations.pieces import SIGNS, Elementary, Pieces, Select
from simsa.primitives.operations.smooth import LogSumExp, Norm
from simsa.primitives.operations.sort import Sort

ELEMENTARY, PIECES = Elementary(), Pieces()
"""The operations of rows whose pieces are texts: with one piece, and with several."""

__all__ = [
    "ELEMENTARY",
    "PIECES",
    "PLAIN",
    "RULES",
    "SIGNS",
    "Call",
    "Case",
    "Contribution",
    "Dense",
    "Dot",
    "EvaluatedTable",
    "Extreme",
    "Guard",
    "LocalSigns",
    "LogSumExp",
    "Norm",
    "Operation",
    "Partials",
    "Select",
    "Selection",
    "Sort",
    "Sum",
    "format_product",
    "total",
]
