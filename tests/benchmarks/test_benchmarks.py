"""The benchmark works and tells the truth; that anything is fast is not tested.

Not here: any peer, which need not be installed; what is shown (`test_benchmark_report.py`).
Next: `test_benchmark_sides.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import measure, peers
from benchmarks.__main__ import main
from benchmarks.cases import CASES, Case, named
from benchmarks.limits import reading, stream
from benchmarks.limits.distance import Cores
from benchmarks.machine import Others
from benchmarks.measure import Measured, Result, Settings
from benchmarks.peers import KEDJA, Side
from benchmarks.report import figures
from benchmarks.side import Spec, Timed
from benchmarks.worker import Place, SideError
from kedja.models import GPT2Config

SMALL = ["--quick", "--rounds", "1", "--seconds", "0.01", "--threads", "1", "--sides", "kedja"]
FIXED = Cores(None, 0.0)  # cores whose distance is not looked at


@pytest.fixture(autouse=True)
def small_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of memory is looked for in other processes: there it stays as large as it is."""
    monkeypatch.setattr(stream, "LENGTH", 1 << 12)


def case(name: str) -> Case:
    return next(each for each in CASES if each.name == name)


def place(side: Side = KEDJA) -> Place:
    python = peers.interpreter(KEDJA, {})
    assert python is not None
    return Place(side, python)


# ------------------------------------------------------------------------------ a whole run


def test_a_small_run_writes_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    assert main([*SMALL, "--case", "descent", "--out", str(out)]) == 0
    assert "descent" in capsys.readouterr().out
    data = json.loads(out.read_text())
    assert data["settings"]["rounds"] == 1 and data["settings"]["compared"] == 20
    assert data["limits"]["fma_flops"] > 1e9 and data["limits"]["bytes"] > 1e8
    assert data["limits"]["mm_flops"] is None
    (only,) = data["cases"]
    assert (only["name"], only["error"], only["comparisons"]) == ("descent", "", [])
    assert len(only["losses"]) == 20 and 0 <= only["difference"] < 1e-4
    (side,) = only["sides"]
    start = side["starts"]["step"]
    assert start["first_seconds"] > 0 and start["cached_seconds"] > 0
    assert start["peak_bytes"] > 2**20
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
        ["--case", "descent", "nothing"],
        ["--sides", "nobody"],
        ["--python", "torch=/no/such/file"],
        ["--rounds", "0"],
        ["--budget", "0"],
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

    def __init__(
        self, name: str, losses: list[float], seconds: float = 0.01, piece: int = 1
    ) -> None:
        self.side = Side(name, "", name)
        self.modes = ["step"]
        self.losses = losses
        self.seconds = seconds
        self.piece = piece
        self.process = os.getpid()

    def ask(self, **command: Any) -> dict[str, Any]:
        return {"losses": self.losses[: command["steps"]]}

    def run(self, mode: str, steps: int) -> tuple[float, int]:
        done = -(-steps // self.piece) * self.piece
        return self.seconds * done, done


def agreed(*losses: list[float]) -> float:
    fakes: Any = [Fake(f"side{number}", each) for number, each in enumerate(losses)]
    result = Result(case("mnist_mlp"))
    measure.agreement(fakes, result)
    return result.difference


def test_equal_losses_agree() -> None:
    assert agreed([2.0, 1.0], [2.0, 1.0]) == 0.0
    assert agreed([2.0, 1.0], [2.0, 1.0001]) == pytest.approx(5e-5)


@pytest.mark.parametrize("other", [1.01, float("nan"), float("inf")])
def test_other_losses_fail_the_case(other: float) -> None:
    with pytest.raises(SideError, match=r"side1 .* disagrees: .* in step 2"):
        agreed([2.0, 1.0], [2.0, other])


def test_a_first_side_without_numbers_fails_the_case() -> None:
    with pytest.raises(SideError):
        agreed([2.0, float("nan")])


def test_a_kedja_that_fails_ends_its_case_with_its_words() -> None:
    wrong = Case("wrong", "no such kind", "", {}, dict)
    result = measure.measure(wrong, [place()], Settings(1, 0.01, 1), FIXED, lambda text: None)
    assert "no such kind" in result.error
    assert figures.of_case(result, FIXED)["sides"] == []


def test_a_peer_that_fails_is_left_out_with_its_words() -> None:
    broken = Side("broken", "benchmarks.no_such_side", "numpy")
    settings = Settings(1, 0.01, 1, starts=False)
    places = [place(), place(broken)]
    result = measure.measure(case("descent"), places, settings, FIXED, lambda text: None)
    assert result.error == ""
    assert "no_such_side" in result.left_out["broken"]
    assert [side.name for side in result.sides] == ["kedja"]


# ------------------------------------------------------------------------------------ time


def test_a_slow_peer_runs_in_fewer_rounds_and_pytorch_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measure, "settle", lambda processes: None)
    fakes: Any = [Fake("kedja", [], 0.5), Fake("torch", [], 0.5), Fake("jax", [], 5.0)]
    sides = [Measured(fake.side.name) for fake in fakes]
    settings = Settings(9, 0.2, 1, budget=9.0)
    measure.take_rounds(fakes, sides, settings, FIXED, lambda text: None)
    assert [len(side.modes["step"].samples) for side in sides] == [9, 9, 3]
    assert sides[2].modes["step"].median == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("seconds", "piece", "steps", "lasts"),
    [(1e-3, 1, 100, 0.1), (0.5, 1, 1, 0.5), (0.01, 64, 10, 0.64), (1e-5, 64, 10_000, 0.1)],
)
def test_a_sample_is_as_long_as_wanted_or_as_it_must_be(
    seconds: float, piece: int, steps: int, lasts: float
) -> None:
    fake: Any = Fake("jax", [], seconds, piece)
    assert measure.steps_for(fake, "step", 0.1) == (steps, pytest.approx(lasts))


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


def test_the_memory_limit_moves_all_of_its_arrays() -> None:
    moved = stream.Stream(Spec("stream", {}, {}, 2, ""))
    c, a, b = moved.arrays
    for mode in moved.modes:
        c[:], a[:], b[:] = 0, 3, 4
        assert moved.run(mode, 1).seconds > 0
        assert (c == (3 if mode == stream.COPY else 5)).all()
        assert moved.work()[mode] >= 8 * stream.LENGTH
    half = stream.LENGTH // 2
    c[:], a[:], a[half - 1] = 0, 1, 3  # the last number of the first thread's part
    moved.run(stream.READ, 1)
    assert [c[part : part + 64].sum() for part in (0, half)] == [half + 2, half]


def test_reading_is_told_beside_every_loop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reading.Stream, "run", lambda self, mode, steps: Timed(0.1, steps))
    config = GPT2Config(20, 16, 8, 1, 2, dropout=0.0)
    reading.main(["--rounds", "3", "--tokens", "4"], config)
    told = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in told if ":" in line] == ["float32", "bfloat16"]
    for line, name in zip(told[1:5], (*stream.Stream.modes, stream.READ), strict=True):
        assert f" of {name} (" in line
    pairs = ((3e9, 4e9), (1e9, 4e9), (2e9, 2e9))
    rates = [{"tokens": mine, "read": loop} for mine, loop in pairs]
    assert reading.lines("float32", rates) == [
        "float32: weights are read at 2.0 GB/s",
        "  0.75 of read (0.25 to 1.00), 4.0 GB/s",
    ]


# ------------------------------------------------------------------------------------ cases


def test_a_peer_that_is_not_installed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    nowhere = Side("nobody", "benchmarks.nobody_side", "no_such_library")
    assert peers.interpreter(nowhere, {}) is None


@pytest.mark.parametrize(
    ("modules", "hidden"),
    [
        ("benchmarks.side, benchmarks.sweep.points", "kedja"),  # a peer's environment
        ("benchmarks.kedja_side", "llvmlite"),  # loaded by the first step, which is timed
    ],
)
def test_a_side_does_without(modules: str, hidden: str) -> None:
    code = f"import sys; sys.modules[{hidden!r}] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=peers.ROOT)


def test_kedja_always_takes_part() -> None:
    assert [side.name for side in peers.chosen("torch")] == ["kedja", "torch"]
    assert len(peers.chosen("all")) == 6


def test_sides_take_the_cases_that_they_can_do() -> None:
    taken = {
        side.name: {each.name for each in CASES if side.takes(each)} for side in peers.chosen("all")
    }
    assert taken["kedja"] == taken["torch"] == {each.name for each in CASES}
    assert taken["sklearn"] == {"mnist_mlp", "mnist_deep5"}
    assert taken["torch-fused"] < taken["torch-compile"]
    generating = {each.name for each in CASES if each.kind == "generate"}
    assert taken["torch"] - taken["jax"] == {"gpt_10m_bf16", *generating}


SLOW_TO_DRAW = ("gpt_10m", "deep_", "matmul_4096", "matmul_8x4096")


@pytest.mark.parametrize(
    "each", [c for c in CASES if not c.name.startswith(SLOW_TO_DRAW)], ids=lambda c: c.name
)
def test_a_case_gives_the_same_arrays_each_time(each: Case) -> None:
    first, second = each.arrays(), each.arrays()
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert json.loads(json.dumps(dict(each.options))) == each.options


def test_cases_are_told_apart() -> None:
    assert len({each.name for each in CASES}) == len(CASES)
    assert [each.name for each in named("gpt_10m")] == ["gpt_10m"]
    assert len(named("matmul")) > 20


def test_flops_of_a_training_step() -> None:
    forward, weights, inputs = 784 * 128 + 128 * 10, 784 * 128 + 128 * 10, 128 * 10
    assert case("mnist_mlp").flops == 2 * 64 * (forward + weights + inputs)
    assert case("matmul_64").flops == 2 * 64**3
    first, second, last = 9 * 16 * 28**2, 9 * 16 * 32 * 14**2, 32 * 7**2 * 10
    assert case("mnist_cnn").flops == 2 * 64 * (3 * (first + second + last) - first)
    per_token = 12 * 4 * 128**2 + 128 * 65 + 4 * 65 * 128  # the mask leaves 65/2 pairs of a row
    assert case("gpt_char").flops == 2 * 3 * 12 * 64 * per_token


def test_networks_have_their_well_known_sizes() -> None:
    def parameters(name: str) -> int:
        learned = (
            array
            for key, array in case(name).arrays().items()
            if key.startswith("model.") and "running" not in key and "tracked" not in key
        )
        return sum(array.size for array in learned)

    assert parameters("tiny81") == 81
    assert parameters("mnist_cnn") == 160 + 4640 + 15690
    assert parameters("resnet_small") == 175_258
    assert parameters("gpt_char") == 65 * 128 + 64 * 128 + 4 * (12 * 128**2 + 13 * 128) + 2 * 128
