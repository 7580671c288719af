"""Errors say what, where (the user's own line, the layer) and the likely fix, with both shapes."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import (
    DataError,
    DtypeError,
    GradientError,
    KedjaError,
    ShapeError,
    UsageError,
)
from kedja.ir.graph import scope

X = kj.ones((3, 4))
Y = kj.ones((5, 4))
I8 = kj.ones((3, 4), "int64")

# Each call stands on one line, which the error must name.
# fmt: off
SHAPES = [
    (lambda: X @ Y, "[3, 4] [5, 4]"),
    (lambda: X @ kj.ones(3), "[3, 4] [3, 1]"),
    (lambda: kj.ones(3) @ X.T, "[1, 3] [4, 3]"),
    (lambda: kj.ones((2, 3, 4)) @ kj.ones((3, 4, 5)), "[2] [3]"),
    (lambda: X + Y, "[3, 4] [5, 4]"),
    (lambda: X * kj.ones(3), "[3, 4] [3]"),
    (lambda: kj.where(X > 0, X, Y), "[3, 4] [5, 4]"),
    (lambda: kj.where(kj.ones((5, 4)) > 0, X, X), "[5, 4] [3, 4]"),
    (lambda: X.reshape(5, 3), "[3, 4] [5, 3]"),
    (lambda: X.reshape(-1, 5), "[3, 4] -1, 5"),
    (lambda: X.reshape(-1, -1), "-1"),
    (lambda: kj.broadcast_to(X, (4, 4)), "[3, 4] [4, 4]"),
    (lambda: kj.concat([X, Y], axis=1), "[3, 4] [5, 4]"),
    (lambda: kj.stack([X, Y]), "[1, 3, 4] [1, 5, 4]"),
    (lambda: kj.squeeze(X, 0), "[3, 4]"),
    (lambda: kj.max(kj.ones((0, 3)), axis=0), "[0, 3]"),
    (lambda: kj.argmax(kj.ones((3, 0)), axis=1), "[3, 0]"),
    (lambda: kj.softmax(kj.ones((3, 0))), "[3, 0]"),
    (lambda: kj.cross_entropy_each(X, [0, 1]), "[3, 4] [2]"),
    (lambda: kj.take_along_axis(X, np.zeros((2, 1), int), axis=1), "[3, 4] [2, 1]"),
    (lambda: kj.scatter_add(X, [0], kj.ones((2, 4))), "[2, 4] [1, 4]"),
    (lambda: kj.ones(3).T, "[3]"),
    (lambda: kj.pad(X, [(1, 1), (-1, 0)]), "1, -1"),
    (lambda: kj.tensor([[1, 2], [3]]), ""),
    (lambda: kj.stack([kj.tensor([1.0]), kj.tensor([1.0, 2.0])]), "[1, 1] [1, 2]"),
    (lambda: kj.random.bits(kj.ones(3, "uint32"), (2,)), "[3]"),
]
DTYPES = [
    (lambda: X & X, "float32"),
    (lambda: ~X, "float32"),
    (lambda: I8 << 1.5, "float32"),
    (lambda: kj.cross_entropy_each(X, kj.ones(3)), "float32"),
    (lambda: kj.one_hot(X, 3), "float32"),
    (lambda: kj.tensor("abc"), "str"),
    (lambda: kj.tensor(np.zeros(2, "datetime64[s]")), "datetime64"),
    (lambda: kj.tensor(np.zeros(2, complex)), "complex128"),
    (lambda: kj.tensor([1.0], dtype="quarter"), "quarter"),
    (lambda: X.astype("complex64"), "complex64"),
    (lambda: kj.zeros(3, dtype="int7"), "int7"),
    (lambda: kj.tensor([1], requires_grad=True), "int64"),
    (lambda: kj.grad(lambda x: x * 1.0)(3), "int64"),
    (lambda: kj.scatter_add(X, [0], kj.ones((1, 4), "int64")), "int64"),
]
OTHERS = [
    (lambda: kj.sum(X, axis=2), UsageError, "axis 2"),
    (lambda: kj.sum(X, axis=(0, 0)), UsageError, "twice"),
    (lambda: kj.mean(X, axis=-3), UsageError, "axis -3"),
    (lambda: kj.argmax(X, axis=5), UsageError, "axis 5"),
    (lambda: kj.softmax(kj.tensor(1.0)), UsageError, "axis -1"),
    (lambda: kj.permute_dims(X, (0, 0)), ShapeError, "each axis once"),
    (lambda: kj.permute_dims(X, (0, 3)), UsageError, "axis 3"),
    (lambda: kj.expand_dims(X, 5), UsageError, "axis 5"),
    (lambda: kj.flip(X, 2), UsageError, "axis 2"),
    (lambda: kj.take(X, [0], 4), UsageError, "axis 4"),
    (lambda: kj.take(X, [0.5]), UsageError, "float"),
    (lambda: X[3], UsageError, "index 3"),
    (lambda: kj.tensor(1.0) @ X, ShapeError, "scalar"),
    (lambda: kj.concat([]), UsageError, "no arrays"),
    (lambda: kj.concat([kj.tensor(1.0)]), UsageError, "axis 0"),
    (lambda: kj.random.key(-1), UsageError, "-1"),
    (lambda: kj.zeros((2, -1)), ShapeError, "[2, -1]"),
    (lambda: kj.full(2, [1, 2]), DtypeError, "list"),
    (lambda: kj.full(2, kj.ones(())), DtypeError, "Tensor"),
    (lambda: kj.cross_entropy_each(X, [0, 4, 1]), DataError, "labels: index 4"),
    (lambda: kj.cross_entropy_each(X, [0, -1, 1]), DataError, "labels: index -1"),
    (lambda: kj.grad(lambda x: x * 2)(kj.ones(3)), GradientError, "float32[3]"),
    (lambda: kj.grad(lambda x: 3)(1.0), GradientError, "int"),
    (lambda: kj.grad(lambda x: x, argnums=2)(1.0), UsageError, "argnums 2"),
    (lambda: kj.sum(X).backward(), GradientError, "requires_grad"),
    (lambda: (kj.ones(2).requires_grad_() * 2).backward(), GradientError, "[2]"),
    (lambda: kj.jvp(kj.sin, (X,), (Y,)), UsageError, "[5, 4]"),
    (lambda: kj.vjp(kj.sin, X)[1](Y), UsageError, "[5, 4]"),
]
# fmt: on


def failing(call, kind) -> KedjaError:
    """The error of a call whose value is looked at by the interpreter, which checks indices."""
    with kj.scope(tier="interpret"), pytest.raises(kind) as caught:
        result = call()
        if isinstance(result, kj.Tensor):
            result.numpy()
    assert isinstance(caught.value, KedjaError)
    return caught.value


def line_of(call) -> str:
    return f"{__file__}:{call.__code__.co_firstlineno}"


def label(value) -> str:
    return str(value.__code__.co_firstlineno) if hasattr(value, "__code__") else str(value)


@pytest.mark.parametrize(("call", "shapes"), SHAPES, ids=label)
def test_a_wrong_shape_names_the_line_and_both_shapes(call, shapes):
    error = failing(call, ShapeError)
    assert error.where is not None
    assert error.where.startswith(line_of(call))
    for shape in shapes.split(" ["):
        assert shape.lstrip("[") in str(error)


@pytest.mark.parametrize(("call", "dtype"), DTYPES, ids=label)
def test_a_wrong_dtype_names_the_line_and_the_dtype(call, dtype):
    error = failing(call, DtypeError)
    assert error.where is not None
    assert error.where.startswith(line_of(call))
    assert dtype in str(error)


@pytest.mark.parametrize(("call", "kind", "message"), OTHERS, ids=label)
def test_other_mistakes_name_the_line_too(call, kind, message):
    error = failing(call, kind)
    assert error.where is not None
    assert error.where.startswith(line_of(call))
    assert message in str(error)


@pytest.mark.parametrize("call", [call for call, _ in SHAPES[:9]], ids=label)
def test_the_line_itself_and_a_fix_are_shown(call):
    error = failing(call, ShapeError)
    assert "lambda:" in error.what
    assert error.fix


def test_the_layer_is_named():
    with scope("encoder"), scope("layers.0"):
        error = failing(lambda: X @ Y, ShapeError)
    assert "(in layer encoder.layers.0)" in str(error)


def test_the_line_of_a_helper_function_is_the_line_in_it():
    def helper(a, b):
        return a @ b

    error = failing(lambda: helper(X, Y), ShapeError)
    assert error.where == f"{__file__}:{helper.__code__.co_firstlineno + 1}"


def test_an_error_inside_a_gradient_names_the_line_of_the_function():
    def loss(w):
        return kj.sum(X @ w)

    error = failing(lambda: kj.grad(loss)(Y), ShapeError)
    assert error.where == f"{__file__}:{loss.__code__.co_firstlineno + 1}"


def test_errors_are_also_what_python_would_raise():
    """`except ValueError` around a shape mistake works, as in NumPy."""
    with pytest.raises(ValueError, match="matmul"):
        X @ Y
    with pytest.raises(TypeError, match="complex64"):
        kj.tensor(np.zeros(2, np.complex64))
    with pytest.raises(IndexError, match="axis 0 of 3"):
        X[3]
    with pytest.raises(TypeError, match=r"t\.at\[key\]"):
        X[0] = 1


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'tanhh'"):
        kj.tanhh  # noqa: B018


@pytest.mark.parametrize("number", [300, -1])
def test_a_scalar_beyond_its_dtype_is_refused(number):
    error = failing(lambda: kj.ones(2, "uint8") + number, DtypeError)
    assert "uint8" in str(error)
