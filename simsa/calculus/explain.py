"""What automatic differentiation says at a point, and why, in sentences."""

from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsa.calculus import branches
from simsa.calculus.clarke import Classification, clarke, classify
from simsa.calculus.minnorm import min_norm_point
from simsa.calculus.objective import Objective, point, resolve, scalar
from simsa.calculus.sets import LIMIT, SetValue, selection_operator
from simsa.errors import ProgramError
from simsa.program.program import Program
from simsa.vocabulary import PointKind, TieKind

Array = NDArray[np.float64]

SHOWN = 6
"""Entries of a vector, and vertices of a set, that are written out."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What automatic differentiation says at a point, and why; printed, it is that in sentences.

    Attributes
    ----------
    subject
        The program or the objective.
    x
        The point, shape (p,).
    value
        f(x).
    gradient
        What AD returns, shape (p,).
    tied
        How many selections of each primitive are tied, over all samples.
    classification
        What the point is.
    selection, clarke
        D_f(x) and Clarke's set; None if they are not polytopes, or too large to list.
    unlisted
        Why they are None; else empty.
    """

    subject: Objective = field(repr=False)
    x: Array
    value: float
    gradient: Array
    tied: Counter[str]
    classification: Classification | None
    selection: SetValue | None = field(repr=False)
    clarke: SetValue | None = field(repr=False)
    unlisted: str = field(default="", repr=False)

    def __str__(self) -> str:
        return " ".join(self.sentences())

    __repr__ = __str__

    def sentences(self) -> list[str]:
        """Return the explanation, sentence by sentence."""
        f = "J" if len(self.subject.rows) > 1 else "f"
        at = _vector(self.x)
        slope = f"{f}'({at})" if self.subject.p == 1 else f"the gradient of {f} at {at}"
        says = f"AD returns {_vector(self.gradient)}"
        found = self.classification
        if found is None:
            return [f"{f}({at}) = {self.value:.6g}; {says}.", f"What the point is is not known: {self.unlisted}."]
        if found.tie is None:
            said = [f"No selection is tied at {at}: {says}, and {slope} is that."]
        elif found.tie is TieKind.HARMLESS:
            said = [f"{f} is differentiable at {at}, and {says}, which is right, although {self._ties()}."]
        elif found.tie is TieKind.C:
            right = self._derivative()
            known = f" with {slope} = {right}" if right else ""
            said = [f"{f} is differentiable at {at}{known}.", f"{says}, because {self._ties()}."]
        else:
            listed = f": Clarke's subdifferential there is {_hull(self.clarke)}" if self.clarke else ""
            inside = ""
            if self.clarke is not None and len(self.clarke) > 1:
                inside = f", which is {'' if self._inside() else 'not '}an element of it"
            said = [f"{f} is not differentiable at {at}{listed}.", f"{says}{inside}; {self._ties()}."]
        said.append(self._kind(found))
        if not found.certified:
            said.append(f"This is not certified: {found.why}.")
        return said

    def _derivative(self) -> str:
        """Return the derivative where the function is differentiable, or nothing if it was not listed."""
        return _vector(self.clarke.vertices[0]) if self.clarke is not None and len(self.clarke) == 1 else ""

    def _ties(self) -> str:
        """Return which selections are tied, as a clause."""
        count = sum(self.tied.values())
        names = [f"{name} ({many} times)" if many > 1 else name for name, many in self.tied.items()]
        if count == 2 and len(names) == 1:
            return f"both {next(iter(self.tied))} are tied"
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        return f"{listed} {'is' if count == 1 else 'are'} tied"

    def _inside(self) -> bool:
        """Tell whether what AD returns is in Clarke's set, up to rounding."""
        assert self.clarke is not None
        moved = self.clarke.vertices - self.gradient
        small = 1e-12 * max(1.0, float(np.abs(self.clarke.vertices).max()))
        return min_norm_point(moved, exact=True).norm <= small

    def _kind(self, found: Classification) -> str:
        """Return what the point is for the search of critical points."""
        if found.kind is PointKind.ARTIFICIAL:
            return (
                "The point is an artificial critical point: 0 is among what AD can return here (D), and not in "
                f"Clarke's subdifferential, from which it is at a distance of {found.distance_clarke:.3g}."
            )
        if found.kind is PointKind.CLARKE:
            return "The point is critical: 0 is in Clarke's subdifferential."
        return f"The point is not critical: 0 is at a distance of {found.distance_selection:.3g} from D."

    def plot(self, ax: Any = None, **options: Any) -> Any:
        """Draw f around x with what AD says there, and return the axes.

        ax: matplotlib's axes to draw on; new ones if left out. With one parameter, f and the line with AD's slope; with
        more, f along the direction that AD would step in, or along the first coordinate where AD returns 0. options:
        `width` of new axes in inches.
        """
        # The calculus knows nothing of figures, and does not depend on them: they are found by name, when asked for.
        return import_module("simsa.plots.at_point").explanation(self, ax=ax, **options)


def explain(
    subject: Program | Objective, x: ArrayLike, data: ArrayLike | None = None, limit: int = LIMIT
) -> Explanation:
    """Return what automatic differentiation says at a point, and why, in sentences.

    Parameters
    ----------
    subject
        A program with one output, or an objective.
    x
        The point, shape (p,).
    data
        The data inputs of a program, shape (d,).
    limit
        The branch assignments up to which sets are listed.

    Returns
    -------
    Explanation
        The sentences, the sets that they are from, and a figure.

    Raises
    ------
    ProgramError
        For a program with several outputs.

    Examples
    --------
    >>> import simsa
    >>> trap = simsa.trace(lambda x: simsa.relu(x[0]) - simsa.relu(-x[0]), 1)
    >>> for sentence in explain(trap, [0.0]).sentences():
    ...     print(sentence)
    f is differentiable at 0 with f'(0) = 1.
    AD returns 0, because both relu are tied.
    The point is an artificial critical point: 0 is among what AD can return here (D), and not in Clarke's subdifferential, from which it is at a distance of 1.
    """  # noqa: E501 - the last sentence, as it is printed
    objective = scalar(resolve(subject, data))
    at = point(objective, x)
    tied: Counter[str] = Counter()
    for run in objective.runs(at):
        tied.update(branches.primitive(objective.interpreter, k).name for k, gap in run.margins.items() if gap == 0)
    found: dict[str, Any] = {}
    reasons = []
    for name, ask in (
        ("classification", lambda: classify(objective, at, limit=limit)),
        ("selection", lambda: selection_operator(objective, at, "local", limit=limit)),
        ("clarke", lambda: clarke(objective, at, limit=limit)),
    ):
        try:
            found[name] = ask()
        except ProgramError as error:
            found[name] = None
            reasons.append(str(error))
    return Explanation(
        objective, at, objective.value(at), objective.gradient(at), tied, unlisted=next(iter(reasons), ""), **found
    )


def _vector(numbers: Array) -> str:
    """Return a number, or a vector in parentheses, cut to a readable length."""
    shown = [f"{v:.6g}" for v in (numbers.tolist() if len(numbers) <= SHOWN else numbers[:SHOWN].tolist())]
    shown = [v.replace("-0", "0") if float(v) == 0 else v for v in shown]
    if len(numbers) == 1:
        return shown[0]
    return f"({', '.join(shown)}{f', ... of {len(numbers)}' if len(numbers) > SHOWN else ''})"


def _hull(found: SetValue) -> str:
    """Return a convex hull: an interval for one parameter, else its vertices."""
    vertices = found.vertices
    if vertices.shape[1] == 1 and len(vertices) > 1:
        return f"[{vertices.min():.6g}, {vertices.max():.6g}]"
    if len(vertices) > SHOWN:
        return f"the convex hull of {len(vertices)} vectors"
    return f"conv{{{', '.join(map(_vector, vertices))}}}"
