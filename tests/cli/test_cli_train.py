"""`kedja train` and `kedja predict`, from the command line to the exit code."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from paths import SHARED, needs

from kedja.cli import recipes, runs
from kedja.cli.options import sizes
from kedja.data import digits
from kedja.ground.errors import CheckpointError, StorageError, UsageError
from kedja.io import weights
from kedja.train import checkpoint
from tests.cli.terminal import Kept

SMALL = ["--hidden", "8", "--epochs", "2", "--batch", "128"]
train = Kept()


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return terminal


def write_csv(path: Path, rows: int = 60, seed: int = 0) -> Path:
    """Two features, one of text, a class that follows from them, and a number."""
    rng = np.random.default_rng(seed)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["size", "weight", "colour", "price", "kind"])
        for size, weight in rng.normal(size=(rows, 2)):
            colour = "red" if size > 0 else "blue"
            price = 1000 + 200 * size - 50 * weight
            kind = "big" if size + weight > 0 else "small"
            out.writerow([f"{size:.4f}", f"{weight:.4f}", colour, f"{price:.2f}", kind])
    return path


def write_picture(path: Path, index: int = 0, shape=(8, 8)) -> Path:
    image = pytest.importorskip("PIL.Image")
    grey = np.zeros(shape, np.uint8)
    if shape == (8, 8):
        grey = (digits.load().test.inputs[index] * 15.9).astype(np.uint8)
    image.fromarray(grey).save(path)
    return path


# ------------------------------------------------------------------------------------ train


@pytest.mark.parametrize("tier", ["interpret", "compile"])
def test_digits_as_json(kedja, tier):
    code, out, err = kedja("train", "digits", *SMALL[:4], "--json", tier=tier)
    assert code == 0
    found = json.loads(out)
    assert out.count("\n") == 1
    assert found["task"] == "classification"
    assert found["parameters"] == 64 * 8 + 8 + 8 * 10 + 10
    assert found["epochs"] == 2 and found["steps"] == 2 * 45
    assert 0 < found["test_accuracy"] < 1
    for name in ("train_loss", "test_loss", "compile_seconds", "train_seconds"):
        assert found[name] > 0
    assert found["steps_per_second"] > 0
    assert Path(found["checkpoint"]).is_file()
    assert "pictures of 8 × 8 pixels" in err
    assert "mlp: hidden 8, relu, adam 0.003, batch 32, 2 epochs, seed 0" in err
    assert "epoch 2/2" in err


def test_a_readable_summary(kedja):
    code, out, _ = kedja("train", "digits", *SMALL)
    assert code == 0
    assert "digits: classification of 'label'" in out
    assert "test accuracy" in out
    assert "next: kedja predict runs/digits-mlp FILE" in out


def test_the_same_command_twice_makes_two_runs_of_the_same_bits(kedja):
    first = json.loads(kedja("train", "digits", *SMALL, "--json")[1])
    second = json.loads(kedja("train", "digits", *SMALL, "--json")[1])
    assert (first["run"], second["run"]) == ("runs/digits-mlp", "runs/digits-mlp-2")
    assert first["test_loss"] == second["test_loss"]
    arrays = [weights.load(found["checkpoint"])[0] for found in (first, second)]
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])


def test_a_class_of_a_table(kedja):
    write_csv(Path("things.csv"))
    code, out, err = kedja("train", "things.csv", "--epochs", "40", "--lr", "0.02", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["task"] == "classification"
    assert found["target"] == "kind"
    assert found["test_accuracy"] >= 0.8
    assert "classification of 'kind', 2 classes: big, small" in err


def test_a_number_of_a_table_in_its_own_units(kedja):
    write_csv(Path("things.csv"), rows=200)
    code, out, _ = kedja(
        "train", "things.csv", "--target", "price", "--epochs", "25", "--lr", "0.02", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert found["task"] == "regression"
    assert found["test_r2"] > 0.9
    assert 1 < found["test_rmse"] < 80  # the prices' standard deviation is about 200
    assert found["test_loss"] < 0.2  # in standard units
    code, out, _ = kedja("train", "things.csv", "--target", "price", *SMALL)
    assert "root of the mean square" in out and "R²" in out


def test_few_whole_numbers_may_be_a_regression(kedja):
    rows = "\n".join(f"{i % 20},{i % 5 + 1}" for i in range(60))
    Path("stars.csv").write_text(f"x,stars\n{rows}\n")
    asked = kedja("train", "stars.csv", "--task", "regression", *SMALL, "--out", "run", "--json")
    assert json.loads(asked.out)["task"] == "regression"
    told = kedja("importance", "run", "--repeats", "1", "--json")  # reads the data again
    assert json.loads(told.out)["measure"] == "rmse"
    other = kedja("train", "stars.csv", "--task", "classification", "--resume", "--out", "run")
    assert other.code == 2
    assert "--task is classification, but" in other.err
    assert kedja("train", "stars.csv", "--task", "ranking").code == 2


@needs(SHARED / "mnist")
def test_a_folder_of_mnists_files(kedja):
    options = ["--hidden", "8", "--epochs", "1", "--batch", "500", "--json"]
    code, out, err = kedja("train", SHARED / "mnist", *options, tier="auto")
    found = json.loads(out)
    assert (code, found["steps"], found["data"]) == (0, 120, "mnist")
    assert "pictures of 28 × 28 pixels" in err


def test_more_in_a_batch_than_there_are(kedja):
    write_csv(Path("things.csv"))
    code, _, err = kedja("train", "things.csv", *SMALL, "--batch", "5000")
    assert code == 0
    assert "batch_size 5000 is more than the 48 examples" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digit"], "did you mean 'digits'?"),
        (["digits", "--model", "mpl"], "did you mean 'mlp'?"),
        (["digits", "--model", "linear", "--hidden", "8"], "the model linear has no --hidden"),
        (["digits", "--model", "linear", "--activation", "relu"], "linear has no --activation"),
        (["digits", "--hidden", "12,x"], "--hidden '12,x'"),
        (["digits", "--hidden", "0"], "--hidden '0'"),
        (["digits", "--activation", "rilu"], "did you mean 'silu' or 'relu'"),
        (["digits", "--optimizer", "adan"], "did you mean 'adam'"),
        (["digits", "--lr", "-1"], "--lr -1.0"),
        (["digits", "--lr", "nan"], "--lr nan"),
        (["digits", "--batch", "0"], "--batch 0"),
        (["digits", "--epochs", "0"], "--epochs 0"),
        (["digits", "--seed", "-1"], "--seed -1"),
        (["digits", "--threads", "-3"], "--threads -3"),
        (["digits", "--optimizer", "lbfgs"], "lbfgs looks at the loss over all examples"),
        (["digits", "--schedule", "cosin"], "did you mean 'cosine'"),
        (["digits", "--schedule", "step", "--warmup", "5"], "'step' with a warm-up"),
        (["digits", "--warmup", "-1"], "--warmup -1"),
        (["digits", "--clip", "0"], "--clip 0.0"),
        (["digits", "--accumulate", "0"], "--accumulate 0"),
        (["digits", "--ema", "1"], "--ema 1.0"),
        (["digits", "--precision", "float16"], "products in float16"),
        (["digits", "--target", "label"], "holds pictures"),
        (["digits", "--colour", "red"], "No such option"),
        ([], "Missing argument"),
    ],
)
def test_wrong_usage(kedja, arguments, message):
    code, out, err = kedja("train", *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", recipes.RATES)
def test_every_optimizer_learns(kedja, name):
    epochs = 30 if name in recipes.WHOLE else 8
    options = ["--hidden", "8", "--epochs", epochs, "--optimizer", name]
    found = kedja.json("train", "digits", *options, tier="auto")
    assert found["optimizer"] == name
    assert 0 < found["train_loss"] < 2.32  # -log(1/10) is 2.30


def test_the_options_around_the_optimizer(kedja):
    options = ["--schedule", "cosine", "--warmup", 5, "--clip", 1, "--accumulate", 2]
    options += ["--ema", 0.9, "--precision", "bfloat16"]
    code, out, err = kedja("train", "digits", *SMALL, *options, "--json")
    assert code == 0
    found = json.loads(out)
    assert [found[name] for name in ("schedule", "warmup", "clip", "accumulate")] == [
        "cosine", 5, 1, 2
    ]  # fmt: skip
    assert [found[name] for name in ("ema", "precision")] == [0.9, "bfloat16"]
    assert "schedule cosine, warm-up of 5 updates, gradients up to norm 1.0" in err
    assert "products in bfloat16" in err
    code, _, err = kedja("train", "digits", "--resume", "--clip", "2")
    assert code == 2
    assert "--clip 2.0, but the run was started with 1.0" in err
    recorded = runs.load(Path("runs/digits-mlp")).recipe
    assert recipes.Recipe.from_json(json.loads(json.dumps(recorded.to_json()))) == recorded


def test_bad_data(kedja):
    Path("ragged.csv").write_text("a,b\n1,2\n3\n")
    code, _, err = kedja("train", "ragged.csv")
    assert code == 1
    assert "ragged.csv, line 3" in err
    assert not Path("runs").exists()


def test_a_loss_that_overflows(kedja):
    arguments = ["digits", "--optimizer", "sgd", "--lr", "1e30", *SMALL]
    code, _, err = kedja("train", *arguments)
    assert code == 1
    assert "the loss became" in err and "lower the learning rate" in err


# ----------------------------------------------------------------------------------- resume


def test_resume_extends_the_newest_run(kedja):
    kedja("train", "digits", *SMALL)
    kedja("train", "digits", *SMALL, "--seed", "5")
    code, out, err = kedja("train", "digits", "--resume", "--epochs", "3", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["run"], found["seed"]) == ("runs/digits-mlp-2", 5)
    assert (found["epochs"], found["hidden"]) == (3, [8])
    assert "resumed in epoch 3" in err
    whole = kedja.json("train", "digits", *SMALL, "--epochs", "3", "--seed", "5")
    assert whole["test_loss"] == found["test_loss"]


def test_resume_of_a_finished_run_says_so(kedja):
    first = json.loads(kedja("train", "digits", *SMALL, "--json", "--out", "here")[1])
    code, out, err = kedja("train", "digits", "--out", "here", "--resume", "--json")
    assert code == 0
    assert "this run is finished" in err
    again = json.loads(out)
    assert {**again, "compile_seconds": 0} == {**first, "compile_seconds": 0}


def test_resume_without_a_run_starts_one(kedja):
    code, _, err = kedja("train", "digits", *SMALL, "--resume")
    assert code == 0
    assert "no run to resume" in err
    code, _, err = kedja("train", "digits", *SMALL, "--resume", "--out", "new")
    assert code == 0
    assert "no run to resume" in err


def test_resume_after_a_kill_before_the_first_checkpoint(kedja):
    train(kedja, "digits", *SMALL, out="here")
    os.unlink("here/weights.safetensors")
    code, out, err = kedja("train", "digits", "--resume", "--out", "here", "--json")
    assert code == 0
    assert "training starts from the beginning" in err
    assert json.loads(out)["hidden"] == [8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--lr", "0.5"], "--lr 0.5, but the run was started with 0.003"),
        (["digits", "--hidden", "9"], "--hidden 9, but the run was started with 8"),
        (["digits", "--model", "linear"], "--model linear, but the run was started with mlp"),
        (["other.csv"], "DATA is other.csv"),
    ],
)
def test_resume_with_other_options(kedja, arguments, message):
    write_csv(Path("other.csv"))
    train(kedja, "digits", *SMALL, out="here")
    before = Path("here/weights.safetensors").read_bytes()
    code, _, err = kedja("train", *arguments, "--resume", "--out", "here")
    assert code == 2
    assert message in err
    assert Path("here/weights.safetensors").read_bytes() == before


def test_resume_with_changed_data(kedja):
    write_csv(Path("things.csv"))
    kedja("train", "things.csv", *SMALL, "--out", "here")
    write_csv(Path("things.csv"), seed=1)
    code, _, err = kedja("train", "things.csv", "--resume", "--out", "here", "--epochs", "5")
    assert code == 1
    assert "the checkpoint is of another run" in err and "data x is" in err


def test_a_run_is_not_overwritten(kedja):
    train(kedja, "digits", *SMALL, out="here")
    before = Path("here/weights.safetensors").read_bytes()
    code, _, err = kedja("train", "digits", *SMALL, "--out", "here")
    assert code == 2
    assert "here holds a run already" in err
    assert Path("here/weights.safetensors").read_bytes() == before


def test_out_is_a_file(kedja):
    Path("here").write_text("")
    code, _, err = kedja("train", "digits", *SMALL, "--out", "here")
    assert code == 2
    assert "here is a file" in err


def test_a_damaged_checkpoint_and_a_damaged_record(kedja):
    train(kedja, "digits", *SMALL, out="here")
    path = Path("here/weights.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    for arguments in (["train", "digits", "--out", "here", "--resume"], ["predict", "here", "x"]):
        code, _, err = kedja(*arguments)
        assert (code, "damaged" in err) == (1, True)
    Path("here/run.json").write_text("{")
    code, _, err = kedja("train", "digits", "--out", "here", "--resume")
    assert code == 1
    assert "the record of the run is damaged" in err


# ---------------------------------------------------------------------------------- predict


@pytest.fixture
def trained(kedja):
    train(kedja, "digits", "--hidden", "32", "--epochs", "6", out="here")
    return kedja


def test_pictures(trained):
    files = [write_picture(Path(f"{i}.png"), i) for i in range(8)]
    labels = [str(label) for label in digits.load().test.targets[:8]]
    code, out, _ = trained("predict", "here", *files, "--json")
    assert code == 0
    found = json.loads(out)
    answers = [each["class"] for each in found["predictions"]]
    assert sum(map(str.__eq__, answers, labels)) >= 6
    for each in found["predictions"]:
        shares = each["probabilities"]
        assert sum(shares.values()) == pytest.approx(1)
        assert each["probability"] == max(shares.values()) == shares[each["class"]]
    code, out, _ = trained("predict", "here", *files)
    assert len(out.splitlines()) == 8
    assert out.splitlines()[0].startswith("0.png  ") and "% (then" not in out
    Path("big").mkdir()
    write_picture(Path("big/0.png"), shape=(28, 28))
    write_picture(Path("big/1.png"), 1)
    code, out, err = trained("predict", "here", "things.csv", "big")
    assert (code, [line.split()[0] for line in out.splitlines()]) == (1, ["big/1.png"])
    assert "error: big/0.png: the picture has 28 × 28" in err
    assert "error: things.csv is a table" in err


def test_what_predict_refuses(trained):
    write_csv(Path("things.csv"))
    Path("text.png").write_text("no picture")
    for arguments, code, message in [
        (["here", write_picture(Path("big.png"), shape=(28, 28))], 1, "28 × 28 pixels"),
        (["here", "things.csv"], 2, "is a table"),
        (["here", "nothing.png"], 1, "nothing.png"),
        (["here", "text.png"], 1, "text.png"),
        (["there", "big.png"], 2, "there holds no run"),
        (["here"], 2, "there is nothing to predict"),
    ]:
        found, out, err = trained("predict", *arguments)
        assert (found, out) == (code, "")
        assert message in err


def test_rows_of_a_table(kedja):
    write_csv(Path("things.csv"), rows=100)
    write_csv(Path("new.csv"), rows=5, seed=1)
    options = ["--epochs", "25", "--lr", "0.02"]
    kedja("train", "things.csv", *options, "--out", "kinds")
    kedja("train", "things.csv", *options, "--target", "price", "--out", "prices")
    code, out, _ = kedja("predict", "kinds", "new.csv", "--json")
    assert code == 0
    rows = json.loads(out)["predictions"]
    with open("new.csv") as file:
        expected = list(csv.DictReader(file))
    assert [each["row"] for each in rows] == [1, 2, 3, 4, 5]
    assert sum(a["class"] == b["kind"] for a, b in zip(rows, expected, strict=True)) >= 4
    code, out, _ = kedja("predict", "prices", "new.csv", "--json")
    prices = [each["price"] for each in json.loads(out)["predictions"]]
    assert prices == pytest.approx([float(each["price"]) for each in expected], abs=250)
    assert max(prices) > 500
    code, out, _ = kedja("predict", "prices", "new.csv")
    assert out.splitlines()[0].startswith("new.csv:1  price ")
    both = kedja("predict", "prices", "gone.csv", "new.csv")
    assert (both.code, both.out) == (1, out)
    assert both.err.startswith("error: gone.csv: ") and "1 file is left out" in both.err


def test_rows_that_do_not_fit(kedja):
    write_csv(Path("things.csv"))
    kedja("train", "things.csv", *SMALL, "--out", "here")
    Path("few.csv").write_text("size,colour\n1,red\n")
    code, _, err = kedja("predict", "here", "few.csv")
    assert code == 1
    assert "column 'weight' is missing" in err
    Path("text.csv").write_text("size,weight,colour,price\n1,2,red,3\nmany,2,red,3\n")
    code, _, err = kedja("predict", "here", "text.csv")
    assert code == 1
    assert "text.csv, line 3" in err and "'many'" in err
    code, _, err = kedja("predict", "here", write_picture(Path("a.png")))
    assert code == 2
    assert "is a picture" in err


# ------------------------------------------------------------------------------ their pieces


def test_the_recorded_run_can_be_read_back(kedja):
    kedja("train", "digits", *SMALL, "--out", "here")
    record = runs.load(Path("here"))
    assert record.recipe.hidden == (8,)
    assert record.preparation.target.classes == tuple("0123456789")
    assert record.results["steps"] == 24
    model = runs.load_network(Path("here"), record)
    arrays, _ = weights.load(checkpoint.path("here"))
    np.testing.assert_array_equal(model.state_dict()["0.weight"], arrays["model.0.weight"])


def test_weights_of_another_network_are_refused(kedja):
    kedja("train", "digits", *SMALL, "--out", "one")
    kedja("train", "digits", "--hidden", "9", "--epochs", "1", "--out", "two")
    shutil.copy("two/weights.safetensors", "one/weights.safetensors")
    with pytest.raises(CheckpointError, match="do not fit"):
        runs.load_network(Path("one"), runs.load(Path("one")))


def test_sizes():
    assert sizes("128, 64", "--hidden") == (128, 64)
    for text in ("", "1,,2", "-1", "1.5", "²"):
        with pytest.raises(UsageError):
            sizes(text, "--hidden")


def test_recipes_follow_the_data():
    data = digits.load()
    assert recipes.recipe(data, {}).hidden == (128, 64)
    assert recipes.recipe(data, {"model": "linear"}).hidden == ()
    assert recipes.recipe(data, {"optimizer": "SGD"}).lr == 0.1
    assert recipes.recipe(data, {"optimizer": "sgd", "lr": 0.7}).lr == 0.7
    whole = recipes.recipe(data, {"optimizer": "gradient-descent"})
    assert whole.batch == len(data.train)
    assert recipes.Recipe.from_json(json.loads(json.dumps(whole.to_json()))) == whole


@pytest.mark.slow
def test_digits_reach_97_per_cent_in_the_median_of_five_seeds(kedja):
    found = [
        json.loads(kedja("train", "digits", "--seed", seed, "--json", tier="auto")[1])
        for seed in range(5)
    ]
    assert sorted(each["test_accuracy"] for each in found)[2] >= 0.97
    assert max(each["compile_seconds"] + each["train_seconds"] for each in found) < 20


def test_a_full_disk_names_the_command_that_goes_on(kedja, monkeypatch):
    def full(*_):
        raise StorageError("the disk is full", where="run/weights", fix="free some space")

    monkeypatch.setattr(checkpoint, "save", full)
    code, _, err = kedja("train", "digits", *SMALL, "--out", "run")
    assert code == 1
    assert "fix: free some space; then go on with: kedja train digits --out run --resume" in err
