"""Engines, which run trajectories. They differ in what they refuse and in what they cost, and not in their results.

To add one, add a class and its entry in `ENGINES`. Its bits have to be those of the reference.
"""

from simsa.engines.compiled import Interpreter, Specialised
from simsa.engines.engine import Draws, Engine, Task, Work
from simsa.engines.plain import Exact, Reference
from simsa.errors import SimsaError

ENGINES: dict[str, Engine] = {one.name: one for one in (Reference(), Interpreter(), Specialised(), Exact())}
"""Every engine by its name."""

COMPILED = 1.0
"""Seconds up to which an engine is made ready without compiling: kernels are loaded from disk."""


def cheapest(task: Task, work: Work) -> tuple[Engine, str]:
    """Return the engine that finishes first, compilation included, and the reason in a line.

    task: what is run. work: how much of it is run. Raises SimsaError, with the reasons, if every engine refuses.
    """
    refusals = {name: engine.refuses(task) for name, engine in ENGINES.items()}
    costs = {name: ENGINES[name].cost(task, work) for name, why in refusals.items() if not why}
    if not costs:
        raise SimsaError("; ".join(f"{name}: {why}" for name, why in refusals.items()))
    best = min(costs, key=lambda name: costs[name])
    told = ", ".join(f"{name} {costs[name]:.2g} s" for name in sorted(costs, key=lambda name: costs[name]))
    compiling = ", compilation included" if any(ENGINES[name].preparing(task) > COMPILED for name in costs) else ""
    return ENGINES[best], f"{best} engine, done first ({told}{compiling})" if len(costs) > 1 else best


__all__ = ["ENGINES", "Draws", "Engine", "Exact", "Interpreter", "Reference", "Specialised", "Task", "Work", "cheapest"]
