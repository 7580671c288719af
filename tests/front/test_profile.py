"""`kj.profile()`: what is counted, how it is shown, and what the trace holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kedja as kj
from kedja import nn
from kedja.compiler import runtime_recording
from kedja.ground.errors import UsageError
from tests.paths import ROOT

SIZE = 96


def squared(x: kj.Tensor) -> kj.Tensor:
    return kj.tanh(x @ x)


@pytest.fixture
def profiled() -> kj.front.profile.Profile:  # type: ignore[name-defined]
    f = kj.jit(squared)
    x = kj.ones((SIZE, SIZE))
    with kj.scope(threads=2), kj.profile() as found:
        for _ in range(3):
            f(x)
    return found


def test_kernels_are_counted_with_their_operations(profiled):
    (kernel,) = profiled.kernels
    assert kernel.name == f"matmul {SIZE}x{SIZE}x{SIZE} tanh"
    assert kernel.times == 3
    assert kernel.flops == 3 * 2 * SIZE**3
    assert kernel.seconds > 0
    assert kernel.bytes >= 3 * 2 * 4 * SIZE**2


def test_time_in_kernels_is_part_of_the_whole(profiled):
    assert 0 < profiled.busy < profiled.seconds


def test_the_trace_has_an_event_for_each_share_of_a_thread_that_came(profiled, tmp_path):
    profiled.save(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    names = {each["tid"]: each["args"]["name"] for each in events if each["ph"] == "M"}
    assert {"python"} < set(names.values()) <= {"python", "thread 0", "thread 1"}
    work = [each for each in events if each["ph"] == "X" and each["name"] != "compile"]
    assert 3 <= len(work) <= 3 * 2
    assert all(each["ts"] >= 0 and each["dur"] > 0 for each in work)
    compiling = [each for each in events if each["name"] == "compile"]
    assert [names[each["tid"]] for each in compiling] == ["python"]


def test_the_shares_of_a_launch_fit_into_the_whole(profiled):
    spans = [span for span in profiled._recorder.spans() if span.launch is not None]
    end = max(span.start + span.length for span in spans)
    assert end <= profiled.seconds * 1e9 * 1.01


def test_layers_of_a_stack_share_a_row():
    model = nn.mlp([8, 8, 8, 8], "relu")
    f = kj.jit(lambda model, x: model(x))
    with kj.profile() as found:
        f(model, kj.ones((4, 8)))
    rows = {each.layer: each.times for each in found.kernels}
    assert rows == {"*": 3} or set(rows) <= {"*", "0", "1", "2", "3", "4"}
    assert sum(rows.values()) == 3


def test_fit_is_seen_from_its_own_thread():
    x, y = np.ones((8, 3), np.float32), np.ones((8, 1), np.float32)
    with kj.profile() as found:
        kj.fit(nn.Linear(3, 1), x, y, loss="mse", optimizer=kj.optim.SGD(0.1), progress=False)
    assert found.kernels
    assert any(span.name == "compile" for span in found._recorder.python)


def test_views(profiled):
    text = str(profiled)
    assert "GFLOP/s" in text and f"matmul {SIZE}x{SIZE}x{SIZE} tanh" in text
    assert "limits:" in profiled.table()
    assert "<table" in profiled._repr_mimebundle_()["text/html"]
    data = json.loads(profiled.json())
    assert data["format"] == "kedja.profile"
    assert [each["times"] for each in data["kernels"]] == [3]
    assert data["limits"]["flops"] > 1e9


def test_long_tables_end_with_a_sum(profiled):
    rows = profiled._cells(0)
    assert [row[0] for row in rows] == ["1 more"]


def test_an_empty_profile_says_so():
    with kj.profile() as found:
        pass
    assert "no compiled program ran" in str(found)


def test_one_profile_at_a_time():
    with kj.profile(), pytest.raises(UsageError, match="recorded already"), kj.profile():
        pass
    assert runtime_recording.current() is None


def test_an_error_ends_the_recording():
    with pytest.raises(ZeroDivisionError), kj.profile():
        raise ZeroDivisionError
    assert runtime_recording.current() is None


def test_a_full_log_goes_on_counting():
    recorder = runtime_recording.Recorder(entries=2)
    f = kj.jit(squared)
    x = kj.ones((2, 2))
    f(x)
    runtime_recording.begin(recorder)
    try:
        for _ in range(5):
            f(x)
    finally:
        runtime_recording.begin(None)
    assert len(recorder.spans()) == 2
    assert recorder.lost == 3
    (tally,) = recorder.tallies.values()
    assert tally.ticks[0, 1] == 5


def test_results_are_the_same_bits():
    x = kj.random.normal(kj.random.key(0), (SIZE, SIZE))
    f = kj.jit(squared)
    plain = f(x).numpy()
    with kj.profile():
        recorded = f(x).numpy()
    np.testing.assert_array_equal(plain, recorded)


def test_debugging_shows_the_table_at_the_end(tmp_path: Path):
    code = "import kedja as kj; kj.jit(lambda x: kj.sum(x * x))(kj.ones(10))"
    environment = {**os.environ, "KEDJA_DEBUG": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "GFLOP/s" in done.stderr
    assert "limits:" in done.stderr
