"""What is in a checkpoint, and what is refused: other runs, other data, damaged files."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file
from train_problems import StopAt, StopError, blobs, interpreted, network

import kedja as kj
from kedja.ground.errors import CheckpointError, StorageError, UsageError
from kedja.io import weights
from kedja.train import checkpoint

__all__ = ["interpreted"]

pytestmark = pytest.mark.usefixtures("interpreted")
X, Y = blobs(30)


def train(folder, model=None, x=X, y=Y, **changes):
    options = {
        "loss": "cross_entropy",
        "optimizer": kj.optim.SGD(0.1, momentum=0.9),
        "batch_size": 8,
        "epochs": 2,
        "progress": False,
        "checkpoint": folder,
    }
    return kj.fit(network() if model is None else model, x, y, **(options | changes))


@pytest.fixture
def halfway(tmp_path):
    """A folder with the checkpoint of a run that was cut in its second epoch."""
    with pytest.raises(StopError):
        train(tmp_path, progress=StopAt(7))
    return tmp_path


def test_other_programs_can_read_the_weights(tmp_path):
    history = train(tmp_path)
    arrays = load_file(checkpoint.path(tmp_path))
    for name, value in history.model.state_dict().items():
        np.testing.assert_array_equal(arrays[f"model.{name}"], value)
    assert set(arrays) > {"step", "losses", "optimizer.velocity.0.weight", "optimizer.step"}


def test_one_file_holds_everything(halfway):
    assert os.listdir(halfway) == [checkpoint.FILE]
    arrays, state = checkpoint.load(halfway)
    assert [row.number for row in state.epochs] == [1]
    assert int(arrays["step"]) == len(arrays["losses"]) == 5
    assert state.options["batch_size"] == "8"
    assert state.options["data x"].startswith("float32[30, 4] ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 9}, "batch_size is 9, in the checkpoint 8"),
        ({"seed": 1}, "seed is 1, in the checkpoint 0"),
        ({"shuffle": False}, "shuffle is False, in the checkpoint True"),
        ({"optimizer": kj.optim.SGD(0.2, momentum=0.9)}, r"optimizer is SGD\(lr=0.2"),
        ({"loss": "nll_loss"}, "loss is nll_loss, in the checkpoint cross_entropy"),
        ({"x": X + 1}, r"data x is float32\[30, 4\]"),
        ({"y": (Y + 1) % 3}, r"data y is int64\[30\]"),
        ({"validation": (X, Y)}, "validation x is float32.* in the checkpoint none"),
        ({"prepare": abs}, "prepare is abs, in the checkpoint None"),
        ({"model": kj.nn.mlp([4, 5, 3], "relu")}, "layer 1 is ReLU"),
        ({"model": kj.nn.mlp([4, 6, 3], "tanh")}, "layer 0 is Linear"),
        ({"early_stopping": kj.train.EarlyStopping(), "validation": (X, Y)}, "early_stopping is"),
    ],
)
def test_another_run_is_named(halfway, changes, message):
    before = checkpoint.path(halfway).read_bytes()
    with pytest.raises(CheckpointError, match=message):
        train(halfway, resume=True, **changes)
    assert checkpoint.path(halfway).read_bytes() == before


def test_a_changed_function_of_the_same_name_is_noticed(tmp_path):
    def prepare(x):
        return x * 2

    with pytest.raises(StopError):
        train(tmp_path, prepare=prepare, progress=StopAt(3))
    name = prepare.__qualname__

    def prepare(x):
        return x * 3

    prepare.__qualname__ = name
    with pytest.raises(CheckpointError, match="computes something else"):
        train(tmp_path, prepare=prepare, resume=True)


def test_a_plain_tree_of_another_shape_is_named(tmp_path):
    def loss(model, x):
        return kj.mean(kj.square(x @ model["w"]))

    options = {"y": None, "loss": loss}
    with pytest.raises(StopError):
        train(tmp_path, {"w": np.ones((4, 2), np.float32)}, progress=StopAt(3), **options)
    with pytest.raises(CheckpointError, match=r"model\.w is float32\[4, 2\] there"):
        train(tmp_path, {"w": np.ones((4, 3), np.float32)}, resume=True, **options)


@pytest.mark.parametrize("keep", [0, 7, 100, 0.5, 0.999])
def test_a_truncated_checkpoint_is_refused_and_kept(halfway, keep):
    path = checkpoint.path(halfway)
    whole = path.read_bytes()
    cut = whole[: int(keep * len(whole)) if isinstance(keep, float) else keep]
    path.write_bytes(cut)
    with pytest.raises(CheckpointError, match="damaged"):
        train(halfway, resume=True)
    assert path.read_bytes() == cut


def test_a_flipped_bit_is_noticed(halfway):
    path = checkpoint.path(halfway)
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="checksum"):
        train(halfway, resume=True)


def test_weights_alone_are_no_checkpoint(tmp_path):
    weights.save(checkpoint.path(tmp_path), network().state_dict())
    with pytest.raises(CheckpointError, match="weights alone"):
        train(tmp_path, resume=True)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}', '{"format": 1}'])
def test_a_state_that_cannot_be_read(tmp_path, text):
    weights.save(checkpoint.path(tmp_path), network().state_dict(), {checkpoint.KEY: text})
    with pytest.raises(CheckpointError, match="state of the run cannot be read"):
        train(tmp_path, resume=True)


def test_a_checkpoint_of_another_version_is_resumed_with_a_note(halfway):
    path = checkpoint.path(halfway)
    arrays, texts = weights.load(path)
    state = json.loads(texts[checkpoint.KEY])
    state["version"], state["program"] = "0.0.1", "other"
    weights.save(path, arrays, {checkpoint.KEY: json.dumps(state)})
    history = train(halfway, resume=True)
    assert "0.0.1" in history.notes[0]
    assert history.stopped == "epochs"


def test_resume_needs_a_folder():
    with pytest.raises(UsageError, match="without a checkpoint folder"):
        train(None, resume=True)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot make the folder"):
        train(tmp_path / "file" / "run")


def test_a_full_disk_ends_the_run_and_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    real, writes = os.write, []

    def full(descriptor, data):
        writes.append(len(data))
        if len(writes) > 40:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    with monkeypatch.context() as patch, pytest.raises(StorageError, match="disk is full"):
        patch.setattr(os, "write", full)
        train(tmp_path, checkpoint_seconds=1e-6)
    assert os.listdir(tmp_path) == [checkpoint.FILE]
    assert train(tmp_path, resume=True).stopped == "epochs"
