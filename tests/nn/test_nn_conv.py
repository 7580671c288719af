"""Convolution layers against PyTorch: weights exchanged, values, gradients, starts, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja import nn
from kedja.ground.errors import ShapeError, UsageError


@pytest.fixture(scope="module")
def torch() -> Any:
    found = pytest.importorskip("torch")
    found.set_num_threads(1)
    return found


def both(torch: Any, name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """PyTorch's layer in float64, and ours with its weights."""
    theirs = getattr(torch.nn, name)(*args, **options).double()
    ours = getattr(nn, name)(*args, **options).astype(kj.float64)
    return ours.load_state_dict(theirs.state_dict()), theirs


def assert_same(torch: Any, ours: Any, theirs: Any, x: np.ndarray, **call: Any) -> None:
    """Outputs, and the gradients of a weighted sum of them, towards x and all parameters."""
    leaf = torch.tensor(x, requires_grad=True)
    expected = theirs(leaf, **call)
    np.testing.assert_allclose(ours(x, **call), expected.detach(), rtol=1e-9, atol=1e-11)
    weight = np.linspace(-1, 1, expected.numel()).reshape(expected.shape)
    (expected * torch.tensor(weight)).sum().backward()
    loss = lambda layer, v: kj.sum(layer(v, **call) * weight)  # noqa: E731
    gradient, towards = kj.grad(loss, (0, 1))(ours, x)
    np.testing.assert_allclose(towards, leaf.grad, rtol=1e-9, atol=1e-11)
    right = {name: each.grad.numpy() for name, each in theirs.named_parameters()}
    found = dict(gradient.parameters())
    assert list(found) == list(right)
    for name, each in found.items():
        np.testing.assert_allclose(each, right[name], rtol=1e-9, atol=1e-11)


@st.composite
def layers(draw: Any) -> tuple[int, tuple[int, ...], dict[str, Any]]:
    """The spatial axes, (in, out, kernel) and options of a layer."""
    count, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2]))
    channels = [groups * draw(st.integers(1, 3)) for _ in range(2)]
    number = lambda low, high: draw(  # noqa: E731
        st.integers(low, high) | st.tuples(*[st.integers(low, high)] * count)
    )
    options = {
        "stride": number(1, 2),
        "padding": number(0, 2),
        "dilation": number(1, 2),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return count, (*channels, number(1, 3)), options


# ------------------------------------------------------------------------------------- Conv


@settings(max_examples=40)
@given(layers(), st.sampled_from(["zeros", "reflect", "replicate", "circular"]), st.booleans())
def test_convolutions_are_pytorchs(torch, case, mode, single):
    count, args, options = case
    ours, theirs = both(torch, f"Conv{count}d", *args, **options, padding_mode=mode)
    x = np.random.default_rng(0).standard_normal((2, args[0], *(7, 6, 8)[:count]))
    assert_same(torch, ours, theirs, x[0] if single else x)


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # PyTorch's, on its own speed
@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect"])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [3, (2, 3)])
def test_padding_by_name(torch, padding, mode, kernel):
    options = {"padding": padding, "padding_mode": mode, "dilation": (2, 1)}
    ours, theirs = both(torch, "Conv2d", 2, 3, kernel, **options)
    assert_same(torch, ours, theirs, np.random.default_rng(0).standard_normal((2, 2, 7, 6)))


@settings(max_examples=40)
@given(layers(), st.data())
def test_transposed_convolutions_are_pytorchs(torch, case, data):
    count, args, options = case
    options["padding"] = 0
    limit = zip(*(np.broadcast_to(options[n], count) for n in ("stride", "dilation")), strict=True)
    more = tuple(data.draw(st.integers(0, int(max(pair)) - 1)) for pair in limit)
    ours, theirs = both(torch, f"ConvTranspose{count}d", *args, **options, output_padding=more)
    x = np.random.default_rng(0).standard_normal((2, args[0], *(4, 5, 3)[:count]))
    assert_same(torch, ours, theirs, x[0] if data.draw(st.booleans()) else x)


@pytest.mark.parametrize("size", [(7, 8), (2, 3, 8, 9), (8, 8)])
def test_the_size_of_a_transposed_output_can_be_named(torch, size):
    ours, theirs = both(torch, "ConvTranspose2d", 2, 3, 3, stride=2, padding=1)
    x = np.random.default_rng(0).standard_normal((2, 2, 4, 5 if size[-1] == 9 else 4))
    if size == (7, 8) or len(size) == 4 or size == (8, 8):
        assert_same(torch, ours, theirs, x, output_size=size)
    with pytest.raises(ShapeError, match=r"gives \[7, 7\] to \[8, 8\], not \[9, 7\]"):
        ours(x[..., :4], output_size=(9, 7))


def test_the_layers_start_as_pytorchs():
    layer = nn.Conv2d(16, 200, 5, groups=2, key=kj.random.key(0))
    bound = 1 / np.sqrt(8 * 25)
    for values in (layer.weight.numpy(), layer.bias.numpy()):
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.98 * bound
        assert abs(values.std() - bound / np.sqrt(3)) < 0.06 * bound
    assert layer.weight.shape == (200, 8, 5, 5)
    back = nn.ConvTranspose2d(16, 200, 5, groups=2, key=kj.random.key(0))
    assert back.weight.shape == (16, 100, 5, 5)
    assert 0.98 < np.abs(back.bias.numpy()).max() * np.sqrt(100 * 25) <= 1


def test_the_key_decides_the_weights_and_an_initialiser_draws_them():
    first, second = (nn.Conv1d(3, 2, 3, key=kj.random.key(5)) for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
    layer = nn.Conv3d(2, 3, 2, init=nn.init.ones)
    np.testing.assert_array_equal(layer.weight, np.ones((3, 2, 2, 2, 2)))
    np.testing.assert_array_equal(layer.bias, np.zeros(3))


def test_layers_print_as_pytorchs(torch):
    for name, args, options in (
        ("Conv1d", (3, 4, 5), {}),
        ("Conv2d", (3, 6, 3), {"stride": 2, "padding": 1, "groups": 3, "bias": False}),
        ("Conv2d", (3, 6, (3, 1)), {"padding": "same", "dilation": 2, "padding_mode": "reflect"}),
        ("ConvTranspose3d", (4, 2, 2), {"stride": 2, "output_padding": 1}),
    ):
        ours, theirs = both(torch, name, *args, **options)
        words = lambda layer: sorted(str(layer).replace("'", "").split(", "))  # noqa: E731
        assert words(ours) == words(theirs)


def test_pictures_of_bytes_and_halves():
    layer = nn.Conv2d(1, 2, 3)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 8, 8), dtype=np.uint8)
    assert layer(pixels).dtype == kj.float32
    assert layer.astype("bfloat16")(kj.tensor(pixels).astype("bfloat16")).dtype == kj.bfloat16


def test_a_network_compiles_and_learns(torch):
    """A step of training: compiled, interpreted and PyTorch's are the same."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 3), nn.Flatten(),
        nn.Linear(3 * 2 * 2, 5),
    ).astype(kj.float64)  # fmt: skip
    other = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 3, 3), torch.nn.Flatten(), torch.nn.Linear(3 * 2 * 2, 5),
    ).double()  # fmt: skip
    net = net.load_state_dict(other.state_dict())
    x = np.random.default_rng(0).standard_normal((6, 1, 8, 8))
    labels = np.arange(6) % 5
    loss = torch.nn.functional.cross_entropy(other(torch.tensor(x)), torch.tensor(labels))
    loss.backward()
    right = [each.grad.numpy() for each in other.parameters()]
    step = kj.value_and_grad(lambda model: nn.cross_entropy(model(x), labels))
    for function in (step, kj.jit(step)):
        value, gradient = function(net)
        np.testing.assert_allclose(value.item(), loss.item(), rtol=1e-12)
        for (_, mine), expected in zip(gradient.parameters(), right, strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-12)


# ----------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("layer", "shape", "fix"),
    [
        (nn.Conv2d(3, 4, 3), (2, 32, 32, 3), "kj.permute_dims(x, (0, 3, 1, 2))"),
        (nn.Conv2d(1, 4, 3), (2, 32, 32), "kj.expand_dims(x, 1)"),
        (nn.Conv2d(3, 4, 3), (2, 5, 32, 32), "in_channels=5"),
        (nn.Conv2d(3, 4, 3), (32, 32), "the input has 4 axes, or 3"),
        (nn.ConvTranspose1d(3, 4, 3), (2, 5, 32), "in_channels=5"),
    ],
)
def test_wrong_inputs_get_the_fix_that_fits(layer, shape, fix):
    with pytest.raises(ShapeError) as error:
        layer(np.zeros(shape, np.float32))
    name = type(layer).__name__
    assert f"{name}: expects inputs (N, C" in str(error.value)
    assert f"with C = {layer.in_channels}, got shape {list(shape)}" in str(error.value)
    assert fix in error.value.fix


def test_an_error_inside_a_network_names_the_layer():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 9))
    with pytest.raises(ShapeError, match=r"in layer 1.*covers \[9, 9\] does not fit into \[6, 6\]"):
        net(np.zeros((1, 1, 8, 8), np.float32))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: nn.Conv2d(0, 2, 3), "in_channels=0"),
        (lambda: nn.Conv2d(2, 2, 0), "kernel_size=0"),
        (lambda: nn.Conv2d(2, 2, (3, 3, 3)), "over 2 spatial axes"),
        (lambda: nn.Conv2d(2, 3, 3, groups=2), "out_channels=3 and groups=2"),
        (lambda: nn.Conv2d(3, 2, 3, groups=2), "in_channels=3 and groups=2"),
        (lambda: nn.Conv2d(2, 2, 3, padding_mode="zero"), "padding_mode='zero'"),
        (lambda: nn.Conv2d(2, 2, 3, padding="full"), "padding='full'"),
        (lambda: nn.Conv2d(2, 2, 3, stride=2, padding="same"), "padding='same' and stride"),
        (lambda: nn.ConvTranspose2d(2, 2, 3, padding_mode="reflect"), "padding_mode='reflect'"),
    ],
)
def test_layers_refuse_what_cannot_be(make, what):
    with pytest.raises(UsageError, match=what):
        make()
