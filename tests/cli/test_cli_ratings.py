"""`kedja train` and `predict` on ratings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from kedja.data.generated_ratings import generate
from kedja.io import weights
from tests.cli.terminal import interrupted_runs

SMALL = ["--epochs", "2", "--width", "4"]


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = generate(users=30, items=20, factors=2, each=10, seed=3).ratings
    rows = zip(made.user, made.item, made.rating, made.time, strict=True)
    lines = [f"u{u},i{i},{r:.1f},{t:.0f}" for u, i, r, t in rows]
    (tmp_path / "ratings.csv").write_text("\n".join(["user,item,rating,time", *lines]) + "\n")
    return terminal


@pytest.mark.parametrize("model", ["factors", "two-tower"])
def test_train_and_ask(kedja, model):
    trained = kedja("train", "ratings.csv", "--model", model, *SMALL, "--json")
    assert trained.code == 0, trained.err
    found = json.loads(trained.out)
    assert {"test", "popularity", "item_knn"} <= set(found)
    assert ("test_rmse" in found) == (model == "factors")
    asked = kedja("predict", found["run"], "--text", "u3", "--explain", "--json")
    rows = json.loads(asked.out)["predictions"]
    known = {
        line.split(",")[1]
        for line in Path("ratings.csv").read_text().splitlines()
        if line.startswith("u3,")
    }
    assert len(rows) == 10
    assert known.isdisjoint(row["item"] for row in rows)
    assert all(set(row["like"]) <= known and row["like"] for row in rows)


def test_ratings_are_recognised_and_told(kedja):
    done = kedja("train", "ratings.csv", *SMALL)
    assert "300 ratings by 30 users of 20 items" in done.err
    assert "by levels of users and items alone" in done.out
    assert "popularity" in done.out


@pytest.mark.parametrize("how", ["--points", "--implicit"])
def test_interrupted_and_resumed_gives_the_same_bits(kedja, how):
    options = ["ratings.csv", "--model", "factors", how, *SMALL]
    kedja("train", *options, "--out", "whole")
    with interrupted_runs():
        stopped = kedja("train", *options, "--out", "parts")
    assert "go on with: kedja train ratings.csv --out parts --resume" in stopped.err
    again = kedja("train", "ratings.csv", "--out", "parts", "--resume")
    assert again.code == 0, again.err
    whole, parts = (weights.load(f"{run}/model.safetensors")[0] for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(array, parts[name])


def test_ratings_that_are_gone_are_told(kedja):
    run = json.loads(kedja("train", "ratings.csv", *SMALL, "--json").out)["run"]
    os.remove("ratings.csv")
    asked = kedja("predict", run, "--text", "u3")
    assert asked.code == 0
    assert "may be known already" in asked.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ratings.csv", "ratings.csv", "--model", "factors"], "2 files of ratings"),
        (["ratings.csv", "--model", "two-tower", "--points"], "they predict no points"),
        (["ratings.csv", "--model", "factors", "--layers", "2"], "has no --layers"),
        (["nothing.csv", "--model", "factors"], "cannot read"),
    ],
)
def test_what_is_refused(kedja, arguments, message):
    done = kedja("train", *arguments)
    assert done.code in (1, 2)
    assert message in done.err
    assert "Traceback" not in done.err


def test_an_unknown_user_is_refused_with_the_nearest(kedja):
    run = json.loads(kedja("train", "ratings.csv", *SMALL, "--json").out)["run"]
    asked = kedja("predict", run, "--text", "u333")
    assert asked.code == 2
    assert "there is no user and no item 'u333'" in asked.err


@pytest.mark.parametrize("how", [["--points"], ["--implicit"], ["--model", "two-tower"]])
def test_new_users_bring_their_ratings(kedja, how):
    run = json.loads(kedja("train", "ratings.csv", *how, *SMALL, "--json").out)["run"]
    rows = ["user,item,rating", "ann,i3,5", "ann,i7,1", "ann,i999,2", "bob,i998,4"]
    Path("new.csv").write_text("\n".join(rows))
    asked = kedja("predict", run, "new.csv", "--explain", "--json")
    assert asked.code == 0, asked.err
    found = json.loads(asked.out)["predictions"]
    assert {row["user"] for row in found} == {"ann"}
    assert len(found) == 10
    assert not {row["item"] for row in found} & {"i3", "i7"}
    assert all(set(row["like"]) == {"i3", "i7"} for row in found)
    assert "2 ratings of items that are not known" in asked.err
    assert "nothing of what bob rated is known" in asked.err


def test_items_like_one(kedja):
    run = json.loads(kedja("train", "ratings.csv", *SMALL, "--json").out)["run"]
    asked = kedja("predict", run, "--text", "i3", "--json")
    found = json.loads(asked.out)["predictions"]
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True)
    assert "i3" not in [row["item"] for row in found]


def test_a_damaged_file_of_names_is_told(kedja):
    run = json.loads(kedja("train", "ratings.csv", *SMALL, "--json").out)["run"]
    with open(f"{run}/names.json", "w") as file:
        file.write('{"users": ["u1"')
    asked = kedja("predict", run, "--text", "u3")
    assert asked.code == 1
    assert "damaged" in asked.err
