"""The compiled training step against loops written by hand in NumPy, odd last batch included."""

from __future__ import annotations

import numpy as np
import pytest
from train_problems import blobs, interpreted, network, plane, tier

import kedja as kj
from kedja.data.batches import epoch_order
from kedja.train import stepper as stepper_module

__all__ = ["interpreted", "tier"]


def by_hand(x, y, weight, bias, lr, batch, epochs, seed):
    """Linear regression by minibatch descent in float64, in fit's order of examples."""
    losses = []
    for epoch in range(epochs):
        order = epoch_order(len(x), epoch, seed)
        for start in range(0, len(x), batch):
            rows = order[start : start + batch]
            apart = x[rows] @ weight + bias - y[rows]
            losses.append((apart**2).mean())
            weight = weight - lr * 2 * (apart @ x[rows]) / len(rows)
            bias = bias - lr * 2 * apart.mean()
    return weight, bias, np.array(losses)


@pytest.mark.parametrize(("count", "batch"), [(50, 16), (48, 16), (7, 7), (5, 2), (4, 1)])
def test_fit_equals_a_loop_by_hand(tier, count, batch):
    x, y = plane(count)
    x, y = x.astype(np.float64), y.astype(np.float64)
    model = {"bias": np.array(0.5), "weight": np.array([0.1, 0.2, 0.3])}
    together = np.concatenate([x, y[:, None]], axis=1)

    def loss(model, rows):
        apart = rows[:, :3] @ model["weight"] + model["bias"] - rows[:, 3]
        return kj.mean(apart * apart)

    history = kj.fit(
        model,
        together,
        loss=loss,
        optimizer=kj.optim.SGD(0.05),
        epochs=3,
        batch_size=batch,
        seed=4,
        progress=False,
    )
    weight, bias, losses = by_hand(
        x, y, np.array([0.1, 0.2, 0.3]), 0.5, 0.05, min(batch, count), 3, 4
    )
    np.testing.assert_allclose(history.model["weight"].numpy(), weight, rtol=1e-12)
    np.testing.assert_allclose(history.model["bias"].numpy(), bias, rtol=1e-12)
    np.testing.assert_allclose(history.losses, losses, rtol=1e-12)


def test_the_epochs_loss_is_the_mean_over_examples(interpreted):
    x, y = plane(10)
    history = kj.fit(
        kj.nn.Linear(3, 1, key=kj.random.key(0)),
        x,
        y,
        loss="mse",
        optimizer=kj.optim.SGD(0.1),
        batch_size=4,
        epochs=2,
        progress=False,
    )
    sizes = np.array([4, 4, 2])
    for epoch, row in enumerate(history.epochs):
        losses = history.losses[3 * epoch : 3 * epoch + 3]
        assert row.train_loss == pytest.approx((losses * sizes).sum() / 10)
    assert history.steps == 6


def test_more_steps_than_the_ring_holds(interpreted, monkeypatch):
    x, y = plane(40)

    def losses():
        model = kj.nn.Linear(3, 1, key=kj.random.key(0))
        opt = kj.optim.SGD(0.01)
        return kj.fit(
            model, x, y, loss="mse", optimizer=opt, batch_size=3, epochs=3, progress=False
        ).losses

    expected = losses()
    monkeypatch.setattr(stepper_module, "RING", 4)
    found = losses()
    assert len(found) == 42
    np.testing.assert_array_equal(found, expected)


def test_without_shuffling_the_order_is_that_of_the_data(interpreted):
    x = np.arange(6, dtype=np.float32).reshape(6, 1)
    history = kj.fit(
        {"w": np.float32(0)},
        x,
        loss=lambda model, rows: kj.sum(rows) + 0 * model["w"],
        optimizer=kj.optim.SGD(0.1),
        batch_size=2,
        shuffle=False,
        progress=False,
    )
    assert history.losses.tolist() == [1.0, 5.0, 9.0]


def test_every_example_is_drawn_once_in_each_epoch(interpreted):
    x = 2.0 ** np.arange(9)
    history = kj.fit(
        {"w": np.array(0.0)},
        x,
        loss=lambda model, rows: kj.sum(rows) + 0 * model["w"],
        optimizer=kj.optim.SGD(0.1),
        batch_size=2,
        epochs=3,
        progress=False,
    )
    sums = history.losses.reshape(3, 5).sum(axis=1)
    assert sums.tolist() == [511.0, 511.0, 511.0]
    assert len({tuple(row) for row in history.losses.reshape(3, 5).tolist()}) == 3


def test_prepare_runs_inside_the_step(interpreted):
    x, y = blobs(20)
    bytes_ = np.clip(x * 20 + 128, 0, 255).astype(np.uint8)

    def prepare(raw):
        return (raw.astype(kj.float32) - 128.0) * 0.05

    options = {"loss": "cross_entropy", "optimizer": kj.optim.SGD(0.1), "progress": False}
    inside = kj.fit(network(), bytes_, y, prepare=prepare, batch_size=8, epochs=2, **options)
    ready = (bytes_.astype(np.float32) - np.float32(128)) * np.float32(0.05)
    before = kj.fit(network(), ready, y, batch_size=8, epochs=2, **options)
    np.testing.assert_allclose(inside.losses, before.losses, rtol=1e-6)


def test_adam_equals_pytorch_over_three_epochs(interpreted):
    torch = pytest.importorskip("torch")
    x, y = blobs(45)
    model = network()
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    state = model.state_dict()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    history = kj.fit(
        model,
        x,
        y,
        loss="cross_entropy",
        optimizer=kj.optim.Adam(0.01),
        batch_size=10,
        epochs=3,
        progress=False,
    )
    opt = torch.optim.Adam(theirs.parameters(), 0.01)
    for epoch in range(3):
        order = epoch_order(45, epoch, 0)
        for start in range(0, 45, 10):
            rows = order[start : start + 10]
            opt.zero_grad()
            out = theirs(torch.tensor(x[rows]))
            torch.nn.functional.cross_entropy(out, torch.tensor(y[rows])).backward()
            opt.step()
    expected = [each.detach().numpy() for each in theirs.state_dict().values()]
    found = list(history.model.state_dict().values())
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, atol=2e-6)
