"""What the frameworks say of a case, and what a program says: values, and gradients of a weighted sum of the outputs.

`python -m tests.importers.asked` writes tests/data/imported.json anew, where PyTorch and JAX are installed.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from simsa.program.stored import described
from tests.support import DATA

FILE = DATA / "imported.json"


@dataclass(frozen=True)
class Answer:
    """A program with a point, and what the framework returned there.

    value: the outputs. gradient: of the sum of the outputs with the weights.
    """

    program: Any
    point: np.ndarray
    data: np.ndarray
    value: np.ndarray
    gradient: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Return the weights of the outputs."""
        return weights(len(self.value))

    def difference(self) -> float:
        """Return by how much the program's value and gradient differ from the framework's, relatively."""
        row = self.data if len(self.data) else None
        value = np.atleast_1d(self.program.value(self.point, row))
        gradient = self.weights @ self.program.jacobian(self.point, row)
        pairs = (value, self.value), (gradient, self.gradient)
        return max(_distance(one, other) for one, other in pairs)


def weights(count: int) -> np.ndarray:
    """Return fixed weights of so many outputs."""
    return np.linspace(1.0, 2.0, count)


def _distance(found: np.ndarray, truth: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number; infinity if NaNs or infinities differ."""
    same = (found == truth) | (np.isnan(found) & np.isnan(truth))
    if same.all():
        return 0.0
    if not (np.isfinite(found[~same]) & np.isfinite(truth[~same])).all():
        return np.inf
    return float(np.abs(found - truth)[~same].max() / max(np.abs(truth[np.isfinite(truth)]).max(), 1e-300))


def by_torch(model: Any, arguments: tuple[Any, ...]) -> Answer:
    """Ask PyTorch, of a module with its inputs, or of a function of tensors."""
    import torch

    from simsa import from_torch
    from tests.importers.torch_cases import Held

    net = Held(model, arguments).eval()
    first = net(*net.given)
    held = list(net.parameters())
    seed = torch.as_tensor(weights(first.numel())).reshape(first.shape)
    found = torch.autograd.grad((first * seed).sum(), held, allow_unused=True)
    parts = [torch.zeros_like(p) if g is None else g for p, g in zip(held, found, strict=True)]
    gradient = torch.cat([part.reshape(-1) for part in parts]).numpy()
    program = from_torch(net, net.given)
    value = first.detach().numpy().reshape(-1)
    return Answer(program, program.parameters_of(net), program.data_of(*net.given), value, gradient)


def by_jax(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Answer:
    """Ask JAX, of a function of arrays."""
    import jax
    from jax.flatten_util import ravel_pytree

    from simsa import from_jax

    real = [np.asarray(one).dtype.kind == "f" for one in arguments]

    def loss(held, *given):
        one, other = iter(held), iter(given)
        return function(*[next(one) if is_real else next(other) for is_real in real])

    held = [one for one, is_real in zip(arguments, real, strict=True) if is_real]
    given = [one for one, is_real in zip(arguments, real, strict=True) if not is_real]
    program = from_jax(loss, held, *given)
    with jax.enable_x64(True):
        held = [jax.numpy.asarray(one) for one in held]
        first = loss(held, *given)
        seed = weights(first.size).reshape(first.shape)
        gradient = ravel_pytree(jax.grad(lambda held: (loss(held, *given) * seed).sum())(held))[0]
        value = np.asarray(first, np.float64).reshape(-1)
    return Answer(program, program.parameters_of(held), program.data_of(*given), value, np.asarray(gradient))


def _numbers(array: np.ndarray) -> list[Any]:
    """Return numbers as JSON has them: those that are not finite as text."""
    return [float(v) if np.isfinite(v) else str(float(v)) for v in array]


def main() -> None:
    """Write what both frameworks say at ties, with the programs that their functions become."""
    import jax
    import torch

    from tests.importers import jax_cases, torch_cases

    kept = []
    for by, cases in ((by_torch, torch_cases.ties()), (by_jax, jax_cases.ties())):
        for name, (function, arguments) in cases.items():
            said = by(function, arguments)
            if said.difference() > 1e-12:
                raise SystemExit(f"{by.__name__}: {name}: the program differs from the framework")
            kept.append(
                {
                    "framework": by.__name__.removeprefix("by_"),
                    "name": name,
                    "point": _numbers(said.point),
                    "value": _numbers(said.value),
                    "gradient": _numbers(said.gradient),
                    "program": described([said.program]),
                }
            )
    versions = {"torch": torch.__version__, "jax": jax.__version__}
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in kept)
    FILE.write_text(f'{{"versions": {json.dumps(versions)}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
