"""`kj.jit` in both tiers: what is traced when, what may go in and out, and how it composes."""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import TracingError, UsageError
from tests.fixtures import TIERS


class Pair(NamedTuple):
    left: object
    right: object


@pytest.fixture(params=TIERS)
def tier(request):
    with kj.scope(tier=request.param):
        yield request.param


class Counted:
    """A function that counts how often Python runs it: once for each trace."""

    def __init__(self, f):
        self.f, self.calls, self.__qualname__ = f, 0, "counted"

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.f(*args, **kwargs)


def same(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-6)


# ------------------------------------------------------------------------ what is traced when


def test_a_function_is_traced_once_for_each_kind_of_arguments(tier):
    f = Counted(lambda x: kj.sum(x * x))
    compiled = kj.jit(f)
    for call, (shape, dtype) in enumerate(
        [((3,), "float32"), ((4,), "float32"), ((4,), "float64"), ((2, 2), "float64")], start=1
    ):
        for value in (1, 2):
            same(compiled(kj.full(shape, value, dtype)), value * value * np.prod(shape))
        assert f.calls == call


def test_numbers_are_inputs_not_constants(tier):
    f = Counted(lambda x, rate: x * rate)
    compiled = kj.jit(f)
    for rate in (0.5, 0.25, 3.0):
        same(compiled(kj.ones(2), rate), [rate, rate])
    assert f.calls == 1
    same(compiled(kj.ones(2), 2), [2, 2])
    assert f.calls == 2


def test_other_arguments_are_constants_with_a_program_for_each_value(tier):
    f = Counted(lambda x, how, scale=None: kj.sum(x) if how == "sum" else kj.max(x))
    compiled = kj.jit(f)
    x = kj.tensor([1.0, 2.0])
    for _ in range(2):
        same(compiled(x, "sum"), 3)
        same(compiled(x, "max"), 2)
        same(compiled(x, how="max"), 2)
    assert f.calls == 3


def test_the_structure_of_the_arguments_counts(tier):
    f = Counted(lambda tree: kj.sum(kj.stack(kj.tree.leaves(tree))))
    compiled = kj.jit(f)
    a, b = kj.tensor(1.0), kj.tensor(2.0)
    for tree in ([a, b], (a, b), {"a": a, "b": b}, Pair(a, b), [a, [b]], [a, b, None]):
        same(compiled(tree), 3)
        same(compiled(tree), 3)
    assert f.calls == 6


def test_the_tier_counts():
    f = Counted(lambda x: x + 1)
    compiled = kj.jit(f)
    with kj.scope(tier="interpret"):
        compiled(1.0)
        compiled(2.0)
    assert f.calls == 1


def test_why_a_function_was_traced_again_is_shown(tier, capsys):
    compiled = kj.jit(Counted(lambda x: x + 1))
    with kj.scope(debug=1):
        compiled(kj.ones(3))
        first = capsys.readouterr().err
        compiled(kj.ones(3))
        again = capsys.readouterr().err
        compiled(kj.ones(4))
        other = capsys.readouterr().err
    assert "counted" in first
    assert "first call" in first
    assert "float32[3]" in first
    assert "traced" not in again
    assert "jit" not in again
    assert "was float32[3], is float32[4]" in other
    assert "float32[4]" in other


def test_nothing_is_shown_without_debug(tier, capsys):
    kj.jit(lambda x: x + 1)(kj.ones(3))
    assert capsys.readouterr() == ("", "")


def test_the_compile_time_is_known(tier):
    compiled = kj.jit(lambda x: kj.exp(x) + 1)
    assert compiled.compile_seconds == 0
    compiled(kj.ones(3))
    first = compiled.compile_seconds
    assert first > 0
    compiled(kj.ones(3))
    assert compiled.compile_seconds == first


def test_a_failed_trace_leaves_nothing_behind(tier):
    broken = [True]

    def f(x):
        if broken[0]:
            raise KeyError("once")
        return x + 1

    compiled = kj.jit(f)
    with pytest.raises(KeyError, match="once"):
        compiled(1.0)
    broken[0] = False
    same(compiled(1.0), 2)


# ------------------------------------------------------------------------- what goes in and out


def test_trees_go_in_and_out(tier):
    @kj.jit
    def f(model, x, *, bias):
        y = model["w"] * x + bias[0]
        return {"y": y, "pair": Pair(y + 1, (y - 1, None)), "w": model["w"]}

    model = {"w": kj.tensor([1.0, 2.0]), "unused": [kj.tensor(3)]}
    out = f(model, np.float32([3.0, 4.0]), bias=[0.5])
    assert isinstance(out["pair"], Pair)
    assert out["pair"].right[1] is None
    same(out["y"], [3.5, 8.5])
    same(out["pair"].left, [4.5, 9.5])
    same(out["w"], [1, 2])


def test_results_are_tensors_with_values(tier):
    out = kj.jit(lambda x: x * 2)(kj.ones(3))
    assert isinstance(out, kj.Tensor)
    assert out.is_known
    assert out.node.op.name == "constant"
    same(out + 1, [3, 3, 3])


def test_unusual_results(tier):
    x = kj.tensor([1.0, 2.0])
    for f, expected in (
        (lambda t: t, [1, 2]),
        (lambda t: (t, t), [1, 2]),
        (lambda t: kj.ones(2), [1, 1]),
        (lambda t: 3.0, 3),
        (lambda t: np.float32([5, 6]), [5, 6]),
        (lambda t: kj.tensor([7.0, 8.0]), [7, 8]),
        (lambda t: [], []),
        (lambda t: kj.sum(t)[None], [3]),
    ):
        found = kj.jit(f)(x)
        parts = found if isinstance(found, (tuple, list)) else [found]
        assert all(isinstance(each, kj.Tensor) for each in parts)
        for each in parts:
            np.testing.assert_array_equal(each.numpy(), expected)
    assert kj.jit(lambda t: None)(x) is None


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "uint32", "int32", "int64", "float32", "float64"]
)
def test_every_dtype_goes_in_and_out(tier, dtype):
    x = kj.ones((2, 3), dtype)
    same_x, moved = kj.jit(lambda t: (t, t.T))(x)
    assert same_x.dtype == moved.dtype == dtype
    assert moved.shape == (3, 2)
    np.testing.assert_array_equal(same_x.numpy(), x.numpy())


def test_arrays_of_any_layout_go_in(tier):
    f = kj.jit(lambda x: x * 2 + 1)
    base = np.arange(24.0).reshape(4, 6)
    for x in (base, base.T, base[::2, ::3], base[::-1], np.broadcast_to(base[:1], (4, 6))):
        np.testing.assert_array_equal(f(x).numpy(), x * 2 + 1)
        np.testing.assert_array_equal(f(kj.tensor(x)).numpy(), x * 2 + 1)


def test_a_result_is_not_changed_by_the_next_call(tier):
    f = kj.jit(lambda x: (x, x * 2))
    array = np.ones(3, np.float32)
    first = f(array)
    array[:] = 5
    second = f(array)
    np.testing.assert_array_equal(first[0].numpy(), [1, 1, 1])
    np.testing.assert_array_equal(first[1].numpy(), [2, 2, 2])
    np.testing.assert_array_equal(second[1].numpy(), [10, 10, 10])


def test_a_scalar_goes_in_and_out(tier):
    out = kj.jit(lambda a, b, c: (a + b, kj.logical_not(c)))(1, 2.5, True)
    assert out[0].item() == 3.5
    assert out[1].item() is False
    assert out[0].shape == ()


def test_wrong_arguments_and_results_are_refused(tier):
    with pytest.raises(UsageError, match="set"):
        kj.jit(lambda x, y: x)(1.0, {1, 2})
    with pytest.raises(TracingError, match="returned str"):
        kj.jit(lambda x: "text")(1.0)


# --------------------------------------------------------------------- what has no value yet


def test_an_if_on_a_traced_tensor_says_what_to_write_instead(tier):
    def f(x):
        if x > 0:
            return x
        return -x

    with pytest.raises(TracingError, match=r"kj\.where") as caught:
        kj.jit(f)(1.0)
    assert f"{__file__}:{f.__code__.co_firstlineno + 1}" in str(caught.value)
    assert f(kj.tensor(-2.0)).item() == 2


@pytest.mark.parametrize(
    "look",
    [
        float,
        int,
        bool,
        lambda x: x.item(),
        lambda x: x.numpy(),
        lambda x: x.tolist(),
        np.asarray,
        range,
    ],
    ids=["float", "int", "bool", "item", "numpy", "tolist", "asarray", "range"],
)
def test_looking_at_a_traced_tensor_is_an_error_with_a_fix(tier, look):
    with pytest.raises(TracingError) as caught:
        kj.jit(lambda x: look(x) and x)(1)
    assert caught.value.fix
    assert __file__ in str(caught.value)


def test_a_traced_tensor_can_be_printed(tier):
    texts = []
    kj.jit(lambda x: texts.append(repr(x)) or x)(kj.ones((2, 3)))
    assert texts == ["Tensor(float32[2, 3], traced)"]


def test_a_traced_tensor_that_leaked_out_says_so(tier):
    leaked = []
    kj.jit(lambda x: leaked.append(x * 2) or x)(1.0)
    with pytest.raises(TracingError, match="leaked out"):
        leaked[0].numpy()


def test_shapes_are_known_while_tracing(tier):
    def f(x):
        total = kj.zeros(())
        for row in range(len(x)):
            total = total + kj.sum(x[row]) * x.shape[1]
        return total

    same(kj.jit(f)(kj.ones((3, 2))), 12)


# ------------------------------------------------------------------------------ composition


def square(x):
    return kj.sum(x * x)


def test_jit_of_grad_and_grad_of_jit(tier):
    x = kj.tensor([1.0, 2.0])
    for f in (
        kj.jit(kj.grad(square)),
        kj.grad(kj.jit(square)),
        kj.jit(kj.grad(kj.jit(square))),
        kj.grad(lambda t: kj.jit(square)(t * 1.0)),
    ):
        same(f(x), [2, 4])
        same(f(x + 1), [4, 6])


def test_nested_jit(tier):
    inner = kj.jit(lambda x, y: x * y + 1)
    outer = kj.jit(lambda x: inner(x, 2.0) + inner(x, x))
    same(outer(kj.tensor([3.0])), [7 + 10])


def test_nested_jit_over_an_outer_traced_value(tier):
    """The inner function uses a tensor of the outer trace that is not among its arguments."""

    @kj.jit
    def outer(x):
        return kj.jit(lambda y: y * x)(kj.tensor([10.0, 20.0])) + 1

    same(outer(kj.tensor([3.0, 4.0])), [31, 81])


def test_a_gradient_reaches_what_a_compiled_function_uses_from_outside(tier):
    """The weight is no argument of the inner function; its gradient must not vanish."""
    x = kj.tensor([10.0, 20.0])
    inner = lambda w: kj.jit(lambda y: kj.sum(y * w))(x)  # noqa: E731
    same(kj.grad(inner)(kj.tensor([3.0, 4.0])), [10, 20])
    same(kj.jit(kj.grad(inner))(kj.tensor([3.0, 4.0])), [10, 20])
    same(kj.jvp(inner, (kj.ones(2),), (kj.ones(2),))[1], 30)
    w = kj.tensor([3.0, 4.0], requires_grad=True)
    inner(w).backward()
    same(w.grad, [10, 20])


def test_a_gradient_through_an_inner_gradient_and_a_compiled_function(tier):
    """The inner gradient's result is an intermediate value of the outer one."""

    def f(x):
        slope = kj.grad(lambda t: kj.sum(t**3))(x)
        return kj.jit(square)(slope)

    x = kj.tensor([1.0, 2.0])
    same(kj.grad(f)(x), 36 * np.array([1.0, 8.0]))


def test_a_compiled_function_follows_what_it_uses_from_outside(tier):
    """Where it was not compiled, a later call with other values from outside is not stale."""
    scale = [None]
    inner = kj.jit(lambda y: y * scale[0])

    def outer(s):
        scale[0] = s
        return kj.sum(inner(kj.ones(2)))

    compiled = kj.jit(outer)
    same(compiled(3.0), 6)
    same(compiled(kj.tensor([1.0, 2.0])), 3)


def test_derivatives_of_higher_order_inside_jit(tier):
    third = kj.jit(kj.grad(kj.grad(kj.grad(lambda x: x**4))))
    same(third(2.0), 48)
    value, tangent = kj.jit(lambda x, t: kj.jvp(kj.sin, (x,), (t,)))(0.5, 2.0)
    same((value, tangent), (np.sin(0.5), 2 * np.cos(0.5)))
    same(kj.jit(lambda x: kj.vjp(kj.exp, x)[1](1.0)[0])(1.0), np.e)


def test_value_and_grad_with_aux_inside_jit(tier):
    def loss(w, x):
        y = x * w
        return kj.sum(y), {"y": y}

    step = kj.jit(kj.value_and_grad(loss, has_aux=True))
    (value, aux), g = step(kj.tensor([2.0]), kj.tensor([5.0]))
    same((value, aux["y"][0], g[0]), (10, 10, 5))


def test_backward_through_a_compiled_function(tier):
    """Marked tensors make the call part of their graph."""
    f = kj.jit(square)
    x = kj.tensor([1.0, 2.0], requires_grad=True)
    f(x).backward()
    same(x.grad, [2, 4])
    same(f(kj.tensor([1.0, 2.0])), 5)


def test_a_compiled_function_keeps_its_name_and_text():
    @kj.jit
    def documented(x):
        """What it does."""
        return x

    assert documented.__name__ == "documented"
    assert documented.__doc__ == "What it does."


def test_methods_and_partial_functions(tier):
    class Model:
        def __init__(self):
            self.scale = kj.tensor(3.0)

        def call(self, x):
            return x * self.scale

    same(kj.jit(Model().call)(2.0), 6)


def test_calls_from_several_threads(tier):
    f = kj.jit(lambda x: kj.sum(kj.sin(x) * x))
    results: dict[int, list[float]] = {}

    def work(number):
        with kj.scope(tier=tier):
            x = np.full(500, number, np.float32)
            results[number] = [f(x).item() for _ in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for number in range(4):
        assert len(set(results[number])) == 1
        same(results[number][0], 500 * np.sin(number) * number)


def test_the_whole_training_step_of_a_small_network(tier):
    """Loss, gradients and update in one program, the same in both tiers and without jit."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 4)).astype(np.float32), rng.integers(0, 3, 32)
    model = {"w": kj.tensor(rng.standard_normal((4, 3)).astype(np.float32)), "b": kj.zeros(3)}

    def step(model, x, y, rate):
        def loss(m):
            return kj.mean(kj.cross_entropy_each(x @ m["w"] + m["b"], y))

        value, grads = kj.value_and_grad(loss)(model)
        return value, kj.tree.map(lambda p, g: p - rate * g, model, grads)

    compiled = kj.jit(step)
    mine, right = model, model
    for _ in range(10):
        value, mine = compiled(mine, x, y, 0.1)
        with kj.scope(tier="interpret"):
            expected, right = step(right, kj.tensor(x), kj.tensor(y), 0.1)
            expected.numpy()
        np.testing.assert_allclose(value.numpy(), expected.numpy(), rtol=1e-4)
    np.testing.assert_allclose(mine["w"].numpy(), right["w"].numpy(), rtol=1e-3, atol=1e-5)


def test_the_flag_forces_the_tier_outside_jit_too(tier):
    same(kj.exp(kj.tensor([0.0, 1.0])) + 1, [2, 1 + np.e])
    x = kj.tensor([1.0, 2.0], requires_grad=True)
    square(x).backward()
    same(x.grad, [2, 4])
