"""Layers without weights over spatial axes, against PyTorch's of the same names and arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError
from tests.nn.compare import assert_like_torch


@pytest.fixture(scope="module")
def torch() -> Any:
    return pytest.importorskip("torch")


def pools(count: int) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Pooling layers over so many axes."""
    found = [
        ("MaxPool", (2,), {}),
        ("MaxPool", (3, 2, 1), {"dilation": 1, "ceil_mode": True}),
        ("AvgPool", (3, 2, 1, True, False), {}),
        ("AvgPool", (2,), {}),
        ("LPPool", (2, 2), {"stride": 1}),
        ("AdaptiveAvgPool", (4,), {}),
        ("AdaptiveMaxPool", (4,), {}),
    ]
    return [(f"{name}{count}d", args, options) for name, args, options in found]


def pads(count: int) -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Padding layers over so many axes."""
    sides = tuple(range(1, 2 * count + 1))
    small = tuple(each % 3 for each in sides)
    kinds = ("ReflectionPad", "ReplicationPad", "ZeroPad", "CircularPad")
    found = [(f"{kind}{count}d", (width,), {}) for kind in kinds for width in (2, small)]
    return [*found, (f"ConstantPad{count}d", (sides, 1.5), {})]


OTHERS = [
    ("Upsample", (), {"scale_factor": 2}),
    ("Upsample", ((3, 11),), {"mode": "bicubic", "align_corners": True}),
    ("UpsamplingNearest2d", (), {"scale_factor": 2}),
    ("UpsamplingBilinear2d", (), {"size": (4, 9)}),
    ("PixelShuffle", (2,), {}),
    ("PixelUnshuffle", (3,), {}),
    ("ChannelShuffle", (2,), {}),
    ("Unfold", (3,), {"dilation": 2, "padding": 1, "stride": 2}),
]
LAYERS = [
    *((count, each) for count in (1, 2, 3) for each in (*pools(count), *pads(count))),
    *((2, each) for each in OTHERS),
]


@pytest.mark.parametrize(
    ("count", "made"), LAYERS, ids=lambda each: getattr(each, "__getitem__", str)(0)
)
def test_the_layer_is_pytorchs(torch, count, made):
    name, args, options = made
    ours, theirs = getattr(nn, name)(*args, **options), getattr(torch.nn, name)(*args, **options)
    x = np.random.default_rng(0).standard_normal((2, 4, *(6, 9, 6)[:count]))
    assert_like_torch(torch, ours, theirs, [x])
    if name not in ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", "ChannelShuffle"):
        np.testing.assert_allclose(ours(x[0]), theirs(torch.tensor(x[0])), rtol=1e-12)
    np.testing.assert_allclose(kj.jit(ours)(x), ours(x), rtol=1e-11, atol=1e-12)
    assert ours.num_parameters == 0


def test_fold_undoes_unfold_but_for_the_overlaps(torch):
    ours, theirs = (lib.Fold((6, 9), 3, padding=1, stride=3) for lib in (nn, torch.nn))
    x = np.random.default_rng(0).standard_normal((2, 4, 6, 9))
    columns = nn.Unfold(3, padding=1, stride=3)(x).numpy()
    assert_like_torch(torch, ours, theirs, [columns])
    np.testing.assert_array_equal(ours(columns[0]), ours(columns)[0])


def test_indices_come_with_the_maxima(torch):
    x = np.random.default_rng(0).integers(0, 4, (2, 3, 7, 8)).astype(float)
    for name in ("MaxPool2d", "AdaptiveMaxPool2d"):
        ours, theirs = (getattr(lib, name)(3, return_indices=True) for lib in (nn, torch.nn))
        for mine, right in zip(ours(x), theirs(torch.tensor(x)), strict=True):
            np.testing.assert_array_equal(mine, right)
        assert [each.shape for each in ours(x[0])] == [each.shape[1:] for each in ours(x)]


def test_settings_are_fields_and_print():
    layer = nn.MaxPool2d(3, stride=2)
    assert layer.replace(padding=1)(np.zeros((1, 1, 7, 7))).shape == (1, 1, 4, 4)
    assert str(nn.ZeroPad2d(1)) == "ZeroPad2d((1, 1, 1, 1))"
    assert str(nn.ConstantPad1d(1, 2.0)) == "ConstantPad1d(padding=(1, 1), value=2.0)"
    assert "kernel_size=3" in str(layer)


@pytest.mark.parametrize(
    ("layer", "shape", "what"),
    [
        (nn.MaxPool2d(2), (8, 8), r"MaxPool2d: expects inputs \(N, C, H, W\) or \(C, H, W\)"),
        (
            nn.AvgPool1d(2),
            (8,),
            r"AvgPool1d: expects inputs \(N, C, L\) or \(C, L\), got shape \[8\]",
        ),
        (nn.ReflectionPad2d(1), (8, 8), r"ReflectionPad2d: expects inputs \(N, C, H, W\)"),
        (nn.ReflectionPad1d(8), (1, 1, 8), "reflect padding of axis 2"),
        (nn.Unfold(2), (8, 8), "Unfold: expects inputs"),
        (nn.Fold(4, 2), (8,), "Fold: expects inputs"),
        (nn.MaxPool2d(9), (1, 1, 8, 8), r"max_pool of shape \[1, 1, 8, 8\]"),
        (nn.PixelShuffle(3), (1, 8, 2, 2), r"pixel_shuffle of shape \[1, 8, 2, 2\] by 3"),
    ],
)
def test_errors_name_the_layer_and_the_shapes(layer, shape, what):
    with pytest.raises(ShapeError, match=what) as error:
        layer(np.zeros(shape, np.float32))
    assert type(layer).__name__ in str(error.value)


def test_widths_fit_the_axes():
    with pytest.raises(UsageError, match="ZeroPad2d over 4"):
        nn.ZeroPad2d((1, 2, 3))
