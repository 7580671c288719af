"""What is shown of a run: lines without a terminal, a bar on one, nothing when asked."""

from __future__ import annotations

import io
import sys

import pytest
from train_problems import blobs, interpreted, network

import kedja as kj
from kedja.train import progress
from kedja.train.bar import Bar
from kedja.train.history import Epoch
from kedja.train.progress import Calls, Lines, Moment, Reporter, moment_text, reporter

__all__ = ["interpreted"]


def train(**options):
    x, y = blobs(20)
    return kj.fit(
        network(),
        x,
        y,
        loss="cross_entropy",
        optimizer=kj.optim.SGD(0.1),
        batch_size=8,
        validation=(x, y),
        metrics=("accuracy",),
        **options,
    )


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


def test_one_line_for_each_epoch_on_stderr(interpreted, capsys):
    train(epochs=3)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    assert "validation: loss" in lines[0] and "accuracy" in lines[0] and "steps/s" in lines[0]


def test_silence(interpreted, capsys):
    train(epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")


def test_notes_are_shown(interpreted, capsys):
    x, y = blobs(5)
    kj.fit(network(), x, y, loss="cross_entropy", optimizer=kj.optim.SGD(0.1))
    assert "batch_size 64 is more than the 5 examples" in capsys.readouterr().err


def test_lines_within_an_epoch_come_every_few_seconds(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    lines = Lines()
    for second in range(12):
        clock[0] = second
        lines.moment(Moment("training", 1, 2, second, 100, 0.5, 1.0))
    shown = capsys.readouterr().err.splitlines()
    assert shown == [
        "epoch 1/2  step 5/100  loss 0.5  1 steps/s",
        "epoch 1/2  step 10/100  loss 0.5  1 steps/s",
    ]


def test_of_many_epochs_not_all_have_a_line(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    lines = Lines()
    for number in range(1, 1001):
        clock[0] = number / 100
        lines.epoch(Epoch(number, 0.5, {}, 0.01, 1.0), 1000)
    shown = capsys.readouterr().err.splitlines()
    assert 9 <= len(shown) <= 12
    assert shown[-1].startswith("epoch 1000/1000")


def test_a_bar_on_a_terminal(interpreted, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    train(epochs=2)
    shown = stream.getvalue()
    assert "epoch 2/2  loss" in shown
    assert "\x1b[" in shown


def test_the_bar_is_taken_away_when_a_run_fails(interpreted, monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")

    def fail(row, model):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        train(epochs=2, callbacks=(fail,))
    assert stream.getvalue().rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in stream.getvalue()


def test_a_closed_stderr_ends_nothing(interpreted, monkeypatch):
    stream = io.StringIO()
    stream.close()
    lines = Lines()
    monkeypatch.setattr(sys, "stderr", stream)
    lines.note("text")


def test_which_reporter_is_chosen(monkeypatch):
    assert type(reporter(False)) is Reporter
    assert isinstance(reporter(print), Calls)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(reporter(True), Lines)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(reporter(True), Bar)
    monkeypatch.setattr(sys, "stderr", None)
    assert type(reporter(True)) is Reporter


def test_before_the_first_step_there_is_no_loss():
    assert moment_text(Moment("training", 1, 2, 0, 9, 0.0, 0.0)) == "step 0/9"
    assert moment_text(Moment("training", 2, 2, 0, 9, 0.5, 3.0)) == "step 0/9  loss 0.5  3 steps/s"
