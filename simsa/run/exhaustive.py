"""The law of x_k in a small format, from Python."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsa.distribution import Law


def exhaustive(what: "str | Path | Mapping[str, Any]", **keywords: Any) -> "list[Law]":
    """Return the law of the trajectories of each cell of a sweep, without sampling error.

    Parameters
    ----------
    what
        A scenario as `simsa.sweep` takes it: the path of its file, a table of its keys, a function, a Program.
    keywords
        As for `simsa.sweep`: precision, c, steps, and so on.

    Returns
    -------
    list of Law
        Of each cell, in the order of the cells of the sweep: where x_K is with which probability, and with which
        probability it has landed by each step.

    Raises
    ------
    ScenarioError
        If a format has more than 65,536 numbers for one parameter, or 256 for two; if the rule keeps a state; if
        minibatches are not independent and equally likely, or more than 255; or if x_0 has a law without a formula.

    Notes
    -----
    x_0 has the law of the scenario, rounded to the format: the probability of a number is that of the interval that is
    rounded to it. Each step moves the probability of each point by each minibatch, in the arithmetic of the format as
    the reference computes it; the convention decides at ties. A tie is a landing where `calculus.classify` says so of
    f_I at the point; that the gradient is a number of the format makes no difference to that.

    Examples
    --------
    >>> import simsa
    >>> law, = simsa.exhaustive(lambda x: (x[0] - 1) ** 2 / 2 + simsa.zero(x[0]), parameters=1, c=[0.5], steps=2,
    ...                         step_size=1.0, initial=simsa.uniform(-2, 0), trajectories=1, precision="float8_e4m3")
    >>> law.landed.round(6).tolist()
    [0.000488, 0.047363]
    """
    from simsa.distribution import law
    from simsa.ensemble.plan import plan
    from simsa.run.run import scenario_of

    with scenario_of(what, **keywords) as found:
        made = plan(found)
        return [law(found, made, cell) for cell in made.layout.cells]
