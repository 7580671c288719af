"""What a benchmark's side is handed arrives as it was, and its figures come back."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks import handed
from benchmarks.handed import Array, cosine


@dataclass(frozen=True)
class Recipe:
    widths: tuple[int, ...]
    rate: float = 0.1
    precision: str | None = None


@dataclass(frozen=True)
class Given(handed.Handed):
    KIND = Recipe

    recipe: Recipe
    order: Array


def test_all_of_it_arrives_and_the_figures_are_printed(tmp_path, monkeypatch, capsys):
    order = np.arange(6, dtype=np.uint32).reshape(2, 3)
    weights = {"a.weight": np.ones((2, 2), np.float32), "order": np.zeros(1)}
    file = str(tmp_path / "handed.npz")
    Given(Recipe((4, 8)), weights, order).write(file)
    monkeypatch.setattr(sys, "argv", ["side", file])
    found = []

    def run(given: Given) -> dict[str, float]:
        found.append(given)
        return {"loss": 0.5}

    handed.side(run, Given)
    assert capsys.readouterr().out == '{"loss": 0.5}\n'
    assert found[0].recipe == Recipe((4, 8))
    np.testing.assert_array_equal(found[0].order, order)
    assert found[0].order.dtype == np.uint32
    assert list(found[0].weights) == list(weights)
    for name, each in weights.items():
        np.testing.assert_array_equal(found[0].weights[name], each)


def test_every_side_is_a_process_of_its_own(tmp_path, monkeypatch):
    calls = []

    def process(command, **options):
        calls.append(command[:3])
        given = Given.read(command[3])
        return type("Done", (), {"stdout": f'{{"rate": {given.recipe.rate}}}'})

    monkeypatch.setattr(handed.subprocess, "run", process)
    given = Given(Recipe((1,), 0.25), {}, np.zeros(2))
    found = handed.measured("here", given, ["torch", "kedja"], "theirs")
    assert found == {"torch": {"rate": 0.25}, "kedja": {"rate": 0.25}}
    assert calls == [["theirs", "-m", "here.torch_side"], [sys.executable, "-m", "here.kedja_side"]]


def test_the_rate_rises_and_falls_by_half_a_cosine():
    found = [cosine(step, 12, 1.0, 0.1, 3) for step in range(13)]
    assert found[:4] == [0.25, 0.5, 0.75, 1.0]
    assert found[12] == pytest.approx(0.1)
    assert cosine(20, 12, 1.0, 0.1, 3) == pytest.approx(0.1)
    assert np.diff(found[3:]).max() < 0
