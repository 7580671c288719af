"""`kedja tune`: never sees the test part, resumes, and prints what reproduces its best."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from kedja.data import learned, pictures, source
from kedja.data.seasonal import Seasonal
from kedja.ground.errors import Interrupted
from kedja.tuning import searching, space_for
from kedja.tuning.space import Choice, Span
from tests.data import drawn

pytest.importorskip("optuna")

ASK = ("table.csv", "--model", "mlp", "--epochs", "3", "--trials", "3", "--width", "8:16")


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command in an empty folder with a table and a series."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(80, 2))
    rows = [f"{a},{b},{a - 2 * b}" for a, b in x]
    Path("table.csv").write_text("\n".join(["a,b,y", *rows]))
    days = np.datetime64("2024-01-01") + np.arange(150)
    values = Seasonal(season=7).values(150)
    told = [f"{day},{value}" for day, value in zip(days, values, strict=True)]
    Path("sales.csv").write_text("\n".join(["day,sales", *told]))
    return terminal


def tuned(kedja, *arguments):
    ended = kedja("tune", *arguments, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_the_printed_command_gives_the_best_runs_results(kedja):
    found = tuned(kedja, *ASK, "--out", "search")
    assert len(found["trials"]) == 3
    finished = [each for each in found["trials"] if not each["pruned"]]
    assert found["best"]["value"] == min(each["value"] for each in finished)
    first, *command = shlex.split(found["command"])
    assert first == "kedja"
    ended = kedja(*command, "--out", "again", "--json")
    again = json.loads(ended.out)
    assert again["test_rmse"] == found["results"]["test_rmse"]
    assert again["train_examples"] == 64  # all that is learned, the part to choose by too
    resumed = tuned(kedja, *ASK, "--out", "search", "--resume")
    assert resumed["results"]["steps"] == found["results"]["steps"]
    assert resumed["results"]["test_rmse"] == found["results"]["test_rmse"]


def test_a_search_that_was_interrupted_ends_with_the_same_trials(kedja, monkeypatch):
    whole = tuned(kedja, *ASK, "--out", "whole")
    one, calls = searching._one, []

    def cut(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted("here", "search")
        return one(*arguments)

    monkeypatch.setattr(searching, "_one", cut)
    ended = kedja("tune", *ASK, "--out", "search")
    assert ended.code == 130
    assert "go on with: kedja tune table.csv" in ended.err
    monkeypatch.setattr(searching, "_one", one)
    again = tuned(kedja, *ASK, "--out", "search", "--resume")
    assert [each["options"] for each in again["trials"]] == [
        each["options"] for each in whole["trials"]
    ]
    assert again["best"] == whole["best"]


def test_trials_never_see_the_test_part(kedja):
    whole = source.load("table.csv", seed=3)
    with learned.learned_alone():
        found = source.load("table.csv", seed=3)
    seen = {tuple(row) for part in (found.train, found.test) for row in part.inputs.tolist()}
    assert seen == {tuple(row) for row in whole.train.inputs.tolist()}
    assert not seen & {tuple(row) for row in whole.test.inputs.tolist()}
    assert len(found.test) == 13


def test_a_series_is_tuned_on_what_came_before_the_test(kedja):
    arguments = ("--epochs", "2", "--trials", "2", "--horizon", "3", "--out", "search")
    found = tuned(kedja, "sales.csv", *arguments)
    assert found["model"] == "autoregression"
    assert found["results"]["scores"]["model"]["mase"] > 0
    ended = kedja("tune", "sales.csv", *arguments, "--resume")
    assert "best of 2 trials" in ended.out
    assert "the same again: kedja train sales.csv --model autoregression" in ended.out


def test_pictures_are_tuned_without_those_to_test_on(kedja, monkeypatch):
    pytest.importorskip("PIL")
    drawn.folder(Path("shapes"), 10)
    files = {each: pictures.load("shapes", seed=0).test_files for each in ("whole",)}
    with learned.learned_alone():
        alone = pictures.load("shapes", seed=0)
    assert not set(alone.test_files) & set(files["whole"])
    assert (len(alone.train), len(alone.test)) == (12, 4)
    narrow = ("--width", "4", "--depth", "1", "--dropout", "0", "--epochs", "1", "--trials", "1")
    found = tuned(kedja, "shapes", *narrow, "--out", "search")
    assert (found["model"], found["results"]["widths"][:2]) == ("cnn", "4,")
    assert found["results"]["test_examples"] == 4
    assert "--width 4" in found["command"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--model", "svm"), "not searched"),
        (("--model", "linear", "--width", "8:16"), "has no --width"),
        (("--lr", "fast"), "is no span"),
        (("--lr", "0.1:0.01"), "the smaller number first"),
        (("--horizon", "3"), "has no --horizon"),
    ],
)
def test_errors(kedja, arguments, reason):
    ended = kedja("tune", "table.csv", *arguments)
    assert ended.code == 2
    assert reason in ended.err
    assert not Path("runs").exists()


def test_a_search_that_meets_an_error_leaves_nothing_and_one_needs_a_folder(kedja):
    Path("one.csv").write_text("a,y\n1,2\n")
    assert "too few usable rows" in kedja("tune", "one.csv", "--out", "search").err
    assert not Path("search").exists()
    assert "table.csv is a file" in kedja("tune", *ASK, "--out", "table.csv").err
    Path("run").mkdir()
    Path("run/run.json").write_text("{}")
    assert "run holds a run" in kedja("tune", *ASK, "--out", "run").err
    Path("damaged").mkdir()
    Path("damaged/tune.json").write_text("{")
    ended = kedja("tune", *ASK, "--out", "damaged", "--resume")
    assert (ended.code, "is damaged" in ended.err) == (1, True)


def test_another_search_in_the_same_folder_is_refused(kedja):
    tuned(kedja, *ASK, "--out", "search")
    assert "holds a search already" in kedja("tune", *ASK, "--out", "search").err
    ended = kedja("tune", *ASK, "--seed", "4", "--out", "search", "--resume")
    assert "begun with other data or options" in ended.err


def test_spans_that_are_given_replace_the_usual_ones():
    found = space_for("mlp", {"lr": "0.01:0.1", "width": "20:100", "depth": "2", "dropout": None})
    assert found["lr"] == Span(0.01, 0.1, log=True)
    assert found["width"] == Choice((20, 32, 64, 100))
    assert found["depth"] == Span(2, 2, whole=True)


def test_a_poor_trial_is_ended_early(tmp_path):
    epochs = []

    def run(options, report):
        for epoch in range(1, 11):
            epochs.append(epoch)
            if report(epoch, options["x"]):
                break
        return options["x"]

    found = searching.search(run, {"x": Span(0.0, 1.0)}, tmp_path, trials=15)
    assert any(each.pruned for each in found.trials)
    assert len(epochs) < 150
    assert found.best.value == min(each.value for each in found.trials if not each.pruned)
