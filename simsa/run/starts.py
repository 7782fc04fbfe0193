"""Laws of starting points, as `simsa.sweep` takes them: each is the table `[initial]` of a scenario file."""

from collections.abc import Sequence
from typing import Any

Numbers = float | Sequence[float]
"""One number for all parameters, or one for each."""


def uniform(low: Numbers, high: Numbers) -> dict[str, Any]:
    """Return the law of x_0 that is uniform on a box.

    Parameters
    ----------
    low, high
        The corners of the box, one number for all parameters or a sequence of one for each, low <= high. Equal ends fix
        a coordinate.

    Returns
    -------
    dict
        The table `[initial]` of a scenario.

    Examples
    --------
    >>> uniform(1, 3)
    {'law': 'uniform', 'low': 1, 'high': 3}
    """
    return {"law": "uniform", "low": low, "high": high}


def normal(center: Numbers = 0.0, scale: Numbers = 1.0) -> dict[str, Any]:
    """Return the law x_0 = center + scale z, with z standard normal.

    Parameters
    ----------
    center, scale
        The mean and the standard deviation, at least 0: one number for all parameters or a sequence of one for each. A
        scale of 0 fixes a coordinate.

    Returns
    -------
    dict
        The table `[initial]` of a scenario.

    Examples
    --------
    >>> normal(scale=[1.0, 0.0])
    {'law': 'normal', 'center': 0.0, 'scale': [1.0, 0.0]}
    """
    return {"law": "normal", "center": center, "scale": scale}


def points(table: Any) -> dict[str, Any]:
    """Return the law of x_0 that takes given points: trajectory t starts at point t mod m.

    Parameters
    ----------
    table
        The points, array-like of shape (m, p), m >= 1.

    Returns
    -------
    dict
        The table `[initial]` of a scenario.

    Examples
    --------
    >>> points([[0.0, 1.0]])
    {'law': 'points', 'points': [[0.0, 1.0]]}
    """
    return {"law": "points", "points": table}
