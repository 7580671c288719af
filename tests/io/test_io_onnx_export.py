"""Export: networks opened by onnxruntime with equal results, at any batch size.

Not here: each op by itself (`test_io_onnx_export_ops.py`).
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.ground.errors import (
    MissingExtra,
    ShapeError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from kedja.io.onnx import export, load, save
from kedja.models.gpt2 import GPT2, GPT2Config
from kedja.models.recurrent import RecurrentConfig, RecurrentLM
from kedja.models.resnet import resnet18
from kedja.models.unet import UNet
from tests.io.onnx_exports import onnx, require_exported, run, session_of

F32 = np.float32


def zeros(*shape, dtype=F32):
    return np.zeros(shape, dtype)


def trained(model, seed=0):
    """A module whose arrays, running statistics too, are all random."""
    rng = np.random.default_rng(seed)
    return kj.tree.map(lambda x: kj.asarray(rng.uniform(0.2, 1.0, x.shape).astype(F32)), model)


# ---------------------------------------------------------------------------------- networks


def test_mlp():
    found = require_exported(nn.mlp([8, 16, 4], "gelu"), zeros(4, 8))
    assert found == {"Gemm": 2, "Gelu": 1}


def test_lenet():
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 5 * 5, 10), nn.Softmax(-1),
    )  # fmt: skip
    found = require_exported(net, zeros(2, 1, 28, 28))
    assert found == {
        "Conv": 2, "Tanh": 1, "AveragePool": 1, "Relu": 1, "MaxPool": 1, "Reshape": 1, "Gemm": 1,
        "Softmax": 1,
    }  # fmt: skip


def test_resnet():
    found = require_exported(resnet18(10), zeros(2, 3, 40, 40), batches=(1, 3))
    assert found == {
        "Conv": 20, "BatchNormalization": 20, "Relu": 17, "MaxPool": 1, "Add": 8, "ReduceMean": 1,
        "Gemm": 1,
    }  # fmt: skip


def test_unet():
    net = UNet(channels=2, classes=3, width=4, depth=2)
    found = require_exported(net, zeros(2, 2, 16, 16))
    assert found["ConvTranspose"] == 2
    assert set(found) == {
        "Conv", "BatchNormalization", "Relu", "MaxPool", "ConvTranspose", "Concat",
    }  # fmt: skip


@pytest.mark.parametrize("opset", [18, 20, 23])
def test_gpt_block(opset):
    net = GPT2(GPT2Config(vocab_size=40, n_positions=12, n_embd=16, n_layer=2, n_head=2))
    found = require_exported(net, zeros(2, 7, dtype=np.int64), opset=opset)
    assert found["LayerNormalization"] == 5
    assert found["Gelu"] == (2 if opset >= 20 else 0)
    assert found["Attention"] == (2 if opset >= 23 else 0)


def test_lstm_language_model():
    model = RecurrentLM(RecurrentConfig(20, 8, 2))
    found = require_exported(model, zeros(3, 5, dtype=np.int64))
    assert found["Scan"] == 2


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_in_both_directions(kind):
    layer = kind(3, 4, num_layers=2, bidirectional=True)
    require_exported(layer, zeros(5, 2, 3), axes=(1,))


def test_a_state_that_is_given():
    layer = nn.LSTM(3, 4)
    state = zeros(1, 2, 4)
    require_exported(lambda x, h, c: layer(x, (h, c)), zeros(5, 2, 3), state, state, axes=(1, 1, 1))


def test_transformer_layers():
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    require_exported(encoder, zeros(2, 5, 8))
    decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    require_exported(decoder, zeros(2, 5, 8), zeros(2, 4, 8))


def test_norms():
    require_exported(trained(nn.LayerNorm((3, 4))), zeros(2, 5, 3, 4))
    found = require_exported(trained(nn.InstanceNorm2d(3, affine=True)), zeros(2, 3, 4, 5))
    assert found == {"InstanceNormalization": 1}
    require_exported(trained(nn.GroupNorm(2, 4)), zeros(2, 4, 3, 3))
    found = require_exported(trained(nn.BatchNorm1d(3)), zeros(4, 3))
    assert found == {"BatchNormalization": 1}
    found = require_exported(trained(nn.RMSNorm(6)), zeros(2, 6), opset=23)
    assert found == {"RMSNormalization": 1}
    require_exported(trained(nn.RMSNorm(6)), zeros(2, 6), opset=18)
    require_exported(nn.LocalResponseNorm(3), zeros(2, 5, 4, 4))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2),
        nn.ConvTranspose1d(4, 6, 3, stride=3, padding=1, output_padding=2, groups=2),
        nn.ConvTranspose1d(4, 2, 4, dilation=2),
        nn.MaxPool1d(3, 2, padding=1, ceil_mode=True),
        nn.AvgPool1d(3, 2, padding=1, count_include_pad=False),
        nn.AvgPool1d(3, 2, padding=1, ceil_mode=True),
        nn.LPPool1d(2, 3),
        nn.AdaptiveAvgPool1d(3),
        nn.AdaptiveMaxPool1d(4),
        nn.Upsample(scale_factor=3, mode="nearest"),
        nn.Upsample(size=13, mode="linear"),
        nn.Upsample(size=5, mode="linear", align_corners=True),
    ],
    ids=repr,
)
def test_spatial_layers(layer):
    require_exported(layer, zeros(2, 4, 10))


@pytest.mark.parametrize("groups", [1, 2])
def test_weights_of_transposed_convolutions_stay_as_they_are(groups):
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2, groups=groups)
    assert require_exported(layer, zeros(2, 4, 5, 5)) == {"ConvTranspose": 1}


def test_resampling_of_several_axes_is_one_operator():
    x = zeros(2, 3, 5, 6)
    for mode in ("nearest", "bilinear", "bicubic"):
        found = require_exported(nn.Upsample(scale_factor=2, mode=mode), x, rtol=1e-4)
        assert found == {"Resize": 1}
    require_exported(nn.PixelShuffle(2), zeros(2, 8, 3, 3))


ACTIVATIONS = [
    nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.ELU(), nn.SELU(),
    nn.CELU(0.7), nn.LeakyReLU(), nn.PReLU(), nn.Softplus(), nn.Mish(), nn.Hardswish(), nn.ReLU6(),
    nn.Hardsigmoid(), nn.Softsign(), nn.LogSigmoid(), nn.Softmax(1), nn.LogSoftmax(1), nn.GLU(1),
]  # fmt: skip


@pytest.mark.parametrize("layer", ACTIVATIONS, ids=repr)
def test_activations(layer):
    require_exported(layer, zeros(3, 6))


# ------------------------------------------------------------------------------- the batch size


@pytest.mark.parametrize(
    "function",
    [
        lambda x: kj.reshape(x, (-1,)),
        lambda x: kj.reshape(kj.permute_dims(x, (1, 0)), (-1,)) * 2,
        lambda x: x - kj.mean(x, 0, keepdims=True),
        lambda x: kj.std(x, 0),
        lambda x: x / x.shape[0],
        lambda x: x + kj.reshape(kj.arange(x.shape[0]), (-1, 1)),
        lambda x: kj.concat([x, kj.zeros((x.shape[0], 2))], 1),
        lambda x: kj.zeros((2 * x.shape[0] + 1, 3)),
        lambda x: x[: x.shape[0] - 1] if x.shape[0] > 1 else x[:0],
        lambda x: x[::-1, 1:3],
        lambda x: kj.einsum("bi,ci->bc", x, x),
        lambda x: kj.sort(x, axis=0),
        lambda x: kj.cumulative_sum(x, axis=0),
        lambda x: kj.softmax(x, 0),
        lambda x: kj.argmax(x, 0),
        lambda x: kj.stack([x, x + 1], 1).reshape(x.shape[0], 2, 1, -1),
    ],
)
def test_shapes_follow_the_batch(function):
    require_exported(function, zeros(4, 5))


def test_the_batch_axis_of_each_input():
    product = lambda x, w: x @ w  # noqa: E731  a function without a name
    require_exported(product, zeros(4, 5), zeros(5, 3), axes=(0, None))
    require_exported(product, zeros(4, 5), zeros(5, 3), axes=(None, 1))
    model = export(product, (zeros(4, 5), zeros(5, 3)))
    shapes = [[d.dim_param or d.dim_value for d in p.type.tensor_type.shape.dim]
              for p in (*model.graph.input, *model.graph.output)]  # fmt: skip
    assert shapes == [["batch", 5], [5, 3], ["batch", 3]]


def test_a_fixed_batch():
    found = require_exported(
        lambda x: kj.reshape(kj.einsum("bi,ci->bc", x, x), (-1,)),
        np.arange(6, dtype=F32).reshape(2, 3),
        dynamic_batch=False,
    )
    assert "Shape" not in found


# -------------------------------------------------------------------------- loops and branches


def test_loops_and_branches():
    x = zeros(3, 4)
    require_exported(lambda x: kj.cond(kj.sum(x) > 0, lambda: x * 2, lambda: x - 1), x)
    halves = lambda c: c * 0.5  # noqa: E731
    found = require_exported(lambda x: kj.while_loop(lambda c: kj.sum(c * c) > 1, halves, x), x)
    assert found["Loop"] == 1
    sums = lambda c, y: (c + y, c * y)  # noqa: E731
    for reverse in (False, True):
        require_exported(
            lambda x, reverse=reverse: kj.scan(sums, kj.ones(x.shape[0]), x.T, reverse=reverse), x
        )
    require_exported(lambda x: kj.fori_loop(0, 3, lambda i, c: c + i, x), x)
    require_exported(lambda x: kj.checkpoint(lambda y: kj.sin(y) * x)(x), x)


def test_loops_inside_loops():
    def outer(c, row):
        inner, _ = kj.scan(lambda d, e: (d * 0.5 + e, None), c, row)
        return inner, inner

    require_exported(lambda x: kj.scan(outer, 0.0, x), zeros(3, 4), dynamic_batch=False)


def test_vmap_and_jit_are_part_of_the_graph():
    require_exported(kj.vmap(lambda row: kj.sum(row * row)), zeros(3, 4))
    net = nn.mlp([4, 3])
    compiled = kj.jit(lambda x: net(x))
    model = export(compiled, zeros(2, 4))
    assert [each.name for each in model.graph.initializer] == ["0.weight", "0.bias"]


# --------------------------------------------------------------------------------------- dtypes


def test_half_and_double():
    net = nn.mlp([8, 6, 4], "tanh")
    require_exported(net.astype("float64"), zeros(2, 8, dtype=np.float64), rtol=1e-12)
    require_exported(net.astype("float16"), zeros(2, 8, dtype=np.float16), rtol=2e-3)


def test_small_integers_are_computed_in_wider_ones():
    for dtype in (np.int8, np.uint8, np.int16, np.uint32):
        require_exported(
            lambda x: (x + x, x * 3, x > 1, kj.maximum(x, 2)), zeros(3, 4, dtype=dtype)
        )


# ------------------------------------------------------------------------- names and the file


def test_weights_have_the_names_of_the_state_dict():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    names = {each.name for each in export(net, zeros(2, 3)).graph.initializer}
    assert names == set(net.state_dict()) - {"1.num_batches_tracked"}


def test_weights_of_modules_that_a_function_refers_to():
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    model = export(lambda x: second(first(x)), zeros(2, 3))
    names = [each.name for each in model.graph.initializer]
    assert names == ["first.weight", "first.bias", "second.weight", "second.bias"]
    model = export(lambda x: first(x), zeros(2, 3))
    assert [each.name for each in model.graph.initializer] == ["weight", "bias"]


def test_inputs_and_outputs_are_named():
    net = nn.mlp([3, 2])
    model = export(net, zeros(2, 3), input_names=["row"], output_names=["score"], name="net")
    assert ([p.name for p in model.graph.input], [p.name for p in model.graph.output]) == (
        ["row"],
        ["score"],
    )
    assert model.graph.name == "net"
    tree = export(lambda x, d: {"a": x + d["b"], "c": (x, d["b"])}, (zeros(2), {"b": zeros(2)}))
    assert [p.name for p in tree.graph.input] == ["input_0", "input_1.b"]
    assert [p.name for p in tree.graph.output] == ["output_a", "output_c_0", "output_c_1"]
    found = run(tree, [np.ones(2, F32), np.ones(2, F32)])
    assert [each.tolist() for each in found] == [[2, 2], [1, 1], [1, 1]]


def test_nodes_are_named_by_the_layers():
    model = export(UNet(channels=1, classes=2, width=2, depth=1), zeros(1, 1, 4, 4))
    assert model.graph.node[0].name == "inc.0/Conv"
    assert {node.name.split("/")[0] for node in model.graph.node} >= {"inc.1", "ups.0.up", "outc"}


def test_versions_and_metadata(tmp_path):
    model = export(nn.mlp([3, 2]), zeros(2, 3), metadata={"classes": "no, yes"})
    assert (model.opset_import[0].version, model.ir_version) == (20, 9)
    assert model.producer_name == "kedja"
    assert load(model).metadata == {"classes": "no, yes"}
    assert export(nn.mlp([3, 2]), zeros(2, 3), opset=21).ir_version == 10


def test_the_file_is_written_whole_and_read_back(tmp_path):
    path = tmp_path / "net.onnx"
    net = nn.mlp([3, 4, 2])
    save(path, net, zeros(2, 3))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(F32)
    np.testing.assert_allclose(load(path)(x).numpy(), net(x).numpy(), rtol=1e-6)
    again = net.load_state_dict({k: v.numpy() for k, v in load(path).initializers().items()})
    np.testing.assert_array_equal(again(x).numpy(), net(x).numpy())
    before = path.read_bytes()
    save(path, net, zeros(2, 3))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StorageError, match="folder does not exist"):
        save(tmp_path / "nowhere" / "net.onnx", net, zeros(2, 3))


def test_training_is_never_exported():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3))
    with nn.training(kj.random.key(0)):
        model = export(net, zeros(2, 3))
    assert [node.op_type for node in model.graph.node] == ["BatchNormalization"]


def test_what_is_imported_can_be_exported_again():
    net = resnet18(4)
    first = export(net, zeros(1, 3, 32, 32))
    second = export(load(first), zeros(1, 3, 32, 32))
    assert {i.name for i in second.graph.initializer} >= {"conv1.weight", "fc.bias"}
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(F32)
    np.testing.assert_allclose(run(second, [x])[0], run(first, [x])[0], rtol=1e-4, atol=1e-5)


def test_two_outputs_that_are_one_and_an_input_that_is_an_output():
    model = export(lambda x: (kj.sin(x),) * 2 + (x,), zeros(2))
    found = session_of(model).run(None, {"input": np.ones(3, F32)})
    assert [each.shape for each in found] == [(3,)] * 3
    assert found[2].tolist() == [1, 1, 1]


# --------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("function", "match"),
    [
        (lambda x: kj.linalg.qr(x)[0], "qr: ONNX has no operator for the op qr"),
        (lambda x: x + kj.random.uniform(kj.random.key(0), x.shape), "random numbers cannot"),
        (lambda x: kj.reshape(x[:, None] * x[None], (-1,)), "363, 507, 867 for batches of 11, 13"),
        (lambda x: x * 2 if x.shape[0] == 11 else x + 1, "something else for other batch sizes"),
        (lambda x: x + np.zeros((x.shape[0], 1), F32), "an array follows the batch size"),
        (lambda x: x * (1 / x.shape[0]), "a number follows the batch size"),
    ],
)  # fmt: skip
def test_what_cannot_be_exported(function, match):
    with pytest.raises(UnsupportedError, match=match) as found:
        export(function, zeros(2, 3))
    assert "test_io_onnx_export.py" in str(found.value)


def test_the_layer_is_named():
    class Whitened(nn.Module):
        linear: nn.Linear

        def __call__(self, x):
            return kj.linalg.qr(self.linear(x))[0]

    with pytest.raises(UnsupportedError, match=r"in layer 1\)"):
        export(nn.Sequential(nn.ReLU(), Whitened(nn.Linear(3, 3))), zeros(2, 3))


@pytest.mark.parametrize(
    ("error", "match", "options"),
    [
        (UsageError, "opset 12", {"opset": 12}),
        (UsageError, "opset 99", {"opset": 99}),
        (UsageError, "input_names", {"input_names": ["a", "b"]}),
        (UsageError, "output_names", {"output_names": ["a", "b"]}),
        (UsageError, "output_names", {"output_names": ["input"]}),
        (UsageError, "dynamic_batch=", {"dynamic_batch": (0, 1)}),
        (UsageError, "dynamic_batch=", {"dynamic_batch": (7,)}),
        (ShapeError, "batch axis 5", {"dynamic_batch": 5}),
    ],
)
def test_wrong_options(error, match, options):
    with pytest.raises(error, match=match):
        export(nn.mlp([3, 2]), zeros(2, 3), **options)


def test_a_function_that_returns_nothing():
    with pytest.raises(UsageError, match="returns nothing"):
        export(lambda x: None, zeros(2, 3))


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kedja\[onnx\]'"):
        export(nn.mlp([3, 2]), zeros(2, 3))


def test_the_oracle_would_find_a_wrong_weight():
    net = nn.mlp([3, 2])
    model = export(net, zeros(2, 3))
    changed = onnx.numpy_helper.to_array(model.graph.initializer[0]) * F32(1.01)
    model.graph.initializer[0].raw_data = changed.tobytes()
    x = np.ones((1, 3), F32)
    assert not np.allclose(run(model, [x])[0], net(x).numpy(), rtol=1e-4)


def test_what_follows_from_numbers_alone_is_computed_beforehand():
    q = np.eye(3, dtype=F32) * 2
    found = require_exported(lambda x: x @ kj.linalg.qr(kj.asarray(q))[1], zeros(2, 3))
    assert found == {"MatMul": 1}
    found = require_exported(lambda x: kj.where(kj.tril(kj.ones((3, 3))) > 0, x, 0), zeros(2, 3, 3))
    assert found == {"Where": 1}
