"""Floating-point operations and what gradients keep: by hand, and as PyTorch counts products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.autodiff.reverse import gradient
from kedja.front.named import subject
from kedja.ir import cost
from kedja.ir.graph import Node, apply, topological, variable
from kedja.ir.op import TABLE, OnHost, Type

F32 = np.dtype(np.float32)


def array(*shape: int, dtype: Any = F32) -> Node:
    """An input."""
    return variable("x", Type(shape, np.dtype(dtype)))


@pytest.mark.parametrize(
    ("node", "flops"),
    [
        (lambda: apply("matmul", array(3, 4), array(4, 5)), 2 * 3 * 4 * 5),
        (lambda: apply("matmul", array(7, 3, 4), array(7, 4, 5)), 7 * 2 * 3 * 4 * 5),
        (lambda: apply("add", array(3, 4), array(3, 4)), 12),
        (lambda: apply("exp", array(3, 4)), 12),
        (lambda: apply("sum", array(3, 4), axes=(1,)), 12),
        (lambda: apply("transpose", array(3, 4), axes=(1, 0)), 0),
        (lambda: apply("add", array(3, dtype=np.int64), array(3, dtype=np.int64)), 0),
        (lambda: apply("less", array(3), array(3)), 0),
        (lambda: apply("cholesky", array(2, 6, 6, dtype=np.float64)), 2 * 6**3 // 3),
        (lambda: apply("sort", array(9), axis=0, descending=False), 0),
        (lambda: array(3), 0),
    ],
)
def test_the_operations_of_one_node(node: Callable[[], Node], flops: int) -> None:
    assert cost.flops(node()) == flops


def test_a_softmax_counts_what_it_is_made_of() -> None:
    node = apply("softmax", array(2, 5), axes=(1,))
    assert 3 * 10 <= cost.flops(node) <= 6 * 10


def total(f: Callable[..., Any], **at: Any) -> int:
    """The operations of a function."""
    return cost.total(subject(f, at).outputs)


def test_loops_count_every_step_and_branches_the_costlier_one() -> None:
    x, w = np.ones((7, 3), np.float32), np.eye(3, dtype=np.float32)
    step = total(lambda h, w: kj.tanh(h @ w), h=x[0], w=w)
    loop = total(lambda x, w: kj.scan(lambda h, x: (kj.tanh(h @ w), x), x[0], x)[0], x=x, w=w)
    assert loop == 7 * step
    branch = total(lambda x, w: kj.cond(True, lambda x: x @ w, lambda x: x, x), x=x, w=w)
    assert branch == 2 * 7 * 3 * 3
    again = total(lambda x, w: kj.checkpoint(lambda x: x @ w)(x), x=x, w=w)
    assert again == 2 * 7 * 3 * 3


def test_every_op_has_a_cost() -> None:
    rng = np.random.default_rng(0)
    for op in TABLE.values():
        for case in op.sample(rng):
            inputs = [variable(f"x{i}", Type(a.shape, a.dtype)) for i, a in enumerate(case.inputs)]
            assert cost.flops(apply(op.name, *inputs, **case.attrs)) >= 0
    hosted = {op.name for op in TABLE.values() if isinstance(op.lowering, OnHost)}
    assert set(cost.MATRICES) <= hosted


CONVOLUTIONS = [
    (lambda t: t.nn.Conv2d(3, 8, 3, padding=1), lambda: nn.Conv2d(3, 8, 3, padding=1)),
    (
        lambda t: t.nn.Conv2d(3, 6, (3, 2), stride=2, groups=3),
        lambda: nn.Conv2d(3, 6, (3, 2), stride=2, groups=3),
    ),
    (lambda t: t.nn.Conv2d(3, 4, 3, dilation=2), lambda: nn.Conv2d(3, 4, 3, dilation=2)),
    (
        lambda t: t.nn.ConvTranspose2d(3, 4, 3, stride=2),
        lambda: nn.ConvTranspose2d(3, 4, 3, stride=2),
    ),
    (lambda t: t.nn.Linear(9, 4), lambda: nn.Linear(9, 4)),
]


@pytest.mark.parametrize(("theirs", "ours"), CONVOLUTIONS)
def test_products_are_counted_as_pytorch_counts_them(theirs: Any, ours: Any) -> None:
    torch = pytest.importorskip("torch")
    counter = pytest.importorskip("torch.utils.flop_counter")
    x = np.ones((2, 3, 8, 9), np.float32)
    with counter.FlopCounterMode(display=False) as counted:
        theirs(torch)(torch.from_numpy(x))
    outputs = subject(ours(), {"x": x}).outputs
    products = [n for n in topological(outputs) if n.op.name in ("matmul", "convolution")]
    assert sum(map(cost.flops, products)) == counted.get_total_flops()


# --------------------------------------------------------------------------------------- memory


def kept(f: Callable[[Node], Node], x: Node, wrt: Node) -> list[str]:
    """The ops whose values the gradient of f keeps."""
    y = f(x)
    out = apply("sum", y, axes=tuple(range(len(y.shape))))
    found = gradient(out, [wrt])
    order = topological([out])
    return [
        node.op.name for node in cost.kept(order, [g for g in found if g is not None], [x, wrt])
    ]


def test_what_is_cheap_is_computed_again() -> None:
    x, w = array(4, 5), array(5, 6)
    hidden = lambda x: apply("relu", apply("matmul", x, w))  # noqa: E731  as short as in a table
    assert kept(lambda x: hidden(x), x, w) == ["matmul"]  # its sign is that of the product
    assert kept(lambda x: apply("matmul", x, w), x, w) == []  # the input is given
    twice = kept(
        lambda x: apply(
            "matmul", apply("tanh", apply("matmul", x, w)), apply("transpose", w, axes=(1, 0))
        ),
        x,
        w,
    )
    assert twice == ["tanh"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (5 * 2**40, "5.0 TiB"),
        (2**60, "1,048,576.0 TiB"),
    ],
)
def test_bytes_are_readable(count: int, text: str) -> None:
    assert cost.readable(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999_999, "999,999"),
        (1_000_000, "1 M"),
        (999_600_000, "1 G"),
        (3.643e9, "3.64 G"),
        (7e17, "700 P"),
    ],
)
def test_operations_are_readable(count: float, text: str) -> None:
    assert cost.shortened(count) == text
