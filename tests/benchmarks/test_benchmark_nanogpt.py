"""The two programs of nanoGPT's recipe do the same thing."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.nanogpt import __main__ as command
from benchmarks.nanogpt import kedja_side
from benchmarks.nanogpt.recipe import Handed

pytest.importorskip("torch")

from benchmarks.nanogpt import torch_side

TEXT = "the cat sat on the mat, and the dog lay by the door. " * 12


def handed(folder, steps=6):
    file = folder / "text.txt"
    file.write_text(TEXT)
    chosen = command.options([str(file), "--steps", str(steps), "--threads", "1"])
    made = command.handed(chosen, seed=3)
    made.write(folder / "handed.npz")
    return Handed.read(folder / "handed.npz")


def test_both_sides_reach_the_same_loss(tmp_path):
    given = handed(tmp_path)
    found = {"kedja": kedja_side.run(given), "torch": torch_side.run(given)}
    losses = [each["first_losses"] for each in found.values()]
    np.testing.assert_allclose(*losses, atol=2e-5)
    assert found["kedja"]["loss"] == pytest.approx(found["torch"]["loss"], abs=2e-4)
    assert "mean +0.0000" in command.summary([found])[0].replace("-0.0000", "+0.0000")
    assert f"loss {found['kedja']['loss']:.4f}" in command.line("kedja", found["kedja"])


def test_the_rate_is_the_schedules(tmp_path):
    recipe = handed(tmp_path, steps=40).recipe
    rate = kedja_side.optimizer(recipe).optimizers["decay"].lr
    found = [rate(step).item() for step in range(40)]
    np.testing.assert_allclose(found, [recipe.rate(step) for step in range(40)], rtol=1e-12)
