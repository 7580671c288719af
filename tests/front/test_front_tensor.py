"""What a tensor promises: lazy, immutable, gradients on request, no graph that grows by itself.

Not here: the functions by name (`test_front_functions.py`), indices (`test_front_index.py`),
errors (`test_front_errors.py`).
"""

from __future__ import annotations

import gc
import operator
import weakref

import numpy as np
import pytest

import kedja as kj
from kedja.ground.dtypes import ALL
from kedja.ground.errors import DtypeError, GradientError, TracingError
from kedja.ir.graph import topological


def nodes(tensor) -> int:
    """How many nodes a tensor's graph has."""
    return len(topological([tensor.node]))


def leaf(values, **options):
    return kj.tensor(values, requires_grad=True, **options)


# ------------------------------------------------------------------------------ laziness


def test_nothing_is_computed_until_a_value_is_looked_at(monkeypatch):
    ran = []
    original = kj.Tensor.numpy
    monkeypatch.setattr(kj.Tensor, "numpy", lambda self: ran.append(self) or original(self))
    x = kj.tensor([1.0, 2.0])
    y = kj.exp(x) * 2 + kj.sum(x)
    assert not ran
    assert y.node.op.name == "add"
    y.tolist()
    assert ran


def test_the_value_is_computed_once():
    y = kj.exp(kj.tensor([1.0, 2.0]))
    assert y.numpy() is y.numpy()


def test_looking_at_a_value_drops_the_history_of_tensors_without_gradient():
    y = kj.exp(kj.tensor([1.0, 2.0])) + 1
    assert nodes(y) == 4
    y.numpy()
    assert nodes(y) == 1


def test_looking_at_a_value_keeps_the_history_that_a_gradient_needs():
    x = leaf([1.0, 2.0])
    y = kj.exp(x) + 1
    before = nodes(y)
    y.numpy()
    assert nodes(y) == before


def test_a_sum_of_losses_does_not_grow_a_graph():
    """The loop that everyone writes: total += loss, with a backward pass in each step."""
    w = leaf([1.0, 2.0])
    total = 0.0
    for _ in range(50):
        loss = kj.sum(w * w)
        loss.backward()
        total += loss
        w -= 0.01 * w.grad
        assert nodes(total) <= 3
    assert total.item() > 0


def test_a_sum_of_losses_without_gradient_does_not_grow_a_graph():
    x = kj.tensor([1.0, 2.0])
    total = kj.tensor(0.0)
    for _ in range(50):
        total += kj.sum(x * x)
        assert nodes(total) <= 3
    assert total.item() == 250


def test_a_sum_of_losses_looked_at_does_not_grow_a_graph():
    total = 0.0
    for step in range(50):
        total = total + kj.sum(kj.tensor([1.0, 2.0]) * step)
        float(total)
        assert nodes(total) == 1


def test_weights_that_are_updated_free_their_predecessors():
    w = leaf(np.ones(3))
    alive = []
    for _ in range(5):
        kj.sum(w * w).backward()
        alive.append(weakref.ref(w))
        w -= 0.1 * w.grad
    gc.collect()
    assert sum(ref() is not None for ref in alive) == 0


def test_a_tensor_is_not_changed_by_what_happens_to_the_array_it_was_made_of():
    array = np.ones(3, np.float32)
    x = kj.tensor(array)
    later = x * 2
    array[:] = 7
    np.testing.assert_array_equal(x.numpy(), [1, 1, 1])
    np.testing.assert_array_equal(later.numpy(), [2, 2, 2])


def test_the_array_of_a_tensor_cannot_be_written_to():
    for tensor in (kj.tensor([1.0, 2.0]), kj.ones(2), kj.exp(kj.ones(2)), kj.tensor(np.ones(2))):
        with pytest.raises(ValueError, match="read-only"):
            tensor.numpy()[0] = 5


# ------------------------------------------------------------------------------ gradients


def test_backward_adds_into_grad():
    x = leaf([1.0, 2.0])
    for count in (1, 2, 3):
        kj.sum(x * x).backward()
        np.testing.assert_allclose(x.grad.numpy(), [2 * count, 4 * count])


def test_a_gradient_never_computed_is_none():
    x, y = leaf([1.0]), leaf([2.0])
    assert x.grad is None
    kj.sum(x * x).backward()
    assert x.grad is not None
    assert y.grad is None


def test_a_gradient_of_zero_is_not_none():
    x = leaf([1.0, 2.0])
    kj.sum(x * 0).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0, 0])


def test_a_second_backward_says_that_the_history_is_gone():
    x = leaf([1.0])
    loss = kj.sum(x**2)
    loss.backward()
    with pytest.raises(GradientError, match="freed by an earlier backward"):
        loss.backward()
    assert loss.item() == 1


def test_a_leaf_that_nobody_holds_is_no_mistake():
    loss = kj.sum(leaf([1.0]) ** 2)
    loss.backward()
    assert loss.item() == 1


def test_retain_keeps_the_history():
    x = leaf([3.0])
    loss = kj.sum(x * x)
    loss.backward(retain=True)
    loss.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [12])


def test_two_losses_over_one_graph():
    """The history of one loss is freed, that of the other is not."""
    x = leaf([3.0])
    shared = x * x
    first, second = kj.sum(shared), kj.sum(shared * 2)
    first.backward()
    second.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [18])


def test_backward_needs_a_scalar_or_a_gradient():
    x = leaf([1.0, 2.0])
    y = x * 3
    with pytest.raises(GradientError, match=r"shape \[2\]"):
        y.backward()
    y.backward(kj.tensor([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [3, 30])


def test_backward_needs_a_leaf():
    with pytest.raises(GradientError, match="requires_grad"):
        kj.sum(kj.tensor([1.0])).backward()


def test_an_update_starts_a_fresh_leaf():
    w = leaf([1.0, 2.0], name="w")
    kj.sum(w * w).backward()
    old = w
    w -= 0.5 * w.grad
    assert w is not old
    assert w.requires_grad
    assert w.grad is None
    assert nodes(w) == 1
    assert w.node.attrs["name"] == "w"
    np.testing.assert_array_equal(w.numpy(), [0, 0])
    np.testing.assert_array_equal(old.numpy(), [1, 2])


@pytest.mark.parametrize("update", ["iadd", "isub", "imul", "itruediv"])
def test_every_update_in_place_starts_a_fresh_leaf(update):
    w = leaf([4.0])
    changed = getattr(operator, update)(w, 2.0)
    assert changed.requires_grad
    assert changed.grad is None
    plain = getattr(operator, update)(kj.tensor([4.0]), 2.0)
    assert not plain.requires_grad
    np.testing.assert_array_equal(plain.numpy(), changed.numpy())


def test_detach_cuts_the_history():
    x = leaf([2.0])
    y = (x * x).detach()
    assert not y.tracks
    kj.sum(y * x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [4])


def test_gradients_are_plain_tensors():
    x = leaf([2.0])
    kj.sum(x * x).backward()
    assert not x.grad.requires_grad
    assert not x.grad.tracks


def test_requires_grad_of_results_and_of_integers_is_refused():
    with pytest.raises(GradientError, match="result of a computation"):
        (leaf([1.0]) * 2).requires_grad_()
    with pytest.raises(DtypeError, match="int64"):
        kj.tensor([1, 2], requires_grad=True)


def test_the_loss_keeps_its_value_after_backward():
    loss = kj.sum(leaf([1.0, 2.0]))
    loss.backward()
    assert loss.item() == 3
    assert nodes(loss) == 1


# --------------------------------------------------------------------------------- dtypes


PROMOTED = """
           bool u8   u16  u32  u64  i8   i16  i32  i64  f16  bf16 f32  f64
    bool   bool u8   u16  u32  u64  i8   i16  i32  i64  f16  bf16 f32  f64
    u8     u8   u8   u16  u32  u64  i16  i16  i32  i64  f16  bf16 f32  f64
    u16    u16  u16  u16  u32  u64  i32  i32  i32  i64  f16  bf16 f32  f64
    u32    u32  u32  u32  u32  u64  i64  i64  i64  i64  f16  bf16 f32  f64
    u64    u64  u64  u64  u64  u64  -    -    -    -    f16  bf16 f32  f64
    i8     i8   i16  i32  i64  -    i8   i16  i32  i64  f16  bf16 f32  f64
    i16    i16  i16  i32  i64  -    i16  i16  i32  i64  f16  bf16 f32  f64
    i32    i32  i32  i32  i64  -    i32  i32  i32  i64  f16  bf16 f32  f64
    i64    i64  i64  i64  i64  -    i64  i64  i64  i64  f16  bf16 f32  f64
    f16    f16  f16  f16  f16  f16  f16  f16  f16  f16  f16  f32  f32  f64
    bf16   bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 bf16 f32  bf16 f32  f64
    f32    f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f32  f64
    f64    f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64  f64
"""
LONG = {
    **{f"{kind[0]}{bits}": f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    "bool": "bool",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "-": "",
}
HEADS, *ROWS = (line.split() for line in PROMOTED.strip().splitlines())
NAMES = [LONG[head] for head in HEADS]
MEETINGS = [
    (LONG[row[0]], name, LONG[kind])
    for row in ROWS
    for name, kind in zip(NAMES, row[1:], strict=True)
]


@pytest.mark.parametrize(("a", "b", "expected"), MEETINGS)
def test_dtypes_meet(a, b, expected):
    left, right = kj.ones(2, a), kj.ones(2, b)
    if not expected:
        with pytest.raises(DtypeError, match="meet in no integer dtype"):
            kj.add(left, right)
        return
    assert kj.equal(left, right).dtype == "bool"
    assert kj.concat([left, right]).dtype == expected
    assert kj.where(left > 0, left, right).dtype == expected


def test_the_table_is_whole():
    assert {dtype.name for dtype in ALL} == set(NAMES)
    assert len(MEETINGS) == len(ALL) ** 2


FLOATING = ("float16", "bfloat16", "float32", "float64")
SCALARS = [
    *((dtype, 2, dtype) for dtype in NAMES[1:]),
    *((dtype, 2.5, dtype if dtype in FLOATING else "float32") for dtype in NAMES),
    ("bool", 2, "int64"),
    *((dtype, True, dtype) for dtype in NAMES[1:]),
]


@pytest.mark.parametrize(("dtype", "scalar", "expected"), SCALARS)
def test_python_scalars_take_the_dtype_that_they_meet(dtype, scalar, expected):
    x = kj.ones(2, dtype)
    assert kj.multiply(x, scalar).dtype == expected
    assert kj.multiply(scalar, x).dtype == expected


def test_a_scalar_beside_float64_keeps_its_digits():
    assert (kj.ones((), "float64") * 0.1).item() == 0.1


@pytest.mark.parametrize("dtype", NAMES)
def test_integers_become_floats_where_an_op_is_for_floats(dtype):
    x = kj.ones(3, dtype)
    expected = dtype if dtype in FLOATING else "float32"
    assert (x / 2).dtype == expected
    assert kj.exp(x).dtype == expected
    assert kj.mean(x).dtype == expected
    assert kj.softmax(x).dtype == expected


@pytest.mark.parametrize("dtype", NAMES)
def test_sums_of_small_integers_are_wide(dtype):
    wide = "uint64" if dtype.startswith("uint") else "int64"
    expected = dtype if dtype in FLOATING else wide
    assert kj.sum(kj.ones(3, dtype)).dtype == expected
    assert kj.prod(kj.ones(3, dtype)).dtype == expected


MADE = [
    (1, "int64"),
    (1.0, "float32"),
    (True, "bool"),
    ([1, 2], "int64"),
    ([1.0, 2], "float32"),
    ([[True]], "bool"),
    (np.float64(1), "float64"),
    (np.float32(1), "float32"),
    (np.int32(1), "int32"),
    (np.zeros(2), "float64"),
    (np.zeros(2, np.uint8), "uint8"),
    ([], "float32"),
]


@pytest.mark.parametrize(("data", "expected"), MADE, ids=lambda value: str(value))
def test_the_dtype_of_what_a_tensor_is_made_of(data, expected):
    assert kj.tensor(data).dtype == expected


# -------------------------------------------------------------------------------- operators


BINARY = [
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
]


@pytest.mark.parametrize("name", BINARY)
def test_operators_mean_what_numpys_mean(name):
    function = getattr(operator, name)
    a, b = np.array([[1.5], [-2.5]], np.float64), np.array([2.0, 0.5, 3.0])
    a = np.abs(a) if name == "pow" else a
    expected = function(a, b)
    x, y = kj.tensor(a), kj.tensor(b)
    for found in (function(x, y), function(x, b), function(a, y)):
        assert isinstance(found, kj.Tensor)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(function(x, 2.0).numpy(), function(a, 2.0), rtol=1e-14)
    np.testing.assert_allclose(function(2.0, y).numpy(), function(2.0, b), rtol=1e-14)


@pytest.mark.parametrize("name", ["and_", "or_", "xor", "lshift", "rshift", "floordiv", "mod"])
def test_integer_operators_mean_what_numpys_mean(name):
    function = getattr(operator, name)
    a, b = np.array([12, -7, 5]), np.array([3, 2, 1])
    np.testing.assert_array_equal(function(kj.tensor(a), kj.tensor(b)).numpy(), function(a, b))


def test_unary_operators():
    x = kj.tensor([1, -2])
    np.testing.assert_array_equal((-x).numpy(), [-1, 2])
    np.testing.assert_array_equal(abs(x).numpy(), [1, 2])
    np.testing.assert_array_equal((~x).numpy(), [-2, 1])
    np.testing.assert_array_equal((~(x > 0)).numpy(), [False, True])
    assert +x is x


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((4, 2, 3), (3, 5)),
        ((4, 2, 3), (4, 3, 5)),
        ((1, 2, 3), (4, 3, 5)),
        ((2, 3), (4, 3, 5)),
        ((4, 2, 3), (3,)),
        ((3,), (4, 3, 2)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
    ],
)
def test_matmul_means_what_numpys_means(left, right):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    found = (kj.tensor(a) @ kj.tensor(b)).numpy()
    expected = a @ b
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-13)


# ----------------------------------------------------------------------------- as Python


def test_a_tensor_in_python():
    x = kj.tensor([[1, 2], [3, 4]])
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
    assert float(kj.tensor(2.5)) == 2.5
    assert int(kj.tensor([7])) == 7
    assert [10, 20, 30][kj.tensor(1)] == 20
    assert kj.tensor(True)
    assert not kj.tensor(0.0)
    assert np.asarray(x).tolist() == [[1, 2], [3, 4]]
    assert {x: 1}[x] == 1


def test_conversions_need_one_element():
    with pytest.raises(TracingError, match="2 elements"):
        float(kj.tensor([1.0, 2.0]))
    with pytest.raises(TracingError, match="2 elements"):
        bool(kj.tensor([1.0, 2.0]) == kj.tensor([1.0, 2.0]))
    with pytest.raises(TypeError, match="no length"):
        len(kj.tensor(1.0))


def test_the_representation():
    assert repr(kj.tensor([1, 2])) == "Tensor([1, 2], int64)"
    assert repr(leaf([1.5])) == "Tensor([1.5], float32, requires_grad=True)"


def test_numbers_are_formatted():
    loss = kj.sum(kj.tensor([1.5, 2.25]))
    assert f"{loss:.1f} {loss:>8.3f}" == "3.8    3.750"
    assert f"{loss}" == "Tensor(3.75, float32)"
    assert f"{kj.tensor([1, 2]):.3f}" == "Tensor([1, 2], int64)"


def test_a_deep_eager_computation():
    """Ten thousand operations before anything is looked at."""
    x = kj.tensor(1.0)
    y = x
    for _ in range(10_000):
        y = y + 1
    assert y.item() == 10_001


def test_nan_and_infinity_give_no_warnings():
    x = kj.tensor([0.0, -1.0, np.inf, np.nan])
    for result in (x - x, 1 / x, kj.log(x), x * np.inf, kj.sqrt(x), x % 0.0, kj.exp(x * 1000)):
        result.numpy()
