"""What stops a command that can be gone on with: `runs.resumable`, on which all families stand.

Not here: that each family goes on with the same bits (their own files).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from kedja.cli import runs
from kedja.ground.errors import Interrupted, StorageError, UsageError

FOLDER = Path("run")
FULL = StorageError("the disk is full", where="run/weights", fix="free some space")


def stopped(error, where=""):
    with pytest.raises(type(error)) as caught, runs.resumable("kedja go", FOLDER, where):
        raise error
    return caught.value


def test_ctrl_c_names_the_command():
    assert str(stopped(KeyboardInterrupt())) == "go on with: kedja go"
    assert str(stopped(KeyboardInterrupt(), "in the test")) == "in the test; go on with: kedja go"
    told = stopped(Interrupted("in epoch 3"), "in the test")
    assert str(told) == "in epoch 3; go on with: kedja go"
    assert told.checkpoint == "run"


def test_a_full_disk_names_the_command():
    told = stopped(FULL)
    assert (told.what, told.where) == (FULL.what, FULL.where)
    assert told.fix == "free some space; then go on with: kedja go"
    assert stopped(StorageError("no rights")).fix == "go on with: kedja go"


def test_other_errors_are_left_as_they_are():
    error = UsageError("no", fix="yes")
    assert stopped(error) is error


def test_the_outermost_work_is_gone_on_with():
    """A search that trains a network goes on with the search."""
    for error in (KeyboardInterrupt(), FULL):
        with pytest.raises((Interrupted, StorageError)) as caught:  # noqa: SIM117
            with runs.resumable("kedja tune", FOLDER), runs.resumable("kedja train", FOLDER / "1"):
                raise error
        assert "kedja tune" in str(caught.value)
        assert "kedja train" not in str(caught.value)
    assert str(stopped(KeyboardInterrupt())) == "go on with: kedja go"
