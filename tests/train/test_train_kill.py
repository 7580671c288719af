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


def run_script(folder: Path, epochs: int, threads: int, kill_after: float | None) -> bool:
    """Start the run, or go on with it; kill it after some seconds. Whether it came to its end."""
    process = start(["-c", SCRIPT, str(folder), str(epochs), str(threads)])
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    try:
        _, err = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    assert process.returncode == 0, err
    return True


def arrays(folder: Path) -> dict[str, bytes]:
    return {name: each.tobytes() for name, each in weights.load(checkpoint.path(folder))[0].items()}


def killed_until_done(folder: Path, epochs: int, kills: int, longest: float) -> int:
    """Kill a run at so many random moments, then let it end. How often it was really killed."""
    rng = random.Random(kills)
    done = 0
    for number in range(kills):
        if run_script(folder, epochs, 1 + number % 2, rng.uniform(0.0, longest)):
            return done
        done += 1
    assert run_script(folder, epochs, 1, None)
    return done


def compare(tmp_path: Path, epochs: int, kills: int, at_least: int) -> None:
    begin = time.monotonic()
    assert run_script(tmp_path / "whole", epochs, 2, None)
    longest = (time.monotonic() - begin) / 3
    assert killed_until_done(tmp_path / "killed", epochs, kills, longest) >= at_least
    whole, killed = arrays(tmp_path / "whole"), arrays(tmp_path / "killed")
    assert whole == killed
    states = [checkpoint.load(tmp_path / name)[1] for name in ("whole", "killed")]
    rows = [[(row.train_loss, row.validation) for row in state.epochs] for state in states]
    assert rows[0] == rows[1]
    assert not list((tmp_path / "killed").glob("*.json"))


def test_killed_at_random_moments_and_resumed(tmp_path):
    compare(tmp_path, epochs=8, kills=4, at_least=1)


@pytest.mark.slow
def test_killed_twenty_times_and_resumed(tmp_path):
    compare(tmp_path, epochs=200, kills=20, at_least=15)


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
