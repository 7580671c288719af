"""`kedja train` and `predict` on a CSV file with dates: recognised, tested, resumed, forecast."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.data.seasonal import Seasonal, random_walk
from kedja.train import walking
from tests.cli.terminal import interrupted_runs

TINY = ("--horizon", "3", "--epochs", "2", "--batch", "32", "--out", "run")
MODELS = ("autoregression", "series-lstm", "series-transformer")
SIZES = {"series-lstm": ("--width", "8"), "series-transformer": ("--width", "8", "--heads", "2")}


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command in an empty folder with a file of sales."""
    monkeypatch.chdir(tmp_path)
    values = Seasonal(season=7, seed=4).values(153)
    days = np.datetime64("2024-01-01") + np.arange(153)
    known = np.arange(153) % 5 == 0
    rows = [
        f"{day},{int(open)},{value if i < 150 else ''}"
        for i, (day, open, value) in enumerate(zip(days, known, values, strict=True))
    ]
    Path("sales.csv").write_text("\n".join(["day,offer,sales", *rows]) + "\n")
    return terminal


def trained(kedja, model="autoregression", *more):
    given = (*TINY, *SIZES.get(model, ()), "--model", model, *more)
    ended = kedja("train", "sales.csv", *given, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def test_a_column_of_dates_is_recognised(kedja):
    ended = kedja("train", "sales.csv", *TINY)
    assert ended.code == 0, ended.err
    assert "sales: a time series of 'sales', 150 values, a day apart" in ended.err
    assert "a season of 7 steps; 3 steps are forecast" in ended.err
    assert "not used: offer" in ended.err
    lines = ended.out.splitlines()
    assert lines[0] == "autoregression on sales.csv"
    assert [line.split("  ")[0] for line in lines[3:6]] == [
        *("autoregression", "naive", "seasonal naive"),
    ]
    assert lines[-1] == "next: kedja predict run --plot forecast.png"


def test_the_same_file_is_rows_for_another_model(kedja):
    ended = kedja("train", "sales.csv", "--model", "linear", "--epochs", "1", "--out", "run")
    assert ended.code == 0, ended.err
    assert "regression of 'sales'" in ended.out


@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_trained_tested_and_asked(kedja, model):
    found = trained(kedja, model)
    assert found["model"] == model
    assert (found["horizon"], found["season"], found["refits"]) == (3, 7, 0)
    assert set(found["scores"]) == {"model", "naive", "seasonal naive"}
    assert 0 <= found["coverage"] <= 1
    ended = kedja("predict", "run", "--json", "--plot", "ahead.svg")
    rows = json.loads(ended.out)["predictions"]
    assert [row["date"] for row in rows] == ["2024-05-30", "2024-05-31", "2024-06-01"]
    assert all(row["low"] <= row["mean"] <= row["high"] for row in rows)
    assert "forecast" in Path("ahead.svg").read_text() or Path("ahead.svg").stat().st_size > 5000


def test_a_forecast_for_people_and_of_a_newer_file(kedja):
    trained(kedja)
    ended = kedja("predict", "run")
    assert ended.out.splitlines()[0] == "'sales' after 2024-05-29, 90% within low and high"
    assert ended.out.splitlines()[2].startswith("2024-05-30 ")
    text = Path("sales.csv").read_text().splitlines()
    Path("newer.csv").write_text("\n".join(text[:100]))
    assert kedja("predict", "run", "newer.csv").out.splitlines()[2].startswith("2024-04-09 ")


def test_columns_known_in_advance(kedja):
    found = trained(kedja, "autoregression", "--known", "offer", "--target", "sales")
    assert found["known"] == "offer"
    assert models.load("run").model.config.columns == ("sales", "offer")
    assert kedja("predict", "run").code == 0
    lines = Path("sales.csv").read_text().splitlines()
    Path("short.csv").write_text("\n".join(lines[:150]))
    ended = kedja("predict", "run", "short.csv")
    assert ended.code == 1
    assert "offer is known for 0 coming steps, of 3 to forecast" in ended.err


@pytest.mark.parametrize("model", MODELS[:2])
def test_interrupted_and_resumed_gives_the_same_bits(kedja, model):
    whole = trained(kedja, model)
    Path("run").rename("whole")
    with interrupted_runs():
        ended = kedja("train", "sales.csv", "--model", model, *TINY, *SIZES.get(model, ()))
    assert ended.code == 130
    assert "go on with: kedja train sales.csv --out run --resume" in ended.err
    assert kedja("predict", "run").code == 0  # the checkpoint stands for the weights
    ended = kedja("train", "sales.csv", "--out", "run", "--resume", "--json")
    assert ended.code == 0, ended.err
    again = json.loads(ended.out)
    assert again["scores"] == whole["scores"]
    one, other = (models.load(each).model.state_dict() for each in ("whole", "run"))
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def test_a_test_that_is_interrupted_keeps_the_network(kedja, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(walking, "walk_forward", stop)
        ended = kedja("train", "sales.csv", *TINY)
    assert ended.code == 130
    assert "in the test; the trained network is in run; go on with: kedja train" in ended.err
    assert kedja("predict", "run").code == 0
    ended = kedja("train", "sales.csv", "--out", "run", "--resume", "--json")
    assert json.loads(ended.out)["scores"]


def test_a_network_that_is_no_better_is_told_so(kedja):
    walk = random_walk(150, seed=1)
    days = np.datetime64("2024-01-01") + np.arange(150)
    rows = [f"{day},{value}" for day, value in zip(days, walk, strict=True)]
    Path("walk.csv").write_text("\n".join(["date,price", *rows]))
    ended = kedja("train", "walk.csv", *TINY, "--lr", "0.5", "--model", "series-lstm")
    assert ended.code == 0, ended.err
    assert "no season" in ended.err
    assert "it is no better than a naive forecast: use that one" in ended.out


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        (["2024-01-01,1", "2024-01-04,2", "2024-01-09,3"], (), "not evenly spaced"),
        (["01/02/2024,1", "02/03/2024,2", "05/06/2024,9"], (), "--day-first or --month-first"),
        (["2024-01-01,1", "2024-01-02,2", "2024-01-03,3"], (), "too few to forecast"),
        (["2024-01-01,1", "2024-01-02,2", "2024-01-03,3"], ("--every", "moon"), "no step 'moon'"),
        (["2024-01-01,1", "2024-01-02,2", "2024-01-03,3"], ("--gather", "most"), "mean, sum"),
        (["2024-01-01,1", "2024-01-02,2", "2024-01-03,3"], ("--date", "dat"), "no column 'dat'"),
        (["2024-01-01,1", "2024-01-02,2", "2024-01-03,3"], ("--horizon", "0"), "--horizon 0"),
        (["2024-01-01,1", "2024-01-02,2", "2024-01-03,3"], ("--hidden", "8"), "has no --hidden"),
    ],
)
def test_errors_of_training(kedja, rows, options, reason):
    Path("bad.csv").write_text("\n".join(["date,y", *rows]))
    ended = kedja("train", "bad.csv", "--model", "autoregression", *options)
    assert ended.code in (1, 2)
    assert reason in ended.err
    assert ended.out == ""
    assert not Path("runs").exists()


def test_a_short_series_is_forecast_fewer_steps_ahead(kedja):
    rows = [f"{2022 + i // 12}-{i % 12 + 1:02},{100 + 3 * i + i % 2}" for i in range(22)]
    Path("short.csv").write_text("\n".join(["month,sales", *rows]))
    ended = kedja("train", "short.csv", "--epochs", "2", "--out", "run")
    assert ended.code == 0, ended.err
    assert "3 steps are forecast" in ended.err
    assert len(kedja("predict", "run").out.splitlines()) == 2 + 3
    ended = kedja("train", "short.csv", "--horizon", "12")
    assert "22 values are too few to forecast 12 steps" in ended.err
    assert "give 76 values or more, or --horizon 3 or less" in ended.err


def test_one_of_several_series_in_a_file(kedja):
    lines = Path("sales.csv").read_text().splitlines()
    north = [line.partition(",") for line in lines[1:]]
    pairs = zip(north, reversed(north), strict=True)  # south sells what north does, turned round
    both = [f"{day},{sold},{shop}" for (day, _, one), (_, _, other) in pairs
            for shop, sold in (("north", one), ("south", other))]  # fmt: skip
    Path("shops.csv").write_text("\n".join([f"{lines[0]},shop", *both]))
    ended = kedja("train", "shops.csv", "--epochs", "1", "--out", "rows")
    assert "to forecast one series: --model autoregression --only 'shop=north'" in ended.err
    options = ("--model", "autoregression", "--target", "sales", *TINY)
    ended = kedja("train", "shops.csv", *options)
    assert "take one series, --only 'shop=north', or gather" in ended.err
    ended = kedja("train", "shops.csv", *options, "--only", "shop=north", "--json")
    assert ended.code == 0, ended.err
    Path("run").rename("north")
    assert json.loads(ended.out)["scores"] == trained(kedja)["scores"]
    ended = kedja("train", "shops.csv", *options, "--only", "shop=west")
    assert "shop is nowhere 'west'" in ended.err
    assert "one of north, south" in ended.err
    assert "write a column and a value" in kedja("train", "shops.csv", *options, "--only", "a").err


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e15])
def test_numbers_of_any_size_are_told_apart(kedja, scale):
    days = np.datetime64("2024-01-01") + np.arange(60)
    rows = [f"{day},{scale * (5 + i % 7)!r}" for i, day in enumerate(days)]
    Path("sizes.csv").write_text("\n".join(["date,y", *rows]))
    assert kedja("train", "sizes.csv", *TINY).code == 0
    for line in kedja("predict", "run").out.splitlines()[2:]:
        low, mean, high = (float(line.split()[place]) for place in (2, 1, 3))
        assert 4 * scale < low <= mean <= high < 12 * scale


def test_errors_of_asking(kedja):
    trained(kedja)
    for arguments, reason in (
        (("--text", "now"), "has no --text"),
        (("sales.csv", "sales.csv"), "give one"),
        (("--plot", "ahead.txt"), "is no picture"),
        (("none.csv",), "none.csv"),
    ):
        ended = kedja("predict", "run", *arguments)
        assert ended.code in (1, 2)
        assert reason in ended.err
    ended = kedja("train", "sales.csv", "--horizon", "5", "--out", "run", "--resume")
    assert "--horizon 5, but the run was started with 3" in ended.err


def test_the_run_is_a_models_folder(kedja):
    trained(kedja)
    model = models.load("run").model
    given = kj.data.series.read("sales.csv")
    assert kj.models.forecast(model, given).mean.shape == (3,)
