"""Operators with options that the node tests leave out, compared with onnxruntime.

Not here: the node tests themselves (`test_io_onnx_nodes.py`).
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kedja as kj
from kedja.io.onnx import load

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
runtime.set_default_logger_severity(4)
helper = onnx.helper


def model_of(op, inputs, outputs=1, opset=20, domain="", version=1, **attrs):
    """A model of one node; inputs that are None are left out."""
    names = ["" if each is None else f"x{place}" for place, each in enumerate(inputs)]
    results = [f"y{place}" for place in range(outputs)]
    node = helper.make_node(op, names, results, domain=domain, **attrs)
    kind = helper.np_dtype_to_tensor_dtype
    ports = [
        helper.make_tensor_value_info(name, kind(np.asarray(each).dtype), np.shape(each))
        for name, each in zip(names, inputs, strict=True)
        if name
    ]
    ends = [helper.make_empty_tensor_value_info(name) for name in results]
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain, version)] if domain else []
    graph = helper.make_graph([node], "one", ports, ends)
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def ours(model, inputs):
    found = load(model)(*(each for each in inputs if each is not None))
    return [each.numpy() for each in (found if isinstance(found, tuple) else (found,))]


def theirs(model, inputs):
    session = runtime.InferenceSession(model.SerializeToString())
    given_ = [each for each in inputs if each is not None]
    feed = {port.name: each for port, each in zip(session.get_inputs(), given_, strict=True)}
    return session.run(None, feed)


def require_agreement(op, inputs, rtol=1e-4, atol=1e-5, **options):
    inputs = [None if each is None else np.asarray(each) for each in inputs]
    model = model_of(op, inputs, **options)
    for mine, other in zip(ours(model, inputs), theirs(model, inputs), strict=False):
        assert (mine.dtype, mine.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=atol)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


# ---------------------------------------------------------------------------------- recurrent


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("lengths", [None, [5, 2, 3]])
@pytest.mark.parametrize(("op", "gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_recurrent_networks(op, gates, direction, lengths):
    directions, hidden = 2 if direction == "bidirectional" else 1, 4
    x = normal(5, 3, 2)
    w, r = normal(directions, gates * hidden, 2, seed=1), normal(directions, gates * hidden, hidden)
    b = normal(directions, 2 * gates * hidden, seed=2)
    states = [normal(directions, 3, hidden, seed=3)] * (2 if op == "LSTM" else 1)
    sizes = None if lengths is None else np.array(lengths, np.int32)
    require_agreement(
        op,
        [x, w, r, b, sizes, *states],
        outputs=1 + len(states),
        hidden_size=hidden,
        direction=direction,
    )


@pytest.mark.parametrize(
    "options",
    [
        {"activations": ["HardSigmoid", "Elu", "Softsign"], "activation_alpha": [0.3, 0.7]},
        {"activations": ["Sigmoid", "LeakyRelu", "Relu"], "activation_alpha": [0.1]},
        {"activations": ["Sigmoid", "ScaledTanh", "Affine"], "activation_alpha": [1.5, 2.0],
         "activation_beta": [0.5, 0.1]},
        {"clip": 0.4},
        {"input_forget": 1},
    ],
)  # fmt: skip
def test_lstm_with_other_equations(options):
    x, w, r = normal(4, 2, 3), normal(1, 12, 3, seed=1), normal(1, 12, 3, seed=2)
    b, p = normal(1, 24, seed=3), normal(1, 9, seed=4)
    zeros = np.zeros((1, 2, 3), np.float32)
    inputs = [x, w, r, b, None, zeros, zeros, p]
    require_agreement("LSTM", inputs, outputs=3, hidden_size=3, **options)


@pytest.mark.parametrize("before_reset", [0, 1])
def test_gru_resets_before_or_after(before_reset):
    x, w, r, b = normal(4, 2, 3), normal(1, 9, 3), normal(1, 9, 3, seed=1), normal(1, 18)
    options = {"hidden_size": 3, "linear_before_reset": before_reset}
    require_agreement("GRU", [x, w, r, b], outputs=2, **options)


# ------------------------------------------------------------------------------------ windows


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 3]])
def test_convolutions_that_pad_themselves(auto, strides):
    x, w = normal(2, 4, 9, 8), normal(6, 2, 3, 2, seed=1)
    options = {"auto_pad": auto, "strides": strides, "group": 2}
    require_agreement("Conv", [x, w, normal(6)], **options)


@pytest.mark.parametrize(
    "options",
    [
        {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 2]},
        {"strides": [3, 2], "output_shape": [10, 9]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"dilations": [2, 1], "group": 2},
    ],
)
def test_transposed_convolutions(options):
    groups = options.get("group", 1)
    require_agreement(
        "ConvTranspose", [normal(1, 4, 4, 4), normal(4, 6 // groups, 3, 2)], **options
    )


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 0, 1]])
@pytest.mark.parametrize("include", [0, 1])
def test_average_pooling(ceil, pads, include):
    options = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": pads, "ceil_mode": ceil}
    x = normal(2, 3, 7, 6)
    require_agreement("AveragePool", [x], opset=19, count_include_pad=include, **options)


@pytest.mark.parametrize("order", [0, 1])
def test_places_of_a_max_pooling(order):
    options = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
    require_agreement("MaxPool", [normal(2, 3, 6, 5)], outputs=2, storage_order=order, **options)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_norms_of_windows_and_of_all_places(p):
    require_agreement("GlobalLpPool", [normal(2, 3, 4, 5)], opset=18, p=p)
    require_agreement("LpPool", [normal(2, 3, 6, 5)], opset=18, p=p, kernel_shape=[2, 3])


# ----------------------------------------------------------------------------------- sampling


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    "coordinates", ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
)
@pytest.mark.parametrize("sizes", [(9, 7), (3, 4), (1, 5)])
def test_resize(mode, coordinates, sizes):
    x = normal(1, 2, 5, 6)
    wanted = np.array([1, 2, *sizes])
    options = {"mode": mode, "coordinate_transformation_mode": coordinates}
    require_agreement("Resize", [x, None, None, wanted], opset=19, **options)


@pytest.mark.parametrize("rounding", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
def test_the_nearest_element(rounding):
    scales = np.array([1, 1, 1.5, 2.4], np.float32)
    options = {"mode": "nearest", "nearest_mode": rounding}
    require_agreement("Resize", [normal(1, 2, 4, 5), None, scales], opset=18, **options)


def test_upsample_is_an_older_resize():
    scales = np.array([1, 1, 2, 3], np.float32)
    for mode in ("nearest", "linear"):
        require_agreement("Upsample", [normal(1, 2, 4, 5), scales], opset=9, mode=mode)


@pytest.mark.parametrize(
    ("mode", "padding", "corners"),
    list(product(["linear", "nearest", "cubic"], ["zeros", "border", "reflection"], [0, 1])),
)
def test_grid_sample(mode, padding, corners):
    grid = normal(2, 5, 6, 2, seed=1) * 1.3
    options = {"mode": mode, "padding_mode": padding, "align_corners": corners}
    require_agreement("GridSample", [normal(2, 3, 4, 7), grid], atol=1e-4, **options)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align(mode, ratio):
    rois = np.array([[0, 0, 5, 6], [1, 2, 9, 9], [-3, -2, 4, 4.5]], np.float32)
    options = {"output_height": 3, "output_width": 2, "sampling_ratio": ratio, "mode": mode}
    inputs = [normal(2, 3, 8, 9), rois, np.array([0, 1, 1])]
    require_agreement("RoiAlign", inputs, spatial_scale=0.7, **options)


# ----------------------------------------------------------------------- slices, places, numbers


@settings(max_examples=60)
@given(
    starts=st.tuples(*[st.integers(-9, 9)] * 2),
    ends=st.tuples(*[st.integers(-9, 9)] * 2),
    steps=st.tuples(*[st.sampled_from([-3, -2, -1, 1, 2, 3])] * 2),
)
def test_slices(starts, ends, steps):
    inputs = [normal(6, 5), np.array(starts), np.array(ends), np.array([1, 0]), np.array(steps)]
    require_agreement("Slice", inputs, opset=13)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_padding_and_cropping(mode):
    for pads in ([1, 2, 2, 1], [2, -1, -1, 2]):
        require_agreement("Pad", [normal(4, 5), np.array(pads)], opset=19, mode=mode)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter(reduction):
    x, places = normal(4, 5), np.array([[0, -1], [2, 1]])
    inputs = [x, places, normal(2, 2, seed=1)]
    require_agreement("ScatterElements", inputs, opset=18, axis=1, reduction=reduction)
    inputs = [x, np.array([[1], [-1]]), normal(2, 5, seed=1)]
    require_agreement("ScatterND", inputs, opset=18, reduction=reduction)


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
@pytest.mark.parametrize("fmod", [0, 1])
def test_quotients_and_rests(dtype, fmod):
    a = np.array([7, -7, 7, -7, 0, 5], dtype)
    b = np.array([3, 3, -3, -3, 4, 5], dtype)
    require_agreement("Div", [a, b], opset=14)
    if fmod or dtype != "float32":
        require_agreement("Mod", [a, b], opset=13, fmod=fmod)


def test_the_largest_of_equals_comes_first():
    x = np.array([[1, 3, 3, 0, 3], [2, 2, 2, 2, 2]], np.float32)
    for largest in (0, 1):
        require_agreement("TopK", [x, np.array([3])], outputs=2, largest=largest)


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_cumulative_sums(exclusive, reverse):
    options = {"exclusive": exclusive, "reverse": reverse}
    require_agreement("CumSum", [normal(3, 4), np.array(1)], **options)


@pytest.mark.parametrize("axis", [0, 1])
def test_quantisation_along_an_axis(axis):
    x, count = normal(4, 6), (4, 6)[axis]
    scale = np.abs(normal(count)) + 0.1
    zero = np.arange(count).astype(np.uint8)
    require_agreement("QuantizeLinear", [x, scale, zero], axis=axis)
    q = np.arange(24).reshape(4, 6).astype(np.uint8)
    require_agreement("DequantizeLinear", [q, scale, zero], axis=axis)


def test_integer_products():
    a = np.arange(12).reshape(3, 4).astype(np.uint8)
    b = np.arange(20).reshape(4, 5).astype(np.int8)
    zero_a, zero_b = np.array(3, np.uint8), np.arange(5).astype(np.int8)
    require_agreement("MatMulInteger", [a, b, zero_a, zero_b])


# --------------------------------------------------------------------------- older versions


def test_broadcasting_from_an_axis_before_version_7():
    x, b = normal(2, 3, 4), normal(3, seed=1)
    (found,) = ours(model_of("Add", [x, b], opset=6, axis=1, broadcast=1), [x, b])
    np.testing.assert_allclose(found, x + b[:, None])


def test_softmax_over_all_axes_from_one_on_before_version_13():
    for axis in (0, 1, 2, -1):
        require_agreement("Softmax", [normal(2, 3, 4)], opset=11, axis=axis)
        require_agreement("Hardmax", [normal(2, 3, 4)], opset=11, axis=axis)


def test_axes_and_bounds_that_were_attributes():
    x = normal(1, 3, 1)
    require_agreement("Squeeze", [x], opset=11, axes=[0])
    require_agreement("Unsqueeze", [x], opset=11, axes=[1, 4])
    require_agreement("ReduceSum", [x], opset=11, axes=[1], keepdims=0)
    require_agreement("Clip", [x], opset=10, min=-0.5, max=0.5)
    require_agreement("Slice", [x], opset=9, starts=[1], ends=[3], axes=[1])
    require_agreement("Pad", [x], opset=10, pads=[0, 1, 0, 0, 0, 2], value=1.5)
    require_agreement("Split", [normal(4, 6)], opset=11, outputs=2, split=[2, 4], axis=1)


# -------------------------------------------------------------------------------- tables (ml)

ML = {"domain": "ai.onnx.ml", "version": 2, "opset": 15}


def test_features_of_tables():
    x = normal(4, 3)
    require_agreement("Scaler", [x], offset=[0.5, 1.0, -1.0], scale=[2.0, 1.0, 0.5], **ML)
    require_agreement("Binarizer", [x], threshold=0.2, **ML)
    require_agreement("ArrayFeatureExtractor", [x, np.array([2, 0])], **ML)
    weights = {"coefficients": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "intercepts": [0.1, 0.2]}
    require_agreement("LinearRegressor", [x], targets=2, **weights, **ML)
    for norm in ("MAX", "L1", "L2"):
        require_agreement("Normalizer", [np.abs(x)], norm=norm, **ML)
    table = {"keys_int64s": [3, 1, 7], "values_floats": [0.5, 1.5, 2.5], "default_float": -1.0}
    require_agreement("LabelEncoder", [np.array([1, 7, 2, 3])], **table, **ML)


# ------------------------------------------------------------------------------ random numbers


def drawn(op, inputs=(), **attrs):
    (found,) = ours(model_of(op, list(inputs), **attrs), list(inputs))
    return found


def test_random_numbers_have_the_distribution_that_is_asked_for():
    shape = {"shape": [200, 100]}
    uniform = drawn("RandomUniform", low=-1.0, high=3.0, seed=1.0, **shape)
    assert uniform.shape == (200, 100)
    assert uniform.min() >= -1
    assert uniform.max() < 3
    np.testing.assert_allclose(uniform.mean(), 1.0, atol=0.05)
    normals = drawn("RandomNormal", mean=2.0, scale=0.5, seed=2.0, **shape)
    np.testing.assert_allclose([normals.mean(), normals.std()], [2.0, 0.5], atol=0.02)
    part = np.full((200, 100), 0.3, np.float32)
    hits = drawn("Bernoulli", [part], seed=3.0, dtype=int(onnx.TensorProto.INT32))
    assert hits.dtype == np.int32
    np.testing.assert_allclose(hits.mean(), 0.3, atol=0.02)
    logits = np.log(np.array([[0.1, 0.2, 0.7]], np.float32))
    classes = drawn("Multinomial", [logits], sample_size=20000, seed=4.0)
    shares = np.bincount(classes[0], minlength=3) / classes.size
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.7], atol=0.02)


def test_a_seed_gives_the_same_numbers_and_no_seed_others():
    options = {"shape": [8]}
    first, again = (drawn("RandomNormal", seed=5.0, **options) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (drawn("RandomNormal", seed=6.0, **options) != first).any()
    other, another = (drawn("RandomNormal", **options) for _ in range(2))
    assert (other != another).any()


def test_training_dropout_keeps_the_mean():
    x = np.ones(20000, np.float32)
    inputs = [x, np.float32(0.25), np.array(True)]
    y, mask = ours(model_of("Dropout", inputs, outputs=2, seed=1), inputs)
    np.testing.assert_allclose(mask.mean(), 0.75, atol=0.02)
    np.testing.assert_allclose(y, mask / np.float32(0.75), rtol=1e-6)


# ---------------------------------------------------------------------------------- signals


@pytest.mark.parametrize("onesided", [0, 1])
def test_fourier_transforms(onesided):
    x = normal(2, 12, 1)
    (found,) = ours(model_of("DFT", [x], opset=17, axis=1, onesided=onesided), [x])
    expected = np.fft.rfft(x[..., 0]) if onesided else np.fft.fft(x[..., 0])
    np.testing.assert_allclose(found[..., 0], expected.real, atol=1e-5)
    np.testing.assert_allclose(found[..., 1], expected.imag, atol=1e-5)


def test_gradients_go_through_recurrent_networks_and_convolutions():
    """Central differences of a GRU's and a convolution's outputs with respect to x."""
    cases = [
        ("GRU", [normal(3, 2, 2), normal(1, 9, 2, seed=1), normal(1, 9, 3)], {"hidden_size": 3}),
        ("ConvTranspose", [normal(1, 2, 4, 4), normal(2, 3, 3, 3, seed=1)], {"strides": [2, 2]}),
        ("GridSample", [normal(1, 2, 4, 4), normal(1, 3, 3, 2, seed=1) * 0.6], {}),
    ]
    for op, inputs, attrs in cases:
        wide = [each.astype(np.float64) for each in inputs]
        model = load(model_of(op, wide, **attrs))
        rest = wide[1:]

        def value(x, model=model, rest=rest):
            return kj.sum(kj.sin(model(x, *rest)))

        x, step = wide[0], 1e-6
        direction = np.random.default_rng(5).normal(size=x.shape)
        slope = (value(x + step * direction) - value(x - step * direction)).item() / (2 * step)
        gradient = kj.grad(value)(kj.asarray(x)).numpy()
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-6)
