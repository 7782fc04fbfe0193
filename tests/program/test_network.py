"""Networks are what their layers say, in NumPy's words; and programs of every kind are built by name."""

import textwrap
import tomllib
from itertools import pairwise

import numpy as np
import pytest

import simsa
from simsa.errors import ProgramError
from simsa.program import Program, build
from simsa.program.network import LOSSES
from simsa.program.program import ParameterRange
from tests.program.test_trace import convolution
from tests.support import SCENARIOS


def message(function, *args, **kwargs):
    with pytest.raises(ProgramError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def draw(program, target, seed=0):
    """Return a point and a data row that ends in the target."""
    rng = np.random.default_rng(seed)
    target = np.atleast_1d(np.asarray(target, float))
    return rng.normal(0, 0.7, program.p), np.concatenate([rng.normal(size=program.data - len(target)), target])


def mlp(x, sizes, features, activation=lambda z: np.maximum(z, 0)):
    """Return the scores of dense layers with biases, in NumPy."""
    start, value = 0, features
    for n, units in pairwise(sizes):
        w, b = x[start : start + n * units].reshape(units, n), x[start + n * units : start + (n + 1) * units]
        start += (n + 1) * units
        value = w @ value + b
        value = activation(value) if start < len(x) else value
    return value


# ---------------------------------------------------------------- losses

MEANING = {
    "cross_entropy": lambda s, t: np.log(np.sum(np.exp(s))) - s[int(t[0])],
    "squared": lambda s, t: np.sum((s - t) ** 2),
    "l1": lambda s, t: np.sum(np.abs(s - t)),
    "huber": lambda s, t: np.sum(np.where(np.abs(s - t) <= 1, (s - t) ** 2 / 2, np.abs(s - t) - 0.5)),
    "logistic": lambda s, t: np.log(1 + np.exp(-t[0] * s[0])),
}


def multiclass_hinge(s, t):
    y = int(t[0])
    return sum(max(0.0, 1 - s[y] + s[j]) for j in range(len(s)) if j != y)


CASES = [
    ("cross_entropy", [3, 4, 3], 2, MEANING["cross_entropy"]),
    ("cross_entropy", [3, 2], 0, MEANING["cross_entropy"]),
    ("squared", [3, 4, 2], [0.5, -1.0], MEANING["squared"]),
    ("l1", [3, 2], [0.5, -1.0], MEANING["l1"]),
    ("huber", [3, 4, 2], [0.5, -3.0], MEANING["huber"]),
    ("logistic", [3, 4, 1], -1, MEANING["logistic"]),
    ("hinge", [3, 4, 1], -1, lambda s, t: max(0.0, 1 - t[0] * s[0])),
    ("hinge", [3, 4, 3], 1, multiclass_hinge),
]


@pytest.mark.parametrize(("loss", "layers", "target", "meaning"), CASES)
def test_a_network_computes_its_loss(loss, layers, target, meaning):
    program = simsa.network(layers, loss=loss)
    for seed in range(5):
        x, row = draw(program, target, seed)
        features, wanted = row[: layers[0]], row[layers[0] :]
        expected = meaning(mlp(x, layers, features), wanted)
        np.testing.assert_allclose(program.value(x, row), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("loss", "layers", "target", "meaning"), CASES)
def test_gradients_are_slopes(loss, layers, target, meaning):
    program = simsa.network(layers, loss=loss, activation="tanh")
    x, row = draw(program, target)
    h = 1e-6
    batch = np.concatenate([x + h * np.eye(program.p), x - h * np.eye(program.p)])
    values = np.array([program.value(point, row) for point in batch])
    slopes = (values[: program.p] - values[program.p :]) / (2 * h)
    np.testing.assert_allclose(program.gradient(x, row), slopes, rtol=1e-6, atol=1e-8)


def test_every_loss_is_tested():
    assert {case[0] for case in CASES} == set(LOSSES)


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge"])
@pytest.mark.parametrize("label", [-1.0, 0.5, 3.0])
def test_a_label_that_is_no_class_gives_nan(loss, label):
    program = simsa.network([2, 3], loss=loss)
    assert np.isnan(program.value(*draw(program, label)))


def test_picking_the_label_is_no_tie():
    program = simsa.network([2, 3])
    assert not any(program.branches(*draw(program, 1)).tied)


def test_a_hidden_unit_at_zero_is_one():
    program = simsa.network([2, 3, 2])
    tied = program.branches(np.zeros(program.p), [1.0, 1.0, 0.0]).tied
    assert tied.count(True) == 3


def test_cross_entropy_of_equal_scores_is_the_logarithm_of_the_number_of_classes():
    program = simsa.network([2, 3, 10])
    assert program.value(np.zeros(program.p), [1.0, 2.0, 7.0]) == pytest.approx(np.log(10), rel=1e-15)


# ---------------------------------------------------------------- layers


def test_layers_are_runs_of_parameters_weights_by_rows_then_bias():
    program = simsa.network([2, 3, 2])
    assert program.ranges == (
        ParameterRange("weight", 0, 6, 2, 3),
        ParameterRange("bias", 6, 9, 2, 3),
        ParameterRange("weight", 9, 15, 3, 2),
        ParameterRange("bias", 15, 17, 3, 2),
    )


def test_each_layer_is_one_dense():
    program = simsa.network([64, 32, 10])
    names = [node.primitive for node in program.nodes if node.primitive != "constant"]
    assert names == ["dense", *["relu"] * 32, "dense", "logsumexp", "select", "sub"]
    assert (program.p, program.data) == (64 * 32 + 32 + 32 * 10 + 10, 65)
    first = program.nodes[0]
    assert first.operands == (*range(2048), *range(2410, 2474), *range(2048, 2080))


def test_biases_can_be_left_out():
    program = simsa.network([2, {"kind": "dense", "units": 3, "bias": True}, 2], bias=False)
    assert [layer.kind for layer in program.ranges] == ["weight", "bias", "weight"]
    x, row = draw(program, 1)
    scores = x[9:].reshape(2, 3) @ np.maximum(x[:6].reshape(3, 2) @ row[:2] + x[6:9], 0)
    np.testing.assert_allclose(program.value(x, row), MEANING["cross_entropy"](scores, row[2:]), rtol=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "leaky_relu", "elu", "hardtanh", "square", "linear"])
def test_activations_stand_between_layers(activation):
    functions = {"linear": lambda z: z, "tanh": np.tanh, "square": np.square}
    program = simsa.network([3, 4, 2], activation=activation, loss="squared")
    x, row = draw(program, [0.0, 1.0])
    scores = mlp(x, [3, 4, 2], row[:3], functions.get(activation) or getattr(simsa, activation))
    np.testing.assert_allclose(program.value(x, row), np.sum((scores - row[3:]) ** 2), rtol=1e-12)


def test_a_layer_may_have_an_activation_of_its_own_even_the_last():
    layers = [
        3,
        {"kind": "dense", "units": 4, "activation": "tanh"},
        {"kind": "dense", "units": 1, "activation": "relu"},
    ]
    program = simsa.network(layers, loss="squared")
    x, row = draw(program, [0.5])
    score = np.maximum(mlp(x, [3, 4, 1], row[:3], np.tanh), 0)[0]
    np.testing.assert_allclose(program.value(x, row), (score - 0.5) ** 2, rtol=1e-12)


def test_a_convolutional_network_is_its_layers():
    layers = [
        (2, 6, 6),
        {"kind": "conv2d", "filters": 3, "size": 3, "padding": 1},
        {"kind": "max_pool2d", "size": 2},
        {"kind": "conv2d", "filters": 2, "size": (2, 1), "stride": (1, 2)},
        4,
    ]
    program = simsa.network(layers)
    assert [(layer.kind, layer.stop, layer.fan_in, layer.fan_out) for layer in program.ranges] == [
        ("weight", 54, 18, 27),
        ("bias", 57, 18, 27),
        ("weight", 69, 6, 4),
        ("bias", 71, 6, 4),
        ("weight", 103, 8, 4),
        ("bias", 107, 8, 4),
    ]
    x, row = draw(program, 3)
    image = row[:72].reshape(2, 6, 6)
    image = np.maximum(convolution(image, x[:54].reshape(3, 2, 3, 3), 1, 1) + x[54:57, None, None], 0)
    image = image.reshape(3, 3, 2, 3, 2).max(axis=(2, 4))
    image = convolution(image, x[57:69].reshape(2, 3, 2, 1), 1, 0)[:, :, ::2] + x[69:71, None, None]
    scores = x[71:103].reshape(4, 8) @ np.maximum(image, 0).ravel() + x[103:]
    np.testing.assert_allclose(program.value(x, row), MEANING["cross_entropy"](scores, [3]), rtol=1e-12)


def test_an_image_of_one_channel_needs_no_channel():
    tables = [{"kind": "conv2d", "filters": 2, "size": 3}, 2]
    assert simsa.network([(8, 8), *tables]).listing() == simsa.network([(1, 8, 8), *tables]).listing()


def test_pooling_takes_the_first_of_equal_entries_as_the_frameworks_do():
    for convention in ("tensorflow", "pytorch", "jax"):
        program = simsa.network([(2, 2), {"kind": "max_pool2d", "size": 2}, 1], loss="l1", convention=convention)
        (pool,) = [node for node in program.nodes if node.primitive == "max"]
        assert pool.tie == "first"


@pytest.mark.parametrize(
    ("layers", "options", "expected"),
    [
        ([2], {}, "a network needs an input and at least one layer"),
        (["a", 2], {}, "layer 0, the input: expected a number of features or a shape of up to three, got 'a'"),
        ([0, 2], {}, "layer 0, the input: expected a number of features or a shape of up to three, got 0"),
        (
            [(2, 2, 2, 2), 2],
            {},
            "layer 0, the input: expected a number of features or a shape of up to three, got (2, 2, 2, 2)",
        ),
        ([2, 0], {}, "layer 1: expected a number of units or a table with a kind, got 0"),
        ([2, 2.5], {}, "layer 1: expected a number of units or a table with a kind, got 2.5"),
        ([2, True], {}, "layer 1: expected a number of units or a table with a kind, got True"),
        ([2, {}], {}, "layer 1: unknown kind 'None'; expected one of conv2d, dense, max_pool2d"),
        ([2, {"kind": "conv"}], {}, "layer 1: unknown kind 'conv'; did you mean 'conv2d'?"),
        ([2, 3, {"kind": "dense"}], {}, "layer 2: the key 'units' is missing"),
        ([2, {"kind": "dense", "unit": 2}], {}, "layer 1: unknown key 'unit'; did you mean 'units'?"),
        ([2, {"kind": "dense", "units": 2, "bias": 3}], {}, "layer 1: bias: expected true or false, got 3"),
        ([2, {"kind": "dense", "units": 2, "activation": 3}], {}, "layer 1: activation: expected a name, got 3"),
        ([(2, 2), {"kind": "max_pool2d", "size": True}], {}, "layer 1: expected a number or two, got True"),
        ([2, {"kind": "dense", "units": "2"}], {}, "layer 1: units: expected a whole number of at least 1, got '2'"),
        (
            [4, {"kind": "max_pool2d", "size": 2}],
            {},
            "layer 1: max_pool2d needs an image (channels, height, width), the layer before gives (4,)",
        ),
        (
            [(2, 2), {"kind": "conv2d", "filters": 1, "size": 3}],
            {},
            "layer 1: conv2d: windows of (3, 3) with stride (1, 1) do not fit an image of (2, 2)",
        ),
        ([(2, 2), {"kind": "max_pool2d", "size": (1, 1, 1)}], {}, "layer 1: expected a number or two, got (1, 1, 1)"),
        ([2, 2], {"activation": "rleu"}, "unknown activation 'rleu'; did you mean 'relu'?"),
        (
            [2, {"kind": "dense", "units": 2, "activation": "tanhh"}],
            {},
            "unknown activation 'tanhh'; did you mean 'tanh'?",
        ),
        ([2, 2], {"loss": "crossentropy"}, "unknown loss 'crossentropy'; did you mean 'cross_entropy'?"),
        ([2, 1], {}, "the loss cross_entropy needs at least two outputs, one a class, the last layer gives 1"),
        ([2, 2], {"loss": "logistic"}, "the loss logistic needs one output, the last layer gives 2"),
        ([2, 2], {"convention": "torch"}, "convention 'torch' is unknown; expected one of tensorflow, pytorch, jax"),
    ],
)
def test_mistakes(layers, options, expected):
    assert message(simsa.network, layers, **options) == expected


# ---------------------------------------------------------------- programs by kind


def test_programs_are_built_by_kind():
    assert build("expression", text="x + a", parameters=["x"], data=["a"], convention="jax").value([1.0], [2.0]) == 3.0
    assert build("network", layers=[2, 2]).p == 6
    assert message(build, "netwrok") == "unknown kind of program 'netwrok'; did you mean 'network'?"


def test_networks_of_scenarios_are_read():
    for path in SCENARIOS.glob("*.toml"):
        table = tomllib.loads(path.read_text())["program"]
        if table.pop("kind") == "network":
            assert build("network", **table).q == 1


@pytest.fixture
def model(tmp_path):
    """Write a user's module, and return what builds its targets."""

    def write(text, name="model"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))

    def built(target="model:loss", **options) -> Program:
        return build("python", target=target, folder=tmp_path, **options)

    built.write, built.folder = write, tmp_path
    return built


def test_a_module_beside_the_scenario_is_found_with_its_neighbours(model):
    model.write("SCALE = 3.0", "neighbour_of_model")
    model.write("""
        import numpy as np
        from neighbour_of_model import SCALE

        def loss(x, a):
            return SCALE * np.sum(np.abs(x - a))
    """)
    program = model(parameters=2, data=2, convention="jax")
    assert program.value([1.0, 2.0], [0.0, 0.0]) == 9.0
    assert program.gradient([0.0, 2.0], [0.0, 0.0]).tolist() == [3.0, 3.0]
    assert model(parameters=2, data=["a", "b"]).data == 2


def test_a_function_may_say_itself_how_many_parameters_it_takes(model):
    model.write("""
        def loss(x, a):
            return x[0] * a[0]
        loss.parameters, loss.data = 1, 1
    """)
    assert (model().p, model().data) == (1, 1)
    model.write("def loss(x): return x[0]")
    expected = "target 'model:loss': how many parameters? Say parameters = ..., or set loss.parameters"
    assert message(model) == expected


def test_the_module_is_read_anew_and_folders_do_not_mix(model, tmp_path_factory):
    model.write("def loss(x): return x[0]")
    assert model(parameters=1).value([2.0]) == 2.0
    model.write("def loss(x): return x[0] * 10.0")
    assert model(parameters=1).value([2.0]) == 20.0
    other = tmp_path_factory.mktemp("other")
    (other / "model.py").write_text("def loss(x): return x[0] * 5")
    assert build("python", target="model:loss", parameters=1, folder=other).value([2.0]) == 10.0


def test_packages_and_installed_modules_are_found(model):
    (model.folder / "package").mkdir()
    (model.folder / "package" / "__init__.py").write_text("")
    (model.folder / "package" / "inner.py").write_text("def loss(x): return x[0]")
    assert model("package.inner:loss", parameters=1).p == 1
    assert model("numpy:sum", parameters=2).value([1.0, 2.0]) == 3.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def loss(x):\n    return x[9]\n", "model.py:2: IndexError: index 9 is out of bounds for axis 0 with size 2"),
        (
            "def loss(x):\n    if x[0] > 0:\n        return x[0]\n",
            "model.py:2: a symbolic value is neither true nor false",
        ),
        ("import nothing_like_it\n", "model.py:1: ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def loss(x:\n", "SyntaxError: '(' was never closed (model.py, line 1)"),
        ("def los(x): return x[0]", "unknown function 'loss'; did you mean 'los'?"),
        ("def loss(x, a): return x[0]", "loss must take one vector (parameters): missing a required argument: 'a'"),
        ("def loss(x): return None", "loss must return a number or an array: expected numbers, got None"),
        ("raise SystemExit(3)", "model.py:1: SystemExit: 3"),
    ],
)
def test_mistakes_in_the_users_module_are_one_line_with_the_place(model, text, expected):
    model.write(text)
    said = message(model, parameters=2)
    assert said.startswith("target 'model:loss': ") and "\n" not in said
    assert expected in said


@pytest.mark.parametrize("target", ["model", "model:", ":loss", "model:a.b"])
def test_targets_name_module_and_function(model, target):
    assert message(model, target, parameters=1) == f"target '{target}': expected module:function"


def test_a_module_that_is_nowhere_is_named(model):
    assert "ModuleNotFoundError: No module named 'nowhere_at_all'" in message(model, "nowhere_at_all:f", parameters=1)
