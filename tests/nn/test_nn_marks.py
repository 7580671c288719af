"""Buffers, frozen modules, tied weights, and places by path: what is learned and what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja import nn
from kedja.front import tree
from kedja.front.loop import Loop
from kedja.ground.errors import UsageError
from tests.nn.layers import normal

X = normal(6, 4).astype(np.float32)


class Scaled(nn.Module):
    """A layer with a buffer, an integer buffer and a dict of buffers beside its weights."""

    inner: nn.Module
    scale: nn.Buffer
    count: nn.Buffer | None
    more: dict[str, nn.Buffer]

    def __call__(self, x):
        return self.inner(x) * self.scale


def scaled():
    more = {"b": kj.ones(2), "a": kj.zeros(1)}
    return Scaled(nn.Linear(4, 4, key=kj.random.key(0)), kj.tensor(2.0), kj.tensor(3), more)


class Tied(nn.Module):
    """A language model in miniature: what embeds is what decodes."""

    embedding: nn.Embedding
    between: nn.Linear
    head: nn.Linear

    def __init__(self):
        self.embedding = nn.Embedding(7, 4, key=kj.random.key(0))
        self.between = nn.Linear(4, 4, key=kj.random.key(1))
        head = nn.Linear(4, 7, bias=False)
        self.head = head.replace(weight=self.embedding.weight)

    def __call__(self, x):
        return self.head(kj.tanh(self.between(self.embedding(x))))


WORDS = np.array([1, 5, 2])


def loss(model):
    return nn.cross_entropy(model(WORDS), np.array([5, 2, 0]))


# ----------------------------------------------------------------------------------- buffers


def test_buffers_are_leaves_but_not_parameters():
    model = scaled()
    assert [name for name, _ in model.parameters()] == ["inner.weight", "inner.bias"]
    assert [name for name, _ in model.buffers()] == ["scale", "count", "more.b", "more.a"]
    assert model.num_parameters == 20
    names = ["inner.weight", "inner.bias", "scale", "count", "more.b", "more.a"]
    assert list(model.state_dict()) == names
    assert tree.trainable(tree.flatten(model)[1]) == [True, True, False, False, False, False]
    again = scaled().load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again(X), model(X))


def test_annotations_that_are_no_texts_declare_buffers_too():
    namespace: dict[str, Any] = {"__annotations__": {"kept": nn.Buffer | None, "learned": Any}}
    made = type("Made", (nn.Module,), namespace)
    model = made(kj.ones(1), kj.ones(1))
    assert [name for name, _ in model.buffers()] == ["kept"]
    child = type("Child", (made,), {"__annotations__": {"other": Any}})
    assert [name for name, _ in child(*[kj.ones(1) for _ in range(3)]).buffers()] == ["kept"]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_optimisers_leave_buffers_alone(name):
    options = {"momentum": 0.9} if name == "sgd" else {}
    optimizer = kj.optim.optimizer(name, lr=0.1, **options)
    model = scaled()
    state = optimizer.init(model)

    @kj.jit
    def update(model, state):
        grads = kj.grad(lambda m: kj.sum(m(X) ** 2))(model)
        return optimizer.update(model, grads, state)

    moved, state = update(*update(model, state))
    for path, each in moved.buffers():
        np.testing.assert_array_equal(each, model.state_dict()[path])
    assert not np.allclose(moved.inner.weight, model.inner.weight)


def test_what_is_set_or_appended_later_is_seen():
    model = nn.Sequential(nn.Linear(4, 3))
    before = tree.flatten(model)[1]
    model[0].bias = None
    assert len(tree.leaves(model)) == 1
    assert tree.flatten(model)[1] != before

    class Listed(nn.Module):
        layers: list[Any]

    listed = Listed([nn.Linear(2, 2)])
    assert len(tree.leaves(listed)) == 2
    listed.layers.append(nn.Linear(2, 2))
    assert len(tree.leaves(listed)) == 4


# ------------------------------------------------------------------------------------ frozen


def test_frozen_modules_are_not_differentiated():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)).at("0").freeze()
    gradient = kj.grad(lambda m: kj.sum(m(X)))(model)
    assert not gradient[0].weight.numpy().any()
    assert gradient[2].weight.numpy().any()
    assert tree.flatten(gradient)[1] == tree.flatten(model)[1]
    optimizer = kj.optim.AdamW(0.1, weight_decay=0.5)
    moved, _ = optimizer.update(model, gradient, optimizer.init(model))
    assert moved[0].weight is model[0].weight
    assert not np.allclose(moved[2].weight, model[2].weight)


def test_freezing_marks_all_modules_inside_and_unfreezing_clears_them():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 3)), nn.Linear(3, 1))
    frozen = model.freeze()
    assert tree.trainable(tree.flatten(frozen)[1]) == [False] * 4
    assert frozen.is_frozen and frozen[0][0].is_frozen and not model.is_frozen
    head = frozen.at("1").unfreeze()
    assert tree.trainable(tree.flatten(head)[1]) == [False, False, True, True]
    assert tree.flatten(frozen.unfreeze())[1] == tree.flatten(model)[1]
    assert repr(frozen) == repr(model)
    assert frozen.num_parameters == model.num_parameters
    fresh = frozen.at("1").set(nn.Linear(3, 2))
    assert tree.trainable(tree.flatten(fresh)[1]) == [False, False, True, True]


def test_nothing_changes_in_a_frozen_batch_norm():
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(norm, nn.BatchNorm1d(4)).at("0").freeze()
    with nn.training() as state:
        inside = model[0](X)
        model(X)
    np.testing.assert_allclose(inside, norm(X), rtol=1e-6)
    moved = state.updated(model)
    assert moved[0].num_batches_tracked.item() == 0
    assert moved[1].num_batches_tracked.item() == 1


# -------------------------------------------------------------------------------------- tied


def test_a_tied_weight_is_one_leaf():
    model = Tied()
    assert [name for name, _ in model.parameters()] == [
        "embedding.weight", "between.weight", "between.bias"
    ]  # fmt: skip
    leaves, structure = tree.flatten(model)
    assert len(leaves) == structure.leaves == 3
    again = tree.unflatten(structure, leaves)
    assert again.head.weight is again.embedding.weight
    assert tree.flatten(again)[1] == structure


def test_its_gradient_is_the_sum_over_both_places():
    torch = pytest.importorskip("torch")
    model = Tied().astype(kj.float64)
    assert model.head.weight is model.embedding.weight
    gradient = kj.grad(loss)(model)
    assert gradient.head.weight is gradient.embedding.weight
    state = {name: torch.tensor(each) for name, each in model.state_dict().items()}
    names = ("embedding.weight", "between.weight", "between.bias")
    table, weight, bias = (state[name].requires_grad_() for name in names)
    hidden = torch.tanh(table[torch.tensor(WORDS)] @ weight.T + bias)
    torch.nn.functional.cross_entropy(hidden @ table.T, torch.tensor([5, 2, 0])).backward()
    np.testing.assert_allclose(gradient.embedding.weight, table.grad.numpy(), rtol=1e-9)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_it_stays_tied_through_jit_and_updates(name):
    optimizer = kj.optim.optimizer(name, lr=0.1)
    model = Tied()

    @kj.jit
    def update(model, state):
        return optimizer.update(model, kj.grad(loss)(model), state)

    moved, state = update(model, optimizer.init(model))
    moved, _ = update(moved, state)
    assert moved.head.weight is moved.embedding.weight
    assert not np.allclose(moved.head.weight, model.head.weight)
    history = kj.fit(
        model, WORDS, np.array([5, 2, 0]), loss="cross_entropy", optimizer=optimizer, epochs=2,
        progress=False,
    )  # fmt: skip
    assert history.model.head.weight is history.model.embedding.weight


def test_a_loop_carries_it():
    model = Tied()

    def step(carry, fixed):
        grads = kj.grad(loss)(carry)
        return tree.map(lambda p, g: p - 0.1 * g, carry, grads)

    loop = Loop(step, model)
    loop.run(2)
    moved = loop.carry
    assert moved.head.weight is moved.embedding.weight


def test_both_names_are_saved_and_either_loads():
    model = Tied()
    state = model.state_dict()
    assert list(state) == ["embedding.weight", "between.weight", "between.bias", "head.weight"]
    np.testing.assert_array_equal(state["head.weight"], state["embedding.weight"])
    for missing in ("head.weight", "embedding.weight"):
        given = {name: each + 1 for name, each in state.items() if name != missing}
        loaded = Tied().load_state_dict(given)
        assert loaded.head.weight is loaded.embedding.weight
        np.testing.assert_array_equal(loaded.head.weight, state["head.weight"] + 1)
    with pytest.raises(UsageError, match=r"embedding.weight and head.weight are one array here"):
        Tied().load_state_dict({**state, "head.weight": state["head.weight"] + 1})
    with pytest.raises(UsageError, match=r"missing: embedding\.weight"):
        Tied().load_state_dict({k: v for k, v in state.items() if "between" in k})


def test_a_copy_is_not_tied():
    layer = nn.Linear(4, 4)
    assert len(tree.leaves(nn.Sequential(layer, layer))) == 2
    assert len(tree.leaves(nn.Sequential(layer, layer.copy()))) == 4
    assert len(tree.leaves([layer, layer])) == 4  # outside of modules nothing is tied


def test_a_tied_weight_is_frozen_at_both_places_or_at_none():
    with pytest.raises(UsageError, match="at one of them only"):
        tree.flatten(Tied().at("head").freeze())
    both = Tied().at("head").freeze().at("embedding").freeze()
    assert tree.trainable(tree.flatten(both)[1]) == [False, True, True]


SHARED = [kj.tensor(float(i)) for i in range(4)]


class Holder(nn.Module):
    first: Any
    second: Any


HOLDERS = st.recursive(
    st.sampled_from(SHARED),
    lambda below: st.builds(Holder, below, st.lists(below, max_size=3)),
    max_leaves=12,
)


@given(HOLDERS)
def test_any_sharing_survives_being_taken_apart(holder):
    leaves, structure = tree.flatten(holder)
    assert len({id(leaf) for leaf in leaves}) == len(leaves) == structure.leaves
    again = tree.unflatten(structure, leaves)
    assert [(n, id(leaf)) for n, leaf in tree.places(again)] == [
        (n, id(leaf)) for n, leaf in tree.places(holder)
    ]
    assert [leaf for _, leaf in tree.paths(holder)] == leaves
    assert tree.flatten(tree.map(lambda leaf: leaf + 1, holder))[1] == structure


# ---------------------------------------------------------------------------- places by path


class Net(nn.Module):
    blocks: list[nn.Module]
    head: nn.Module
    bias: Any = None


def net():
    return Net([nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.ReLU()], nn.Linear(3, 2))


def test_what_stands_at_a_path_is_replaced():
    model = net()
    assert isinstance(model.at("blocks.0.1").get(), nn.ReLU)
    changed = model.at("blocks.0.1").set(nn.Tanh())
    assert isinstance(changed.blocks[0][1], nn.Tanh)
    assert isinstance(model.blocks[0][1], nn.ReLU)
    assert changed.blocks[0][0] is model.blocks[0][0]
    assert model.at("blocks.0.0").replace(bias=None).blocks[0][0].bias is None
    doubled = model.at("head.weight").apply(lambda w: 2 * w)
    np.testing.assert_array_equal(doubled.head.weight, 2 * model.head.weight)
    assert model.at("bias").set(kj.ones(2)).bias.shape == (2,)
    assert model.at("blocks").get() is model.blocks
    assert model.at("head.bias").set(None).head.bias is None
    lists = nn.ModuleList([nn.ReLU(), nn.ReLU()]).at("1").set(nn.Tanh())
    assert isinstance(lists[1], nn.Tanh)


def test_unknown_paths_are_errors_with_the_close_ones():
    with pytest.raises(UsageError, match="Net has nothing at 'haed'") as error:
        net().at("haed")
    assert "did you mean 'head'" in error.value.fix
    with pytest.raises(UsageError, match=r"Linear has nothing at 'weigth' of 'head\.weigth'"):
        net().at("head.weigth").set(1)
    with pytest.raises(UsageError, match="Tensor has nothing at 'x'"):
        net().at("head.weight.x")
