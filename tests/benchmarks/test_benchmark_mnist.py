"""The two programs of MNIST's recipe do the same thing, but for what chance draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import kedja as kj
from benchmarks.mnist import kedja_side
from benchmarks.mnist.recipe import Handed, Recipe
from benchmarks.systems import mnist as system
from benchmarks.systems.results import Chosen
from kedja import optim
from kedja.data.augment import Augment
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures

pytest.importorskip("torch")

from benchmarks.mnist import torch_side


def drawn(count: int = 40) -> Pictures:
    """Bright halves, upper and lower, with noise."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    x = rng.integers(0, 100, (count, 28, 28)).astype(np.uint8)
    x[y == 0, :14] += 120
    x[y == 1, 14:] += 120
    half = count // 2
    parts = (Split(x[:half], y[:half]), Split(x[half:], y[half:]))
    return Pictures("halves", ("0", "1"), (1, 28, 28), *parts, drawn=True)


def handed(folder, **changes) -> Handed:
    given = system.handed(drawn(), Chosen(threads=1, quick=True), 3)
    recipe = replace(given.recipe, widths=(4, 8), hidden=8, batch=6, warmup=2, **changes)
    given = replace(given, recipe=recipe, weights=kedja_side.weights(recipe))
    given.write(folder / "handed.npz")
    return Handed.read(folder / "handed.npz")


def test_without_chance_both_sides_reach_the_same_losses(tmp_path):
    given = handed(tmp_path, dropout=0.0, shift=0.0, rotate=0.0, zoom=0.0)
    one, other = kedja_side.run(given), torch_side.run(given)
    np.testing.assert_allclose(one["losses"], other["losses"], atol=2e-5)
    assert one["accuracy"] == other["accuracy"]
    assert one["parameters"] == other["parameters"]


def test_with_chance_both_sides_learn(tmp_path):
    given = handed(tmp_path)
    for side in (kedja_side, torch_side):
        assert np.isfinite(side.run(given)["losses"]).all()


def test_pictures_are_changed_alike():
    """The same draws put every pixel at the same place."""
    recipe = Recipe(28, 2, 0.0, 1.0, shift=0.1, rotate=30.0, zoom=0.2)
    draws = np.random.default_rng(0).uniform(size=(4, 5)).astype(np.float32)
    x = drawn(10).train.inputs / np.float32(255)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_side.torch, "rand", lambda *_: torch_side.torch.from_numpy(draws))
        theirs = torch_side.changed(torch_side.torch.from_numpy(x)[:, None], recipe)[:, 0].numpy()
    signed = [*(2 * draws - 1), *np.zeros((6, 5), np.float32)]
    tensors = [kj.tensor(each) for each in signed]
    mine = Augment(shift=0.1, rotate=30, zoom=0.2)._resampled(kj.tensor(x), tensors).numpy()
    np.testing.assert_allclose(mine, theirs, atol=1e-4)


def test_the_rate_is_the_schedules():
    recipe = Recipe(28, 2, 0.0, 1.0, warmup=5)
    rate = optim.schedule("cosine", recipe.lr, 40, 5)
    found = [rate(step).item() for step in range(40)]
    np.testing.assert_allclose(found, [recipe.rate(step, 40) for step in range(40)], rtol=1e-6)


def test_rows_tell_goal_and_baseline(monkeypatch):
    figures = {"accuracy": 0.993, "parameters": 60_874, "seconds": 20.0, "step_seconds": 0.002}
    rows = [{"kedja": figures, "torch": {**figures, "seconds": 80.0}}]
    monkeypatch.setattr(system, "_pictures", lambda chosen: drawn())
    monkeypatch.setattr(system, "_rows", lambda found, chosen: rows)
    found = list(system.run(Chosen()))
    assert [each.met for each in found] == [True, True, True]
    assert "99.30%" in found[1].figure
    assert found[2].figure.startswith("0.25")
