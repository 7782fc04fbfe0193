"""What all tests share. No warning is hidden here: pyproject.toml turns every one into an error."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("tests.support.runs")

# The same examples in every run, as many as a test says. The first call of a kernel compiles it, which no deadline and
# no health check should count.
settings.register_profile(
    "simsa", derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("simsa")


def pytest_configure(config: pytest.Config) -> None:
    """Compile into pytest's own cache, unless told where, draw without a screen, and let other processes import simsa.

    Set before any test module imports the kernels; workers of pytest-xdist, and what tests start, inherit it.
    """
    os.environ.setdefault("SIMSA_CACHE_DIR", str(config.rootpath / ".pytest_cache" / "kernels"))
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(config.rootpath), os.environ.get("PYTHONPATH", "")])
    # A shell's background job starts with Ctrl-C ignored, and so would what it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the tests over generated programs."""
    parser.addoption("--programs", type=int, default=60, help="programs of each kind in the tests marked torture")


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> int:
    """Return how many generated programs of its kind a test goes through; the n-th is always the same program."""
    return int(request.config.getoption("--programs"))


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run draw nothing: its figures take longer than a small run."""
    monkeypatch.setattr("simsa.plots.save_all", lambda summary, folder: [])
