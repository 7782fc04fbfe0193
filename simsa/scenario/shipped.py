"""The scenarios that come with simsa."""

from pathlib import Path

from simsa.errors import ScenarioError
from simsa.scenario.model import nearest


def shipped() -> dict[str, Path]:
    """Return the scenario files that come with simsa, by name, in alphabetical order.

    They are in simsa/scenarios/ where simsa is installed from a wheel, and in scenarios/ beside simsa/ in a checkout.
    """
    package = Path(__file__).parent.parent
    places = (package / "scenarios", package.parent / "scenarios")
    return {path.stem: path for place in places for path in sorted(place.glob("*.toml"))}


def find(word: str) -> Path:
    """Return the file of a scenario.

    word: the path of a file, which exists or ends in .toml; or the name of a scenario that comes with simsa. Raises
    ScenarioError for an unknown name, with the nearest one.
    """
    path, known = Path(word), shipped()
    if path.is_file() or path.suffix == ".toml":
        return path
    if word not in known:
        raise ScenarioError(
            f"{word}: there is no such file, and no scenario of this name comes with simsa; {nearest(word, known)} "
            "(`simsa list` says which there are; a file of your own ends in .toml)"
        )
    return known[word]
