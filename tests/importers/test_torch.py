"""Programs of PyTorch's modules: values and derivatives are PyTorch's, also at ties."""

import numpy as np
import pytest

import simsa
from simsa.errors import ProgramError, ScenarioError
from simsa.machine import tape_of
from tests.importers.asked import by_torch

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from tests.importers import torch_cases  # noqa: E402

MODELS, TIES = torch_cases.models(), torch_cases.ties()
FLOAT32 = {"hardsigmoid": 1e-7}
"""PyTorch's derivative of hardsigmoid is 1/6 in float32, for float64 as well."""


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_are_those_of_pytorch(name):
    assert by_torch(*MODELS[name]).difference() <= FLOAT32.get(name, 1e-10)


@pytest.mark.parametrize("name", TIES)
def test_derivatives_at_ties_are_those_of_pytorch(name):
    assert by_torch(*TIES[name]).difference() <= FLOAT32.get(name.split()[0], 1e-15)


def mlp():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).double()


EXAMPLE = torch.zeros(1, 64).double(), torch.zeros(1, dtype=torch.long)


def samples(count):
    draw = np.random.default_rng(0)
    return draw.standard_normal((count, 64)), draw.integers(0, 10, count)


def test_an_mlp_has_the_instructions_of_a_network():
    """The parameters of both are W by rows, then b, of each layer; so nothing is to be permuted."""
    program = simsa.from_torch(mlp(), EXAMPLE, loss=F.cross_entropy)
    network = simsa.network([64, 32, 10], convention="pytorch")
    ours, theirs = tape_of(program), tape_of(network)
    assert np.array_equal(ours.code[:, [0, 2, 4]], theirs.code[:, [0, 2, 4]])
    assert [(r.kind, r.start, r.stop, r.fan_in, r.fan_out) for r in program.ranges] == [
        (r.kind, r.start, r.stop, r.fan_in, r.fan_out) for r in network.ranges
    ]
    x, y = samples(3)
    rows = np.column_stack([x, y])
    w = program.parameters_of(mlp())
    assert np.array_equal(program.data_of(torch.as_tensor(x), torch.as_tensor(y)), rows)
    assert np.array_equal(program.value(w, rows), network.value(w, rows))
    assert np.array_equal(program.gradient(w, rows), network.gradient(w, rows))


def test_a_convolution_has_the_instructions_of_a_network():
    net = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)
    ).double()
    example = torch.zeros(1, 1, 4, 4).double(), torch.zeros(1, dtype=torch.long)
    program = simsa.from_torch(net, example, loss=F.cross_entropy)
    layers = [(4, 4), {"kind": "conv2d", "filters": 3, "size": 3, "padding": 1}, {"kind": "max_pool2d", "size": 2}, 2]
    network = simsa.network(layers, convention="pytorch")
    assert np.array_equal(tape_of(program).code[:, [0, 2, 4]], tape_of(network).code[:, [0, 2, 4]])


def test_a_sweep_of_a_model_lands_where_that_of_the_network_does(tmp_path):
    """From the same starts, on the same random numbers, under conventions that differ at ties."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    example = torch.zeros(1, 2).double(), torch.zeros(1, dtype=torch.long)
    program = simsa.from_torch(net, example, loss=F.cross_entropy)
    network = simsa.network([2, 3, 2], convention="pytorch")
    data = np.array([[0.5, 1.0, 0], [-1.0, 0.25, 1], [0.0, 0.0, 1]])
    said = {
        "data": data, "steps": 12, "batch": 2, "step_size": 0.5, "c": [1.0], "trajectories": 24, "quiet": True,
        "initial": simsa.points(np.random.default_rng(0).integers(-1, 2, (8, program.p)) / 2),
    }  # fmt: skip
    conventions = ["pytorch", {"base": "pytorch", "relu": 1.0}]
    ours = simsa.sweep(program, **said, conventions=conventions, out=tmp_path / "ours", engine="reference")
    theirs = [simsa.sweep(network, **said, engine="reference"), None]
    theirs[1] = simsa.sweep(simsa.network([2, 3, 2], convention=conventions[1]), **said, engine="reference")
    assert ours.cells["landed"].sum() > 0
    for cell, run in enumerate(theirs):
        for name in ("landed", "sensitive", "tied"):
            assert ours.cells[name][cell] == run.cells[name][0]
        assert np.array_equal(ours.records["final"].values[cell], run.records["final"].values[0])
    again = simsa.load(tmp_path / "ours")
    assert again.program.p == program.p and again.cells.equals(ours.cells)


def test_a_convention_decides_ties_in_place_of_pytorch():
    one = torch.tensor([0.0]).double()
    net = torch_cases.Held(F.relu, (one,))
    assert simsa.from_torch(net, ()).gradient([0.0]) == 0.0
    assert simsa.from_torch(net, (), convention={"base": "pytorch", "relu": 0.5}).gradient([0.0]) == 0.5
    net = torch_cases.Held(lambda a: torch.max(a, dim=0)[0], (torch.tensor([1.0, 1.0]).double(),))
    assert simsa.from_torch(net, ()).gradient([1.0, 1.0]).tolist() == [1.0, 0.0]
    assert simsa.from_torch(net, (), convention="jax").gradient([1.0, 1.0]).tolist() == [0.5, 0.5]
    assert simsa.from_torch(net, (), convention={"max": "last"}).gradient([1.0, 1.0]).tolist() == [0.0, 1.0]
    pool = torch_cases.Held(lambda a: F.max_pool1d(a[None, None], 2)[0, 0, 0], (torch.tensor([1.0, 1.0]).double(),))
    assert simsa.from_torch(pool, (), convention="tensorflow").gradient([1.0, 1.0]).tolist() == [1.0, 0.0]


def test_parameters_are_those_that_are_trained_in_the_order_of_pytorch():
    net = mlp()
    net[0].bias.requires_grad_(False)
    program = simsa.from_torch(net, EXAMPLE, loss=F.cross_entropy)
    assert program.p == 64 * 32 + 32 * 10 + 10
    w = program.parameters_of(net)
    vector = nn.utils.parameters_to_vector([p for p in net.parameters() if p.requires_grad])
    assert np.array_equal(w, vector.detach().numpy())
    named = program.unflatten(w + 1)
    assert list(named) == ["0.weight", "2.weight", "2.bias"]
    assert torch.equal(named["2.bias"], net[2].bias + 1)
    x, y = samples(1)
    before = F.cross_entropy(torch.func.functional_call(net, named, torch.as_tensor(x)), torch.as_tensor(y))
    assert float(program.value(w + 1, np.column_stack([x, y])[0])) == pytest.approx(float(before), rel=1e-12)


def test_a_parameter_that_two_layers_share_is_one():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(2, 2, bias=False)
            self.two = nn.Linear(2, 2, bias=False)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.two(torch.relu(self.one(x))).sum()

    net, x = Tied().double(), torch.tensor([[1.0, -2.0]]).double()
    program = simsa.from_torch(net, (x,))
    assert program.p == 4
    net(x).backward()
    found = program.gradient(program.parameters_of(net), program.data_of(x))
    assert np.allclose(found, net.one.weight.grad.numpy().reshape(-1), rtol=1e-14)


def test_a_model_in_float32_is_a_program_with_its_numbers():
    net = nn.Linear(2, 1)
    program = simsa.from_torch(net, (torch.zeros(1, 2),))
    w = program.parameters_of(net)
    assert np.array_equal(w, np.concatenate([net.weight.detach().numpy().reshape(-1), net.bias.detach().numpy()]))
    assert program.unflatten(w)["weight"].dtype == torch.float32


def refused(model, *arguments, loss=None):
    with pytest.raises(ProgramError) as caught:
        simsa.from_torch(model, arguments, loss=loss)
    message = str(caught.value)
    assert "\n" not in message
    return message


class Wrong(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.weight, self.function = nn.Parameter(torch.ones(3, 3).double()), function

    def forward(self, x):
        return self.function(self.weight * x)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (torch.linalg.det, "linalg_det"),
        (lambda a: torch.linalg.matrix_norm(a, "nuc"), "'nuc'"),
        (torch.digamma, "aten.digamma.default"),
        (lambda a: torch.argsort(a, 1) * a, "the positions of a sort"),
        (lambda a: torch.dropout(a, 0.5, True), "net.eval()"),
        (lambda a: F.batch_norm(a, None, None, training=True), "net.eval()"),
        (lambda a: a + torch.rand(3, 3), "random numbers"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_its_name_and_the_line(function, told):
    message = refused(Wrong(function), torch.ones(3, 3).double())
    assert told in message
    assert message.split(":")[0] == __file__


def test_wrong_arguments_are_refused():
    assert "torch.nn.Module" in refused(lambda x: x, torch.ones(3))
    assert "example tensors" in refused(mlp(), [1.0])
    assert "the last is the target" in refused(mlp(), EXAMPLE[0], loss=F.cross_entropy)
    assert "torch.export cannot export" in refused(mlp(), torch.zeros(1, 3).double())
    program = simsa.from_torch(mlp(), EXAMPLE, loss=F.cross_entropy)
    for wrong, told in (
        (lambda: program.data_of(EXAMPLE[0]), "expected 2 inputs"),
        (lambda: program.data_of(torch.zeros(1, 3), EXAMPLE[1]), "expected inputs of the shapes"),
        (lambda: program.unflatten(np.zeros(3)), "expected a point of shape"),
        (lambda: program.parameters_of(nn.Linear(64, 32)), "has no parameter"),
        (lambda: program.parameters_of(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))), "has the shape"),
        (lambda: program.parameters_of([1.0]), "torch.nn.Module"),
    ):
        with pytest.raises(ProgramError, match=told):
            wrong()


@pytest.mark.parametrize(
    "function", [mlp(), torch.relu, lambda x: F.linear(x, torch.ones(1, 3)), lambda x: torch.stack([x, x]).sum()]
)
def test_tracing_pytorch_names_from_torch(function):
    with pytest.raises(ProgramError, match=r"simsa\.from_torch"):
        simsa.trace(function, 3)


def test_a_sweep_of_a_module_names_from_torch():
    with pytest.raises(ProgramError, match=r"simsa\.from_torch"):
        simsa.sweep(mlp(), steps=1, c=[1.0], trajectories=1, quiet=True)


def test_a_stored_program_of_one_convention_is_none_of_another(tmp_path):
    program = simsa.trace(lambda x: simsa.relu(x[0]), 1)
    with pytest.raises(ScenarioError, match="conventions: a Program was traced for one, tensorflow"):
        simsa.sweep(program, conventions=["jax"], steps=1, c=[1.0], trajectories=1, quiet=True, out=tmp_path / "run")


SCENARIO = """
[scenario]
name = "model"
[program]
kind = "torch"
target = "models:{target}"
data = 3
[data]
source = "csv"
path = "samples.csv"
[sgd]
steps = 4
step_size = {{ family = "constant", value = 0.5 }}
batch = {{ law = "fixed_size", size = 2 }}
[sweep]
c = [1.0]
trajectories = 6
convention = ["pytorch", "tensorflow"]
[run]
engine = "reference"
"""
MODELS_PY = """
import torch

def net():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    return net, (torch.zeros(1, 2), torch.zeros(1, dtype=torch.long)), torch.nn.functional.cross_entropy

def alone():
    return torch.nn.Linear(1, 1)

def wrong():
    raise ValueError("no such thing")
"""


def test_a_scenario_names_a_function_that_makes_a_model(tmp_path):
    (tmp_path / "models.py").write_text(MODELS_PY)
    (tmp_path / "samples.csv").write_text("a,b,y\n0.5,1,0\n-1,0.25,1\n0,0,1\n")
    file = tmp_path / "scenario.toml"
    file.write_text(SCENARIO.format(target="net"))
    run = simsa.sweep(file, out=tmp_path / "run", quiet=True)
    assert run.program.p == 17 and list(run.cells["convention"]) == ["pytorch", "tensorflow"]
    assert simsa.replay(tmp_path / "run", 0, 0).stopped == 4
    for target, told in (("alone", r"expected the function to return \(net"), ("wrong", r"models.py:\d+: ValueError")):
        file.write_text(SCENARIO.format(target=target))
        with pytest.raises(ProgramError, match=told):
            simsa.sweep(file, out=tmp_path / target, quiet=True)
