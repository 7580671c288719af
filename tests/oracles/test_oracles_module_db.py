"""PyTorch's module database as an oracle: its layers and ours with the same weights, in float64.

Outputs, gradients of inputs and parameters, and what is recorded, in training and inference. Next:
`test_oracles_optim_db.py`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from kedja import nn

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="PyTorch's databases need it")

from tests.oracles import rows_layers as peers  # noqa: E402  only with PyTorch
from tests.oracles.rows_layers import Layer  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's own
LAYERS = """
    AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
    AdaptiveMaxPool3d AvgPool1d AvgPool2d AvgPool3d BCELoss BCEWithLogitsLoss BatchNorm1d
    BatchNorm2d BatchNorm3d Bilinear CELU CTCLoss CircularPad1d CircularPad2d CircularPad3d
    ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d
    ConvTranspose3d CosineEmbeddingLoss CrossEntropyLoss ELU Embedding GELU GLU GRU GRUCell
    GaussianNLLLoss GroupNorm Hardshrink Hardswish Hardtanh HingeEmbeddingLoss HuberLoss
    InstanceNorm1d InstanceNorm2d InstanceNorm3d KLDivLoss L1Loss LPPool1d LPPool2d LPPool3d LSTM
    LSTMCell LayerNorm LeakyReLU Linear LocalResponseNorm LogSigmoid LogSoftmax MSELoss
    MarginRankingLoss MaxPool1d MaxPool2d MaxPool3d Mish MultiLabelMarginLoss
    MultiLabelSoftMarginLoss MultiMarginLoss MultiheadAttention NLLLoss PReLU PoissonNLLLoss RMSNorm
    RNN RNNCell ReLU ReLU6 ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d
    ReplicationPad2d ReplicationPad3d SELU SiLU Sigmoid SmoothL1Loss SoftMarginLoss Softmax
    Softmax2d Softmin Softplus Softshrink Softsign Tanh Tanhshrink Threshold Transformer
    TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer ZeroPad1d ZeroPad2d ZeroPad3d
"""
NAMES = LAYERS.split()
NOT_OFFERED = {  # and lazy layers, whose sizes are found at the first call
    "FractionalMaxPool2d": "it draws its windows at random",
    "FractionalMaxPool3d": "it draws its windows at random",
    "LinearCrossEntropyLoss": "a Linear and a CrossEntropyLoss, fused by the compiler",
}


@pytest.fixture(scope="module")
def layers():
    """The entries by name. Importing them takes seconds."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peers.layers()


def encoder(layer: Any, count: int, **options: Any) -> nn.Module:
    """An encoder of layers such as PyTorch's."""
    one = nn.TransformerEncoderLayer(
        layer.linear1.in_features,
        layer.self_attn.num_heads,
        layer.linear1.out_features,
        layer.dropout.p,
        peers.functions(layer.activation),
        batch_first=layer.self_attn.batch_first,
        norm_first=layer.norm_first,
        bias=layer.linear1.bias is not None,
    )
    return nn.TransformerEncoder(one, count, **options)


def behind(log_softmax: Any) -> Any:
    """PyTorch's gradient of the CTC loss is right behind a log_softmax only, as it says."""
    return lambda loss, x, *rest: loss(log_softmax(x, -1), *rest)


OWN = {
    "CTCLoss": Layer(
        {"labels of all examples in one line": lambda given: given.forward_input.args[1].ndim == 1},
        call=behind(nn.functional.log_softmax),
        theirs=behind(torch.log_softmax),
    ),
    "TransformerEncoder": Layer(make=encoder),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("most", [8, pytest.param(None, marks=pytest.mark.slow)])
def test_a_layer_agrees_with_pytorchs(name, training, most, layers):
    result = peers.outcome(layers[name], OWN.get(name, Layer()), training, most)
    assert not result.differences, "\n\n".join(result.differences[:3])
    assert result.agreeing, f"all inputs are skipped: {dict(result.skipped)}"


def test_every_layer_that_both_have_is_compared(layers):
    both = {name for name in layers if hasattr(nn, name)}
    assert both == set(NAMES)
    rest = {name for name in layers if name not in both and not name.startswith("Lazy")}
    assert rest == set(NOT_OFFERED)


# ----------------------------------------------------------------------- the tester is tested


def twice(layer: Any, x: Any) -> Any:
    return 2 * layer(x)


def unrecorded(layer: Any, x: Any) -> Any:
    with nn.inference():
        return layer(x)


def without_bias(*sizes: int) -> nn.Module:
    return nn.Linear(*sizes, bias=False)


PLANTED = [
    ("Tanh", Layer(call=twice), "output 0"),
    ("BatchNorm1d", Layer(call=unrecorded), "no layer ran"),
    ("Linear", Layer(make=without_bias), "bias"),
]


@pytest.mark.parametrize(("name", "layer", "message"), PLANTED)
def test_a_planted_difference_is_found(name, layer, message, layers):
    found = peers.outcome(layers[name], layer, training=True).differences
    assert any(message in each for each in found)


def test_the_state_is_compared():
    with pytest.raises(AssertionError, match="state 0"):
        peers.close("state", [np.ones(2)], [torch.zeros(2)])
