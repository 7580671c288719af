"""Convolutions, unfold and fold against PyTorch in float64: values, gradients, both orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.front.convolution import fold, unfold
from kedja.ground.errors import DtypeError, ShapeError, UsageError
from kedja.nn import functional as F  # noqa: N812
from tests.nn.compare import assert_like_torch, deviation


@pytest.fixture(scope="module")
def torch() -> Any:
    found = pytest.importorskip("torch")
    found.set_num_threads(1)
    return found


def several(draw: Any, count: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(low, high)) for _ in range(count))


@st.composite
def convolutions(draw: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Shapes of x, weight and bias, and the options, of a convolution that fits."""
    count = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, outs = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    kernel = several(draw, count, 1, 3)
    options = {
        "stride": several(draw, count, 1, 3),
        "padding": several(draw, count, 0, 2),
        "dilation": several(draw, count, 1, 2),
        "groups": groups,
    }
    least = [
        max(1, d * (k - 1) + 1 - 2 * p)
        for d, k, p in zip(options["dilation"], kernel, options["padding"], strict=True)
    ]
    extents = tuple(n + draw(st.integers(0, 5)) for n in least)
    x = (draw(st.integers(1, 3)), channels, *extents)
    return (x, (outs, channels // groups, *kernel), (outs,)), options


def arrays(shapes: Any, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


# ------------------------------------------------------------------------------------- conv


@settings(max_examples=60)
@given(convolutions())
def test_conv_is_pytorchs(torch, case):
    shapes, options = case
    theirs = getattr(torch.nn.functional, f"conv{len(shapes[0]) - 2}d")
    ours = lambda x, w, b: kj.conv(x, w, b, **options)  # noqa: E731
    assert_like_torch(torch, ours, lambda x, w, b: theirs(x, w, b, **options), arrays(shapes))


@settings(max_examples=30)
@given(convolutions())
def test_second_derivatives_are_pytorchs(torch, case):
    """The gradient of ⟨∇f, v⟩, with f a sum of cubes, so that both factors move."""
    shapes, options = case
    given_ = arrays(shapes[:2])
    vs = arrays(shapes[:2], seed=1)
    theirs = getattr(torch.nn.functional, f"conv{len(shapes[0]) - 2}d")

    def inner(x, w):
        gs = kj.grad(lambda x, w: kj.sum(kj.conv(x, w, **options) ** 3), (0, 1))(x, w)
        return sum(kj.sum(g * v) for g, v in zip(gs, vs, strict=True))

    found = kj.grad(inner, (0, 1))(*given_)
    leaves = [torch.tensor(each, requires_grad=True) for each in given_]
    value = (theirs(*leaves, None, **options) ** 3).sum()
    gs = torch.autograd.grad(value, leaves, create_graph=True)
    total = sum((g * torch.tensor(v)).sum() for g, v in zip(gs, vs, strict=True))
    expected = torch.autograd.grad(total, leaves)
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, right.numpy(), rtol=1e-8, atol=1e-9)


@settings(max_examples=15)
@given(convolutions(), st.booleans())
def test_compiled_is_interpreted(case, transposed):
    shapes, options = case
    x, w, _ = arrays(shapes)
    if transposed:  # the roles of the channels are exchanged
        x = np.random.default_rng(2).standard_normal((x.shape[0], w.shape[0], *x.shape[2:]))
        options = {**options, "padding": 0}

    def step(x, w):
        y = (kj.conv_transpose if transposed else kj.conv)(x, w, **options)
        return kj.sum(y * y)

    both = kj.value_and_grad(step, (0, 1))
    value, gradients = both(x, w)
    compiled_value, compiled = kj.jit(both)(x, w)
    np.testing.assert_allclose(compiled_value, value, rtol=1e-10)
    for mine, right in zip(compiled, gradients, strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-9, atol=1e-9)


def test_derivatives_are_those_of_finite_differences():
    x, w = arrays([(2, 4, 5, 6), (6, 2, 3, 2)])
    options = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}
    assert deviation(lambda x, w: kj.conv(x, w, **options), x, w) < 1e-7
    assert deviation(lambda x, w: kj.conv_transpose(x, w, **options), x, w[:4]) < 1e-7


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's, on its own speed
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 5])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name_is_pytorchs(torch, padding, kernel, dilation):
    x, w = arrays([(2, 3, 14, 15), (4, 3, kernel, kernel - kernel // 3)])
    found = kj.conv(x, w, padding=padding, dilation=dilation)
    theirs = torch.nn.functional.conv2d
    expected = theirs(torch.tensor(x), torch.tensor(w), padding=padding, dilation=dilation)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    if padding == "same":
        assert found.shape[2:] == x.shape[2:]


def test_padding_in_pairs_is_padding_before():
    x, w = arrays([(2, 3, 8, 9), (4, 3, 3, 3)])
    found = kj.conv(x, w, padding=((1, 0), (0, 2)))
    wide = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 2)))
    np.testing.assert_allclose(found, kj.conv(wide, w), rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_no_images_and_single_ones(torch, n):
    x, w, b = arrays([(n, 2, 7, 5), (3, 2, 3, 3), (3,)])
    gx, gw = kj.grad(lambda x, w: kj.sum(kj.conv(x, w, b)), (0, 1))(x, w)
    assert (gx.shape, gw.shape) == (x.shape, w.shape)
    compiled = kj.jit(lambda x, w, b: kj.conv(x, w, b))(x, w, b)
    assert compiled.shape == kj.conv(x, w, b).shape == (n, 3, 5, 3)
    if n:
        np.testing.assert_allclose(kj.conv(x[0], w, b), compiled[0], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32"])
def test_every_dtype_gives_its_own(dtype):
    x, w = (kj.tensor(np.round(4 * each)).astype(dtype) for each in arrays([(1, 2, 6), (3, 2, 3)]))
    exact = kj.conv(x.astype("float64"), w.astype("float64"))
    for found in (kj.conv(x, w), kj.jit(kj.conv)(x, w)):
        assert found.dtype.name == dtype
        np.testing.assert_array_equal(found, exact.astype(dtype))


def test_a_mixture_of_dtypes_meets():
    x, w = arrays([(1, 2, 6), (3, 2, 3)])
    assert kj.conv(x.astype(np.float32), w).dtype.name == "float64"
    assert kj.conv(np.ones((1, 2, 6), np.uint8), w).dtype.name == "float64"


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 2)])
def test_vmap_is_one_after_the_other(axes, groups):
    count = 3
    x, w = arrays([(2, 4, 6, 5), (6, 4 // groups, 3, 2)])
    batch = [
        each if axis is None else np.stack([each * (i + 1) for i in range(count)], axis)
        for each, axis in zip((x, w), axes, strict=True)
    ]
    function = lambda x, w: kj.conv(x, w, stride=2, padding=1, groups=groups)  # noqa: E731
    found = kj.vmap(function, in_axes=axes)(*batch)
    for i in range(count):
        one = [
            each if axis is None else np.take(each, i, axis)
            for each, axis in zip(batch, axes, strict=True)
        ]
        np.testing.assert_allclose(found[i], function(*one), rtol=1e-10, atol=1e-12)


def test_a_gradient_for_each_example():
    x, w = arrays([(4, 3, 6, 5), (2, 3, 3, 3)])
    loss = lambda w, x: kj.sum(kj.conv(x, w) ** 2)  # noqa: E731
    found = kj.vmap(kj.grad(loss), in_axes=(None, 0))(w, x)
    for i in range(4):
        np.testing.assert_allclose(found[i], kj.grad(loss)(w, x[i]), rtol=1e-10)


# --------------------------------------------------------------------------- conv_transpose


@st.composite
def transposed(draw: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Shapes of x, weight and bias, and the options, of a transposed convolution that fits."""
    (x, w, _), options = draw(convolutions())
    groups = options["groups"]
    x = (x[0], w[0], *x[2:])
    limits = zip(options["stride"], options["dilation"], strict=True)
    more = tuple(draw(st.integers(0, max(pair) - 1)) for pair in limits)
    facts = zip(x[2:], w[2:], options["stride"], options["dilation"], more, strict=True)
    whole = [(n - 1) * s + d * (k - 1) + 1 + m for n, k, s, d, m in facts]
    pads = tuple(draw(st.integers(0, min(2, (n - 1) // 2))) for n in whole)
    options = {**options, "padding": pads, "output_padding": more}
    return (x, w, (w[1] * groups,)), options


@settings(max_examples=60)
@given(transposed())
def test_conv_transpose_is_pytorchs(torch, case):
    shapes, options = case
    theirs = getattr(torch.nn.functional, f"conv_transpose{len(shapes[0]) - 2}d")
    ours = lambda x, w, b: kj.conv_transpose(x, w, b, **options)  # noqa: E731
    assert_like_torch(torch, ours, lambda x, w, b: theirs(x, w, b, **options), arrays(shapes))


def test_it_is_the_transpose():
    """⟨conv(x), y⟩ = ⟨x, conv_transpose(y)⟩."""
    x, w = arrays([(2, 3, 11, 8), (5, 3, 3, 2)])
    options = {"stride": 2, "padding": 1}
    forward = kj.conv(x, w, **options)
    y = np.random.default_rng(5).standard_normal(forward.shape)
    back = kj.conv_transpose(y, w, **options)
    inner = kj.sum(forward * y).item()
    part = x[:, :, : back.shape[2], : back.shape[3]]
    assert back.shape == part.shape
    np.testing.assert_allclose(kj.sum(back * part).item(), inner, rtol=1e-12)


# -------------------------------------------------------------------------- unfold and fold


@settings(max_examples=40)
@given(
    st.tuples(*[st.integers(1, 4)] * 2), st.tuples(*[st.integers(1, 3)] * 2),
    st.tuples(*[st.integers(0, 2)] * 2), st.tuples(*[st.integers(1, 3)] * 2),
)  # fmt: skip
def test_unfold_and_fold_are_pytorchs(torch, kernel, dilation, padding, stride):
    x = np.random.default_rng(0).standard_normal((2, 3, 10, 11))
    functional = torch.nn.functional
    args = (kernel, dilation, padding, stride)
    assert_like_torch(torch, lambda v: unfold(v, *args), lambda v: functional.unfold(v, *args), [x])
    columns = unfold(x, *args).numpy()
    assert_like_torch(
        torch,
        lambda v: fold(v, (10, 11), *args),
        lambda v: functional.fold(v, (10, 11), *args),
        [columns],
    )


def test_unfold_over_one_and_three_axes():
    x = np.arange(2 * 3 * 4 * 4 * 4.0).reshape(2, 3, 4, 4, 4)
    columns = unfold(x, 2)
    assert columns.shape == (2, 3 * 8, 27)
    counts = fold(unfold(np.ones_like(x), 2), (4, 4, 4), 2)
    np.testing.assert_array_equal(fold(columns, (4, 4, 4), 2), x * counts.numpy())
    assert unfold(x[:, :, 0, 0], 3).shape == (2, 9, 2)


def test_the_functions_by_pytorchs_names():
    for count in (1, 2, 3):
        x, w = arrays([(2, 3, *(5,) * count), (4, 3, *(2,) * count)])
        y = getattr(F, f"conv{count}d")(x, w, stride=2)
        np.testing.assert_array_equal(y, kj.conv(x, w, stride=2))
        back = getattr(F, f"conv_transpose{count}d")(y, w, stride=2)
        np.testing.assert_array_equal(back, kj.conv_transpose(y, w, stride=2))
    with pytest.raises(ShapeError, match="conv1d with a weight of shape"):
        F.conv1d(x, w)
    single = F.unfold(np.ones((3, 4, 5)), 2)
    np.testing.assert_array_equal(F.fold(single, (4, 5), 2).shape, (3, 4, 5))


# ----------------------------------------------------------------------------------- errors

WRONG: list[tuple[Any, type[Exception], str, str]] = [
    (lambda: kj.conv(np.ones((1, 3, 8, 8)), np.ones((4, 2, 3, 3))), ShapeError,
     r"has 3 channels, the weight takes 2", "axis 1 of the input is axis 1 of the weight"),
    (lambda: kj.conv(np.ones((8, 8)), np.ones((4, 2, 3, 3))), ShapeError,
     r"conv of x \[8, 8\] by a weight of \[4, 2, 3, 3\]", "as many axes as the weight"),
    (lambda: kj.conv(np.ones((1, 2, 2, 8)), np.ones((4, 2, 3, 3))), ShapeError,
     r"a kernel that covers \[3, 3\] does not fit into \[2, 8\]", "pad more"),
    (lambda: kj.conv(np.ones((1, 2, 8)), np.ones((4, 2, 3)), np.ones(3)), ShapeError,
     r"a bias of shape \[3\] for 4 output channels", r"shape \[4\]"),
    (lambda: kj.conv(np.ones((1, 4, 8)), np.ones((3, 2, 3)), groups=2), ShapeError,
     r"2 groups of 3 output channels", "the groups divide the channels"),
    (lambda: kj.conv(np.ones((1, 2, 8)), np.ones((4, 2, 3)), stride=(1, 2)), UsageError,
     r"over 1 spatial axes with stride=\(1, 2\)", "one number, or 1 of them"),
    (lambda: kj.conv(np.ones((1, 2, 8)), np.ones((4, 2, 3)), stride=0), UsageError,
     "stride=0", "stride is 1 or more"),
    (lambda: kj.conv(np.ones((1, 2, 8)), np.ones((4, 2, 3)), stride=2, padding="same"), UsageError,
     "padding='same' and stride", "only stride 1 can"),
    (lambda: kj.conv(np.ones((1, 2, 8)), np.ones((4, 2, 3)), padding="full"), UsageError,
     "padding='full'", "'same' or 'valid'"),
    (lambda: kj.conv(np.ones((1, 2, 8), bool), np.ones((4, 2, 3), bool)), DtypeError,
     "convolution does not take bool", "cast to one of"),
    (lambda: kj.conv_transpose(np.ones((1, 2, 8)), np.ones((3, 2, 3))), ShapeError,
     r"conv_transpose of x \[1, 2, 8\] by a weight of \[3, 2, 3\]", r"\(in, out/groups, …\)"),
    (lambda: kj.conv_transpose(np.ones((1, 2, 8)), np.ones((2, 2, 3)), None, 1, 0, 1), UsageError,
     r"output_padding \[1\], stride \[1\]", "less than the stride or the dilation"),
    (lambda: fold(np.ones((1, 8, 5)), (4, 4), 2), ShapeError,
     r"fold of shape \[1, 8, 5\] with windows of \[2, 2\] at \[3, 3\] places", r"\(N, C·4, 9\)"),
    (lambda: unfold(np.ones((1, 8)), 2), ShapeError, r"unfold of shape \[1, 8\]", "(N, C, …)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "what", "fix"), WRONG)
def test_errors_name_shapes_and_the_fix(call, kind, what, fix):
    with pytest.raises(kind, match=what) as error:
        call()
    assert error.value.where is not None
    assert "test_front_convolution.py" in error.value.where
    assert fix.replace("\\", "") in error.value.fix
