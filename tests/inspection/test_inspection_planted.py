"""Every defect that the benchmark plants is found, and none in its clean data: two seeds of ten.

Not here: single checks (`test_inspection_checks.py`). Next: `benchmarks/systems/inspection.py`.
"""

from __future__ import annotations

import pytest

from benchmarks.systems import inspection
from benchmarks.systems.results import Chosen

BASES = {"table": inspection.clean_table, "digits": inspection.clean_digits}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("base", BASES)
def test_nothing_is_found_in_clean_data(base, seed):
    assert not inspection.report(BASES[base](seed)).defects


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("base", BASES)
def test_all_that_is_planted_is_found(base, seed):
    plan = inspection.plant(BASES[base](seed), seed)
    found = inspection.report(plan)
    score = {}
    for check, rows in plan.planted.items():
        score[check] = inspection.Score()
        score[check].add(
            rows, {row for each in found.defects if each.check == check for row in each.rows}
        )
    assert all(each.recall >= 0.8 and each.precision >= 0.4 for each in score.values()), score
    assert score["wrong labels"].precision >= 0.5
    told = [each.what for each in found.defects if "gives the target away" in each.what]
    assert len(told) == (base == "table")


@pytest.mark.slow
def test_the_benchmark_meets_its_goals():
    assert all(row.met for row in inspection.run(Chosen(quick=True)))
