"""Which values are kept in memory: nothing that is cheap beside what is kept anyway."""

from __future__ import annotations

import numpy as np

from kedja.compiler import codegen
from kedja.compiler.fuse import Fusion
from kedja.front import functions  # noqa: F401  fills the table of ops
from kedja.ground.dtypes import bfloat16
from kedja.ir.graph import Node, apply, full, variable
from kedja.ir.op import Type

FLOAT = np.dtype(np.float32)


def matrix(name: str, *shape: int) -> Node:
    return variable(name, Type(shape, FLOAT))


def test_a_value_that_is_cheap_beside_a_kept_one_is_computed_again():
    x, w = matrix("x", 8, 6), matrix("w", 6, 6)
    dear = apply("tanh", x)
    cheap = dear + full(1.0, (8, 6), FLOAT)
    outputs = [apply("sum", cheap, axes=(0,)), apply("matmul", dear, w), apply("exp", cheap)]
    kept = Fusion(outputs).kept
    assert dear in kept
    assert cheap not in kept


def test_a_rounded_product_is_kept_as_the_half_that_it_is():
    x, w = matrix("x", 64, 32), matrix("w", 32, 48)
    half = apply("cast", apply("matmul", x, w), dtype=bfloat16)
    wide = apply("cast", half, dtype=FLOAT)
    fusion = Fusion([apply("exp", wide), apply("sum", wide, axes=(0,))])
    assert half in fusion.kept
    assert wide not in fusion.kept


def test_what_is_read_in_another_shape_is_no_dearer():
    x, w = matrix("x", 8, 6), matrix("w", 6, 6)
    dear = apply("tanh", x)
    cheap = apply("reshape", dear, shape=(2, 4, 6)) + full(1.0, (2, 4, 6), FLOAT)
    outputs = [apply("exp", cheap), apply("sum", cheap, axes=(0,)), apply("matmul", dear, w)]
    kept = Fusion(outputs).kept
    assert dear in kept
    assert cheap not in kept


def test_a_value_that_windows_repeat_stays():
    x = matrix("x", 4, 64)
    dear = apply("tanh", x)
    cheap = apply("relu", dear)
    wide = apply("windows", cheap, kernel=(3,), strides=(1,), dilation=(1,))
    outputs = [apply("reshape", wide, shape=(4, 62 * 3)), cheap * cheap, apply("exp", dear)]
    assert cheap in Fusion(outputs).kept


def test_what_is_put_together_of_many_is_put_together_once():
    """The remainders of a strided convolution's gradient: each element is chosen, not computed."""
    parts = [matrix(name, 64, 1, 16) for name in "abcdef"]
    whole = apply("relu", apply("concatenate", *parts, axis=1))
    assert whole in Fusion([apply("exp", whole), apply("sum", whole, axes=(0,))]).kept


def test_what_is_repeated_across_the_lanes_is_turned_first():
    """The way back of max pooling behind a flattening, whose gradient has the channels first."""
    x, y = matrix("x", 8, 32, 49), matrix("y", 8, 49, 2, 32)
    turned = apply("transpose", x, axes=(0, 2, 1))
    wide = apply("broadcast", apply("reshape", turned, shape=(8, 49, 1, 32)), shape=y.shape)
    assert turned in Fusion([wide * y]).kept
    assert turned not in Fusion([apply("exp", turned)]).kept


def test_a_long_chain_with_many_shared_parts_is_one_expression():
    x = matrix("x", 8, 6)
    y = x
    for _ in range(20):  # as a tree, a million nodes
        y = y * y + y
    fusion = Fusion([y])
    assert fusion.kept == {y}


def test_sums_over_the_same_axes_share_their_loops():
    x, y = matrix("x", 48, 96), matrix("y", 48, 96)
    outputs = [
        apply("sum", x * y, axes=(0,)),
        apply("sum", x, axes=(0,)),
        apply("sum", x, axes=(1,)),
    ]
    kernels = codegen.lower(outputs, [x, y], [], {}, None).schedule.kernels
    assert sorted(len(kernel.writes) for kernel in kernels) == [1, 2]
