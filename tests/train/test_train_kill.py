"""Runs in processes of their own: killed at random moments, and stopped by Ctrl-C.

Not here: runs that are cut within this process (`test_train_run.py`).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT

from kedja.io import weights
from kedja.train import checkpoint

SCRIPT = """
import sys
import numpy as np
import kedja as kj

def prepare(x):
    return x.astype(kj.float32) * (1 / 255)

rng = np.random.default_rng(0)
x = rng.integers(0, 256, (2000, 10, 10)).astype(np.uint8)
y = (x[:, :5].mean(axis=(1, 2)) > 127.5).astype(np.int64)
model = kj.nn.Sequential(kj.nn.Flatten(), kj.nn.mlp([100, 64, 2], key=kj.random.key(0)))
print("ready", flush=True)
kj.fit(
    model, x, y, loss="cross_entropy", optimizer=kj.optim.Adam(0.001), prepare=prepare,
    batch_size=37, epochs=int(sys.argv[2]), validation=0.1, metrics=("accuracy",), seed=5,
    early_stopping=kj.train.EarlyStopping(patience=1000), threads=int(sys.argv[3]),
    checkpoint=sys.argv[1], checkpoint_seconds=0.02, resume=True, progress=False,
)
"""


def start(arguments: list[str], **options) -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run_script(folder: Path, epochs: int, threads: int, kill_after: float | None) -> float:
    """Start the run, or go on with it, and kill it after some seconds.

    The seconds that it took to come to its end; 0 if it was killed before.
    """
    process = start(["-c", SCRIPT, str(folder), str(epochs), str(threads)])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    begin = time.monotonic()
    try:
        _, err = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return 0.0
    assert process.returncode == 0, err
    return time.monotonic() - begin


def content(folder: Path) -> tuple[dict[str, bytes], list]:
    """All arrays of a checkpoint as bytes, and its epochs without their times."""
    arrays, _ = weights.load(checkpoint.path(folder))
    rows = [(row.train_loss, row.validation) for row in checkpoint.load(folder)[1].epochs]
    return {name: each.tobytes() for name, each in arrays.items()}, rows


def compare(tmp_path: Path, epochs: int, kills: int) -> None:
    """Kill runs at so many random moments, resuming each to its end; all end with the same bits."""
    longest = run_script(tmp_path / "whole", epochs, 2, None)
    expected = content(tmp_path / "whole")
    rng = random.Random(kills)
    killed = 0
    for number in range(10 * kills):
        folder = tmp_path / str(number)
        while not run_script(folder, epochs, 1 + killed % 2, rng.uniform(0.0, longest)):
            killed += 1
        assert content(folder) == expected
        if killed >= kills:
            return
    pytest.fail(f"only {killed} kills")


def test_killed_at_random_moments_and_resumed(tmp_path):
    compare(tmp_path, epochs=20, kills=2)


@pytest.mark.slow
def test_killed_twenty_times_and_resumed(tmp_path):
    compare(tmp_path, epochs=1000, kills=20)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent as on POSIX")
def test_ctrl_c_on_the_command_line(tmp_path):
    folder = tmp_path / "a run"
    arguments = ["train", "digits", "--epochs", "100000", "--out", str(folder)]
    process = start(["-m", "kedja", *arguments], cwd=tmp_path)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            break
    time.sleep(0.3)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    seconds = time.monotonic() - sent
    assert process.returncode == 130
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("interrupted: ")
    assert f"kedja train digits --out '{folder}' --resume" in last
    assert "Traceback" not in err
    assert seconds < 1.5  # a second, and some patience with a busy machine
    found, state = checkpoint.load(folder)
    assert int(found["step"]) == len(found["losses"]) > 0
    assert np.isfinite(found["losses"]).all()
    assert state.stopped == ""
