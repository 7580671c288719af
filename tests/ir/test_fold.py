"""Blocks: the calls of modules as one step each, on the way there and back, and what repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kedja as kj
from kedja import nn
from kedja.autodiff.reverse import gradient
from kedja.front.jit import without_value
from kedja.front.named import subject
from kedja.front.tensor import Tensor
from kedja.ir.fold import Block, folded, is_inline, is_leaf
from kedja.ir.graph import Layer, Node, apply, scope, topological, variable
from kedja.ir.op import Type
from kedja.ir.runs import Run, with_runs

X = np.dtype(np.float32)


def traced(*shape: int) -> Tensor:
    """An input without a value."""
    return without_value("x", shape, X)


def graph_of(net: Any) -> list[Node]:
    """What a network computes from a batch of three, its arrays as leaves."""
    return subject(net, at={"x": np.ones((3, 4), np.float32)}).outputs


def labels(block: Block) -> list[tuple[str, str, int]]:
    """The blocks directly inside: layer, class, and whether they stand on the way back."""
    return [(str(each.layer), each.kind, each.back) for each in block.blocks]


def every(block: Block) -> list[Block]:
    """A block and all inside it."""
    return [block, *(inner for each in block.blocks for inner in every(each))]


class Twice(nn.Module):
    """One layer, applied two times."""

    layer: nn.Linear

    def __call__(self, x: Tensor) -> Tensor:
        return self.layer(kj.tanh(self.layer(x)))


def test_each_call_of_a_module_is_a_block_with_its_path_and_class():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 2)))
    [whole] = folded([net(traced(3, 4)).node]).blocks
    assert (str(whole.layer), whole.kind) == ("", "Sequential")
    assert labels(whole) == [("0", "Linear", 0), ("1", "ReLU", 0), ("2", "Sequential", 0)]
    assert labels(whole.blocks[2]) == [("2.0", "Linear", 0)]


def test_a_module_that_is_called_twice_is_two_blocks():
    [whole] = folded([Twice(nn.Linear(4, 4))(traced(3, 4)).node]).blocks
    assert [each.layer for each in whole.blocks] == ["layer", "layer"]
    assert whole.blocks[0].outputs[0] in topological(whole.blocks[1].inputs)


def test_two_networks_with_the_same_paths_are_kept_apart():
    first, second = (nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2))
    x = traced(3, 4)
    root = folded([(first(x) + second(x)).node])
    assert len(root.blocks) == 2 and [len(each.blocks) for each in root.blocks] == [2, 2]


def test_what_reverse_mode_made_of_a_layer_is_a_block_of_its_own():
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))
    x = traced(3, 4)
    found = gradient(kj.sum(net(x)).node, [x.node])
    there, back = folded([each for each in found if each is not None]).blocks
    assert (there.back, back.back) == (0, 1)
    assert [each.layer for each in there.blocks][:2] == ["0", "1"]
    assert [each.layer for each in back.blocks] == ["2", "1", "0"]


def test_gradients_of_gradients_count_the_ways_back():
    layer = nn.Linear(1, 1)

    def slope(x: Tensor) -> Any:
        return kj.grad(lambda x: kj.sum(kj.tanh(layer(x))))(x)

    x = traced(1, 1)
    second = gradient(kj.sum(slope(x)).node, [x.node])[0]
    assert second is not None
    assert {node.back for node in topological([second])} == {0, 1, 2}


def test_everything_made_on_the_way_back_through_a_composite_belongs_to_it():
    x = variable("x", Type((2, 3), X))
    with scope("layer"):
        y = apply("softmax", x, axes=(1,))
    total = apply("sum", apply("multiply", y, y), axes=(0, 1))
    found = gradient(total, [x])[0]
    assert found is not None
    made = set(topological([found])) - set(topological([total]))
    assert all(node.back == 1 for node in made if node.op.name not in ("copy",))


def chain_of(count: int) -> nn.Sequential:
    """Equal layers one after the other."""
    return nn.Sequential(*(nn.Linear(4, 4) for _ in range(count)))


def test_equal_blocks_in_a_row_are_a_run():
    [whole] = folded(graph_of(chain_of(5))).blocks
    [run] = with_runs(whole.items)
    assert isinstance(run, Run)
    assert (run.label, len(run.blocks), run.is_chain) == ("0 … 4", 5, True)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [nn.Linear(4, 4), nn.Linear(4, 3)],
        lambda: [nn.Linear(4, 4), nn.Linear(4, 4, bias=False)],
        lambda: [nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)],
        lambda: [nn.ReLU(), nn.Tanh()],
    ],
)
def test_blocks_that_differ_are_no_run(layers: Callable[[], list[nn.Module]]):
    [whole] = folded(graph_of(nn.Sequential(*layers()))).blocks
    assert all(isinstance(each, Block) for each in with_runs(whole.items))


def test_equal_blocks_side_by_side_are_no_chain():
    heads = nn.ModuleList([nn.Linear(4, 2) for _ in range(3)])

    class Heads(nn.Module):
        heads: nn.Module

        def __call__(self, x: Tensor) -> Any:
            return [head(x) for head in self.heads]  # all of the same x

    [whole] = folded(graph_of(Heads(heads))).blocks
    runs = [each for each in with_runs(whole.items) if isinstance(each, Run)]
    assert [(run.label, run.is_chain) for run in runs] == [("heads.0 … heads.2", False)]


# ------------------------------------------------------------------------------ any graph at all


@st.composite
def graphs(draw: st.DrawFn) -> list[Node]:
    """Graphs whose nodes say that they belong to layers, in any order and nesting."""
    outer = [Layer.within("", name) for name in "ab"]
    layers: list[str] = ["", *outer, *(Layer.within(each, "c") for each in outer), "plain"]
    pool = [variable("x", Type((2,), X)), variable("y", Type((2,), X))]
    for _ in range(draw(st.integers(1, 25))):
        a, b = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        op = draw(st.sampled_from(["add", "negative", "copy"]))
        made = apply(op, a, b) if op == "add" else apply(op, a)
        layer, back = draw(st.sampled_from(layers)), draw(st.integers(0, 1))
        pool.append(Node(made.op, made.inputs, made.attrs, made.type, None, layer, back))
    return draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))


@given(graphs())
def test_blocks_hold_every_node_once_and_stand_after_what_they_use(outputs: list[Node]) -> None:
    root = folded(outputs)
    wanted = [n for n in topological(outputs) if not (is_leaf(n) or is_inline(n))]
    assert sorted(map(id, root.nodes)) == sorted(map(id, wanted))
    for block in every(root):
        inside = [
            node
            for item in block.items
            for node in (item.nodes if isinstance(item, Block) else [item])
        ]
        assert sorted(map(id, inside)) == sorted(map(id, block.nodes))
        done: set[Node] = set()
        for item in block.items:
            needed = set(topological(item.inputs)) & set(block.nodes)
            assert needed <= done
            done |= set(item.nodes if isinstance(item, Block) else [item])
        for inner in block.blocks:
            assert all(node not in inner.nodes for node in inner.inputs)
            assert len({(str(node.scope).split(".")[0], node.back) for node in inner.nodes}) == 1
