"""ONNX models as modules: inputs and outputs, parameters, jit, gradients, errors.

Not here: what operators mean (`test_io_onnx_nodes.py`, `test_io_onnx_operators.py`).
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

import kedja as kj
from kedja import nn, optim
from kedja.ground.errors import (
    DataError,
    DtypeError,
    MissingExtra,
    ShapeError,
    TracingError,
    UnsupportedError,
    UsageError,
)
from kedja.io.onnx import load

onnx = pytest.importorskip("onnx")
helper, FLOAT, INT64 = onnx.helper, onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
RNG = np.random.default_rng(0)


def model_of(nodes, inputs, outputs, arrays=(), opset=20, **kwargs):
    """A model from nodes (tuples for make_node), ports (name, type, shape) and arrays by name."""
    made = [helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes]
    held = [onnx.numpy_helper.from_array(value, name) for name, value in dict(arrays).items()]
    ports = [[helper.make_tensor_value_info(*each) for each in some] for some in (inputs, outputs)]
    graph = helper.make_graph(made, "net", *ports, held)
    opsets = [helper.make_opsetid("", opset), *kwargs.pop("opsets", [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **kwargs)


W = RNG.normal(size=(3, 4)).astype(np.float32)
B = RNG.normal(size=4).astype(np.float32)
X = RNG.normal(size=(5, 3)).astype(np.float32)


def network():
    """relu(x·W + b)·0.5, reshaped by an array to (…, 2, 2)."""
    nodes = [
        ("Gemm", ["x", "layer.weight", "layer.bias"], ["g"]),
        ("Relu", ["g"], ["r"]),
        ("Mul", ["r", "half"], ["m"]),
        ("Reshape", ["m", "shape"], ["y"]),
    ]
    arrays = {
        "layer.weight": W,
        "layer.bias": B,
        "half": np.float32(0.5),
        "shape": np.array([-1, 2, 2]),
    }
    outputs = [("y", FLOAT, ["batch", 2, 2])]
    return model_of(nodes, [("x", FLOAT, ["batch", 3])], outputs, arrays)


EXPECTED = (np.maximum(X @ W + B, 0) * 0.5).reshape(-1, 2, 2)

# --------------------------------------------------------------------------------- as a module


def test_inputs_by_place_and_by_name():
    model = load(network())
    np.testing.assert_allclose(model(X).numpy(), EXPECTED, rtol=1e-6)
    np.testing.assert_allclose(model(x=kj.asarray(X)).numpy(), EXPECTED, rtol=1e-6)
    assert list(model.named(X)) == ["y"]


def test_from_a_file_from_bytes_and_from_a_proto(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(network(), path)
    for source in (path, str(path), path.read_bytes(), network()):
        np.testing.assert_allclose(load(source)(X).numpy(), EXPECTED, rtol=1e-6)


def test_arrays_in_files_beside_the_model(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(network(), path, save_as_external_data=True, size_threshold=0)
    np.testing.assert_allclose(load(path)(X).numpy(), EXPECTED, rtol=1e-6)
    with pytest.raises(DataError, match="by its path"):
        load(path.read_bytes())


def test_what_it_says_of_itself():
    model = load(network())
    assert repr(model) == "OnnxModel('net': x float32[batch, 3] -> y float32[batch, 2, 2])"
    assert model.known_inputs == ()


def test_parameters_buffers_and_what_stays_fixed():
    model = load(network())
    assert [name for name, _ in model.parameters()] == ["layer.weight", "layer.bias"]
    assert [name for name, _ in model.buffers()] == ["fixed.half"]
    assert set(model.initializers()) == {"layer.weight", "layer.bias", "half"}
    assert "shape" not in model.state_dict()


def test_statistics_of_batch_norm_are_buffers():
    names = ["scale", "bias", "mean", "var"]
    arrays = {name: np.ones(3, np.float32) for name in names}
    nodes = [("BatchNormalization", ["x", *names], ["y"])]
    ports = [("x", FLOAT, ["n", 3, 4])], [("y", FLOAT, ["n", 3, 4])]
    model = load(model_of(nodes, *ports, arrays))
    assert [name for name, _ in model.parameters()] == ["scale", "bias"]
    assert [name for name, _ in model.buffers()] == ["fixed.mean", "fixed.var"]


def test_compiled_with_the_weights_as_inputs():
    run = kj.jit(lambda model, x: model(x))
    model = load(network())
    np.testing.assert_allclose(run(model, X).numpy(), EXPECTED, rtol=1e-5)
    zero = kj.tree.map(lambda leaf: leaf * 0, model)
    assert run(zero, X).numpy().max() == 0
    assert len(run.programs) == 1


def test_gradients_and_fine_tuning():
    model = load(network())
    target = kj.asarray(EXPECTED) * 2

    def loss(net, x):
        return kj.mean((net(x) - target) ** 2)

    optimiser = optim.Adam(0.05)
    state = optimiser.init(model)
    first = loss(model, X).item()
    step = kj.jit(kj.value_and_grad(loss))
    for _ in range(100):
        value, grads = step(model, X)
        model, state = optimiser.update(model, grads, state)
    assert value.item() < 0.1 * first
    assert model.initializers()["half"].item() == 0.5  # a number alone is not learned


def test_frozen_and_saved_like_any_module():
    model = load(network())
    gradient = kj.grad(lambda net: kj.sum(net(X)))(model.freeze())
    assert not gradient.weights["layer.weight"].numpy().any()
    again = model.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again(X).numpy(), model(X).numpy())


def test_shapes_computed_by_the_model_stay_known_under_jit():
    """Shape → Gather → Concat → Reshape, as PyTorch exports x.view(x.size(0), -1)."""
    nodes = [
        ("Shape", ["x"], ["s"]),
        ("Gather", ["s", "zero"], ["n"]),
        ("Unsqueeze", ["n", "axis"], ["n1"]),
        ("Concat", ["n1", "rest"], ["shape"], {"axis": 0}),
        ("Reshape", ["x", "shape"], ["y"]),
    ]
    arrays = {"zero": np.array(0), "axis": np.array([0]), "rest": np.array([-1])}
    ports = [("x", FLOAT, ["n", 2, 3])], [("y", FLOAT, ["n", 6])]
    model = load(model_of(nodes, *ports, arrays))
    assert kj.jit(lambda net, x: net(x))(model, np.zeros((4, 2, 3), np.float32)).shape == (4, 6)
    assert not model.initializers()


def test_several_outputs_are_a_tuple():
    nodes = [("Neg", ["x"], ["a"]), ("Abs", ["x"], ["b"])]
    ports = [("x", FLOAT, [2])], [("a", FLOAT, [2]), ("b", FLOAT, [2])]
    a, b = load(model_of(nodes, *ports))([1.0, -2.0])
    assert a.tolist() == [-1, 2]
    assert b.tolist() == [1, 2]


def test_metadata_is_read():
    proto = network()
    helper.set_model_props(proto, {"classes": "[1, 2]"})
    assert load(proto).metadata == {"classes": "[1, 2]"}


# ----------------------------------------------------------------------------------- functions


def test_functions_of_the_model_with_attributes_and_defaults():
    """scaled(x) = x·factor, factor 3 unless given; twice(x) = scaled(scaled(x))."""
    factor = helper.make_node("Constant", [], ["f"])
    reference = onnx.AttributeProto(name="value_float", ref_attr_name="factor", type=1)
    factor.attribute.append(reference)
    default = helper.make_attribute("factor", 3.0)
    imports = [helper.make_opsetid("", 20), helper.make_opsetid("mine", 1)]
    scaled = helper.make_function(
        "mine",
        "scaled",
        ["x"],
        ["y"],
        [factor, helper.make_node("Mul", ["x", "f"], ["y"])],
        imports,
        attribute_protos=[default],
    )
    inner = [
        helper.make_node("scaled", ["x"], ["h"], domain="mine"),
        helper.make_node("scaled", ["h"], ["y"], domain="mine", factor=2.0),
    ]
    twice = helper.make_function("mine", "twice", ["x"], ["y"], inner, imports)
    proto = model_of(
        [("twice", ["x"], ["y"], {"domain": "mine"})],
        [("x", FLOAT, [1])],
        [("y", FLOAT, [1])],
        functions=[scaled, twice],
        opsets=[helper.make_opsetid("mine", 1)],
    )
    assert load(proto)([5.0]).tolist() == [30.0]


def test_graphs_inside_see_the_values_around_them():
    branch = [
        helper.make_graph(
            [helper.make_node(op, ["x", "w"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, FLOAT, [1])],
        )
        for op, name in (("Add", "yes"), ("Sub", "no"))
    ]
    nodes = [("If", ["c"], ["y"], {"then_branch": branch[0], "else_branch": branch[1]})]
    inputs = [("c", onnx.TensorProto.BOOL, []), ("x", FLOAT, [1])]
    w = {"w": np.array([2.0], np.float32)}
    model = load(model_of(nodes, inputs, [("y", FLOAT, [1])], w))
    assert model(True, [1.0]).tolist() == [3.0]
    assert model(False, [1.0]).tolist() == [-1.0]
    compiled = kj.jit(lambda net, c, x: net(c, x))
    assert compiled(model, kj.tensor(False), kj.tensor([1.0])).tolist() == [-1.0]
    gradient = kj.grad(lambda net: kj.sum(net(False, [1.0])))(model)
    assert gradient.weights["w"].tolist() == [-1.0]


def loop_of(count, condition="yes"):
    """Doubling `count` times, every step stacked."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["v", "v"], ["w"]),
            helper.make_node("Identity", ["w"], ["each"]),
            helper.make_node("Identity", [condition], ["again"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("going", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("again", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", FLOAT, [1]),
            helper.make_tensor_value_info("each", FLOAT, [1]),
        ],
    )
    arrays = {"count": np.array(count), "yes": np.array(True)}
    outputs = [("last", FLOAT, [1]), ("all", FLOAT, [count, 1])]
    nodes = [("Loop", ["count", "yes", "x"], ["last", "all"], {"body": body})]
    return model_of(nodes, [("x", FLOAT, [1])], outputs, arrays)


@pytest.mark.parametrize("count", [0, 3, 40])
def test_loops_run_step_by_step_or_as_one_scan(count):
    model = load(loop_of(count))
    for run in (model, kj.jit(lambda x: model(x))):
        last, each = run(kj.tensor([1.0]))
        assert last.tolist() == [2.0**count]
        assert each.tolist() == [[2.0 ** (k + 1)] for k in range(count)]


def test_a_long_loop_is_one_scan_when_it_is_compiled():
    model = load(loop_of(40))
    traced = kj.jit(lambda x: model(x)[0])
    traced(kj.tensor([1.0]))
    ops = {node.op.name for node in kj.tree.leaves(traced.programs[0].traced.outputs)}
    assert ops  # the graph is there
    assert len(_all_nodes(traced.programs[0].traced.outputs)) < 30


def test_a_loop_that_ends_when_its_values_say_so():
    """Doubling while the value is below a limit: a while loop when it is compiled."""
    ports = [("i", INT64, []), ("going", onnx.TensorProto.BOOL, []), ("v", FLOAT, [])]
    body = helper.make_graph(
        [
            helper.make_node("Add", ["v", "v"], ["w"]),
            helper.make_node("Less", ["w", "limit"], ["again"]),
        ],
        "body",
        [helper.make_tensor_value_info(*each) for each in ports],
        [
            helper.make_tensor_value_info("again", onnx.TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", FLOAT, []),
        ],
    )
    nodes = [("Loop", ["", "yes", "x"], ["y"], {"body": body})]
    inputs = [("x", FLOAT, []), ("limit", FLOAT, [])]
    arrays = {"yes": np.array(True)}
    model = load(model_of(nodes, inputs, [("y", FLOAT, [])], arrays))
    for run in (model, kj.jit(lambda x, limit: model(x, limit))):
        assert run(kj.tensor(1.0), kj.tensor(100.0)).item() == 128
        assert run(kj.tensor(3.0), kj.tensor(1.0)).item() == 6


def _all_nodes(outputs):
    found, stack = set(), list(outputs)
    while stack:
        node = stack.pop()
        if node not in found:
            found.add(node)
            stack.extend(node.inputs)
    return found


# -------------------------------------------------------------------------------------- errors


def test_all_unsupported_operators_are_named_at_once():
    nodes = [
        ("StringNormalizer", ["x"], ["a"], {"name": "first"}),
        ("Frobnicate", ["a"], ["b"], {"domain": "com.example", "name": "second"}),
        ("Frobnicate", ["b"], ["y"], {"domain": "com.example", "name": "third"}),
    ]
    proto = model_of(
        nodes,
        [("x", FLOAT, [1])],
        [("y", FLOAT, [1])],
        opsets=[helper.make_opsetid("com.example", 1)],
    )
    with pytest.raises(UnsupportedError) as found:
        load(proto)
    text = str(found.value)
    assert "StringNormalizer: texts are no arrays here (node 'first')" in text
    assert "com.example.Frobnicate (node 'second', 'third')" in text


def test_an_element_type_without_a_dtype_is_named():
    proto = model_of([("Identity", ["x"], ["y"])], [("x", 17, [1])], [("y", 17, [1])])
    with pytest.raises(UnsupportedError, match="'x' has the ONNX element type float8"):
        load(proto)


def test_a_newer_operator_set_is_refused():
    with pytest.raises(UnsupportedError, match=r"version 999 of the operator set ai\.onnx"):
        load(model_of([], [("x", FLOAT, [1])], [("x", FLOAT, [1])], opset=999))


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x09"])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(DataError, match="no ONNX model") as found:
        load(path)
    assert found.value.where == str(path)
    with pytest.raises(DataError, match="no ONNX model"):
        load(content)


def test_a_missing_file_and_a_wrong_source():
    with pytest.raises(DataError, match="cannot read: No such file"):
        load("nowhere/net.onnx")
    with pytest.raises(UsageError, match="an ONNX model of int"):
        load(3)


@pytest.mark.parametrize(
    ("error", "match", "args", "kwargs"),
    [
        (UsageError, "input 'x' is missing", (), {}),
        (UsageError, "not 'xx'", (), {"xx": X}),
        (UsageError, "2 inputs for a model that takes 1", (X, X), {}),
        (UsageError, "not 'x'", (X,), {"x": X}),
        (DtypeError, "is float64, the model takes x float32", (X.astype(np.float64),), {}),
        (ShapeError, r"shape \[5, 2\], the model takes x float32\[batch, 3\]", (X[:, :2],), {}),
        (ShapeError, r"has shape \[3\]", (X[0],), {}),
    ],
)
def test_inputs_that_do_not_fit(error, match, args, kwargs):
    with pytest.raises(error, match=match) as found:
        load(network())(*args, **kwargs)
    assert "test_io_onnx_model.py" in str(found.value)


def test_one_symbol_is_one_number():
    ports = [("a", FLOAT, ["n"]), ("b", FLOAT, ["n"])], [("y", FLOAT, ["n"])]
    model = load(model_of([("Add", ["a", "b"], ["y"])], *ports))
    assert model([1.0, 2.0], [3.0, 4.0]).tolist() == [4.0, 6.0]
    with pytest.raises(ShapeError, match=r"n = 2 here"):
        model([1.0, 2.0], [3.0])


def test_an_error_inside_names_the_node():
    nodes = [("MatMul", ["x", "w"], ["y"], {"name": "head/product"})]
    arrays = {"w": np.ones((4, 2), np.float32)}
    model = load(model_of(nodes, [("x", FLOAT, None)], [("y", FLOAT, None)], arrays))
    with pytest.raises(ShapeError, match="head/product"):
        model(X)


def test_a_shape_that_depends_on_a_traced_value():
    ports = [("x", FLOAT, [6]), ("shape", INT64, [2])], [("y", FLOAT, None)]
    model = load(model_of([("Reshape", ["x", "shape"], ["y"], {"name": "here"})], *ports))
    assert model.known_inputs == ("shape",)
    x, shape = np.arange(6, dtype=np.float32), np.array([2, 3])
    assert kj.jit(lambda x: model(x, shape))(x).shape == (2, 3)
    with pytest.raises(TracingError, match="depends on an input of the compiled function"):
        kj.jit(lambda x, shape: model(x, shape))(x, shape)


def test_a_shape_that_depends_on_data_works_at_the_prompt_only():
    model = load(model_of([("NonZero", ["x"], ["y"])], [("x", FLOAT, [3])], [("y", INT64, None)]))
    assert model([0.0, 2.0, 3.0]).tolist() == [[1, 2]]
    with pytest.raises(TracingError, match="NonZero"):
        kj.jit(lambda x: model(x))(np.ones(3, np.float32))


def test_a_value_that_nobody_computes():
    with pytest.raises(DataError, match="uses 'nothing' before it is computed"):
        load(model_of([("Neg", ["nothing"], ["y"])], [], [("y", FLOAT, [1])]))()


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kedja\[onnx\]'"):
        load(b"")


def test_dropout_of_a_model_trains_with_the_open_key():
    nodes = [("Dropout", ["x", "ratio", "on"], ["y", "mask"])]
    arrays = {"ratio": np.float32(0.5), "on": np.array(True)}
    outputs = [("y", FLOAT, [1000]), ("mask", onnx.TensorProto.BOOL, [1000])]
    model = load(model_of(nodes, [("x", FLOAT, [1000])], outputs, arrays))
    x = np.ones(1000, np.float32)
    draws = []
    for seed in (0, 0, 1):
        with nn.training(kj.random.key(seed)):
            draws.append(model(x)[0].numpy())
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    assert 0.4 < (draws[0] > 0).mean() < 0.6
