"""Random numbers: the published bits of Threefry, moments, independence of split keys."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import kedja as kj
from kedja.front import drawing, random
from kedja.front.arithmetic import call
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.ops.random import numpy_threefry
from tests.fixtures import TIERS

# Random123's kat_vectors for threefry2x32 with 20 rounds: counter, key, result.
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]
COUNT = 100_000
FLOAT_NAMES = ["float16", "bfloat16", "float32", "float64"]
over_tiers = pytest.mark.parametrize("tier", TIERS)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_published_vectors(counter, key, expected):
    words = [np.array([each], np.uint32) for each in (*key, *counter)]
    found = tuple(int(numpy_threefry(*words, word=word)[0]) for word in (0, 1))
    assert found == expected


@over_tiers
@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_the_published_vectors_in_every_tier(counter, key, expected, tier):
    words = [kj.tensor(np.array([each], np.uint32)) for each in (*key, *counter)]
    with kj.scope(tier=tier):
        found = kj.jit(lambda *given: [call("threefry", *given, word=i) for i in (0, 1)])(*words)
    assert tuple(int(each) for each in found) == expected


def test_keys():
    assert kj.random.key(0).tolist() == [0, 0]
    assert kj.random.key(2**64 - 1).tolist() == [2**32 - 1] * 2
    assert kj.random.key(2**32 + 5).tolist() == [1, 5]
    for seed in (-1, 2**64):
        with pytest.raises(UsageError, match="seed"):
            kj.random.key(seed)
    with pytest.raises(ShapeError, match="key"):
        kj.random.bits(kj.ones(3, "uint32"))


def test_the_first_bits_are_the_ciphers():
    assert hex(kj.random.bits(kj.random.key(0), (3,))[0].item()) == "0x6b200159"
    assert hex(kj.random.bits(kj.random.key(0), (3,), word=1)[0].item()) == "0x99ba4efe"


@over_tiers
def test_the_same_key_gives_the_same_bits_in_every_shape_and_tier(tier):
    key = kj.random.key(5)
    flat = kj.random.bits(key, (24,)).numpy()
    with kj.scope(tier=tier):
        for shape in ((24,), (2, 12), (4, 3, 2)):
            found = kj.jit(lambda k, s=shape: kj.random.bits(k, s))(key)
            np.testing.assert_array_equal(found.numpy().reshape(-1), flat)
        np.testing.assert_array_equal(
            kj.jit(lambda k: kj.random.bits(k, (7,)))(key).numpy(), flat[:7]
        )


@over_tiers
def test_bits_are_balanced(tier):
    with kj.scope(tier=tier):
        words = kj.jit(lambda k: kj.random.bits(k, (COUNT,)))(kj.random.key(1)).numpy()
    ones = [((words >> bit) & 1).mean() for bit in range(32)]
    assert np.abs(np.array(ones) - 0.5).max() < 5 * 0.5 / COUNT**0.5
    assert len(np.unique(words)) > COUNT - 10


@pytest.mark.parametrize("dtype", FLOAT_NAMES)
def test_moments_of_the_uniform_distribution(dtype):
    x = kj.random.uniform(kj.random.key(2), (COUNT,), dtype=dtype).numpy()
    assert x.dtype.name == dtype
    assert x.min() >= 0
    assert x.max() < 1
    error = 5 / COUNT**0.5
    for power in (1, 2, 3, 4):
        assert abs((x.astype(float) ** power).mean() - 1 / (power + 1)) < error
    wide = x.astype(float)
    lag = np.corrcoef(wide[:-1], wide[1:])[0, 1]
    assert abs(lag) < error


@pytest.mark.parametrize("dtype", FLOAT_NAMES)
def test_moments_of_the_normal_distribution(dtype):
    x = kj.random.normal(kj.random.key(3), (COUNT,), dtype=dtype).numpy()
    assert x.dtype.name == dtype
    assert np.isfinite(x).all()
    x = x.astype(float)
    for power, moment, spread in ((1, 0, 1), (2, 1, 2**0.5), (3, 0, 15**0.5), (4, 3, 96**0.5)):
        assert abs((x**power).mean() - moment) < 5 * spread / COUNT**0.5, power
    inside = (np.abs(x) < 1).mean()
    assert abs(inside - 0.6827) < 0.01


def test_uniform_between_bounds():
    x = kj.random.uniform(kj.random.key(2), (1000,), -3.0, 5.0).numpy()
    assert x.min() >= -3
    assert x.max() < 5
    assert abs(x.mean() - 1) < 0.4


def test_bernoulli():
    for chance in (0.0, 0.25, 1.0):
        x = kj.random.bernoulli(kj.random.key(4), chance, (COUNT,)).numpy()
        assert x.dtype == bool
        assert abs(x.mean() - chance) < 0.01


def test_float32_is_never_rounded_up_to_one():
    """All 24 bits set is the largest number, below 1."""
    assert (2**24 - 1) * 2.0**-24 < 1
    x = kj.random.uniform(kj.random.key(9), (COUNT,)).numpy()
    assert np.array_equal(x, np.round(x * 2**24) / 2**24)


@over_tiers
@pytest.mark.parametrize(("dtype", "digits"), [("float16", 11), ("bfloat16", 8)])
def test_halves_are_never_rounded_up_to_one(dtype, digits, tier):
    with kj.scope(tier=tier):
        x = kj.random.uniform(kj.random.key(9), (COUNT,), dtype=dtype).numpy().astype(float)
    assert np.array_equal(x, np.round(x * 2**digits) / 2**digits)
    assert x.max() == 1 - 2.0**-digits


@pytest.mark.parametrize("draw", [kj.random.uniform, kj.random.normal])
def test_random_numbers_are_floats(draw):
    with pytest.raises(DtypeError, match="int32"):
        draw(kj.random.key(0), (3,), dtype="int32")


def test_split_keys_are_independent():
    """Streams of a key, of its children and of its grandchildren are not correlated."""
    root = kj.random.key(7)
    children = kj.random.split(root, 3)
    keys = [root, *children, *kj.random.split(children[0]), kj.random.fold_in(root, 1)]
    streams = [kj.random.uniform(key, (20_000,), dtype=kj.float64).numpy() for key in keys]
    assert len({tuple(key.tolist()) for key in keys}) == len(keys)
    for a, b in itertools.combinations(streams, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / 20_000**0.5
    words = [set(kj.random.bits(key, (5000,)).tolist()) for key in keys]
    for a, b in itertools.combinations(words, 2):
        assert len(a & b) < 5


def test_neighbouring_seeds_are_independent():
    streams = [kj.random.normal(kj.random.key(seed), (20_000,)).numpy() for seed in range(5)]
    for a, b in itertools.combinations(streams, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / 20_000**0.5


def test_split_and_fold_in_are_functions_of_their_arguments():
    root = kj.random.key(7)
    first, second = kj.random.split(root, 4), kj.random.split(root, 4)
    assert [key.tolist() for key in first] == [key.tolist() for key in second]
    assert kj.random.fold_in(root, 3).tolist() == kj.random.fold_in(root, kj.tensor(3)).tolist()
    names = {tuple(kj.random.fold_in(root, i).tolist()) for i in range(100)}
    assert len(names) == 100


def test_the_default_sequence_starts_anew_with_a_seed():
    kj.random.seed(11)
    first = [kj.random.next_key().tolist() for _ in range(3)]
    kj.random.seed(11)
    assert [kj.random.next_key().tolist() for _ in range(3)] == first
    assert len({tuple(key) for key in first}) == 3


def test_no_numbers_are_no_mistake():
    assert kj.random.normal(kj.random.key(0), (0, 3)).shape == (0, 3)
    assert kj.random.uniform(kj.random.key(0)).shape == ()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("size", [drawing.MANY, drawing.MANY + 77])
def test_many_numbers_at_once_are_those_of_the_graph(dtype, size):
    key = random.key(2**40 + 7)
    many = [random.uniform(key, size, -1, 2, dtype), random.normal(key, size, dtype)]
    with kj.scope(tier="interpret"):
        graph = [random.uniform(key, size, -1, 2, dtype), random.normal(key, size, dtype)]
    np.testing.assert_array_equal(many[0].numpy(), graph[0].numpy())
    bound = {"float64": 1e-14, "float32": 2e-6}.get(dtype, 4e-2)
    np.testing.assert_allclose(
        many[1].numpy().astype(float), graph[1].numpy().astype(float), rtol=bound, atol=bound
    )


def test_keys_made_of_whole_numbers_are_those_of_the_graph():
    key = random.key(99)
    now = [random.fold_in(key, 5), *random.split(key, 3)]
    with kj.scope(tier="interpret"):
        graph = [random.fold_in(key, 5), *random.split(key, 3)]
    assert [each.tolist() for each in now] == [each.tolist() for each in graph]


def test_many_numbers_inside_a_trace_stay_in_the_graph():
    f = kj.jit(lambda key: random.uniform(key, (drawing.MANY,)))
    key = random.key(3)
    np.testing.assert_array_equal(f(key).numpy(), random.uniform(key, (drawing.MANY,)).numpy())
    assert f.programs[0].traced.inputs
