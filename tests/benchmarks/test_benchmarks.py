"""The benchmark works and tells the truth; that anything is fast is not tested.

Not here: any peer, which need not be installed. Next: `benchmarks/__main__.py`.
"""

from __future__ import annotations

import io
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from benchmarks import chart, measure, peers, report
from benchmarks.__main__ import main
from benchmarks.cases import CASES, Case
from benchmarks.machine import Others, Share
from benchmarks.measure import Measured, Mode, Result, SideError
from benchmarks.peers import KEDJA, Side

SMALL = ["--quick", "--rounds", "1", "--seconds", "0.01", "--threads", "1", "--peers", "none"]


def case(name: str) -> Case:
    return next(each for each in CASES if each.name == name)


# ------------------------------------------------------------------------------ a whole run


def test_a_small_run_writes_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert main([*SMALL, "--case", "descent", "--out", str(out)]) == 0
    assert "descent" in capsys.readouterr().out
    data = json.loads(out.read_text())
    assert data["settings"] == {"rounds": 1, "seconds": 0.01, "threads": 1, "compared": 20}
    assert data["limits"]["fma_flops"] > 1e9
    assert data["limits"]["mm_flops"] is None
    (only,) = data["cases"]
    assert (only["name"], only["error"], only["comparisons"]) == ("descent", "", [])
    (side,) = only["sides"]
    assert side["name"] == "kedja"
    assert 0 < only["difference"] < 1e-4 or only["difference"] == 0
    assert side["first_seconds"] > 0 and side["cached_seconds"] > 0
    assert side["peak_bytes"] > 2**20
    for mode in ("step", "loop"):
        times = side["modes"][mode]
        assert len(times["samples"]) == 1
        assert 0 < times["q1"] <= times["median"] <= times["q3"]


def test_a_profile_lists_launches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--case", "descent", "--profile"]) == 0
    shown = capsys.readouterr().out
    assert "a step in" in shown
    assert "launches" in shown


@pytest.mark.parametrize(
    "wrong",
    [
        ["--case", "nothing"],
        ["--peers", "nobody"],
        ["--python", "torch=/no/such/file"],
        ["--rounds", "0"],
        ["chart"],
    ],
)
def test_wrong_options_are_usage_errors(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(wrong) == 2
    assert "error:" in capsys.readouterr().err


# -------------------------------------------------------------------------------- agreement


class Fake:
    """A side that answers what it is told to."""

    modes = ("step",)

    def __init__(self, name: str, losses: list[float]) -> None:
        self.side = Side(name, "", name)
        self.losses = losses

    def ask(self, **command: Any) -> dict[str, Any]:
        return {"losses": self.losses}


def agreed(*losses: list[float]) -> float:
    fakes: Any = [Fake(f"side{number}", each) for number, each in enumerate(losses)]
    return measure.agreement(fakes, 1e-4)


def test_equal_losses_agree() -> None:
    assert agreed([2.0, 1.0], [2.0, 1.0]) == 0.0
    assert agreed([2.0, 1.0], [2.0, 1.0001]) == pytest.approx(5e-5)


@pytest.mark.parametrize("other", [1.001, float("nan"), float("inf")])
def test_other_losses_fail_the_case(other: float) -> None:
    with pytest.raises(SideError, match=r"side1 .* disagrees with side0 .* in step 2"):
        agreed([2.0, 1.0], [2.0, other])


def test_a_first_side_without_numbers_fails_the_case() -> None:
    with pytest.raises(SideError):
        agreed([2.0, float("nan")])


def test_a_side_that_fails_ends_its_case_with_its_words() -> None:
    broken = Side("broken", "benchmarks.no_such_side", "numpy")
    python = peers.interpreter(KEDJA, {})
    assert python is not None
    settings = measure.Settings(1, 0.01, 1)
    result = measure.measure(case("descent"), [(broken, python)], settings, lambda text: None)
    assert "no_such_side" in result.error
    assert report.of_case(result)["sides"] == []


# ------------------------------------------------------------------------------------ words


def figures(mine: float, its: float, others: float = 0.0) -> report.Json:
    """A run of one case in which kedja and PyTorch took these times."""
    own = Measured(
        "kedja", modes={"step": Mode([mine]), "loop": Mode([mine / 2], [Share(others, 1.0)])}
    )
    other = Measured("torch", modes={"step": Mode([its])})
    result = Result(case("mnist_mlp"), [own, other])
    return {
        "format": report.FORMAT,
        "date": "2025-01-01T00:00:00+00:00",
        "machine": {"cpu": "a processor", "cores": 2},
        "settings": {"rounds": 1, "seconds": 0.1, "threads": 2},
        "limits": {"fma_flops": 4e11, "mm_flops": None},
        "missing": ["sklearn"],
        "cases": [report.of_case(result)],
    }


def shown(data: report.Json, terminal: bool = False) -> str:
    text = io.StringIO()
    report.show(data, Console(file=text, width=200, force_terminal=terminal))
    return text.getvalue()


def test_ratios_are_the_peers_time_over_ours() -> None:
    found = {each["mode"]: each for each in figures(1e-3, 4e-3)["cases"][0]["comparisons"]}
    assert found["step"]["ratio"] == pytest.approx(4.0)
    assert found["loop"]["ratio"] == pytest.approx(8.0)
    assert found["loop"]["verdict"] == "faster, goal 4 met"


@pytest.mark.parametrize("terminal", [False, True])
def test_losing_is_said_plainly(terminal: bool) -> None:
    text = shown(figures(1e-3, 0.75e-3), terminal)
    assert "kedja LOSES mnist_mlp (step by step): 1.33 times slower than torch" in text
    assert "faster, goal 4 MISSED" in text
    assert "not installed: sklearn" in text
    assert "DISTURBED" not in text


def test_a_disturbed_figure_meets_no_goal() -> None:
    text = shown(figures(1e-3, 4e-3, others=0.5))
    assert "faster, but DISTURBED" in text
    assert "goal 4" not in text
    assert "DISTURBED by other work, take again when it is quiet: mnist_mlp" in text


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="needs /proc/stat")
def test_the_work_of_others_is_seen() -> None:
    own, other = Others(os.getpid()), Others(1)
    start, used = time.perf_counter(), time.process_time()
    while time.perf_counter() < start + 0.4:
        pass
    mine, theirs = own.passed(), other.passed()
    assert mine is not None and theirs is not None
    # This process is work to process 1, and none to itself.
    assert theirs.work - mine.work == pytest.approx(time.process_time() - used, abs=0.1)


def test_a_failed_case_is_said_and_fails_the_command(tmp_path: Path) -> None:
    data = figures(1.0, 1.0)
    data["cases"] = [report.of_case(Result(case("descent"), error="they disagree"))]
    assert "FAILED descent: they disagree" in shown(data)
    path = tmp_path / "figures.json"
    report.write(path, data)
    assert main(["chart", str(path), "--chart", str(tmp_path / "chart.svg")]) == 1


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2 s"), (1.5e-3, "1.5 ms"), (2e-6, "2 µs"), (3e-10, "0.3 ns")]
)
def test_times_have_units(value: float, text: str) -> None:
    assert report.seconds(value) == text


def test_the_chart_is_the_same_for_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        chart.draw(figures(1e-3, 0.5e-3), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert b"<svg" in paths[0].read_bytes()


# ------------------------------------------------------------------------------------ cases


def test_a_peer_that_is_not_installed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    nowhere = Side("nobody", "benchmarks.nobody_side", "no_such_library")
    assert peers.interpreter(nowhere, {}) is None


def test_cases_are_told_apart_and_given_the_same_arrays_each_time() -> None:
    assert len({each.name for each in CASES}) == len(CASES)
    for each in CASES:
        first, second = each.arrays(), each.arrays()
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[name], second[name]) for name in first)
        json.dumps(dict(each.options))


def test_flops_of_a_training_step() -> None:
    forward, weights, inputs = 784 * 128 + 128 * 10, 784 * 128 + 128 * 10, 128 * 10
    assert case("mnist_mlp").flops == 2 * 64 * (forward + weights + inputs)
    assert case("matmul_64").flops == 2 * 64**3
