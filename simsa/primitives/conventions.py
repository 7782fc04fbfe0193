"""Tie conventions: which derivative a framework returns where a selection is tied.

The derivative at a tie depends on how a function is spelled: PyTorch has four spellings of max(x, 0), with three
different derivatives at 0. The measured values are in the rows of the table (`simsa.primitives.table`); this module
looks them up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from simsa.errors import ProgramError
from simsa.primitives.primitive import Primitive
from simsa.primitives.table import ROW, ROWS
from simsa.primitives.texts import Weights

FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "tensorflow": ("tf.", "keras."),
    "pytorch": ("torch.",),
    "jax": ("jax.", "jnp.", "flax."),
}
"""The frameworks, each with the prefixes of its spellings."""


@dataclass(frozen=True)
class Convention:
    """A tie convention: that of a framework, with overrides for single primitives.

    Parameters
    ----------
    base
        "tensorflow", "pytorch" or "jax".
    overrides
        For the name of a primitive: a framework spelling ("torch.fmax"); or a rule ("split", "first" or "last"; for
        `norm`, "zero" or "nan"); or a number s, the derivative with respect to the first operand at a tie
        (relu'(0) = s), and for `norm` with respect to each operand.

    Raises
    ------
    ProgramError
        If the framework, a primitive, or a rule is unknown.

    Notes
    -----
    At a tie a convention mixes the tied pieces with weights that sum to 1, or passes nothing. A mixture is one more
    piece of the selection, as Definition 3 allows. Values do not depend on the convention.

    References
    ----------
    Bolte and Pauwels (NeurIPS 2020), Section 2 and Definition 3.

    Examples
    --------
    >>> Convention("tensorflow", {"relu": 0.5}).label
    'tensorflow,relu=0.5'
    """

    base: str = "tensorflow"
    overrides: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown frameworks, primitives and rules at once, not when a program first meets them."""
        if self.base not in FRAMEWORKS:
            raise ProgramError(f"convention '{self.base}' is unknown; expected one of {', '.join(FRAMEWORKS)}")
        for name in self.overrides:
            if name not in ROW or not ROW[name].ties:
                known = ", ".join(row.name for row in ROW.values() if row.ties)
                raise ProgramError(f"convention override '{name}' has no rule at ties; expected one of {known}")
            self.tie(name)

    @property
    def label(self) -> str:
        """Return a short name: the base, followed by the overrides in alphabetical order."""
        return self.base + "".join(f",{name}={value}" for name, value in sorted(self.overrides.items()))

    def tie(self, name: str, spelling: str | None = None) -> Weights | str:
        """Return the weights or the rule that a primitive uses at a tie.

        name: of the primitive. spelling: another framework spelling or rule for this call; for example max-pooling
        takes the first of equal entries, where the maximum of the same framework splits. An override of the convention
        takes precedence. Raises ProgramError for an unknown spelling or rule.
        """
        row, choice = ROW[name], self.spelling(name, spelling)
        return _named(row, choice) if isinstance(choice, str) else row.operation.weights_for_slope(row, float(choice))

    def spelling(self, name: str, spelling: str | None = None) -> str | float:
        """Return how this convention spells primitive `name`: its override, else `spelling`, else its framework's."""
        choice: str | float | None = self.overrides.get(name, spelling)
        if choice is None:
            return next(known for known in ROW[name].ties if known.startswith(FRAMEWORKS[self.base]))
        return choice


def _named(row: Primitive, choice: str) -> Weights | str:
    """Return the weights or the rule that `choice` names: a spelling of the row, or a rule of its operation."""
    rules = row.operation.rules(row)
    if choice in row.ties:
        return row.ties[choice]
    if choice in rules:
        return rules[choice]
    expected = (*(["a number"] if row.operation.takes_slope(row) else []), *rules, *row.ties)
    raise ProgramError(f"{row.name}: tie rule '{choice}' is unknown; expected one of {', '.join(expected)}")


TENSORFLOW = Convention("tensorflow")


def convention(value: "str | Mapping[str, str | float] | Convention") -> Convention:
    """Return a convention from what scenarios and functions accept in its place.

    Parameters
    ----------
    value
        The name of a framework; or a mapping with the overrides and a `base`, which is "tensorflow" if it is left out;
        or a Convention, which is returned as it is.

    Returns
    -------
    Convention
        The convention.

    Raises
    ------
    ProgramError
        If the base is not a name, or a name is unknown.

    Examples
    --------
    >>> convention({"base": "jax", "relu": 0.5}).tie("relu")
    ((0.5, 0.5),)
    """
    if isinstance(value, Convention):
        return value
    if isinstance(value, str):
        return Convention(value)
    rest = dict(value)
    base = rest.pop("base", "tensorflow")
    if not isinstance(base, str):
        raise ProgramError(f"convention base must be a name, got {base!r}")
    return Convention(base, rest)


def table() -> Iterator[str]:
    """Yield the lines of a Markdown table of the primitives: name, function, pieces, and what spellings do at a tie."""
    yield "| primitive | function | pieces | at a tie |"
    yield "|---|---|---|---|"
    for row in ROWS:
        said: dict[str, list[str]] = {}
        for spelling, weights in row.ties.items():
            said.setdefault(_shown(row, weights), []).append(f"`{spelling}`")
        ties = "; ".join(f"{weights}: {', '.join(spellings)}" for weights, spellings in said.items())
        pieces = ", ".join(f"`{piece.value}`" for piece in row.pieces)
        yield f"| `{row.name}` | {row.textbook} | {pieces} | {ties} |"


def _shown(row: Primitive, weights: Weights | str) -> str:
    """Return in words what a row does at a tie with these weights, or by this rule."""
    if isinstance(weights, str):
        return weights
    if row.tie_rows:
        return " and ".join(f"({', '.join(f'{w:g}' for w in one)})" for one in weights)
    return f"{weights[0][0]:g}"
