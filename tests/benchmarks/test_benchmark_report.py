"""What is shown of figures: who loses, which goals are met, the tables and charts as golden texts.

Not here: how figures come about (`test_benchmarks.py`). Next: `test_benchmark_sweep.py`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.__main__ import FULL, main
from benchmarks.bench import Bench
from benchmarks.cases import CASES, Case
from benchmarks.limits.distance import Cores
from benchmarks.machine import Share
from benchmarks.measure import Measured, Mode, Result, Start
from benchmarks.report import chart, figures, tables, words
from benchmarks.report.figures import Json
from benchmarks.report.goals import Goal, goals
from benchmarks.report.profile import show_profile

Golden = Callable[[str, str], None]
MB = 2**20


def case(name: str) -> Case:
    return next(each for each in CASES if each.name == name)


def kedja(step: float, loop: float, others: float = 0.0, first: float = 0.5) -> Measured:
    """kedja's figures; `others` are the cores that other programs used meanwhile."""
    modes = {
        "step": Mode([step, 0.9 * step, 1.2 * step]),
        "loop": Mode([loop] * 3, [Share(others, 1.0)]),
    }
    starts = {"step": Start(first, 0.1, 150 * MB), "loop": Start(2 * first, 0.1, 160 * MB)}
    return Measured("kedja", "1", 0.3, starts, modes)


def peer(name: str, step: float, loop: float | None = None) -> Measured:
    modes = {"step": Mode([step] * 3)} | ({} if loop is None else {"loop": Mode([loop] * 3)})
    return Measured(name, "2", 0.8, {"step": Start(0.9, None, 155 * MB)}, modes)


def run_of(*results: Result, threads: int = 2) -> Json:
    """A run's figures."""
    return {
        "format": figures.FORMAT,
        "date": "2025-01-01T00:00:00+00:00",
        "machine": {"cpu": "a processor", "cores": 2},
        "settings": {"rounds": 3, "seconds": 0.1, "threads": threads},
        "limits": {"fma_flops": 4e11, "mm_flops": 3e11, "bytes": 4e10},
        "missing": ["sklearn"],
        "cases": [figures.of_case(result, Cores(None, 0.0)) for result in results],
    }


def one(own: Measured, *peers: Measured, name: str = "mnist_mlp", **more: Any) -> Json:
    """A run of one case."""
    return run_of(Result(case(name), [own, *peers], losses=[2.0, 1.0], **more))


def many() -> Json:
    """A run of a case of each kind, with everything in it that can be shown."""
    left_out = {"torch-compile": "it took over 120 s"}
    data = run_of(
        Result(
            case("mnist_mlp"),
            [kedja(3e-4, 1e-4), peer("torch", 5e-4), peer("jax", 4e-4, 2.5e-4)],
            left_out=left_out,
            losses=[2.0, 1.0],
        ),
        Result(
            case("deep_30"), [kedja(8e-3, 7e-3, first=0.4), peer("torch", 9e-3)], losses=[2.0, 1.0]
        ),
        Result(
            case("deep_300"), [kedja(80e-3, 70e-3, first=1.2), peer("torch", 90e-3)],
            losses=[2.0, 2.5],
        ),
        Result(case("mnist_mlp_forward"), [kedja(1e-5, 3e-6), peer("torch", 2.4e-5)]),
        Result(case("matmul_64"), [kedja(2e-5, 8e-6), peer("torch", 9e-6, 8.5e-6)]),
        Result(case("matmul_128"), [kedja(5e-5, 4e-5), peer("torch", 6e-5, 5e-5)]),
        Result(case("sum_1e7"), [kedja(1.2e-3, 1.1e-3), peer("torch", 1.3e-3)]),
        Result(case("descent"), error="torch (step) disagrees: 1 against 2"),
    )  # fmt: skip
    alone = run_of(Result(case("mnist_mlp"), [kedja(4e-4, 2e-4), peer("torch", 6e-4)]), threads=1)
    return data | {"one_thread": {"cases": alone["cases"]}}


def shown(data: Json, terminal: bool = False) -> str:
    text = io.StringIO()
    tables.show(data, Console(file=text, width=250, force_terminal=terminal))
    return text.getvalue()


def found(data: Json, what: str) -> Goal:
    """The goal that begins with these words."""
    return next(goal for goal in goals(data) if goal.what.startswith(what))


# ------------------------------------------------------------------------------------ ratios


def test_ratios_are_the_peers_time_over_ours() -> None:
    data = one(kedja(1e-3, 0.5e-3), peer("torch", 4e-3))
    ratios = {each["mode"]: each for each in data["cases"][0]["comparisons"]}
    assert ratios["step"]["ratio"] == pytest.approx(4.0)
    assert ratios["loop"]["ratio"] == pytest.approx(8.0)
    low, high = ratios["step"]["low"], ratios["step"]["high"]
    assert (low, high) == pytest.approx(((4 / 1.2 + 4) / 2, (4 / 0.9 + 4) / 2))


def test_one_call_is_compared_with_the_peers_fastest_way() -> None:
    data = one(kedja(1e-3, 0.5e-3), peer("jax", 4e-3, 1e-3))
    ratios = {each["mode"]: each for each in data["cases"][0]["comparisons"]}
    assert (ratios["step"]["ratio"], ratios["step"]["peer_mode"]) == (pytest.approx(4), "step")
    assert (ratios["loop"]["ratio"], ratios["loop"]["peer_mode"]) == (pytest.approx(2), "loop")


@pytest.mark.parametrize("terminal", [False, True])
def test_losing_is_said_plainly(terminal: bool) -> None:
    text = shown(one(kedja(1e-3, 0.5e-3), peer("torch", 0.75e-3)), terminal)
    assert "kedja LOSES mnist_mlp (step by step): 1.33 times slower than torch" in text
    assert "step by step LOSES to torch 0.75" in text
    assert "not installed: sklearn" in text
    assert "DISTURBED" not in text


def test_a_disturbed_figure_meets_no_goal() -> None:
    data = one(kedja(1e-3, 0.5e-3, others=0.5), peer("torch", 4e-3))
    assert found(data, "one call: ≥ 4").met is None
    assert "DISTURBED by other work, take again when it is quiet: mnist_mlp" in shown(data)


# ------------------------------------------------------------------------------------- goals


@pytest.mark.parametrize(("its", "met"), [(2.1e-3, True), (1.9e-3, False)])
def test_the_ratio_in_one_call(its: float, met: bool) -> None:
    goal = found(one(kedja(1e-3, 0.5e-3), peer("torch", its)), "one call: ≥ 4 × PyTorch")
    assert goal.met is met


@pytest.mark.parametrize(("step", "met"), [(0.6e-3, True), (0.7e-3, False)])
def test_four_fifths_of_the_gain_stay_step_by_step(step: float, met: bool) -> None:
    assert found(one(kedja(step, 0.5e-3), peer("torch", 2e-3)), "step by step keeps").met is met


def test_nothing_need_stay_of_a_gain_within_a_millisecond() -> None:
    data = one(kedja(1e-3, 0.1e-3), peer("torch", 0.9e-3))
    assert not any("keeps" in goal.what for goal in goals(data))


@pytest.mark.parametrize(("scan", "met"), [(0.6e-3, True), (0.4e-3, False)])
def test_scan_is_to_be_beaten(scan: float, met: bool) -> None:
    data = one(kedja(1e-3, 0.5e-3), peer("jax", 2e-3, scan))
    assert found(data, "faster than JAX in lax.scan").met is met


def test_starts_and_memory() -> None:
    data = one(kedja(1e-3, 0.5e-3, first=0.6), peer("torch", 4e-3))
    assert found(data, "step by step: first step ≤ 1 s").met is True
    assert found(data, "one call: first step ≤ 1 s").met is False
    assert found(data, "step by step: from the cache").met is True
    assert found(data, "memory").met is False  # 160 MB in one call, PyTorch 155 MB


def test_goals_about_several_cases() -> None:
    data = many()
    assert found(data, "median of the float32 products").found == words.times((8.5 / 8 + 1.25) / 2)
    assert found(data, "the loss falls").met is False
    assert found(data, "step by step: first step ≤ 1.5 × deep_30's").met is False
    assert found(data, "one thread: no worse a ratio").met is False  # 3 against 5
    assert found(data, "≥ 90 % of the memory's bandwidth").found == "91 %"


# ------------------------------------------------------------------------------------- texts


def test_the_tables_are_as_before(golden: Golden) -> None:
    golden("benchmark_tables", shown(many()))


def test_the_profile_is_as_before(golden: Golden) -> None:
    launches = [
        {
            "label": "matmul + relu",
            "kernel": "kedja_k1",
            "tasks": 8,
            "flops": 12_845_056,
            "bytes": 635_000,
            "seconds": 6e-5,
        },
        {
            "label": "add",
            "kernel": "kedja_k2",
            "tasks": 1,
            "flops": 0,
            "bytes": 4096,
            "seconds": 1e-6,
        },
    ]
    text = io.StringIO()
    limits = {"fma_flops": 4e11, "mm_flops": None, "bytes": 4e10}
    show_profile("mnist_mlp", launches, limits, Console(file=text, width=200))
    golden("benchmark_profile", text.getvalue())


def texts(path: Path) -> str:
    """The words in an SVG, in their order."""
    return "\n".join(re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text("utf-8"))) + "\n"


def test_the_chart_is_as_before(tmp_path: Path, golden: Golden) -> None:
    pytest.importorskip("matplotlib")
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        chart.draw(many(), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    golden("benchmark_chart", texts(paths[0]))


def test_a_chart_without_peers_is_empty(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    chart.draw(one(kedja(1e-3, 1e-3)), tmp_path / "a.svg")
    assert "mnist_mlp" not in texts(tmp_path / "a.svg")


def test_a_failed_case_is_said_and_fails_the_command(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "figures.json"
    figures.write(path, many())
    assert "FAILED descent: torch (step) disagrees" in shown(figures.read(path))
    assert main(["chart", str(path), "--chart", str(tmp_path / "chart.svg")]) == 1


def test_a_file_that_holds_no_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    path.write_text('{"format": 1}', encoding="utf-8")
    assert main(["chart", str(path)]) == 1
    assert "format 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2 s"), (1.5e-3, "1.5 ms"), (2e-6, "2 µs"), (3e-10, "0.3 ns"), (0.9999e-3, "1 ms")],
)
def test_times_have_units(value: float, text: str) -> None:
    assert words.seconds(value) == text


@pytest.mark.parametrize(("ratio", "text"), [(1234.5, "1,234"), (12.34, "12.3"), (0.5, "0.5")])
def test_ratios_in_words(ratio: float, text: str) -> None:
    assert words.times(ratio) == text


class Stopped(Bench):
    """Ctrl-C comes at a case."""

    stops_at = 2

    def one(self, number: int, case: Case) -> Result:
        if number == self.stops_at:
            raise KeyboardInterrupt
        return Result(case)


def test_ctrl_c_keeps_the_cases_that_are_done(capsys):
    bench = Stopped(FULL, CASES[:3], [], {})
    assert [each.case for each in bench.measured()] == [CASES[0]]
    assert "1 of 3 cases" in capsys.readouterr().err
    bench.stops_at = 1
    with pytest.raises(KeyboardInterrupt):
        bench.measured()
