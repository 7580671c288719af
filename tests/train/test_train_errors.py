"""What does not fit is said before the first step, by layer, shape and row."""

from __future__ import annotations

import numpy as np
import pytest
from train_problems import blobs, interpreted, network

import kedja as kj
from kedja.ground.errors import DataError, DtypeError, ShapeError, UsageError

__all__ = ["interpreted"]

pytestmark = pytest.mark.usefixtures("interpreted")
X, Y = blobs(20)


def train(model=None, x=X, y=Y, **changes):
    options = {"loss": "cross_entropy", "optimizer": kj.optim.SGD(0.1), "progress": False}
    return kj.fit(network() if model is None else model, x, y, **(options | changes))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (
            {"model": network(inputs=5)},
            ShapeError,
            r"layer 0 \(Linear\): .* 5 features .*20, 4",
        ),
        ({"y": Y[:-1]}, ShapeError, "20 inputs.*19 targets"),
        ({"x": X[:0], "y": Y[:0]}, DataError, "no examples"),
        ({"x": np.float32(3)}, ShapeError, "x of the training data is a single number"),
        ({"y": np.array(["a"] * 20)}, DtypeError, "y of the training data has dtype <U1"),
        ({"y": Y + 5}, DataError, "label 5 at row 0 of y is outside the network's 3 outputs"),
        ({"y": np.where(np.arange(20) == 7, -1, Y)}, DataError, "label -1 at row 7"),
        ({"y": Y.astype(np.float32)}, DtypeError, "labels of float32"),
        ({"y": Y[:, None]}, ShapeError, "labels"),
        ({"loss": "mse"}, ShapeError, "mse_loss of outputs"),
        ({"loss": "crossentropy"}, UsageError, "unknown loss 'crossentropy'"),
        ({"loss": lambda p, t: p}, ShapeError, r"the loss has shape \[20, 3\]"),
        ({"loss": lambda p, t: kj.sum(t)}, DtypeError, "the loss has dtype int64"),
        ({"optimizer": 0.1}, UsageError, "the optimizer is 0.1"),
        ({"batch_size": 0}, UsageError, "batch_size is 0"),
        ({"epochs": 0}, UsageError, "epochs is 0"),
        ({"seed": -1}, UsageError, "seed is -1"),
        ({"threads": -1}, UsageError, "threads is -1"),
        ({"checkpoint_seconds": 0}, UsageError, "checkpoint_seconds"),
        ({"validation": 1.5}, UsageError, "validation is 1.5"),
        ({"validation": 0.01}, UsageError, "leaves one part empty"),
        ({"validation": (X[:, :3], Y)}, ShapeError, r"layer 0 \(Linear\)"),
        ({"validation": (X, Y + 1)}, DataError, "label 3 at row 2"),
        ({"validation": (X, None)}, UsageError, "targets in only one"),
        ({"model": {"w": X}}, UsageError, "cannot be called"),
        ({"model": kj.nn.Sequential(kj.nn.ReLU())}, UsageError, "has no parameters"),
        ({"model": kj.nn.Sequential(network(), kj.sum)}, ShapeError, "keeps the first axis"),
    ],
)
def test_mistakes(changes, kind, message):
    with pytest.raises(kind, match=message):
        train(**changes)


def test_a_batch_larger_than_the_data_is_all_of_it_and_says_so():
    history = train(batch_size=64, epochs=3)
    assert history.steps == 3
    assert "batch_size 64 is more than the 20 examples" in history.notes[0]
    assert train(batch_size=20, epochs=3).losses.tolist() == history.losses.tolist()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int16", "uint8", "bool"])
def test_inputs_of_any_dtype(dtype):
    x = (X > 0).astype(dtype)
    history = train(x=x)
    np.testing.assert_allclose(history.losses, train(x=x.astype(np.float32)).losses, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "int32", "int64", "uint32"])
def test_labels_of_any_integer_dtype(dtype):
    assert train(y=Y.astype(dtype)).losses.tolist() == train().losses.tolist()


def test_lists_and_tensors_are_data_too():
    expected = train().losses.tolist()
    assert train(x=X.tolist(), y=Y.tolist()).losses.tolist() == expected
    assert train(x=kj.tensor(X), y=kj.tensor(Y)).losses.tolist() == expected
    strided = np.asfortranarray(np.repeat(X, 2, axis=1))[:, ::2]
    assert train(x=strided).losses.tolist() == expected


def test_a_column_of_numbers_and_a_column_of_outputs_meet():
    x = np.ones((6, 2), np.float32)
    y = np.arange(6)
    options = {"loss": "mse", "optimizer": kj.optim.SGD(0.0), "progress": False}
    model = kj.nn.Linear(2, 1).replace(weight=kj.zeros((1, 2)), bias=kj.zeros(1))
    assert kj.fit(model, x, y, **options).losses.tolist() == [pytest.approx((y**2).mean())]


def test_the_model_that_was_given_is_not_changed():
    model = network()
    before = model[0].weight.numpy().copy()
    history = train(model, epochs=2)
    np.testing.assert_array_equal(model[0].weight.numpy(), before)
    assert not np.array_equal(history.model[0].weight.numpy(), before)
