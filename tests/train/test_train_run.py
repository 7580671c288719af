"""A run that is cut short anywhere ends, when it is resumed, with the bits of an uncut one."""

from __future__ import annotations

import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from train_problems import StopAt, StopError, bits, blobs, interpreted, network, tier

import kedja as kj
from kedja.ground.errors import Interrupted, UsageError
from kedja.train import checkpoint
from kedja.train import run as run_module

__all__ = ["interpreted", "tier"]

X, Y = blobs(45)
HELD = blobs(20, seed=1)


def train(folder: Path | None = None, **changes):
    options = {
        "loss": "cross_entropy",
        "optimizer": kj.optim.Adam(0.02),
        "batch_size": 8,
        "epochs": 4,
        "validation": HELD,
        "metrics": ("accuracy",),
        "progress": False,
        "checkpoint": folder,
        "seed": 3,
    }
    return kj.fit(network(), X, Y, **(options | changes))


def figures(history):
    """What is measured, without the times."""
    return [(row.number, row.train_loss, dict(row.validation)) for row in history.epochs]


@pytest.fixture(scope="module")
def uncut():
    with kj.scope(tier="interpret"):
        return train()


@pytest.mark.parametrize("call", [1, 2, 5, 6, 7, 8, 9, 15, 26])
def test_interrupted_and_resumed_equals_uninterrupted(interpreted, tmp_path, uncut, call):
    with pytest.raises(StopError):
        train(tmp_path / "run", progress=StopAt(call))
    resumed = train(tmp_path / "run", resume=True)
    assert bits(resumed) == bits(uncut)
    assert figures(resumed) == figures(uncut)
    assert resumed.stopped == "epochs"


def test_interrupted_again_and_again(interpreted, tmp_path, uncut):
    folder, tries = tmp_path / "run", 0
    while True:
        tries += 1
        try:
            history = train(folder, progress=StopAt(5), resume=True)
            break
        except StopError:
            assert tries < 50
    assert tries > 3
    assert bits(history) == bits(uncut)
    assert figures(history) == figures(uncut)


def test_on_both_tiers_a_cut_changes_no_bit(tier, tmp_path):
    whole = train()
    folder = tmp_path / "run"
    for stop in (2, 3):
        with pytest.raises(StopError):
            train(folder, progress=StopAt(stop), resume=checkpoint.exists(folder))
    assert bits(train(folder, resume=True)) == bits(whole)


def test_frequent_checkpoints_change_no_bit(interpreted, tmp_path, uncut, monkeypatch):
    saves = []
    save = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda *each: (saves.append(1), save(*each)))
    history = train(tmp_path, checkpoint_seconds=1e-6)
    assert len(saves) > history.steps // 2
    assert bits(history) == bits(uncut)


def test_short_calls_change_no_bit(interpreted, uncut, monkeypatch):
    monkeypatch.setattr(run_module, "CALL_SECONDS", 0.0)
    assert bits(train()) == bits(uncut)


def test_same_bits_with_one_and_two_threads():
    x, y = blobs(300)
    options = {"loss": "cross_entropy", "optimizer": kj.optim.Adam(0.02), "progress": False}
    found = [
        kj.fit(network(), x, y, batch_size=64, epochs=3, threads=threads, **options)
        for threads in (1, 2)
    ]
    assert bits(found[0]) == bits(found[1])


def test_another_seed_gives_other_bits(interpreted, uncut):
    assert bits(train(seed=4)) != bits(uncut)


def test_keyboard_interrupt_saves_and_says_where(interpreted, tmp_path, uncut):
    with pytest.raises(Interrupted) as caught:
        train(tmp_path, progress=StopAt(11, KeyboardInterrupt()))
    assert caught.value.checkpoint == str(tmp_path)
    assert "in epoch 2 of 4, after 1 of its steps" in str(caught.value)
    assert caught.value.history.steps == 7
    assert bits(train(tmp_path, resume=True)) == bits(uncut)


class CtrlC:
    """Raises KeyboardInterrupt at the n-th line that kedja/train executes, as a signal would."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __call__(self, frame, event, argument):
        if f"{os.sep}kedja{os.sep}train{os.sep}" not in frame.f_code.co_filename:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def interrupted_at(line: int, folder: Path) -> None:
    """Train with Ctrl-C at that line."""
    before = sys.gettrace()
    sys.settrace(CtrlC(line))
    try:
        with suppress(KeyboardInterrupt):
            train(folder, epochs=2, checkpoint_seconds=1e-6)
    finally:
        sys.settrace(before)


def test_ctrl_c_at_any_line_loses_nothing(interpreted, tmp_path):
    whole = train(epochs=2)
    rng = random.Random(1)
    for number in range(10):
        folder = tmp_path / str(number)
        interrupted_at(rng.randrange(1, 5500), folder)
        resumed = train(folder, epochs=2, resume=True)
        assert bits(resumed) == bits(whole)
        assert figures(resumed) == figures(whole)


def test_keyboard_interrupt_without_a_checkpoint(interpreted):
    with pytest.raises(Interrupted, match="nothing is saved") as caught:
        train(progress=StopAt(9, KeyboardInterrupt()))
    assert caught.value.checkpoint is None


def test_the_trainer_keeps_what_an_interrupted_run_has_reached(interpreted):
    trainer = kj.Trainer(
        network(),
        loss="cross_entropy",
        optimizer=kj.optim.SGD(0.1),
        batch_size=8,
        progress=StopAt(4),
    )
    with pytest.raises(StopError):
        trainer.fit(X, Y, epochs=2)
    assert trainer.history.steps == 4
    assert bits(trainer.history)[0] == trainer.model[0].weight.numpy().tobytes()


def test_a_callback_sees_each_epoch_and_can_stop(interpreted, tmp_path, uncut):
    seen = []

    def watch(row, model):
        seen.append((row.number, model[0].weight.numpy().copy()))
        return row.number == 2

    history = train(tmp_path, callbacks=(watch,))
    assert [number for number, _ in seen] == [1, 2]
    assert history.stopped == "callback"
    np.testing.assert_array_equal(seen[-1][1], history.model[0].weight.numpy())
    assert figures(history) == figures(uncut)[:2]
    assert train(tmp_path, resume=True, progress=False).epochs == history.epochs


def test_an_error_in_a_callback_leaves_a_checkpoint(interpreted, tmp_path, uncut):
    def broken(row, model):
        if row.number == 3:
            raise StopError

    with pytest.raises(StopError):
        train(tmp_path, callbacks=(broken,))
    assert bits(train(tmp_path, resume=True)) == bits(uncut)


def test_a_finished_run_says_so_and_returns_at_once(interpreted, tmp_path, monkeypatch):
    first = train(tmp_path)
    monkeypatch.setattr(run_module, "Stepper", None)  # nothing is compiled
    again = train(tmp_path, resume=True)
    assert "finished" in again.notes[0]
    assert bits(again) == bits(first)
    assert figures(again) == figures(first)
    assert again.train_seconds == first.train_seconds


def test_a_finished_run_can_be_extended(interpreted, tmp_path, uncut):
    train(tmp_path, epochs=2)
    longer = train(tmp_path, resume=True)
    assert bits(longer) == bits(uncut)


def test_resume_without_a_checkpoint_starts_and_says_so(interpreted, tmp_path, uncut):
    history = train(tmp_path / "new", resume=True)
    assert "starts from the beginning" in history.notes[0]
    assert bits(history) == bits(uncut)


def test_another_run_is_not_overwritten(interpreted, tmp_path):
    train(tmp_path, epochs=1)
    before = checkpoint.path(tmp_path).read_bytes()
    with pytest.raises(UsageError, match="checkpoint of another run"):
        train(tmp_path)
    assert checkpoint.path(tmp_path).read_bytes() == before


def test_more_than_one_validation_epoch_is_not_repeated(interpreted, tmp_path, uncut):
    """A cut between the last step of an epoch and its validation comes back to the validation."""

    class InValidation(StopAt):
        def __call__(self, now):
            if now.phase == "validation" and now.epoch == 2:
                raise StopError

    with pytest.raises(StopError):
        train(tmp_path, progress=InValidation(0))
    state = checkpoint.load(tmp_path)[1]
    assert len(state.epochs) == 1
    history = train(tmp_path, resume=True)
    assert figures(history) == figures(uncut)
    assert bits(history) == bits(uncut)


def test_progress_is_told_often_and_in_order(interpreted):
    seen = []
    train(progress=seen.append, epochs=2)
    training = [(now.epoch, now.step) for now in seen if now.phase == "training"]
    assert training == sorted(training)
    assert {(1, 6), (2, 6), (1, 1)} <= set(training)
    assert all(now.epochs == 2 and now.steps == 6 for now in seen)


def test_native_work_reports_within_a_fifth_of_a_second():
    """One call of 0.6 s, by the processor's time of its one thread: a busy machine takes longer."""
    x, y = blobs(40_000)
    moments = []
    kj.fit(
        kj.nn.mlp([4, 512, 512, 3]),
        x,
        y,
        loss="cross_entropy",
        optimizer=kj.optim.SGD(0.01),
        batch_size=64,
        epochs=1,
        threads=1,
        progress=lambda now: moments.append(time.process_time()),
    )
    assert max(np.diff(moments), default=1.0) < 0.3  # 0.2 s, and some patience
