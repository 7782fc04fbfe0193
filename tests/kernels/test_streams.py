"""Random streams: published vectors, exact laws, and numbers that depend on where they are used and nothing else.

Statistical tests have fixed seeds; each would fail with probability 1e-6 under a fresh one.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from simsa import laws
from simsa.kernels import streams
from simsa.kernels.draws import distinct
from simsa.kernels.options import kernel
from simsa.machine import draws, launch
from simsa.machine.task import Descent, Initial, Stream, key_of

ALARM = 1e-6
KEY = np.uint64(0xC0FFEE1234567890)

# Random123, tests/kat_vectors, philox4x32 with 10 rounds: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text):
    return tuple(int(word, 16) for word in text.split())


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_philox_gives_the_published_vectors(counter, key, result):
    assert streams.philox(*words(counter), *words(key)) == words(result)
    assert draws.philox(words(counter), words(key)) == words(result)


def test_the_counter_and_key_are_laid_out_as_documented():
    got = streams.block_of(3, 5, 7, streams.SAMPLE, KEY)
    assert got == streams.philox(3, 5, 7, 4, 0x34567890, 0xC0FFEE12)


def test_the_key_is_the_hash_of_the_seed_and_of_c_in_lowest_terms():
    """`printf '7 1/2' | sha256sum` begins with 61 c0 ae 1e 7e e0 d1 97, the lowest byte first."""
    assert key_of(7, Fraction(2, 4)) == np.uint64(0x97D1E07E1EAEC061)
    assert key_of(7, Fraction(2, 4)).dtype == np.uint64


def test_uniform53_is_the_convention_of_numpy():
    raw = np.random.PCG64(1).random_raw(1000)
    expected = np.random.Generator(np.random.PCG64(1)).random(1000)
    assert [streams.uniform53(word >> np.uint64(32), word & streams.LOW) for word in raw] == expected.tolist()
    assert streams.uniform53(0xFFFFFFFF, 0xFFFFFFFF) == 1 - 2.0**-53


# Integers below n.


def model_below(n, count, step, trajectory, purpose):
    """Draw by the rule in Python integers: accept w if (w n) mod 2^32 >= 2^32 mod n, and return (w n) / 2^32."""
    drawn = []
    for block in itertools.count():
        for word in streams.block_of(block, step, trajectory, purpose, KEY):
            if (word * n) % 2**32 >= 2**32 % n:
                drawn.append((word * n) >> 32)
            if len(drawn) == count:
                return drawn


@pytest.mark.parametrize("n", [1, 2, 3, 7, 1000, 2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1])
def test_below_follows_its_rule_and_the_rule_is_unbiased(n):
    position, left, drawn = 0, (np.uint32(0),) * 4, []
    for _ in range(50):
        i, position, left = streams.below(n, position, left, 2, 3, streams.SAMPLE, KEY)
        drawn.append(i)
    assert drawn == model_below(n, 50, 2, 3, streams.SAMPLE)
    # The accepted words of value v are those with v 2^32 + (2^32 mod n) <= w n < (v + 1) 2^32: equally many for each v.
    for v in {0, 1, n // 3, n // 2, n - 1} - {n}:
        accepted = -(-((v + 1) << 32) // n) - -(-((v << 32) + 2**32 % n) // n)
        assert accepted == 2**32 // n


# Minibatches.


def batch(law, n, size=0, replace=False, *, key=KEY, trajectory=0, step=0, scratch=None):
    scratch = fresh(law, n, size) if scratch is None else scratch
    out = np.full(max(n, size) + 3, -7)
    count = streams.minibatch(law, n, size, replace, key, trajectory, step, scratch, out, 2, 1)
    assert (out[:2] == -7).all() and (out[max(n, size) + 2 :] == -7).all()
    return tuple(out[2 : 2 + count].tolist())


def fresh(law, n, size):
    return np.full(streams.scratch_size(law, n, size), -1, np.int64)


@kernel
def tally(law, n, size, replace, key, draws, scratch, codes, out):
    """Number the minibatch of each of `draws` (step, trajectory) by its indices as digits to the base n + 1."""
    for k in range(draws):
        scratch[:] = -1
        count = streams.minibatch(law, n, size, replace, key, k // 100, k % 100, scratch, out, 0, 1)
        code = 0
        for i in range(count):
            code = code * (n + 1) + out[i] + 1
        codes[k] = code


def assert_uniform(law, n, size, outcomes, replace=False, order=False, draws=70_000):
    """Chi-square test that the minibatch is uniform on `outcomes`."""
    codes = np.empty(draws, np.int64)
    tally(law, n, size, replace, KEY, draws, fresh(law, n, size), codes, np.zeros(n + size, np.int64))
    numbers, counts = np.unique(codes, return_counts=True)
    seen = {}
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        digits = []
        while number:
            number, digit = divmod(number, n + 1)
            digits.append(digit - 1)
        key = tuple(reversed(digits)) if order else frozenset(digits)
        seen[key] = seen.get(key, 0) + count
    assert set(seen) == set(outcomes)
    assert stats.chisquare(list(seen.values())).pvalue > ALARM


def test_full_batch():
    assert batch(streams.FULL, 5) == (0, 1, 2, 3, 4)


def test_uniform_subset_is_uniform_over_the_nonempty_subsets():
    subsets = [s for r in (1, 2, 3) for s in itertools.combinations(range(3), r)]
    assert_uniform(streams.UNIFORM_SUBSET, 3, 0, subsets, order=True)


def test_uniform_subset_of_one_sample_is_that_sample():
    assert {batch(streams.UNIFORM_SUBSET, 1, step=k) for k in range(20)} == {(0,)}


def test_large_subsets_are_ascending_and_hold_each_sample_half_of_the_time():
    n, draws = 300, 2000
    counts = np.zeros(n)
    for k in range(draws):
        chosen = batch(streams.UNIFORM_SUBSET, n, step=k)
        assert list(chosen) == sorted(set(chosen))
        counts[list(chosen)] += 1
    assert stats.chi2(n).sf((((counts - draws / 2) ** 2) / (draws / 4)).sum()) > ALARM


def test_fixed_size_is_uniform_over_the_subsets_of_that_size():
    pairs = [frozenset(s) for s in itertools.combinations(range(5), 2)]
    assert_uniform(streams.FIXED_SIZE, 5, 2, pairs)
    assert_uniform(streams.FIXED_SIZE, 4, 3, [frozenset(s) for s in itertools.combinations(range(4), 3)])


def test_with_replacement_indices_are_independent_and_uniform():
    pairs = list(itertools.product(range(3), repeat=2))
    assert_uniform(streams.FIXED_SIZE_REPLACED, 3, 2, pairs, order=True)
    assert_uniform(streams.FIXED_SIZE, 3, 2, pairs, replace=True, order=True)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (5, 5), (64, 7), (65, 64), (1000, 300), (3, 8), (100_000, 8)])
def test_without_replacement_nothing_is_drawn_twice_and_the_scratch_is_left_clean(n, size):
    scratch = fresh(streams.FIXED_SIZE, n, size)
    for step in range(50):
        drawn = batch(streams.FIXED_SIZE, n, size, step=step, scratch=scratch)
        assert len(drawn) == len(set(drawn)) == min(n, size) and set(drawn) <= set(range(n))
        assert (scratch == -1).all()


@kernel
def together(like, n, size, step, first, key, out):
    return distinct(like, n, size, step, first, streams.MINIBATCH, key, out, 3)


@pytest.mark.parametrize(("n", "size"), [(1, 1), (8, 8), (512, 8), (100_000, 7), (40, 32), (2**31 + 1, 6)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_drawn_together_minibatches_are_the_same(n, size, dtype):
    """A word that is rejected, as many are for n = 2^31 + 1, makes it refuse."""
    lanes, done = 32 // np.dtype(dtype).itemsize, 0
    scratch = np.full((n + 63) // 64 if n < 2**20 else 0, -1, np.int64)
    for step in range(40):
        out = np.full(size * lanes + 6, -7)
        if not together(np.zeros(1, dtype), n, size, step, 2**32 - lanes - step, KEY, out):
            continue
        done += 1
        assert (out[:3] == -7).all() and (out[3 + size * lanes :] == -7).all()
        for lane in range(lanes if len(scratch) else 0):
            first = 2**32 - lanes - step
            drawn = batch(streams.FIXED_SIZE, n, size, trajectory=first + lane, step=step, scratch=scratch)
            assert drawn == tuple(out[3 + lane : 3 + size * lanes : lanes].tolist())
    assert done == 40 if n <= 512 else done >= 39 if n < 2**20 else done < 5


def test_permutations_are_uniform():
    assert_uniform(streams.RESHUFFLED, 3, 3, list(itertools.permutations(range(3))), order=True)


def test_an_epoch_visits_every_sample_once_and_its_last_batch_may_be_short():
    n, size, scratch = 10, 4, fresh(streams.RESHUFFLED, 10, 4)
    epochs = []
    for epoch in range(20):
        batches = [batch(streams.RESHUFFLED, n, size, step=3 * epoch + k, scratch=scratch) for k in range(3)]
        assert [len(b) for b in batches] == [4, 4, 2]
        epochs.append(sum(batches, ()))
        assert sorted(epochs[-1]) == list(range(n))
    assert len(set(epochs)) == 20


LAWS = [(law, n, size) for law in range(5) for n, size in ((7, 3), (200, 16))]


@pytest.mark.parametrize(("law", "n", "size"), LAWS)
def test_a_minibatch_is_a_function_of_its_step_whatever_was_called_before(law, n, size):
    alone = [batch(law, n, size, step=k) for k in range(60)]
    scratch = fresh(law, n, size)
    for k in np.random.default_rng(0).permutation(60):
        assert batch(law, n, size, step=k, scratch=scratch) == alone[k]


@pytest.mark.parametrize(("law", "n", "size"), [case for case in LAWS if case[0] != streams.FULL])
def test_key_and_trajectory_change_the_minibatches(law, n, size):
    def run(**where):
        return [batch(law, n, size, step=k, **where) for k in range(20)]

    other_keys = [np.uint64(int(KEY) ^ 1), np.uint64(int(KEY) ^ (1 << 40))]
    runs = [run(), run(trajectory=1), *(run(key=key) for key in other_keys)]
    assert all(a != b for a, b in itertools.combinations(runs, 2))


@pytest.mark.parametrize("law", [-1, 6, 255])
def test_an_unknown_law_of_the_minibatch_draws_nothing(law):
    """It used to draw as fixed_size does."""
    with pytest.raises(ValueError, match="unknown law of the minibatch"):
        batch(law, 5, 2)


# Initial points.


def initial(kind, count=1000, *, p=3, first=0, key=KEY, center=None, scale=None, points=None):
    out = np.empty((count, p))
    center = np.zeros(p) if center is None else np.asarray(center, float)
    scale = np.ones(p) if scale is None else np.asarray(scale, float)
    points = np.zeros((0, p)) if points is None else np.asarray(points, float)
    streams.initial(key, first, kind, center, scale, points, out, np.zeros(4), np.zeros(4))
    return out


@pytest.mark.parametrize("kind", [-1, 3])
def test_an_unknown_law_of_the_initial_point_draws_nothing(kind):
    """It used to be uniform."""
    with pytest.raises(ValueError, match="unknown law of the initial point"):
        initial(kind, 5)


@pytest.mark.parametrize("kind", [-1, 2])
def test_an_unknown_component_of_a_streamed_sample_draws_nothing(kind):
    """It used to be Gaussian."""
    one, lanes = np.ones((1, 2)), np.zeros((2, 4))
    with pytest.raises(ValueError, match="unknown component of the law of samples"):
        streams.sample(
            np.array([kind]), np.ones(1), one, one, streams.SAMPLE, KEY, 0, 0, 0, lanes[0], lanes[1], np.zeros(4)
        )


def test_points_are_dealt_in_turn():
    points = np.arange(6.0).reshape(2, 3)
    assert (initial(streams.POINTS, 5, first=3, points=points) == points[[1, 0, 1, 0, 1]]).all()


@pytest.mark.parametrize("kind", [streams.NORMAL, streams.UNIFORM])
def test_an_initial_point_does_not_depend_on_its_block_nor_a_coordinate_on_how_many_follow(kind):
    whole = initial(kind, 100)
    assert (np.vstack([initial(kind, 37), initial(kind, 63, first=37)]) == whole).all()
    assert (initial(kind, 100, p=8)[:, :3] == whole).all()
    for other in (initial(kind, 100, key=np.uint64(1)), initial(kind, 100, first=100)):
        assert (other != whole).all()


def test_uniform_points_fill_their_box():
    x = initial(streams.UNIFORM, 50_000, center=[1, 0, -5], scale=[0.5, 0, 2])
    assert (np.abs(x - [1, 0, -5]) <= [0.5, 0, 2]).all()
    assert stats.kstest(x[:, 0], stats.uniform(0.5, 1).cdf).pvalue > ALARM
    assert stats.kstest(x[:, 2], stats.uniform(-7, 4).cdf).pvalue > ALARM


def test_normal_points_are_normal_and_independent():
    x = initial(streams.NORMAL, 100_000, p=4, center=[3, 0, 0, 0], scale=[2, 1, 1, 1])
    x[:, 0] = (x[:, 0] - 3) / 2
    for column in x.T:
        assert stats.kstest(column, stats.norm.cdf).pvalue > ALARM
        for moment, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            z = (np.mean(column**moment) - mean) / np.sqrt(variance / len(column))
            assert 2 * stats.norm.sf(abs(z)) > ALARM
    for a, b in itertools.combinations(x.T, 2):
        assert stats.pearsonr(a, b).pvalue > ALARM
        assert stats.pearsonr(a**2, b**2).pvalue > ALARM
    assert stats.pearsonr(x[1:, 0], x[:-1, 0]).pvalue > ALARM


def test_normals_are_the_same_bits_on_every_machine():
    expected = ["-0x1.868c49934e73cp-3", "0x1.b2fd876302498p-4", "0x1.9853aae374143p-1", "0x1.347afaafe64a4p-1"]
    assert [v.hex() for v in initial(streams.NORMAL, 1, p=4)[0].tolist()] == expected


# ---------------------------------------------------------------- plain Python is the definition

MIXTURE = Stream(
    ("normal", "ball"), np.array([0.25, 1.0]), np.array([[0.0, 1.0, -2.0], [3.0, 0.5, 0.25]]), np.full((2, 3), 0.75)
)


def descent(law="full", size=1, replace=False, steps=9, initial=None, stream=None, seed=5):
    """Return a descent, of which the draws matter alone."""
    start = initial or Initial("normal", np.zeros(3), np.ones(3), np.zeros((1, 3)))
    none = np.zeros(0, np.int64)
    return Descent(steps, law, size, replace, np.ones(steps), 1e6, seed, start, none, 0, stream=stream)


@pytest.mark.parametrize("n", [1, 2, 3, 17, 128, 129, 300])
@pytest.mark.parametrize("law", ["full", "uniform_subset", "fixed_size", "with replacement", "reshuffled"])
def test_minibatches_are_those_of_plain_python(law, n):
    """By the numbers of trajectories and steps, and beyond 32 bits of the key; from any step on."""
    replace = law == "with replacement"
    for size in sorted({1, n // 2 or 1, n}) if law not in ("full", "uniform_subset") else [1]:
        made = descent("fixed_size" if replace else law, size, replace)
        for c, trajectory in ((Fraction(1, 3), 0), (0.7, 2**31 + 11)):
            plain = list(draws.minibatches(made, n, c, trajectory))
            assert plain == list(launch.minibatches(made, n, c, trajectory))
            assert plain[4:] == list(draws.minibatches(made, n, c, trajectory, first=4))
    assert all(all(type(i) is int for i in batch) for batch in plain)


@pytest.mark.parametrize("kind", ["points", "normal", "uniform"])
@pytest.mark.parametrize("p", [1, 2, 7, 16])
def test_initial_points_are_those_of_plain_python(kind, p):
    rng = np.random.default_rng(p)
    law = Initial(kind, rng.normal(size=p), rng.random(p), rng.normal(size=(3, p)))
    made = descent(initial=law)
    found = launch.initial_points(made, 0.3, 4, 200, p)
    assert [draws.initial_point(made, 0.3, 4 + t, p) for t in range(200)] == found.tolist()


def test_streamed_samples_are_those_of_plain_python():
    made = descent("fixed_size", 40, stream=MIXTURE)
    for trajectory, step in ((0, 0), (7, 3), (2**32 - 1, 8)):
        assert (draws.streamed(made, 0.3, trajectory, step) == launch.streamed(made, 0.3, trajectory, step)).all()
    assert draws.blocks_of_sample(3) == streams.blocks_of_sample(3)
    names = ("INITIAL", "SAMPLE", "EVALUATION", "WEIGHTS")
    assert all(getattr(draws, name) == getattr(streams, name) for name in names)
    assert (laws.MINIBATCH, laws.EPOCH) == (streams.MINIBATCH, streams.EPOCH)
