"""The demonstration of facts, at a small size; at its own size nine answers in ten are right."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from kedja.data import facts

pytest.importorskip("tokenizers")

FILE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "facts.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("facts_example", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_small_one(example, capsys):
    rows = example.main(["--people", "12", "--copies", "4", "--steps", "3"])
    out = capsys.readouterr().out
    assert "pre-training: 3 updates in" in out
    assert all(f"{row.name} " in out for row in rows)
    assert [row.before for row in rows] == [0, 0, 0]


@pytest.mark.slow
def test_the_facts_are_found(example):
    """The claim of the example, by the same command."""
    adapters, weights, none = example.main([])
    assert adapters.before == weights.before == none.before == 0
    assert adapters.after >= 0.9
    assert weights.after >= 0.9
    assert none.after < 2 * facts.CHANCE
