"""Scenario files: what is read, what is refused and in which words, and the numbers that follow from them."""

import json
import math
import tomllib
from decimal import Context, Decimal
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sklearn.datasets
from hypothesis import given
from hypothesis import strategies as st

from simsa import primitives, scenario
from simsa.ensemble import resolve
from simsa.errors import DataError, ScenarioError, SimsaError
from simsa.program import network
from simsa.scenario import Scenario, hypotheses, json_schema, load, rows, warnings
from simsa.scenario.batch import Batch
from simsa.scenario.data import BUNDLED, Bundled
from simsa.scenario.load import _lines
from simsa.scenario.model import choices, rational
from simsa.scenario.reals import geometric, linear, powers, rounded, uniforms
from simsa.scenario.scales import LAWS, Scales
from simsa.scenario.schema import PRECISIONS
from simsa.scenario.step_size import Cosine, Geometric, Log, Power
from tests.support import ROOT
from tests.support.runs import digest, planned

SHIPPED = sorted((ROOT / "scenarios").glob("*.toml"))

GOOD = """\
[scenario]
name = "good"

[program]
kind = "expression"
parameters = ["x", "y"]
data = ["a", "b"]
expression = "abs(x - a) + abs(y - b)"

[data]
source = "inline"
rows = [[1.0, 2.0], [3.0, 4.0], [5, 6]]

[sgd]
steps = 10
batch = { law = "fixed_size", size = 2 }
step_size = { family = "power", exponent = 0.75 }

[initial]
law = "normal"

[sweep]
c = [0.25, 0.5]
trajectories = 100
"""


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Return a function that loads GOOD with one piece of its text replaced, from a file called x.toml."""
    monkeypatch.chdir(tmp_path)

    def read(old="", new="", overrides=()) -> Scenario:
        assert old in GOOD
        Path("x.toml").write_text(GOOD.replace(old, new, 1) if old else GOOD, encoding="utf-8")
        return load("x.toml", overrides)

    return read


def refused(said, old, new, overrides=()):
    with pytest.raises(ScenarioError) as caught:
        said(old, new, overrides)
    return str(caught.value)


# What is refused, and the whole message.

BAD = {
    "unknown event of a claim": (
        "trajectories = 100",
        'trajectories = 100\n[[claim]]\nevent = "landing"\nprobability = 0\ntext = "so"',
        "x.toml:26: claim.0.event: expected 'landed', 'sensitive', 'tied', 'unbounded', 'not_finite', 'artificial', "
        "'clarke' or 'settled', got 'landing'",
    ),
    "an observable without a level is no event": (
        "trajectories = 100",
        'trajectories = 100\n[[observe]]\nname = "far"\nexpression = "x"\n'
        '[[observe]]\nname = "near"\nexpression = "x"\nhit_below = 1\n'
        '[[claim]]\nevent = "far"\nprobability = 0\ntext = "so"',
        "x.toml:33: claim.0.event: expected 'landed', 'sensitive', 'tied', 'unbounded', 'not_finite', 'artificial', "
        "'clarke', 'settled' or 'near', got 'far'",
    ),
    "an observable called as an event": (
        "trajectories = 100",
        'trajectories = 100\n[[observe]]\nname = "landed"\nexpression = "x"',
        "x.toml:26: observe.0.name: 'landed' is an event of every run; expected another name",
    ),
    "probability above 1": (
        "trajectories = 100",
        'trajectories = 100\n[[claim]]\nevent = "landed"\nprobability = "7/6"\ntext = "so"',
        "x.toml:27: claim.0.probability: expected a probability up to 1, got '7/6'",
    ),
    "fraction by zero": (
        "trajectories = 100",
        'trajectories = 100\n[[claim]]\nevent = "landed"\nc = ["1/0"]\nprobability = 0\ntext = "so"',
        "x.toml:27: claim.0.c.0: expected a number > 0, or a fraction such as \"1/3\", got '1/0'",
    ),
    "misspelt key": (
        "trajectories = 100",
        "trajectoris = 100",
        "x.toml:24: sweep.trajectoris: unknown key; did you mean 'trajectories'?",
    ),
    "misspelt table": ("[sweep]", "[swep]", "x.toml:22: swep: unknown key; did you mean 'sweep'?"),
    "unknown key, nothing near": (
        "steps = 10",
        "steps = 10\nwheels = 4",
        "x.toml:16: sgd.wheels: unknown key; expected 'steps', 'batch', 'step_size', 'radius' or 'bits'",
    ),
    "key of another law": (
        'law = "fixed_size", size',
        'law = "full", size',
        "x.toml:16: sgd.batch.size: unknown key; expected 'law'",
    ),
    "missing key": (
        "steps = 10\n",
        "",
        "x.toml:14: sgd.steps: missing (How many steps each trajectory takes)",
    ),
    "missing table": (
        GOOD[GOOD.index("[sweep]") :],
        "",
        "x.toml: sweep: missing (The axes: step scales, trajectories, conventions, precisions)",
    ),
    "missing family": (
        'family = "power", ',
        "",
        "x.toml:17: sgd.step_size.family: missing; expected 'power', 'log', 'constant', 'geometric', 'cosine' or "
        "'table'",
    ),
    "unknown family": (
        '"power"',
        '"pover"',
        "x.toml:17: sgd.step_size.family: expected 'power', 'log', 'constant', 'geometric', 'cosine' or 'table', got "
        "'pover'",
    ),
    "unknown law": (
        '"fixed_size"',
        '"fixed"',
        "x.toml:16: sgd.batch.law: expected 'uniform_subset', 'full', 'fixed_size' or 'reshuffled', got 'fixed'",
    ),
    "unknown kind": (
        '"expression"',
        '"formula"',
        "x.toml:5: program.kind: expected 'expression', 'network', 'python', 'stored', 'torch' or 'jax', got 'formula'",
    ),
    "unknown source": (
        '"inline"',
        '"mnist"',
        "x.toml:11: data.source: expected 'breast_cancer', 'diabetes', 'digits', 'iris', 'wine', 'csv', "
        "'inline', 'uniform' or 'stream', got 'mnist'",
    ),
    "text for an integer": (
        "steps = 10",
        'steps = "10"',
        "x.toml:15: sgd.steps: expected an integer, got '10'",
    ),
    "fraction for an integer": (
        "steps = 10",
        "steps = 10.5",
        "x.toml:15: sgd.steps: expected an integer, got 10.5",
    ),
    "truth for an integer": (
        "steps = 10",
        "steps = true",
        "x.toml:15: sgd.steps: expected an integer, got true",
    ),
    "too small": ("steps = 10", "steps = 0", "x.toml:15: sgd.steps: expected a number >= 1, got 0"),
    "negative": (
        "exponent = 0.75",
        "exponent = -1.0",
        "x.toml:17: sgd.step_size.exponent: expected a number > 0, got -1.0",
    ),
    "infinite": (
        "exponent = 0.75",
        "exponent = inf",
        "x.toml:17: sgd.step_size.exponent: expected a finite number, got inf",
    ),
    "NaN in inline data": (
        "[3.0, 4.0]",
        "\n  [3.0, nan]",
        "x.toml:13: data.rows.1.1: expected a finite number, got nan",
    ),
    "text in a list of numbers": (
        "0.5]",
        '"big"]',
        "x.toml:23: sweep.c.1: expected a number > 0, or a fraction such as \"1/3\", got 'big'",
    ),
    "scale zero": ("0.25,", "0,", "x.toml:23: sweep.c.0: expected a number > 0, got 0"),
    "neither list nor table": (
        "c = [0.25, 0.5]",
        "c = 0.25",
        "x.toml:23: sweep.c: expected a list or a table, got 0.25",
    ),
    "empty list": (
        "c = [0.25, 0.5]",
        "c = []",
        "x.toml:23: sweep.c: expected a list of at least 1, got a list of 0",
    ),
    "table for a list": (
        'parameters = ["x", "y"]',
        "parameters = {x = 1}",
        "x.toml:6: program.parameters: expected a list, got a table",
    ),
    "name that is none": (
        '"y"]',
        '"2y"]',
        "x.toml:6: program.parameters.1: expected a string like ^[A-Za-z_][A-Za-z0-9_]*$, got '2y'",
    ),
    "name twice": (
        '"y"]',
        '"a"]',
        "x.toml:7: program.data: the name 'a' stands for two things",
    ),
    "unknown convention": (
        "[data]",
        'convention = "theano"\n[data]',
        "x.toml:10: program.convention: expected 'tensorflow', 'pytorch' or 'jax', got 'theano'",
    ),
    "scales the wrong way round": (
        "[0.25, 0.5]",
        '{ law = "uniform", low = 1.0, high = 0.5, count = 3 }',
        "x.toml:23: sweep.c.low: expected low <= high, got 1 > 0.5",
    ),
    "scale law from zero": (
        "[0.25, 0.5]",
        '{ law = "geomspace", low = 0, high = 0.5, count = 3 }',
        "x.toml:23: sweep.c.low: expected a number > 0 for the law 'geomspace', got 0",
    ),
    "unknown scale law": (
        "[0.25, 0.5]",
        '{ law = "gauss", low = 0.1, high = 0.5, count = 3 }',
        "x.toml:23: sweep.c.law: expected 'uniform', 'log_uniform', 'grid', 'linspace' or 'geomspace', got 'gauss'",
    ),
    "unknown precision": (
        "trajectories = 100",
        'trajectories = 100\nprecision = ["float12"]',
        f"x.toml:25: sweep.precision.0: expected {choices(PRECISIONS)}, got 'float12'",
    ),
    "a fraction that is none": (
        "0.5]",
        '"1/0"]',
        "x.toml:23: sweep.c.1: expected a number > 0, or a fraction such as \"1/3\", got '1/0'",
    ),
    "a fraction beyond float64": (
        "0.5]",
        f'"1/1{"0" * 308}"]',
        f"x.toml:23: sweep.c.1: expected a number > 0, or a fraction such as \"1/3\", got '1/1{'0' * 308}'",
    ),
    "exact steps that are roots": (
        "[0.25, 0.5]",
        '[0.25]\nprecision = ["exact"]',
        "x.toml:17: sgd.step_size: alpha_k = (k + 1)^-0.75 is not rational; choose an integer exponent, or leave out "
        "the precision 'exact'",
    ),
    "table of steps too short": (
        '"power", exponent = 0.75',
        '"table", values = [1.0, 0.5]',
        "x.toml:17: sgd.step_size.values: expected at least 10 values (sgd.steps), got 2",
    ),
    "checkpoint after the end": (
        "[sweep]",
        "[record]\ncheckpoints = [0, 11]\n[sweep]",
        "x.toml:23: record.checkpoints.1: expected steps up to 10 (sgd.steps), got 11",
    ),
    "checkpoints out of order": (
        "[sweep]",
        "[record]\ncheckpoints = [5, 0]\n[sweep]",
        "x.toml:23: record.checkpoints: expected increasing steps",
    ),
    "data without use": (
        'data = ["a", "b"]\n',
        "",
        "x.toml:4: program.data: the program uses no data; name the columns it uses",
    ),
    "no data": (
        GOOD[GOOD.index("[data]") : GOOD.index("[sgd]")],
        "",
        "x.toml: data: missing table; the program uses data",
    ),
    "not TOML": ("steps = 10", "steps = ", "x.toml:15: not TOML: Invalid value at column 9"),
    "a name for a folder": (
        '"good"',
        '"../good"',
        "x.toml:2: scenario.name: expected a string like ^[A-Za-z0-9][A-Za-z0-9_.-]*$, got '../good'",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_one_line_with_its_place(said, old, new, message):
    assert refused(said, old, new) == message


def test_every_mistake_is_reported_in_the_order_of_the_file(said):
    new = GOOD.replace("steps = 10", "steps = 1.5").replace("0.5]", '"big"]').replace('"good"', "3")
    assert refused(said, GOOD, new).splitlines() == [
        "x.toml:2: scenario.name: expected a string, got 3",
        "x.toml:15: sgd.steps: expected an integer, got 1.5",
        "x.toml:23: sweep.c.1: expected a number > 0, or a fraction such as \"1/3\", got 'big'",
    ]


def test_a_scalar_where_a_table_belongs_is_refused(said):
    new = 'initial = "normal"\n' + GOOD.replace('[initial]\nlaw = "normal"\n', "")
    example = '{ law = "normal" }'
    assert refused(said, GOOD, new) == f"x.toml:1: initial: expected a table, such as {example}, got 'normal'"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("{ relux = 0.5 }", "convention override 'relux' has no rule at ties; expected one of sqrt, relu, "),
        ('{ base = "theano" }', "convention 'theano' is unknown; expected one of tensorflow, pytorch, jax"),
        ('{ maximum = "spilt" }', "maximum: tie rule 'spilt' is unknown; expected one of a number, split, "),
    ],
)
def test_tie_rules_are_checked_at_once(said, table, message):
    got = refused(said, "[data]", f"convention = {table}\n[data]")
    assert got.startswith(f"x.toml:10: program.convention: {message}")


def test_a_truth_is_no_derivative(said):
    got = refused(said, "[data]", "convention = { relu = true }\n[data]")
    assert got == "x.toml:10: program.convention.relu: expected a string or a number, got true"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ScenarioError, match=r"none\.toml: no such file$"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match=r"x\.toml: cannot be read: 'utf-8' codec"):
        load(tmp_path / "x.toml")


# Overrides.


def test_overrides_are_toml_or_bare_words(said):
    changed = said(overrides=("sgd.steps=500", "sweep.c=[0.125]", "sgd.batch.law=reshuffled", "record.points=all"))
    assert changed.sgd.steps == 500
    assert changed.c_values().tolist() == [0.125]
    assert changed.sgd.batch.law == "reshuffled"
    assert changed.record.points == "all"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sgd.stpes=5", "--set sgd.stpes=5: sgd.stpes: unknown key; did you mean 'steps'?"),
        ("sgd.steps=big", "--set sgd.steps=big: sgd.steps: expected an integer, got 'big'"),
        ("sgd.steps", "--set sgd.steps: expected key=value, such as sgd.steps=500"),
        ("=5", "--set =5: expected key=value, such as sgd.steps=500"),
        ("sweep.c=[0.1", "--set sweep.c=[0.1: the value is not TOML"),
        ("sgd.steps.more=1", "--set sgd.steps.more=1: 'steps' is not a table"),
    ],
)
def test_a_wrong_override_names_itself(said, override, message):
    assert refused(said, "", "", (override,)) == message


def test_an_override_is_not_blamed_for_its_neighbours(said):
    new = GOOD.replace("steps = 10\n", "").replace("0.5]", '"big"]')
    assert refused(said, GOOD, new, ("sgd.radius=1.0", "sweep.trajectories=0")).splitlines() == [
        "--set sweep.trajectories=0: sweep.trajectories: expected a number >= 1, got 0",
        "x.toml:14: sgd.steps: missing (How many steps each trajectory takes)",
        "x.toml:22: sweep.c.1: expected a number > 0, or a fraction such as \"1/3\", got 'big'",
    ]
    assert said("0.5]", '"big"]', ("sweep.c=[1.0]",)).c_values().tolist() == [1.0]


# Where things stand in the text.


def test_lines_of_all_that_toml_can_write():
    text = "\n".join(
        (
            "a.b = 1 # a # b",
            "\"c d\".'e' = [ # [",
            "  1, \"]\", ['x'],",
            "",
            "  {f = 2},",
            "]",
            "[t]",
            "s = '''",
            "k = 1",
            "'''",
            'r = """a \\""" b',
            ']"""',
            "when = 1979-05-27T07:32:00.5Z",
            "[[u.v]]",
            "k = {x = 1, y = {z = [1, 2]}}",
            "[[u.v]]",
            "k = -1.5e3",
            "[u.v.w]",
            "m = 1",
        )
    )
    assert tomllib.loads(text)["c d"]["e"][0] == 1
    assert _lines(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("c d",): 2,
        ("c d", "e"): 2,
        ("c d", "e", 0): 3,
        ("c d", "e", 1): 3,
        ("c d", "e", 2): 3,
        ("c d", "e", 2, 0): 3,
        ("c d", "e", 3): 5,
        ("c d", "e", 3, "f"): 5,
        ("t",): 7,
        ("t", "s"): 8,
        ("t", "r"): 11,
        ("t", "when"): 13,
        ("u",): 14,
        ("u", "v"): 14,
        ("u", "v", 0): 14,
        ("u", "v", 0, "k"): 15,
        ("u", "v", 0, "k", "x"): 15,
        ("u", "v", 0, "k", "y"): 15,
        ("u", "v", 0, "k", "y", "z"): 15,
        ("u", "v", 0, "k", "y", "z", 0): 15,
        ("u", "v", 0, "k", "y", "z", 1): 15,
        ("u", "v", 1): 16,
        ("u", "v", 1, "k"): 17,
        ("u", "v", "w"): 18,
        ("u", "v", "w", "m"): 19,
    }


def keys(value, key=()):
    """Return every key of a TOML document."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {key} - {()} | {found for name, item in inside for found in keys(item, (*key, name))}


SCALARS = st.sampled_from(
    (
        *("1", "-1.5e3", "true", "inf", "1979-05-27 07:32:00.5", '"a # b"', "'c, ] }'", '"\\"q\\\\"', '""'),
        *('"""x\n]"" = """', "'''\n[z]\nk = 1'''", '"""a\\""" b\n""""', "''''x''''"),
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from((", ", ",\n\n  ", " # ], =\n,")), st.lists(inner, max_size=3)).map(
            lambda made: f"[{made[0].join(made[1])}]"
        ),
        st.lists(inner, max_size=3).map(
            lambda made: "{ " + ", ".join(f"k{i} = {one}" for i, one in enumerate(made)) + " }"
        ),
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(("k{}", "a-{}.b_{}", '"q = {}"', "'[{}]' . c", "{}.{}"))
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=4).map(
    lambda pairs: "".join(f"{key.format(i, i)} = {one} # =\n" for i, (key, one) in enumerate(pairs))
)


@given(PAIRS, st.lists(st.tuples(st.sampled_from(("[t{}]", "[ t.'u{}' ]", "[[v]]", "[[w]]")), PAIRS), max_size=4))
def test_every_key_of_any_toml_has_a_line(first, others):
    text = first + "".join(f"{header.format(i)}\n{pairs}" for i, (header, pairs) in enumerate(others))
    assert _lines(text).keys() == keys(tomllib.loads(text))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_key_of_a_shipped_scenario_has_its_line(path):
    text = path.read_text(encoding="utf-8")
    places = _lines(text)
    assert places.keys() == keys(tomllib.loads(text))
    for key, at in places.items():
        if isinstance(key[-1], str):
            assert key[-1] in text.splitlines()[at - 1]


# What is read.


def test_the_good_scenario_and_its_defaults(said):
    good = said()
    assert good.scenario.seed == 0
    assert good.path == Path("x.toml")
    assert [one.base for one in good.conventions] == ["tensorflow"]
    assert good.precisions == ("float64",)
    assert good.c_values().tolist() == [0.25, 0.5]
    assert good.checkpoints().tolist() == list(range(11))
    assert (good.sgd.batch.size, good.sgd.batch.replace) == (2, False)
    assert good.sgd.radius == 1e6
    names, samples = rows(good)
    assert names == ("a", "b")
    assert samples.tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("family", "alpha"),
    [
        ('"power", exponent = 1.0', [Fraction(1, k + 1) for k in range(10)]),
        ('"power", exponent = 2, offset = 0.1', [1 / (k + Fraction(1, 10)) ** 2 for k in range(10)]),
        ('"constant", value = "2/3"', [Fraction(2, 3)] * 10),
        (f'"table", values = {["1/3"] * 9 + [0.3]}', [Fraction(1, 3)] * 9 + [Fraction(3, 10)]),
        ('"geometric", factor = "2/3", every = 4', [Fraction(2, 3) ** (k // 4) for k in range(10)]),
        ('"constant", warmup = 4', [Fraction(min(k + 1, 4), 4) for k in range(10)]),
        ('"power", exponent = 1, warmup = 40', [Fraction(1, 40)] * 10),
    ],
)
def test_exact_steps_are_what_the_file_says(said, family, alpha):
    text = GOOD.replace('"power", exponent = 0.75', family).replace("[0.25, 0.5]", '["1/3", 0.1, 1]')
    scales, got = said(GOOD, text).exact_steps()
    assert list(scales) == [Fraction(1, 3), Fraction(1, 10), 1]
    assert list(got) == alpha
    assert said(GOOD, text).c_values().tolist() == [1 / 3, 0.1, 1.0]
    assert said(GOOD, text).alpha() == pytest.approx(np.array(alpha, float), rel=1e-15)


def test_scales_of_a_law_are_exactly_their_floats(said):
    drawn = said(
        "c = [0.25, 0.5]", 'c = { law = "uniform", low = 0, high = 1, count = 3 }', ("sgd.step_size.exponent=2",)
    )
    assert list(drawn.exact_steps()[0]) == [Fraction(c) for c in drawn.c_values().tolist()]


def test_the_bits_of_exact_numbers_count_in_the_digest_of_exact_runs_alone(said):
    assert digest(said()) == digest(said("[sweep]", "[sweep]", ("sgd.bits=64",)))
    exact = "sgd.step_size.exponent=1", "sweep.precision=['exact']"
    assert digest(said("[sweep]", "[sweep]", exact)) != digest(said("[sweep]", "[sweep]", (*exact, "sgd.bits=64")))


def test_claims_name_cells_as_cells_are_named(said):
    claim = 'event = "landed"\nc = ["1/3", 0.5]\nconvention = ["jax", { relu = 1 }]\nprobability = "1/7"\ntext = "so"'
    (read,) = said("[sweep]", f"[[claim]]\n{claim}\n[sweep]").claim
    assert read.scales() == (1 / 3, 0.5)
    assert read.labels() == ("jax", "tensorflow,relu=1.0")
    (plain,) = said("[sweep]", '[[claim]]\nevent = "tied"\nprobability = 1\ntext = "so"\n[sweep]').claim
    assert plain.scales() is plain.labels() is plain.precision is None


def test_conventions_of_a_sweep(said):
    overridden = said("[data]", 'convention = { base = "jax", relu = 0.5, maximum = "first" }\n[data]')
    assert overridden.conventions == (primitives.Convention("jax", {"relu": 0.5, "maximum": "first"}),)
    swept = said("[sweep]", '[sweep]\nconvention = ["jax", { relu = 1 }]\nprecision = ["float64", "float32"]')
    assert [one.label for one in swept.conventions] == ["jax", "tensorflow,relu=1.0"]
    assert swept.precisions == ("float64", "float32")
    both = said("[data]", 'convention = "jax"\n[data]', ('sweep.convention=["pytorch", "jax"]',))
    assert [one.label for one in both.conventions] == ["pytorch", "jax"], "the sweep goes before the program"


@pytest.mark.parametrize(
    ("said_as", "meant"),
    [
        ("1", [10]),
        ("2", [0, 10]),
        ("4", [0, 3, 6, 10]),
        ("[0, 7]", [0, 7]),
        ("[]", []),
        ("99", list(range(11))),
    ],
)
def test_checkpoints(said, said_as, meant):
    assert said("[sweep]", f"[record]\ncheckpoints = {said_as}\n[sweep]").checkpoints().tolist() == meant


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_load(path):
    shipped = load(path)
    assert shipped.scenario.name == path.stem
    assert shipped.scenario.title
    names, samples = rows(shipped)
    assert len(samples) >= 1 or (shipped.data.source == "stream" and len(names) == samples.shape[1])
    assert len(digest(shipped)) == 64


def test_the_committed_schema_is_the_generated_one():
    committed = json.loads((ROOT / "schema" / "scenario.schema.json").read_text(encoding="utf-8"))
    assert committed == json_schema(), "run `make schema`"


def test_every_key_has_a_description_for_editors():
    definitions = json_schema()["$defs"].values()
    undescribed = [
        f"{table['title']}.{name}"
        for table in definitions
        for name, field in table.get("properties", {}).items()
        if "description" not in field and "const" not in field and "enum" not in field
    ]
    assert undescribed == []


# The digest.


def test_digest_covers_scenario_defaults_and_data_and_nothing_else(said, tmp_path):
    first = digest(said())
    assert digest(said()) == first
    assert digest(said("steps = 10", "steps = 0x0a # ten")) == first, "how it is written does not matter"
    assert digest(said("[sweep]", "[run]\nblock = 64\n[sweep]")) == first
    assert digest(said("[sweep]", "[record]\ncheckpoints = 11\n[sweep]")) == first, "a default, said"
    claim = '[[claim]]\nevent = "landed"\nprobability = "1/7"\ntext = "so"\n'
    assert digest(said("[sweep]", f"{claim}[record]\nclassify = 7\n[sweep]")) == first, "what changes no record"
    assert digest(said("steps = 10", "steps = 11")) != first
    assert digest(said("[5, 6]", "[5, 7]")) != first
    csv = 'source = "csv"\npath = "d.csv"'
    inline = GOOD[GOOD.index('source = "inline"') : GOOD.index("[sgd]")]
    (tmp_path / "d.csv").write_text("a,b\n1,2\n3,4\n")
    one = digest(said(inline, f"{csv}\n"))
    (tmp_path / "d.csv").write_text("a,b\n1,2\n3,5\n")
    assert digest(said(inline, f"{csv}\n")) != one


def test_digest_is_pinned(said):
    """Records name their scenario by it; a change of the contract that changes it goes into CHANGELOG.md."""
    assert digest(said()) == "7c253b8f997f383b1d9e8cc863263f4034aad736a6684ace12bfb89236ae26ec"


# Data.


@pytest.fixture
def csv(said, tmp_path):
    """Return a function that writes d.csv and reads it through a scenario that uses the columns a and b."""
    inline = GOOD[GOOD.index('source = "inline"') : GOOD.index("[sgd]")]

    def read(text, more=""):
        (tmp_path / "d.csv").write_text(text, encoding="utf-8")
        return rows(said(inline, f'source = "csv"\npath = "d.csv"\n{more}\n'))

    return read


def test_csv_columns_are_found_by_name(csv):
    names, samples = csv("b, c ,a\r\n1,2,3\r\n\r\n4,5,6e0\r\n7,8,9\r\n")
    assert names == ("a", "b")
    assert samples.tolist() == [[3, 1], [6, 4], [9, 7]]
    assert samples.dtype == np.float64
    assert samples.flags.c_contiguous


BAD_CSV = {
    "empty": ("", "d.csv: the file is empty; expected names of columns in the first line"),
    "no rows": ("a,b\n", "d.csv: no rows of data"),
    "missing column": ("a,bb\n1,2\n", "x.toml: data: no column 'b' (program.data); did you mean 'bb'?"),
    "missing column, nothing near": (
        "a,zz\n1,2\n",
        "x.toml: data: no column 'b' (program.data); expected 'a' or 'zz'",
    ),
    "word": ("a,b\n1,2\n3,four\n", "d.csv:3: column 'b': expected a number, got 'four'"),
    "empty cell": ("a,b\n1,\n", "d.csv:2: column 'b': expected a number, got ''"),
    "NaN": ("a,b\n1,nan\n", "d.csv:2: column 'b': expected a finite number, got nan"),
    "infinity": ("a,b\n-inf,1\n", "d.csv:2: column 'a': expected a finite number, got -inf"),
    "short line": ("a,b\n1,2\n3\n", "d.csv:3: expected 2 cells, got 1"),
    "column twice": ("a,b,a\n1,2,3\n", "d.csv:1: column 'a' stands there twice"),
}


@pytest.mark.parametrize(("text", "message"), BAD_CSV.values(), ids=BAD_CSV.keys())
def test_bad_csv_is_refused_with_its_line(csv, text, message):
    with pytest.raises(DataError) as caught:
        csv(text)
    assert str(caught.value) == message


def test_csv_that_is_not_there(said):
    inline = GOOD[GOOD.index('source = "inline"') : GOOD.index("[sgd]")]
    with pytest.raises(DataError, match=r"^none\.csv: no such file \(data\.path\)$"):
        rows(said(inline, 'source = "csv"\npath = "none.csv"\n'))


def test_csv_target_must_be_there(csv):
    with pytest.raises(DataError, match=r"^d\.csv:1: no column 'c' \(data\.target\); expected 'a' or 'b'$"):
        csv("a,b\n1,2\n", 'target = "c"')


NETWORK = """\
[scenario]
name = "net"
[program]
kind = "network"
layers = [2, 3, 2]
[data]
source = "csv"
path = "d.csv"
target = "label"
[sgd]
steps = 5
step_size = {family = "constant"}
[sweep]
c = [1]
trajectories = 1
"""


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("[2, true]", "program.layers.1: expected a number or a list or a table, got true"),
        ("[[2, 0], 2]", "program.layers.0.1: expected a number >= 1, got 0"),
        ('[2, { kind = "dense", units = 2.5 }]', "program.layers.1.units: expected an integer, got 2.5"),
        ('[[2, 2], { kind = "conv2d", size = [1, -1] }]', "program.layers.1.size.1: expected a number >= 0, got -1"),
    ],
)
def test_a_layer_that_cannot_be_is_one_line(tmp_path, monkeypatch, layers, message):
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_text(NETWORK.replace("[2, 3, 2]", layers), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        load("x.toml")
    assert str(caught.value) == f"x.toml:5: {message}"


def test_layers_may_be_tables_and_the_input_a_shape(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layers = [[2, 3], {"kind": "conv2d", "filters": 2, "size": [2, 2], "bias": False}, {"kind": "dense", "units": 2}]
    said = '[[2, 3], { kind = "conv2d", filters = 2, size = [2, 2], bias = false }, { kind = "dense", units = 2 }]'
    Path("x.toml").write_text(NETWORK.replace("[2, 3, 2]", said), encoding="utf-8")
    scenario = load("x.toml")
    made = resolve.losses(scenario)[scenario.conventions[0].label]
    assert made.listing() == network(layers).listing() and made.p == 2 * 4 + 2 * 4 + 2


def test_columns_of_bundled_data_can_be_named_in_formulas():
    for source in BUNDLED:
        columns = Bundled(source=source).read(Path("x.toml"), (), 0).names
        assert all(name.isidentifier() for name in columns) and len(set(columns)) == len(columns)


def test_target_comes_last_and_is_not_standardised(tmp_path):
    (tmp_path / "net.toml").write_text(NETWORK)
    (tmp_path / "d.csv").write_text("u,label,v\n1,0,5\n3,1,5\n100,1,0\n")
    names, samples = rows(load(tmp_path / "net.toml", ("data.standardise=true", "data.limit=2")))
    assert names == ("u", "v", "label")
    assert samples.tolist() == [[-1, 0, 0], [1, 0, 1]], "a constant feature is only centred"


def test_digits(tmp_path):
    names, samples = rows(load(ROOT / "scenarios" / "relu_net.toml"))
    assert samples.shape == (1797, 65)
    assert names[-1] == "target"
    assert set(np.unique(samples[:, -1])) == set(range(10))
    assert samples[:, :-1].min() == 0
    assert samples[:, :-1].max() == 1
    assert set(np.unique(samples[:, :-1] * 16)) == set(range(17))
    bunch = sklearn.datasets.load_digits()
    assert (samples == np.column_stack([bunch.data / 16, bunch.target])).all(), "the same as scikit-learn's own loader"
    assert [*names] == [*bunch.feature_names, "target"]


def test_inline_rows_must_have_one_width(said):
    with pytest.raises(DataError, match=r"^x\.toml: data\.rows\.1: expected 2 numbers, got 3$"):
        rows(said("[3.0, 4.0]", "[3.0, 4.0, 5.0]"))


def test_minibatch_cannot_be_larger_than_the_data(said):
    with pytest.raises(ScenarioError, match=r"^x\.toml: sgd\.batch\.size: 4 samples asked for, there are 3$"):
        rows(said("size = 2", "size = 4"))
    assert len(rows(said("size = 2", "size = 4, replace = true"))[1]) == 3


def test_synthetic_rows_are_the_same_everywhere(said):
    inline = GOOD[GOOD.index('source = "inline"') : GOOD.index("[sgd]")]
    _, samples = rows(said(inline, 'source = "uniform"\ncount = 1000\nlow = -1\n'))
    assert samples.shape == (1000, 2)
    assert samples.min() >= -1
    assert samples.max() < 1
    assert abs(samples.mean()) < 0.05
    assert samples[0, 0] == float(2 * uniforms(0, "data", 1)[0] - 1)


def test_a_python_program_says_how_many_columns_it_takes(said):
    program = GOOD[GOOD.index('kind = "expression"') : GOOD.index("[data]")]
    with pytest.raises(DataError, match=r"^x\.toml: data: expected 3 columns \(program\.data\), got 2$"):
        rows(said(program, 'kind = "python"\ntarget = "mine:loss"\nparameters = 2\ndata = 3\n'))


def test_without_data_there_is_one_empty_sample(said):
    program = GOOD[GOOD.index('data = ["a", "b"]') : GOOD.index("[sgd]")]
    names, samples = rows(said(program, 'expression = "abs(x) + y**2"\n', ("sgd.batch={law='full'}",)))
    assert names == ()
    assert samples.shape == (1, 0)


# Numbers that are the same on every machine.


@pytest.mark.parametrize("exponent", [0.5, 0.6, 0.75, 1.0, 1.7])
@pytest.mark.parametrize("offset", [1.0, 7.0, 0.5, 2.25])
def test_power_steps_are_correctly_rounded(exponent, offset):
    with mpmath.workprec(250):
        exact = [float(mpmath.power(mpmath.mpf(k + offset), -mpmath.mpf(exponent))) for k in range(400)]
    assert Power(family="power", exponent=exponent, offset=offset).alpha(400).tolist() == exact


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("offset", [3.0, 1.5])
def test_log_steps_are_correctly_rounded(exponent, offset):
    with mpmath.workprec(250):
        exact = [float(mpmath.power(mpmath.log(k + offset), -mpmath.mpf(exponent))) for k in range(200)]
    assert Log(family="log", exponent=exponent, offset=offset).alpha(200).tolist() == exact


@pytest.mark.parametrize("low", [0.0, 0.1])
@pytest.mark.parametrize("steps", [1, 2, 3, 400])
def test_cosine_steps_are_correctly_rounded(low, steps):
    with mpmath.workprec(250):
        low_exactly = mpmath.mpf(low)
        halves = [(1 + mpmath.cos(mpmath.pi * k / steps)) / 2 for k in range(steps)]
        exact = [float(low_exactly + (1 - low_exactly) * half) for half in halves]
    assert Cosine(family="cosine", low=low).alpha(steps).tolist() == exact


@pytest.mark.parametrize("factor", ["1/2", "3/4", "2/3", 0.99, "999999/1000000"])
def test_geometric_steps_are_correctly_rounded(factor):
    """The 34th power of 3/4 lies halfway between two floats."""
    exact = [float(rational(factor) ** (k // 2)) for k in range(600)]
    assert Geometric(family="geometric", factor=factor, every=2).alpha(600).tolist() == exact


def test_a_warm_up_is_a_product_rounded_once():
    plain, warm = (Power(family="power", exponent=0.6, warmup=n).alpha(50) for n in (0, 7))
    assert warm[:7].tolist() == [float(Fraction(float(plain[k])) * Fraction(k + 1, 7)) for k in range(7)]
    assert warm[7:].tolist() == plain[7:].tolist()


@pytest.mark.parametrize("factor", ["1/1", 0.0, 1.5])
def test_a_geometric_factor_shrinks(said, factor):
    with pytest.raises(ScenarioError, match=r"sgd\.step_size\.factor: expected a number"):
        said(overrides=(f"sgd.step_size={{family='geometric', every=1, factor={factor!r}}}",))


def test_step_sizes_that_round_to_0_are_refused(said):
    with pytest.raises(ScenarioError, match=r"^x\.toml: sgd\.step_size: alpha_2 rounds to 0$"):
        said(overrides=("sgd.step_size={family='geometric', factor=1e-200, every=1}",)).alpha()


def test_powers_of_composites_agree_with_powers_from_scratch():
    at = 123_456
    assert powers(float(at), 3, -0.6).tolist() == [powers(float(at + k), 1, -0.6)[0] for k in range(3)]
    assert powers(1e9, 1, -0.5)[0] == rounded(lambda context: context.power(Decimal(10) ** 9, Decimal("-0.5")))


@given(st.fractions(min_value=Fraction(1, 10**6), max_value=10**6))
def test_rounding_is_to_the_nearest(fraction):
    def value(context: Context) -> Decimal:
        return context.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))

    assert rounded(value) == fraction.numerator / fraction.denominator


def test_rounding_halfway_ends_and_goes_to_even():
    assert rounded(lambda context: Decimal(2**53 + 1)) == 2.0**53
    assert rounded(lambda context: Decimal(2**53 + 3)) == 2.0**53 + 4


def test_step_sizes_that_overflow_are_refused(said):
    with pytest.raises(ScenarioError, match=r"^x\.toml: sgd\.step_size: alpha_0 is infinite$"):
        said("exponent = 0.75", "exponent = 2, offset = 1e-200").alpha()


def test_constant_and_table_steps(said):
    assert said('"power", exponent = 0.75', '"constant", value = 0.5').alpha().tolist() == [0.5] * 10
    values = [1 / k for k in range(1, 13)]
    assert said('"power", exponent = 0.75', f'"table", values = {values}').alpha().tolist() == values[:10]


def test_spaced_scales_are_what_a_reader_expects():
    tenths = [k / 10 for k in range(1, 11)]
    for law in ("grid", "linspace"):
        assert Scales(law=law, low=0.1, high=1.0, count=10).values(0).tolist() == tenths
    assert Scales(law="geomspace", low=0.01, high=1.0, count=3).values(0).tolist() == [0.01, 0.1, 1.0]
    assert Scales(law="geomspace", low=0.3, high=0.7, count=1).values(0).tolist() == [0.3]


@pytest.mark.parametrize("law", [law for law, (_, drawn) in LAWS.items() if drawn])
def test_drawn_scales_depend_on_the_seed_alone(law):
    scales = Scales(law=law, low=0.001, high=1.0, count=500)
    values = scales.values(7)
    assert values.tolist() == scales.values(7).tolist()
    assert values.tolist() != scales.values(8).tolist()
    assert values.tolist() == scales.model_copy(update={"seed": 7}).values(8).tolist()
    assert values[:10].tolist() == scales.model_copy(update={"count": 10}).values(7).tolist()
    assert 0.001 < values.min() <= values.max() <= 1
    middle = np.median(values)
    assert abs(middle - (0.5 if law == "uniform" else math.sqrt(0.001))) < 0.1 * middle + 0.01


def test_draws_are_pinned():
    """Raw Philox4x64-10 words; a change would change every scenario that draws its scales."""
    assert [float(u) for u in uniforms(1, "c", 3)] == [
        0.0751511510959112,
        0.9837951334859096,
        0.9474135472691851,
    ]


def test_log_uniform_is_correctly_rounded():
    for share in (Fraction(1, 3), Fraction(2, 7), Fraction(999, 1000)):
        with mpmath.workprec(250):
            low, high = mpmath.mpf(0.02), mpmath.mpf(0.9)
            exact = float(low * (high / low) ** (mpmath.mpf(share.numerator) / share.denominator))
        assert geometric(0.02, 0.9, share) == exact
        assert linear(0.02, 0.9, share) == float(Fraction(0.02) + share * (Fraction(0.9) - Fraction(0.02)))


# The initial law.


class ParameterRange:
    def __init__(self, kind, start, stop, fan_in, fan_out):
        self.kind, self.start, self.stop, self.fan_in, self.fan_out = kind, start, stop, fan_in, fan_out


RANGES = (ParameterRange("weight", 0, 6, 3, 2), ParameterRange("bias", 6, 8, 3, 2))


def ingredients(said, table, parameters=2, ranges=()):
    return said("", "", (f"initial={table}",)).initial.ingredients(parameters, ranges)


def test_initial_laws(said):
    normal = ingredients(said, "{law='normal', center=[1, 2], scale=0.5}")
    assert (normal.kind, normal.center.tolist(), normal.scale.tolist()) == ("normal", [1, 2], [0.5, 0.5])
    assert normal.points.shape == (0, 2)
    uniform = ingredients(said, "{law='uniform', low=-2, high=[0, 4]}")
    assert (uniform.kind, uniform.center.tolist(), uniform.scale.tolist()) == ("uniform", [-1, 1], [1, 3])
    points = ingredients(said, "{law='points', points=[[1, 2], [3, 4]]}")
    assert (points.kind, points.points.tolist()) == ("points", [[1, 2], [3, 4]])
    grid = ingredients(said, "{law='grid', low=0, high=[1, 2], count=[2, 3]}")
    assert (grid.kind, grid.points.tolist()) == ("points", [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])


@pytest.mark.parametrize(
    ("table", "kind", "weight", "bias"),
    [
        ("{law='he'}", "normal", math.sqrt(2 / 3), 0),
        ("{law='he', distribution='uniform', bias=0.25}", "uniform", math.sqrt(2), 0.25),
        ("{law='glorot'}", "normal", math.sqrt(2 / 5), 0),
        ("{law='glorot', distribution='uniform'}", "uniform", math.sqrt(6 / 5), 0),
    ],
)
def test_initial_laws_of_networks(said, table, kind, weight, bias):
    law = ingredients(said, table, 8, RANGES)
    assert law.kind == kind
    assert law.center.tolist() == [0] * 8
    np.testing.assert_allclose(law.scale, [weight] * 6 + [bias] * 2, rtol=1e-15)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("{law='normal', center=[1.0]}", "initial.center: expected 2 numbers (one a parameter), got 1"),
        (
            "{law='points', points=[[1, 2], [3]]}",
            "initial.points.1: expected 2 numbers (one a parameter), got 1",
        ),
        (
            "{law='uniform', low=1, high=[2, 0]}",
            "initial.low: expected low <= high, got 1 > 0 for parameter 1",
        ),
        ("{law='he'}", "initial.law: this law is for networks, whose layers it scales by"),
        (
            "{law='grid', low=0, high=1, count=10000}",
            "initial.count: 100000000 points of 2 numbers are too many",
        ),
    ],
)
def test_initial_laws_that_do_not_fit_the_program(said, table, message):
    with pytest.raises(ScenarioError) as caught:
        ingredients(said, table)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ("{law='uniform', low=-1e308, high=1e308}", "initial.high"),
        ("{law='uniform', low=1e308, high=1e308}", "initial.high"),  # the middle of the box is computed from its sum
        ("{law='uniform', low=[0, -1.7e308], high=[1, 1e308]}", "initial.high"),
        ("{law='normal', scale=1e308}", "initial.scale"),
        ("{law='normal', center=1.7e308, scale=1e307}", "initial.scale"),
        ("{law='he', bias=1e308}", "initial.bias"),
    ],
)
def test_initial_laws_that_reach_beyond_float64_are_refused(said, table, key):
    """Infinite starts were drawn, and a probability reported: a box from -1e308 to 1e308 is infinitely wide."""
    with pytest.raises(ScenarioError) as caught:
        said("", "", (f"initial={table}",))
    expected = "expected a law that draws finite numbers, got one that reaches beyond float64"
    assert str(caught.value) == f"--set initial={table}: {key}: {expected}"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("sgd.step_size={family='constant', value=1e200}", "sweep.c=[1e200]"),
            "sweep.c: the largest step c alpha_k is not finite",
        ),
        (
            ("sweep.precision=['float32']", "sweep.c=[1e39]"),
            "sweep.c: the step 1e+39 is infinite in float32 (sweep.precision)",
        ),
        (
            ("sweep.precision=['float64', 'float32']", "initial={law='uniform', low=-1, high=1e39}"),
            "initial: a point as far as 1e+39 is infinite in float32 (sweep.precision)",
        ),
        (
            ("sweep.precision=['float32']", "data.rows=[[1.0, 1e39], [1.0, 2.0]]"),
            "data: the number 1e+39 is infinite in float32 (sweep.precision)",
        ),
        (
            ("sweep.precision=['float32']", "program.expression='1e39 * x + a'"),
            "program: the constant 1e+39 is infinite in float32 (sweep.precision)",
        ),
        (
            ("program.expression='9**9**9**9 * x'",),
            'program: expression "9**9**9**9 * x", column 5: the constant inf is not finite',
        ),
    ],
)
def test_numbers_that_are_infinite_where_the_run_computes_are_refused(said, overrides, message):
    with pytest.raises(SimsaError) as caught:
        planned(said("", "", overrides))
    assert str(caught.value) == f"x.toml: {message}"


def test_data_too_large_to_standardise_are_refused(said):
    with pytest.raises(DataError, match=r"standardise: the squares of numbers as large as 1e\+200 are beyond float64"):
        rows(said("", "", ("data.rows=[[1e200, 1.0], [0.0, 2.0]]", "data.standardise=true")))


# The hypotheses of the theorems.


AS_STATED, COVERED, NOT_MET, OPEN = "as stated", "covered by the proof", "not met", "open"


def states(loaded: Scenario) -> dict[str, str]:
    return {one.hypothesis: one.state for one in hypotheses(loaded, len(rows(loaded)[1]))}


SMALL, SUM = "alpha_k = o(1/log k)", "the sum of alpha_k is infinite (used for limits to be critical)"


@pytest.mark.parametrize(
    ("family", "small", "infinite"),
    [
        ("{family='power', exponent=0.75}", True, True),
        ("{family='power', exponent=1}", True, True),
        ("{family='power', exponent=1.25}", True, False),
        ("{family='log', exponent=1}", False, True),
        ("{family='log', exponent=1.5}", True, True),
        ("{family='constant'}", False, True),
        ("{family='constant', warmup=5}", False, True),
        ("{family='geometric', factor=0.5, every=2}", True, False),
        ("{family='cosine'}", None, None),
        ("{family='table', values=[1,1,1,1,1,1,1,1,1,1]}", None, None),
    ],
)
def test_step_sizes_know_what_the_theorems_ask(said, family, small, infinite):
    found, state = states(said(overrides=(f"sgd.step_size={family}",))), {True: AS_STATED, False: NOT_MET, None: OPEN}
    assert found[SMALL] == state[small]
    assert found[SUM] == state[infinite]


def test_the_papers_own_setting_breaks_nothing(said):
    paper = said(overrides=("sgd.batch={law='uniform_subset'}", "sweep.c={law='uniform', low=0, high=1, count=9}"))
    assert [name for name, state in states(paper).items() if state != AS_STATED] == ["x_k is bounded"], "records tell"
    assert warnings(paper, len(rows(paper)[1])) == ()


def test_broken_hypotheses_are_warnings_with_reasons(said):
    broken = said(
        overrides=(
            "sgd.batch={law='uniform_subset'}",
            "sgd.step_size={family='constant'}",
            "sweep.c=[0.5, 2.0]",
            "initial={law='points', points=[[0.0, 0.0]]}",
        )
    )
    prefix = "x.toml: warning: a hypothesis of Theorem"
    assert warnings(broken, len(rows(broken)[1])) == (
        f"{prefix} 4 and 7 is not met: alpha_k = o(1/log k): constant steps do not tend to 0",
        f"{prefix} 4 and 7 is not met: almost all x_0: x_0 is chosen, not drawn; finitely many points have "
        "measure zero",
    )
    assert states(broken)["almost all c"] == OPEN


def test_a_scale_above_one_is_covered_by_the_proof_and_voids_no_other(said):
    """c alpha_k = o(1/log k) for every c, and {c > 0: some c alpha_k is in F} is countable as on (0, 1] (Section D)."""
    one, two = [h for h in hypotheses(said(overrides=("sweep.c=[0.5, 2.0]",)), 3) if h.hypothesis == "c in (0, 1]"]
    assert (one.state, one.c, two.state, two.c) == (AS_STATED, (0.5,), COVERED, (2.0,))
    assert two.why.startswith("1 of the 2 step scales above 1: each is c = 1 with the steps c alpha_k")
    for c, state in ((0.5, AS_STATED), (2.0, COVERED)):
        (alone,) = [h for h in hypotheses(said(overrides=(f"sweep.c=[{c}]",)), 3) if h.hypothesis == "c in (0, 1]"]
        assert (alone.state, alone.c) == (state, None)


@pytest.mark.parametrize(
    ("law", "state", "words"),
    [
        ("{law='uniform_subset'}", AS_STATED, "the paper's law"),
        ("{law='full'}", COVERED, "the whole of the data"),
        ("{law='fixed_size', size=2}", COVERED, "finitely many f_I, and have the selection gradient of J"),
        ("{law='fixed_size', size=3}", COVERED, "the whole of the data"),
        ("{law='fixed_size', size=9, replace=true}", COVERED, "means over multisets of samples"),
        ("{law='reshuffled', size=2}", NOT_MET, "not independent within an epoch"),
        ("{law='reshuffled', size=3}", COVERED, "the whole of the data"),
    ],
)
def test_laws_of_minibatches_say_what_the_proofs_need_of_them(said, law, state, words):
    """Three samples. Theorem 7's proof takes finitely many f_I, in whatever order; limits need J's gradient as mean."""
    loaded = said(overrides=(f"sgd.batch={law}",))
    (found,) = [h for h in hypotheses(loaded, len(rows(loaded)[1])) if h.hypothesis == BATCHES]
    assert found.state == state and words in found.why
    assert [BATCHES in line for line in warnings(loaded, len(rows(loaded)[1]))] == [True] * (state == NOT_MET)


@pytest.mark.parametrize(
    "law", ["{law='full'}", "{law='fixed_size', size=1}", "{law='fixed_size', size=4, replace=true}",
            "{law='reshuffled', size=1}", "{law='uniform_subset'}"]
)  # fmt: skip
def test_with_one_sample_every_law_is_the_papers(said, law):
    loaded = said(overrides=(f"sgd.batch={law}", "data={source='inline', rows=[[1.0, 2.0]]}"))
    assert states(loaded)[BATCHES] == AS_STATED and warnings(loaded, len(rows(loaded)[1])) == ()


BATCHES = "I_k iid uniform over the nonempty subsets"


@pytest.mark.parametrize(
    ("law", "density"),
    [
        ("{law='normal'}", True),
        ("{law='normal', scale=[1, 0]}", False),
        ("{law='uniform'}", True),
        ("{law='uniform', low=[0, 1], high=1}", False),
        ("{law='grid', low=0, high=1, count=3}", False),
        ("{law='he'}", False),
        ("{law='he', bias=0.1}", True),
    ],
)
def test_initial_laws_know_whether_they_have_a_density(said, law, density):
    assert states(said(overrides=(f"initial={law}",)))["almost all x_0"] == (AS_STATED if density else NOT_MET)


def test_scenarios_are_frozen(said):
    with pytest.raises(ValueError, match="frozen"):
        said().sgd.steps = 3


def test_public_names_are_there():
    assert all(hasattr(scenario, name) for name in scenario.__all__)
    assert Batch
