"""The page of results: rows are kept, replaced by system, and told with goal and baseline.

Not here: what the systems reach (`python -m benchmarks.systems`).
"""

from __future__ import annotations

import importlib

import pytest

from benchmarks.systems import __main__ as command
from benchmarks.systems import results
from benchmarks.systems.results import Result, Section

ROW = Result("accuracy", "99.2 %", "99 %", True, "92 % by a | b", "three seeds")


def test_sections_are_kept_and_read(tmp_path):
    file = tmp_path / "systems.json"
    sections = {"digits": Section("Digits", (ROW,), 61.5, "two cores")}
    assert results.read(file) == {}
    results.write(file, sections)
    assert results.read(file) == sections


def test_a_row_stays_one_row_of_six_cells():
    text = results.page({"digits": Section("Digits", (ROW,), 61.5, "two cores")})
    assert "## Digits" in text
    assert "| accuracy | 99.2 % | 99 % | yes | 92 % by a / b | three seeds |" in text


def test_a_goal_that_was_missed_is_told():
    missed = Result("accuracy", "98 %", "99 %", met=False)
    assert "**no**" in results.page({"digits": Section("Digits", (missed,), 1.0, "a core")})


def test_every_system_has_a_title_and_a_run():
    for name in command.names():
        system = importlib.import_module(f"benchmarks.systems.{name}")
        assert system.TITLE
        assert callable(system.run)


def test_an_unknown_system_is_refused_with_the_nearest():
    with pytest.raises(SystemExit, match="there is no system 'nothing'"):
        command.main(["nothing"])
