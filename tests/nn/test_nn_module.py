"""Modules: dataclasses that are pytrees, name their layers, and give and take weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.front import tree
from kedja.front.loop import Loop
from kedja.ground.errors import ShapeError, UsageError
from kedja.ir.graph import scope as named
from kedja.ir.graph import topological


class Block(nn.Module):
    """A user's module: fields by annotation, layers in a list, a function, a number."""

    layers: list[nn.Module]
    head: nn.Module
    act: Callable[[Any], Any] = kj.tanh
    scale: float = 2.0

    def __call__(self, x):
        for layer in self.layers:
            x = self.act(layer(x))
        return self.scale * self.head(x)


class Written(nn.Module):
    """A user's module with its own `__init__`, as in PyTorch, without annotations."""

    def __init__(self, size):
        self.first = nn.Linear(size, 3)
        self.gain = kj.ones(3)

    def __call__(self, x):
        return self.gain * self.first(x)


class Louder(Written):
    """One that inherits `__init__` and calls its parent's `__call__`."""

    def __call__(self, x):
        return 10 * super().__call__(x)


def block():
    return Block([nn.Linear(4, 5), nn.Linear(5, 3)], nn.mlp([3, 4, 2]))


def scopes(tensor):
    return {(node.scope, node.op.name) for node in topological([tensor.node])}


# ------------------------------------------------------------------------------ pytree


def test_arrays_are_leaves_and_all_else_is_structure():
    model = block()
    leaves, structure = tree.flatten(model)
    assert [each.shape for each in leaves] == [
        (5, 4), (5,), (3, 5), (3,), (4, 3), (4,), (2, 4), (2,)
    ]  # fmt: skip
    again = tree.unflatten(structure, leaves)
    assert isinstance(again, Block)
    assert again.act is kj.tanh
    assert again.scale == 2.0
    assert tree.flatten(again)[1] == structure
    assert hash(structure) == hash(tree.flatten(block())[1])
    assert tree.flatten(model.replace(scale=3.0))[1] != structure


def test_paths_follow_the_attributes():
    names = [name for name, _ in block().parameters()]
    assert names[:3] == ["layers.0.weight", "layers.0.bias", "layers.1.weight"]
    assert names[-1] == "head.2.bias"
    assert block().num_parameters == 25 + 18 + 16 + 10


def test_modules_with_their_own_init():
    model = Written(4)
    assert [name for name, _ in model.parameters()] == ["first.weight", "first.bias", "gain"]
    x = np.ones((2, 4), np.float32)
    np.testing.assert_allclose(Louder(4).load_state_dict(model.state_dict())(x), 10 * model(x))


def test_gradients_have_the_shape_of_the_model():
    model = block()
    gradient = kj.grad(lambda m, x: kj.sum(m(x)))(model, np.ones((2, 4), np.float32))
    assert tree.flatten(gradient)[1] == tree.flatten(model)[1]
    np.testing.assert_allclose(gradient.head[2].bias, [4, 4])


def test_numpy_arrays_are_leaves_too():
    class Holder(nn.Module):
        table: np.ndarray

        def __call__(self, x):
            return x @ self.table

    found = kj.grad(lambda m: kj.sum(m(kj.ones((1, 2)))))(Holder(np.ones((2, 3), np.float32)))
    np.testing.assert_array_equal(found.table, np.ones((2, 3)))


def test_jit_takes_modules_and_traces_again_for_another_structure():
    model = block()
    x = np.ones((2, 4), np.float32)
    with kj.scope(tier="interpret"):
        traces = []

        @kj.jit
        def run(m, x):
            traces.append(m.scale)
            return m(x)

        np.testing.assert_array_equal(run(model, x), model(x))
        run(tree.map(lambda p: p + 1, model), x)
        assert traces == [2.0]
        np.testing.assert_allclose(run(model.replace(scale=4.0), x), 2 * model(x).numpy())
        assert traces == [2.0, 4.0]


def test_a_module_can_be_compiled_itself_and_reported():
    x = np.ones((2, 4), np.float32)
    with kj.scope(tier="interpret", debug=1):
        np.testing.assert_array_equal(kj.jit(nn.Sequential(nn.ReLU()))(x), x)


def test_a_loop_carries_modules():
    def step(carry, fixed):
        moved = kj.grad(lambda m: kj.sum(m(fixed) ** 2))(carry["model"])
        return {"model": tree.map(lambda p, g: p - 0.01 * g, carry["model"], moved)}

    x = np.ones((1, 4), np.float32)
    kj.random.seed(0)
    model = block()
    with kj.scope(tier="interpret"):
        loop = Loop(step, {"model": model}, x)
        loop.run(3)
    after = loop.carry["model"]
    assert np.abs(after(x)).sum() < np.abs(model(x)).sum()


# ------------------------------------------------------------------------- changed copies


def test_replace_leaves_the_original_alone():
    model = nn.Linear(2, 3)
    changed = model.replace(bias=None)
    assert changed.bias is None
    assert model.bias is not None
    assert changed.weight is model.weight
    with pytest.raises(UsageError, match="did you mean 'weight'") as error:
        model.replace(wieght=None)
    assert "Linear has no field 'wieght'" in str(error.value)


def test_astype_converts_the_float_arrays():
    class Counted(nn.Module):
        count: Any
        inner: Any

    model = Counted(kj.tensor([1, 2]), nn.Linear(2, 2)).astype(kj.float64)
    assert model.count.dtype == kj.int64
    assert model.inner.weight.dtype == kj.float64


def test_state_dict_round_trip():
    first, second = block(), block()
    x = np.ones((2, 4), np.float32)
    assert not np.array_equal(first(x), second(x))
    loaded = second.load_state_dict(first.state_dict())
    np.testing.assert_array_equal(first(x), loaded(x))
    assert not np.array_equal(first(x), second(x))


def test_loaded_arrays_are_copies_in_the_own_dtype():
    model = nn.Linear(2, 2)
    for dtype in (np.float32, np.float64):
        given = {"weight": np.ones((2, 2), dtype), "bias": np.zeros(2, dtype)}
        loaded = model.load_state_dict(given)
        given["weight"][:] = 7
        assert loaded.weight.dtype == kj.float32
        assert loaded.weight.numpy().max() == 1


def test_load_lists_everything_that_does_not_fit():
    state = nn.Linear(2, 3).state_dict()
    wrong = {"weight": state["weight"].T, "bais": state["bias"]}
    with pytest.raises(UsageError) as error:
        nn.Linear(2, 3).load_state_dict(wrong)
    text = str(error.value)
    assert "these weights do not fit this Linear" in text
    assert "missing: bias" in text
    assert "unexpected: bais" in text
    assert "wrong shape: weight is [3, 2] here, [2, 3] there" in text


def test_load_refuses_whole_numbers_for_floats():
    with pytest.raises(UsageError, match="weight is float32 here, int64 there"):
        nn.Linear(2, 2, bias=False).load_state_dict({"weight": np.zeros((2, 2), np.int64)})


# ----------------------------------------------------------------------------- the layer's name


def test_nodes_know_their_layer():
    found = scopes(block()(kj.ones((1, 4))))
    assert {("layers.0", "matmul"), ("layers.1", "matmul"), ("head.0", "matmul")} <= found
    assert ("head.1", "relu") in found
    assert ("", "tanh") in found


def test_a_layer_alone_is_named_by_its_class():
    assert ("Linear", "matmul") in scopes(nn.Linear(4, 2)(kj.ones((1, 4))))
    with named("encoder"):
        found = scopes(nn.Linear(4, 2)(kj.ones((1, 4))))
    assert ("encoder.Linear", "matmul") in found


def test_layers_reached_through_several_levels_keep_their_path():
    class Outer(nn.Module):
        inner: nn.Module

        def __call__(self, x):
            return self.inner.layers[1](x)

    found = scopes(Outer(block())(kj.ones((1, 5))))
    assert ("inner.layers.1", "matmul") in found


def test_super_call_does_not_name_a_layer_twice():
    found = scopes(nn.Sequential(Louder(4))(kj.ones((1, 4))))
    assert {("0", "multiply"), ("0.first", "matmul")} <= found


def test_names_are_restored_after_an_error():
    with pytest.raises(ShapeError):
        block()(kj.ones((1, 9)))
    assert ("Linear", "matmul") in scopes(nn.Linear(4, 2)(kj.ones((1, 4))))


def test_shape_errors_name_line_layer_and_shapes():
    with pytest.raises(ShapeError) as error:
        block()(np.ones((64, 28, 28), np.float32))
    text = str(error.value)
    expected = "layers.0 (Linear): expects inputs with 4 features in the last axis"
    assert f"{expected}, got shape [64, 28, 28]" in text
    assert "test_nn_module.py:" in text
    assert "layer(x)" in text


def test_errors_of_ops_inside_a_layer_name_it():
    class Sum(nn.Module):
        offset: Any

        def __call__(self, x):
            return x + self.offset

    with pytest.raises(ShapeError, match="in layer 1"):
        nn.Sequential(nn.ReLU(), Sum(kj.ones(3)))(kj.ones(2))


# --------------------------------------------------------------------------------- printing


def test_repr_reads_like_pytorch():
    assert repr(block()) == (
        "Block(\n"
        "  act=tanh, scale=2.0\n"
        "  (layers.0): Linear(in_features=4, out_features=5, bias=True)\n"
        "  (layers.1): Linear(in_features=5, out_features=3, bias=True)\n"
        "  (head): Sequential(\n"
        "    (0): Linear(in_features=3, out_features=4, bias=True)\n"
        "    (1): ReLU()\n"
        "    (2): Linear(in_features=4, out_features=2, bias=True)\n"
        "  )\n"
        ")"
    )


def test_repr_of_plain_fields():
    class Several(nn.Module):
        weights: Any
        name: str

    model = Several([kj.ones((2, 3)), kj.ones(2)], "a")
    assert repr(model) == "Several(weights.0=float32[2, 3], weights.1=float32[2], name='a')"


def test_fields_must_not_hide_methods():
    with pytest.raises(UsageError, match="has a field 'children'"):

        class Wrong(nn.Module):
            children: Any


def test_a_module_without_a_call_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(UsageError, match="Empty has no __call__"):
        Empty()(1)
