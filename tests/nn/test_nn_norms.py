"""Norms against PyTorch: outputs, gradients, running statistics after several steps."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError
from kedja.nn import functional
from tests.nn.layers import assert_like, assert_same_compiled, loaded, normal, trained

BATCH = {
    "BatchNorm1d": ("BatchNorm1d", (3,), {}, (5, 3)),
    "BatchNorm1d of signals": ("BatchNorm1d", (3,), {}, (5, 3, 4)),
    "BatchNorm2d": ("BatchNorm2d", (3,), {}, (2, 3, 4, 5)),
    "BatchNorm3d": ("BatchNorm3d", (2,), {}, (2, 2, 3, 2, 3)),
    "not affine": ("BatchNorm2d", (3,), {"affine": False}, (2, 3, 4, 5)),
    "without tracking": ("BatchNorm2d", (3,), {"track_running_stats": False}, (2, 3, 4, 5)),
    "without bias": ("BatchNorm1d", (3,), {"bias": False}, (5, 3)),
    "averages": ("BatchNorm1d", (3,), {"momentum": None, "eps": 1e-2}, (5, 3)),
    "InstanceNorm1d": ("InstanceNorm1d", (3,), {"affine": True}, (5, 3, 4)),
    "InstanceNorm2d": ("InstanceNorm2d", (3,), {}, (2, 3, 4, 5)),
    "InstanceNorm3d": ("InstanceNorm3d", (2,), {}, (2, 2, 3, 2, 3)),
    "alone": ("InstanceNorm2d", (3,), {"affine": True}, (3, 4, 5)),
    "tracked": ("InstanceNorm2d", (3,), {"track_running_stats": True}, (2, 3, 4, 5)),
}
PLAIN = {
    "LayerNorm": ("LayerNorm", (6,), {}, (4, 6)),
    "LayerNorm of two axes": ("LayerNorm", ((3, 6),), {"eps": 1e-3}, (2, 4, 3, 6)),
    "LayerNorm without bias": ("LayerNorm", (6,), {"bias": False}, (4, 6)),
    "LayerNorm alone": ("LayerNorm", (6,), {"elementwise_affine": False}, (6,)),
    "RMSNorm": ("RMSNorm", (6,), {}, (4, 6)),
    "RMSNorm with eps": ("RMSNorm", ((3, 6),), {"eps": 0.1}, (2, 3, 6)),
    "GroupNorm": ("GroupNorm", (2, 6), {}, (3, 6, 4)),
    "GroupNorm of rows": ("GroupNorm", (3, 6), {"affine": False}, (4, 6)),
    "LocalResponseNorm": ("LocalResponseNorm", (3,), {"alpha": 0.5, "k": 2.0}, (2, 5, 4)),
    "LocalResponseNorm even": ("LocalResponseNorm", (4,), {"alpha": 0.5}, (2, 3, 4, 2)),
}


def scrambled(torch, layer):
    """PyTorch's layer with weights that are not those of its start."""
    with torch.no_grad():
        for place, (name, each) in enumerate(layer.state_dict().items()):
            if each.is_floating_point():
                drawn = torch.tensor(normal(*each.shape, seed=place)).to(each.dtype)
                each.copy_(drawn.abs() + 0.5 if "var" in name else drawn)
    return layer


def pair(torch, case, cases):
    name, sizes, options, shape = cases[case]
    theirs = scrambled(torch, getattr(torch.nn, name)(*sizes, **options))
    return getattr(nn, name)(*sizes, **options), theirs, normal(*shape)


@pytest.mark.parametrize("case", [*BATCH, *PLAIN])
def test_inference_equals_pytorchs(case):
    torch = pytest.importorskip("torch")
    ours, theirs, x = pair(torch, case, BATCH if case in BATCH else PLAIN)
    assert_like(torch, ours, theirs, x)


@pytest.mark.parametrize("case", BATCH)
def test_training_equals_pytorchs(case):
    torch = pytest.importorskip("torch")
    ours, theirs, x = pair(torch, case, BATCH)
    assert_like(torch, ours, theirs, x, train=True)


@pytest.mark.parametrize("case", BATCH)
def test_running_statistics_equal_pytorchs_after_several_steps(case):
    torch = pytest.importorskip("torch")
    ours, theirs, x = pair(torch, case, BATCH)
    ours = loaded(ours, theirs)
    for step in range(4):
        batch = x * (step + 1) + step
        theirs.train()(torch.tensor(batch))
        with nn.training() as state:
            ours(batch)
        ours = state.updated(ours)
    for name, each in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[name], each.numpy(), rtol=1e-12)
    expected = theirs.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(x), expected, rtol=1e-9)
    theirs.load_state_dict({k: torch.tensor(v) for k, v in ours.state_dict().items()})


@pytest.mark.parametrize("case", BATCH)
def test_compiled_equals_interpreted(case):
    name, sizes, options, shape = BATCH[case]
    layer = getattr(nn, name)(*sizes, **options).astype(kj.float64)
    assert_same_compiled(trained(lambda m, x: m(x)), layer, normal(*shape))
    assert_same_compiled(
        lambda m, x: kj.grad(lambda x: kj.sum(m(x) ** 3))(x), layer, normal(*shape)
    )


def test_functions_equal_pytorchs():
    torch = pytest.importorskip("torch")
    x, t = normal(4, 3, 5), torch.tensor(normal(4, 3, 5))
    mean, var, weight, bias = normal(3), normal(3) ** 2, normal(3, seed=1), normal(3, seed=2)
    theirs = [torch.tensor(each) for each in (mean, var, weight, bias)]
    for training in (False, True):
        found = functional.batch_norm(x, mean, var, weight, bias, training)
        copies = [each.clone() for each in theirs]
        expected = torch.nn.functional.batch_norm(t, *copies, training)
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9)
    expected = torch.nn.functional.instance_norm(t, weight=theirs[2], bias=theirs[3])
    np.testing.assert_allclose(
        functional.instance_norm(x, weight=weight, bias=bias), expected, rtol=1e-9
    )


def test_half_inputs_are_normalised_in_float32_and_rounded_once():
    x = normal(64, 4).astype(np.float32) + 100
    layer = nn.LayerNorm(4)
    wide = layer(kj.tensor(x).astype(kj.bfloat16).astype(kj.float32)).astype(kj.bfloat16)
    found = layer(kj.tensor(x).astype(kj.bfloat16))
    assert found.dtype == kj.bfloat16
    np.testing.assert_array_equal(found.numpy(), wide.numpy())
    norm = nn.BatchNorm1d(4)
    with nn.training() as state:
        y = norm(kj.tensor(x).astype(kj.float16))
    assert y.dtype == kj.float16
    assert state.updated(norm).running_mean.dtype == kj.float32
    assert state.updated(norm).running_mean.numpy().mean() == pytest.approx(10, rel=0.01)


# ---------------------------------------------------------------------------------- errors


def test_one_element_in_training_is_an_error():
    with nn.training(), pytest.raises(ShapeError, match="over one element in training") as error:
        nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))(np.ones((1, 3), np.float32))
    assert "layer 1 (BatchNorm1d)" in str(error.value)
    nn.BatchNorm1d(2)(np.ones((1, 2), np.float32))  # inference takes one


def test_a_batch_without_examples_changes_no_statistics():
    norm = nn.BatchNorm1d(2)
    with nn.training() as state:
        assert norm(np.ones((0, 2), np.float32)).shape == (0, 2)
    updated = state.updated(norm)
    assert updated.num_batches_tracked.item() == 1
    assert updated.running_mean.tolist() == [0, 0]


@pytest.mark.parametrize(
    "layer, shape, text",
    [
        (nn.BatchNorm1d(3), (4, 2), "expects 3 channels in axis 1"),
        (nn.BatchNorm2d(3), (4, 3), r"expects \(N, C, H, W\), got shape \[4, 3\]"),
        (nn.InstanceNorm1d(3), (4, 3, 2, 2), r"expects \(N, C, L\) or \(C, L\)"),
        (nn.LayerNorm(3), (4, 2), r"layer_norm over \[3\] of shape \[4, 2\]"),
        (nn.RMSNorm((2, 3)), (3,), r"rms_norm over \[2, 3\] of shape \[3\]"),
        (nn.GroupNorm(2, 4), (4, 2), r"expects \(N, 4, …\)"),
    ],
)
def test_other_shapes_are_errors(layer, shape, text):
    with pytest.raises(ShapeError, match=text):
        layer(np.ones(shape, np.float32))


def test_options_that_do_not_fit_are_errors():
    with pytest.raises(UsageError, match="4 channels in 3 groups"):
        nn.GroupNorm(3, 4)
    with pytest.raises(UsageError, match="num_features=0"):
        nn.BatchNorm1d(0)
    with pytest.raises(UsageError, match="normalized_shape"):
        nn.LayerNorm(())


def test_layers_print_as_pytorchs():
    torch = pytest.importorskip("torch")
    for case in BATCH:
        name, sizes, options, _ = BATCH[case]
        theirs = getattr(torch.nn, name)(*sizes, **options)
        assert getattr(nn, name)(*sizes, **options).extra_repr() == theirs.extra_repr()
