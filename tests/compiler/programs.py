"""A few small programs that the compiler's tests share.

Next: `test_golden_code.py`, `test_programs.py`.
"""

from __future__ import annotations

import numpy as np

import kedja as kj
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ir.graph import Node, apply, variable
from kedja.ir.op import Type

FLOAT = np.dtype(np.float32)


def layer() -> tuple[list[Node], list[Node]]:
    """relu(x·w + b): the product takes the rest as its epilogue."""
    x, w, b = (variable(n, Type(s, FLOAT)) for n, s in (("x", (6, 5)), ("w", (5, 7)), ("b", (7,))))
    return [apply("relu", apply("matmul", x, w) + apply("broadcast", b, shape=(6, 7)))], [x, w, b]


def softmax() -> tuple[list[Node], list[Node]]:
    """One kernel with two reductions for each row."""
    x = variable("x", Type((4, 10), FLOAT))
    return [apply("softmax", x, axes=(1,))], [x]


def column_sums() -> tuple[list[Node], list[Node]]:
    """A reduction across rows: lanes along the columns."""
    x = variable("x", Type((9, 20), FLOAT))
    return [apply("sum", x * x, axes=(0,))], [x]


SMALL = {"layer": layer, "softmax": softmax, "column_sums": column_sums}


def step(carry: dict, fixed: dict) -> dict:
    """One step of gradient descent on a small network, the batch taken by a lookup."""
    place = kj.take(fixed["order"], carry["step"] * 8 + kj.arange(8))
    x, y = (kj.take(fixed[name], place, axis=0) for name in ("x", "y"))
    x = x.astype(kj.float32) * (1 / 255)

    def loss(weights: dict) -> kj.Tensor:
        hidden = kj.tanh(x @ weights["w1"].T + weights["b1"])
        logits = hidden @ weights["w2"].T + weights["b2"]
        return kj.mean(kj.cross_entropy_each(logits, y))

    value, grads = kj.value_and_grad(loss)(carry["weights"])
    weights = kj.tree.map(lambda w, g: w - 0.1 * g, carry["weights"], grads)
    return {"weights": weights, "step": carry["step"] + 1, "loss": value}


def training(examples: int = 80, width: int = 33) -> tuple[dict, dict]:
    """A carry and fixed data for `step`."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> kj.Tensor:
        return kj.tensor(rng.standard_normal(shape).astype(np.float32) * 0.2)

    weights = {
        "w1": normal(width, 49),
        "b1": normal(width),
        "w2": normal(5, width),
        "b2": normal(5),
    }
    carry = {"weights": weights, "step": kj.tensor(0), "loss": kj.tensor(0.0)}
    pictures = rng.integers(0, 256, (examples, 49)).astype(np.uint8)
    labels = rng.integers(0, 5, examples).astype(np.int32)
    return carry, {"x": pictures, "y": labels, "order": rng.permutation(examples)}
