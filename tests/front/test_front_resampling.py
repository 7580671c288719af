"""Interpolation, shuffles and borders against PyTorch in float64: values, gradients, options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.front.borders import pad
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import functional as F  # noqa: N812
from tests.nn.compare import assert_like_torch, deviation

MODES = [
    (1, "nearest"), (2, "nearest"), (3, "nearest"), (1, "nearest-exact"), (2, "nearest-exact"),
    (1, "linear"), (2, "bilinear"), (3, "trilinear"), (2, "bicubic"), (1, "area"), (2, "area"),
]  # fmt: skip


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


def array(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# ------------------------------------------------------------------------------ interpolate


@settings(max_examples=150)
@given(st.sampled_from(MODES), st.data())
def test_interpolate_is_pytorchs(torch, known, data):
    count, mode = known
    old = [data.draw(st.integers(1, 9)) for _ in range(count)]
    options: dict[str, Any] = {"mode": mode}
    if data.draw(st.booleans()):
        options["size"] = tuple(data.draw(st.integers(1, 13)) for _ in range(count))
    else:
        scales = st.sampled_from([0.5, 1.5, 2, 2.7, 3, 1 / 3 + 0.01])
        scale = [data.draw(scales) for _ in range(count)]
        old = [max(n, 3) for n in old]
        options["scale_factor"] = tuple(map(float, scale))
        options["recompute_scale_factor"] = data.draw(st.sampled_from([None, False, True]))
    if mode not in ("nearest", "nearest-exact", "area"):
        options["align_corners"] = data.draw(st.booleans())
        if count == 2 and not options["align_corners"]:
            options["antialias"] = data.draw(st.booleans())
    theirs = torch.nn.functional.interpolate
    x = array((2, 2, *old))
    if kj.interpolate(x, **options).shape[-1] == 1:  # PyTorch 2.13 repeats the first row then
        options.pop("antialias", None)
    assert_like_torch(
        torch, lambda v: kj.interpolate(v, **options), lambda v: theirs(v, **options), [x], 1e-7
    )


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("scale", [0.3, 0.7, 1.1, 1.9, 3.3])
def test_float32_rounds_places_as_pytorch_does(torch, mode, scale):
    x = array((1, 2, 30, 41)).astype(np.float32)
    theirs = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=scale, mode=mode)
    found = kj.interpolate(x, scale_factor=scale, mode=mode)
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=2e-5)


@settings(max_examples=15)
@given(st.sampled_from(MODES), st.data())
def test_compiled_is_interpreted(known, data):
    count, mode = known
    x = array((2, 2, *[data.draw(st.integers(1, 9)) for _ in range(count)]))
    size = tuple(data.draw(st.integers(1, 13)) for _ in range(count))
    both = kj.value_and_grad(lambda v: kj.sum(kj.interpolate(v, size, mode=mode) ** 2))
    for mine, right in zip(kj.jit(both)(x), both(x), strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-11, atol=1e-12)


def test_derivatives_are_those_of_finite_differences():
    x = array((1, 2, 5, 6))
    for mode in ("nearest", "bilinear", "bicubic", "area"):
        assert deviation(lambda v, m=mode: kj.interpolate(v, (7, 4), mode=m) ** 2, x) < 1e-6


def test_integers_are_picked_and_infinities_stay_where_they_are():
    picture = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    larger = kj.interpolate(picture, scale_factor=2)
    assert larger.dtype == kj.uint8
    np.testing.assert_array_equal(larger, picture.repeat(2, 2).repeat(2, 3))
    row = kj.interpolate(np.float32([[[1, np.inf, 2, 3]]]), 8, mode="linear").numpy()
    assert np.isfinite(row[0, 0, [0, 5, 6, 7]]).all()


def test_the_older_names(torch):
    x = array((1, 2, 4, 5))
    functional = torch.nn.functional
    for name, options in (("upsample_nearest", {}), ("upsample_bilinear", {}), ("upsample", {})):
        with pytest.warns(UserWarning, match="deprecated"):
            expected = getattr(functional, name)(torch.tensor(x), scale_factor=2, **options)
        found = getattr(F, name)(x, scale_factor=2, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


# --------------------------------------------------------------------------------- shuffles


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_shuffles_are_pytorchs(torch, lead):
    functional = torch.nn.functional
    x = array((*lead, 12, 4, 6))
    for name in ("pixel_shuffle", "pixel_unshuffle"):
        ours, theirs = getattr(kj, name), getattr(functional, name)
        assert_like_torch(torch, lambda v, f=ours: f(v, 2), lambda v, f=theirs: f(v, 2), [x])
    np.testing.assert_array_equal(kj.pixel_unshuffle(kj.pixel_shuffle(x, 2), 2), x)
    if len(lead) == 1:
        expected = torch.nn.ChannelShuffle(3)(torch.tensor(x))
        np.testing.assert_array_equal(kj.channel_shuffle(x, 3), expected)


# ---------------------------------------------------------------------------------- borders


@settings(max_examples=80)
@given(st.sampled_from(["constant", "reflect", "replicate", "circular"]), st.data())
def test_pad_is_pytorchs(torch, mode, data):
    rank = data.draw(st.integers(2, 5))
    count = data.draw(st.integers(1, rank)) if mode == "constant" else max(1, rank - 2)
    shape = tuple(data.draw(st.integers(3, 6)) for _ in range(rank))
    widths = tuple(data.draw(st.integers(-1, 2)) for _ in range(2 * count))
    options = {"mode": mode}
    if mode == "constant":
        options["value"] = data.draw(st.sampled_from([None, 1.5]))
    theirs = torch.nn.functional.pad
    assert_like_torch(
        torch,
        lambda v: pad(v, widths, **options),
        lambda v: theirs(v, widths, **options),
        [array(shape)],
    )


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_borders_compile(mode):
    x = array((2, 3, 5, 6))
    both = kj.value_and_grad(lambda v: kj.sum(pad(v, (2, 1, -1, 3), mode) ** 2))
    for mine, right in zip(kj.jit(both)(x), both(x), strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-12, atol=1e-13)


def test_borders_of_any_axes_and_dtypes():
    x = np.arange(4, dtype=np.int16)
    np.testing.assert_array_equal(pad(x, (3, 3), "reflect"), np.pad(x, 3, "reflect"))
    np.testing.assert_array_equal(pad(x, (4, 4), "circular"), np.pad(x, 4, "wrap"))
    np.testing.assert_array_equal(pad(x, (9, 0), "replicate"), np.pad(x, (9, 0), "edge"))
    assert pad(x, (1, 1), "reflect").dtype == kj.int16
    np.testing.assert_array_equal(pad(x, ()), x)
    np.testing.assert_array_equal(pad(np.array([True]), (1, 0), value=True), [True, True])


# ----------------------------------------------------------------------------------- errors

X = np.ones((1, 2, 4, 4))
WRONG: list[tuple[Any, type[Exception], str, str]] = [
    (lambda: kj.interpolate(X), UsageError, "size=None and scale_factor=None", "give one"),
    (lambda: kj.interpolate(X, 8, 2), UsageError, "size=8 and scale_factor=2", "give one"),
    (lambda: kj.interpolate(X, 8, mode="linear"), UsageError, "mode='linear'", "bilinear"),
    (lambda: kj.interpolate(X, 8, mode="bilinea"), UsageError, "mode='bilinea'", "bilinear"),
    (lambda: kj.interpolate(X, 8, align_corners=True), UsageError, "align_corners", "belongs to"),
    (lambda: kj.interpolate(X, 8, antialias=True), UsageError, "antialias", "bicubic"),
    (lambda: kj.interpolate(X, (1, 2, 3)), UsageError, "2 spatial axes", "or 2 of them"),
    (lambda: kj.interpolate(X, scale_factor=-1), UsageError, "scale_factor=-1", "above 0"),
    (lambda: kj.interpolate(X, scale_factor=0.1), UsageError, "size", "1 or more"),
    (lambda: kj.interpolate(X[0, 0], 8), ShapeError, r"\[4, 4\]", "(N, C, …)"),
    (lambda: kj.pixel_shuffle(X, 2), ShapeError, r"\[1, 2, 4, 4\] by 2", "multiple of 4"),
    (lambda: kj.pixel_unshuffle(X, 3), ShapeError, "by 3", "multiples of 3"),
    (lambda: kj.channel_shuffle(X, 3), ShapeError, "2 channels in 3 groups", "divide"),
    (lambda: pad(X, (4, 0), "reflect"), ShapeError, "reflect padding of axis 3", "at most 3"),
    (lambda: pad(X, (5, 0), "circular"), ShapeError, "circular padding of axis 3", "at most 4"),
    (lambda: pad(X, (1, 0, 1)), UsageError, r"by \[1, 0, 1\]", "(before, behind)"),
    (lambda: pad(X, (1, 0), "mirror"), UsageError, "mode='mirror'", ""),
    (lambda: pad(X, (1, 0), "reflect", 2.0), UsageError, "value=2.0", "belongs to"),
    (lambda: pad(X, (-3, -3)), ShapeError, "more than there is", "leave something"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "what", "fix"), WRONG)
def test_errors_name_shapes_and_the_fix(call, kind, what, fix):
    with pytest.raises(kind, match=what) as error:
        call()
    assert error.value.where is not None
    assert fix in error.value.fix
