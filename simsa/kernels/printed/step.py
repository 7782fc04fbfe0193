"""A step of a rule on one lane vector of a coordinate, as instructions, for walks that take steps themselves."""

from typing import NamedTuple

from simsa.kernels.rows import _Text


class Step(NamedTuple):
    """A rule whose steps use a coordinate alone, as `rules.Rule` has it.

    state: the names of the numbers that are kept for each coordinate from step to step. numbers: the names of the
    rule's numbers. steps: (name, expression) of all that is computed in a step, in this order; the one that is called
    "next" is the next x.
    """

    state: tuple[str, ...]
    numbers: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]

    def given(self, code):
        """Return the rule's numbers in every lane, from the array `given` of the walk."""
        return [code.splat("given", n) for n in range(len(self.numbers))]

    def taken(self, code, x, gradient, rate, held, numbers):
        """Return the next x, and the list of the next numbers of the state, as lane vectors.

        code: the code under construction. x, gradient, rate: lane vectors of a coordinate, of the mean gradient and of
        the step size. held: those of the state. numbers: as `given` returns them.
        """
        names = {"x": x, "g": gradient, "gamma": rate}
        names.update(zip(self.state, held, strict=True), **dict(zip(self.numbers, numbers, strict=True)))
        text = _Text(code.context, code.b, code.lanes, names)
        for name, expression in self.steps:
            text.names[name] = text(expression)
        return text.names["next"], [text.names[name] for name in self.state]
