"""Programs of JAX's functions: values and derivatives are JAX's, also at ties."""

from itertools import pairwise

import numpy as np
import pytest

import simsa
from simsa.errors import ProgramError, SimsaError
from simsa.machine import tape_of
from simsa.primitives import ROWS
from tests.importers.asked import by_jax

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

import jax.numpy as jnp  # noqa: E402
from jax import lax, nn  # noqa: E402
from jax.flatten_util import ravel_pytree  # noqa: E402

from tests.importers import jax_cases  # noqa: E402

MODELS, TIES = jax_cases.models(), jax_cases.ties()


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_are_those_of_jax(name):
    assert by_jax(*MODELS[name]).difference() <= 1e-10


@pytest.mark.parametrize("name", TIES)
def test_derivatives_at_ties_are_those_of_jax(name):
    assert by_jax(*TIES[name]).difference() <= 1e-15


def loss(params, x, y):
    for w, b in params[:-1]:
        x = nn.relu(x @ w + b)
    w, b = params[-1]
    return -nn.log_softmax(x @ w + b)[y]


def layers(*sizes):
    return [(np.zeros((m, n)), np.zeros(n)) for m, n in pairwise(sizes)]


def test_an_mlp_has_the_instructions_of_a_network_and_copies_of_its_weights():
    """JAX holds W as (inputs, outputs): `dense` wants W by rows, so that each weight is copied."""
    program = simsa.from_jax(loss, layers(64, 32, 10), np.zeros(64), 0)
    names = [ROWS[line[0]].name for line in tape_of(program).code]
    network = [ROWS[line[0]].name for line in tape_of(simsa.network([64, 32, 10])).code]
    assert names.count("copy") == 64 * 32 + 32 * 10
    for name in ("dense", "relu", "logsumexp"):
        assert names.count(name) == network.count(name)
    assert len(names) - names.count("copy") <= len(network) + 13  # 9 more subtractions, one negation, a label below 0


def test_weights_by_rows_need_no_copies():
    def by_rows(params, x, y):
        (w, b), (v, c) = params
        return -nn.log_softmax(v @ nn.relu(w @ x + b) + c)[y]

    held = [(w.T, b) for w, b in layers(64, 32, 10)]
    names = [ROWS[line[0]].name for line in tape_of(simsa.from_jax(by_rows, held, np.zeros(64), 0)).code]
    assert "copy" not in names and names.count("dense") == 2


def test_parameters_in_the_order_of_dense_need_no_copies_and_are_translated():
    held = [(np.arange(6.0).reshape(2, 3), np.zeros(3)), (np.arange(6.0).reshape(3, 2) / 7, np.ones(2))]
    program = simsa.from_jax(loss, held, np.zeros(2), 0, order="dense")
    plain = simsa.from_jax(loss, held, np.zeros(2), 0)
    w = program.parameters_of(held)
    network = [*held[0][0].T.reshape(-1), *held[0][1], *held[1][0].T.reshape(-1), *held[1][1]]
    assert w.tolist() == network
    names = [ROWS[line[0]].name for line in tape_of(program).code]
    assert "copy" not in names and names.count("dense") == 2
    row = [0.5, -1.0, 1.0]
    slope, expected = program.unflatten(program.gradient(w, row)), plain.gradient(plain.parameters_of(held), row)
    assert np.allclose(ravel_pytree(slope)[0], expected, rtol=1e-14)
    assert np.array_equal(ravel_pytree(program.unflatten(w))[0], ravel_pytree(held)[0])
    kernel = np.arange(36.0).reshape(3, 3, 2, 2)

    def convolved(k, x):
        return lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")).sum()

    program = simsa.from_jax(convolved, kernel, np.ones((1, 3, 3, 2)), order="dense")
    assert program.parameters_of(kernel).tolist() == kernel.transpose(3, 2, 0, 1).reshape(-1).tolist()
    with pytest.raises(SimsaError, match="unknown order 'rows'; expected one of 'pytree', 'dense'"):
        simsa.from_jax(loss, held, np.zeros(2), 0, order="rows")


def test_a_sweep_lands_where_that_of_the_network_does():
    """JAX's W is that of the network with rows and columns exchanged."""
    program = simsa.from_jax(loss, layers(2, 3, 2), np.zeros(2), 0)
    network = simsa.network([2, 3, 2], convention="jax")
    starts = np.random.default_rng(0).integers(-1, 2, (8, program.p)) / 2
    order = np.concatenate(
        [
            np.arange(6).reshape(2, 3).T.reshape(-1),
            range(6, 9),
            np.arange(9, 15).reshape(3, 2).T.reshape(-1),
            range(15, 17),
        ]
    )
    data = np.array([[0.5, 1.0, 0], [-1.0, 0.25, 1], [0.0, 0.0, 1]])
    said = {
        "data": data, "steps": 12, "batch": 2, "step_size": 0.5, "c": [1.0], "trajectories": 24, "quiet": True,
        "engine": "reference",
    }  # fmt: skip
    ours = simsa.sweep(program, initial=simsa.points(starts), **said)
    theirs = simsa.sweep(network, initial=simsa.points(starts[:, order]), **said)
    for name in ("landed", "sensitive", "tied"):
        assert ours.cells[name][0] == theirs.cells[name][0]
    assert ours.cells["landed"][0] > 0
    assert np.allclose(ours.records["final"].values[0][:, order], theirs.records["final"].values[0], rtol=1e-12)


def test_parameters_are_in_the_order_of_ravel_pytree():
    held = {"w": np.arange(6.0).reshape(2, 3), "b": [np.float32(7.0), np.array([8.0])]}
    program = simsa.from_jax(lambda p, x: (p["w"] @ x).sum() * p["b"][0] + p["b"][1][0], held, np.ones(3))
    vector, unravel = ravel_pytree(held)
    assert np.array_equal(program.parameters_of(held), vector)
    back = program.unflatten(vector)
    assert jax.tree_util.tree_structure(back) == jax.tree_util.tree_structure(unravel(vector))
    assert back["b"][0].dtype == np.float32 and np.array_equal(back["w"], held["w"])


def test_inputs_are_pytrees_and_may_be_several_samples():
    program = simsa.from_jax(
        lambda p, batch: (p * batch["x"]).sum() + batch["flag"],
        np.ones(2),
        {"x": np.ones((1, 2)), "flag": np.array([True])},
    )
    assert program.data_of({"x": np.array([[3.0, 4.0]]), "flag": np.array([False])}).tolist() == [0.0, 3.0, 4.0]
    assert program.data_of({"x": np.ones((5, 2)), "flag": np.ones(5)}).shape == (5, 3)
    with pytest.raises(ProgramError, match="expected inputs of the shapes"):
        program.data_of({"x": np.ones((5, 3)), "flag": np.ones(5)})
    with pytest.raises(ProgramError, match="expected inputs with 2 arrays"):
        program.data_of(np.ones((1, 2)))


def test_a_convention_decides_ties_in_place_of_jax():
    assert simsa.from_jax(nn.relu, 0.0).gradient([0.0]) == 0.0
    assert simsa.from_jax(nn.relu, 0.0, convention={"base": "jax", "relu": 0.5}).gradient([0.0]) == 0.5
    assert simsa.from_jax(jnp.abs, 0.0).gradient([0.0]) == 1.0
    assert simsa.from_jax(jnp.abs, 0.0, convention="pytorch").gradient([0.0]) == 0.0


@jax.custom_jvp
def doubled(x):
    return 2 * x


doubled.defjvps(lambda t, ans, x: 3 * t)


@jax.custom_vjp
def tripled(x):
    return 3 * x


tripled.defvjp(lambda x: (3 * x, None), lambda _, g: (4 * g,))


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda a: doubled(a).sum(), "doubled has a derivative of its own (jax.custom_jvp)"),
        (lambda a: tripled(a).sum(), "tripled has a derivative of its own (jax.custom_vjp)"),
        (lambda a: jnp.linalg.svd(a)[1].sum(), "the primitive svd of JAX cannot be imported"),
        (lambda a: jnp.argsort(a) * a, "the positions of a sort"),
        (lambda a: lax.while_loop(lambda v: v.sum() < 9.0, lambda v: v * 2, a), "a while loop whose number of steps"),
        (lambda a: jax.scipy.special.digamma(a), "digamma"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_its_name_and_the_line(function, told):
    with pytest.raises(ProgramError) as caught:
        simsa.from_jax(lambda p: function(p), np.ones((3, 3)))
    message = str(caught.value)
    assert told in message and "\n" not in message
    assert message.split(":")[0] == __file__


def test_wrong_arguments_are_refused():
    for wrong, told in (
        (lambda: simsa.from_jax(3, np.ones(1)), "a function of the parameters"),
        (lambda: simsa.from_jax(lambda p: p, np.array([1])), "real numbers"),
        (lambda: simsa.from_jax(lambda p: p @ jnp.ones((5, 5)), np.ones(3)), "jax.make_jaxpr cannot trace"),
        (lambda: simsa.from_jax(jnp.sum, np.ones(3)).parameters_of(np.ones(2)), "the pytree differs"),
    ):
        with pytest.raises(ProgramError, match=told):
            wrong()


@pytest.mark.parametrize(
    "function", [jnp.sum, nn.relu, jax.jit(lambda x: x.sum()), lambda x: jnp.dot(x, x), lambda x: lax.max(x, x)]
)
def test_tracing_jax_names_from_jax(function):
    with pytest.raises(ProgramError, match=r"simsa\.from_jax"):
        simsa.trace(function, 3)


def test_a_scenario_names_a_function_that_makes_a_loss(tmp_path):
    (tmp_path / "models.py").write_text(
        "import jax.numpy as jnp\n\ndef loss():\n"
        "    return lambda p, x: jnp.abs(p - x).sum(), jnp.zeros(1), jnp.zeros(1)\n"
    )
    said = {
        "scenario": {"name": "loss"},
        "program": {"kind": "jax", "target": "models:loss", "data": 1},
        "data": {"source": "csv", "path": "samples.csv"},
        "sgd": {
            "steps": 3,
            "step_size": {"family": "constant", "value": 0.5},
            "batch": {"law": "fixed_size", "size": 1},
        },
        "initial": {"law": "points", "points": [[0.0]]},
        "sweep": {"c": [1.0], "trajectories": 2},
        "run": {"engine": "reference"},
    }
    (tmp_path / "samples.csv").write_text("x\n0\n")
    import tomli_w

    (tmp_path / "scenario.toml").write_text(tomli_w.dumps(said))
    run = simsa.sweep(tmp_path / "scenario.toml", out=tmp_path / "run", quiet=True)
    assert run.program.convention.label == "jax"
    # JAX's derivative of |x| at 0 is 1: the first step goes to -0.5, where the slope is -1, and back.
    assert run.records["final"].values.tolist() == [[[-0.5], [-0.5]]]
