"""Static and donated arguments of compiled functions, and what is told of traces."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import UsageError


def address(tensor):
    return tensor.numpy().__array_interface__["data"][0]


def test_static_arguments_are_part_of_the_program():
    traces = []

    @kj.jit(static=("times", 2))
    def f(x, times, flag=False):
        traces.append(times)
        assert isinstance(times, int)
        return kj.stack([x] * times) if flag else x * times

    assert f(kj.ones(2), 3).tolist() == [3.0, 3.0]
    assert f(kj.ones(2), times=3, flag=True).shape == (3, 2)
    assert f(kj.zeros(2), 3).tolist() == [0.0, 0.0]
    assert f(kj.ones(2), 4).tolist() == [4.0, 4.0]
    assert traces == [3, 3, 4]


def test_static_values_of_different_kinds_are_different():
    f = kj.jit(lambda x, by: x + (10 if isinstance(by, bool) else by), static="by")
    assert [f(1, by).item() for by in (1, True, 1.5)] == [2, 11, 2.5]


def test_a_donated_argument_is_overwritten():
    step = kj.jit(lambda w, x: (w - 0.5 * x, kj.sum(w * x)), donate="w")
    w, x = kj.ones(1000) * 1.0, kj.ones(1000)
    w = step(w, x)[0]
    place = address(w)
    old = w
    w, total = step(w, x)
    assert address(w) == place
    assert (w.tolist()[0], total.item()) == (0.0, 500.0)
    with pytest.raises(UsageError, match="given up"):
        old.numpy()
    with pytest.raises(UsageError, match="given up"):
        _ = old + 1
    assert x.tolist()[:1] == [1.0]


def test_what_somebody_else_looks_at_is_copied_first():
    step = kj.jit(lambda w: w * 2, donate=0)
    data = np.ones(3, np.float32)
    view = kj.tensor(data)
    other = view.reshape(3, 1)
    other.numpy()
    kept = view.numpy()
    assert step(view).tolist() == [2.0] * 3
    assert kept.tolist() == other.reshape(3).tolist() == data.tolist() == [1.0] * 3
    lazy_base = kj.ones(3) * 5.0
    lazy_base.numpy()
    lazy = lazy_base + 1.0
    assert step(lazy_base).tolist() == [10.0] * 3
    assert lazy.tolist() == [6.0] * 3
    assert step(np.ones(2, np.float32)).tolist() == [2.0, 2.0]


def test_donation_follows_trees_and_types():
    params = {"w": kj.ones((2, 3)) * 1.0, "b": kj.zeros(3) + 0.0}

    @kj.jit(donate="params")
    def step(params, x):
        loss = kj.sum(x @ params["w"] + params["b"])
        return loss, {"w": params["w"] + 1, "b": params["b"] - 1}

    for _ in range(3):
        loss, params = step(params, kj.ones((1, 2)))
    assert params["w"].tolist() == [[4.0] * 3] * 2
    assert params["b"].tolist() == [-3.0] * 3
    assert loss.item() == 3 * 3 * 2 - 2 * 3


def test_a_donated_argument_of_a_program_in_stages_is_overwritten():
    step = kj.jit(lambda a, b: (kj.sort(b), a + kj.sort(b), kj.sum(a)), donate=("a", "b"))
    a, b = kj.tensor([1.0, 2.0, 3.0]), kj.tensor([9.0, 7.0, 8.0])
    a, b, total = step(a, b)
    assert (a.tolist(), b.tolist(), total.item()) == ([7, 8, 9], [8, 10, 12], 6)
    a, b, total = step(a, b)
    assert (a.tolist(), b.tolist(), total.item()) == ([8, 10, 12], [15, 18, 21], 24)


def test_a_donated_step_reads_what_it_overwrites_in_the_right_order():
    rotate = kj.jit(lambda a, b: (b, a + b, a @ a), donate=("a", "b"))
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((5, 5)), rng.standard_normal((5, 5))
    found = rotate(kj.tensor(a), kj.tensor(b))
    for mine, right in zip(found, (b, a + b, a @ a), strict=True):
        np.testing.assert_allclose(mine.numpy(), right, rtol=1e-13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"static": "tims"}, "times"),
        ({"donate": 7}, "no such argument"),
        ({"static": "x", "donate": "x"}, "both"),
    ],
)
def test_roles_of_arguments_that_are_not_there(options, message):
    with pytest.raises(UsageError, match=message):
        kj.jit(lambda x, times: x, **options)


def test_a_static_array_is_refused():
    with pytest.raises(UsageError, match="hashable values"):
        kj.jit(lambda x: x, static="x")(kj.ones(2))


def test_why_it_was_traced_again_names_the_argument(capsys):
    @kj.jit(static="n")
    def f(model, n):
        return model["w"] * n

    with kj.scope(debug=1):
        f({"w": kj.ones(2)}, 1)
        f({"w": kj.ones(2)}, 2)
        f({"w": kj.ones(3)}, 2)
        f({"w": kj.ones(3), "b": 1.0}, 2)
    told = capsys.readouterr().err
    assert "first call" in told
    assert "n was 1, is 2" in told
    assert "model.w was float32[2], is float32[3]" in told
    assert "with model.b" in told
