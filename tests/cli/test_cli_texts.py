"""`kedja train` and `predict` of the models of texts: pairs, labels, blanks, word vectors."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.cli import families
from kedja.cli.language import pairs, word_map
from kedja.data.words import Words
from kedja.models.word_vectors import Vocabulary, WordVectors, WordVectorsConfig
from kedja.views.planes import flat, main_directions
from tests.cli.terminal import Kept, interrupted_runs

SENTENCES = ("the cat drinks milk", "the dog eats meat", "a bird sings songs")
STORY = "".join(f"{each} .\n" for each in SENTENCES * 60)
MAILS = [
    *(("pay the invoice", "money"), ("send a bill", "money"), ("the bill is due", "money")),
    *(("dance with us", "party"), ("cake and wine", "party"), ("wine all night", "party")),
]
PAIRS = "".join(f"{a}{b} | {b}{a}\n" for a in "abcdef" for b in "ghijkl")
TINY = {
    "encoder-decoder": ["--layers", 1, "--heads", 2, "--width", 8, "--batch", 8, "--epochs", 2],
    "text-classifier": ["--width", 8, "--batch", 8, "--epochs", 3],
    "bert": [*("--layers", 1, "--heads", 2, "--width", 8), "--context", 16, "--epochs", 1],
    "embedding": ["--width", 8, "--context", 2, "--batch", 64, "--epochs", 2],
}
FILES = {
    "encoder-decoder": "pairs.txt",
    "text-classifier": "mails.jsonl",
    "bert": "story.txt",
    "embedding": "story.txt",
}
MODELS = sorted(FILES)


train = Kept()


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line in a folder with texts of each kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEDJA_CACHE", str(tmp_path / "cache"))
    Path("story.txt").write_text(STORY)
    Path("pairs.txt").write_text(PAIRS)
    rows = [{"text": t, "label": c, "id": i} for i, (t, c) in enumerate(MAILS * 5)]
    Path("mails.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return terminal


def trained(kedja, model, *more) -> dict:
    """The results of a small run in the folder `run`."""
    return train(kedja, FILES[model], *TINY[model], *more, "--model", model)


def predicted(kedja, *arguments) -> list:
    return kedja.json("predict", "run", *arguments)["predictions"]


# ----------------------------------------------------------------------------------- all four


@pytest.mark.parametrize("model", MODELS)
def test_the_run_is_a_models_folder(kedja, model):
    found = trained(kedja, model)
    assert found["model"] == model and found["run"] == "run"
    assert found["train_loss"] > 0 and found["parameters"] > 0
    loaded, tokenizer = models.load("run")
    assert loaded.num_parameters == found["parameters"]
    assert tokenizer.size == loaded.config.vocab_size
    record = json.loads(Path("run/run.json").read_text())
    assert record["recipe"]["model"] == model
    assert record["results"]["train_loss"] == found["train_loss"]


@pytest.mark.parametrize("model", MODELS)
def test_a_summary_for_people(kedja, model):
    code, out, err = kedja("train", FILES[model], "--model", model, *TINY[model])
    assert code == 0
    assert "held out" in err and "run: runs/" in err
    assert out.splitlines()[0] == f"{model} on {FILES[model]}"
    assert out.splitlines()[-1].startswith("next: kedja predict runs/")


@pytest.mark.parametrize("model", MODELS)
def test_interrupted_and_resumed_gives_the_same_bits(kedja, model):
    whole = trained(kedja, model)
    Path("run").rename("whole")
    options = [FILES[model], "--model", model, *TINY[model], "--out", "run"]
    with interrupted_runs():
        code, _, err = kedja("train", *options)
    assert code != 0
    assert "go on with: kedja train" in err
    assert models.load("run").model is not None  # the checkpoint stands for the weights
    again = kedja.json("train", FILES[model], "--out", "run", "--resume")
    assert again["train_loss"] == whole["train_loss"]
    one, other = (models.load(each).model.state_dict() for each in ("whole", "run"))
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["story.txt", "--model", "bert", "--steps", 3], "bert has no --steps"),
        (["mails.jsonl", "--model", "text-classifier", "--heads", 2], "has no --heads"),
        (["pairs.txt", "--model", "encoder-decoder", "--width", 9, "--heads", 2], "d_model 9"),
        (["story.txt", "--model", "encoder-decoder"], "no '|' between"),
        (["story.txt", "--model", "text-classifier"], "story.txt"),
        (["expressions", "pairs.txt", "--model", "encoder-decoder"], "expressions and files"),
        (["nothing.txt", "--model", "embedding"], "nothing.txt"),
    ],
)
def test_errors_of_training(kedja, arguments, reason):
    code, out, err = kedja("train", *arguments)
    assert code in (1, 2)
    assert reason in err and out == ""
    assert not Path("runs").exists()


def test_resuming_with_other_options(kedja):
    trained(kedja, "embedding")
    code, _, err = kedja("train", "story.txt", "--width", 16, "--out", "run", "--resume")
    assert code == 2
    assert "--width 16, but the run was started with 8" in err


# ---------------------------------------------------------------------------- encoder-decoder


def test_expressions_are_bracketed(kedja, monkeypatch):
    for name, value in (("COUNT", 150), ("HELD", 20), ("LONGER", 3)):
        monkeypatch.setattr(pairs, name, value)
    options = ("--model", "encoder-decoder", *TINY["encoder-decoder"], "--out", "run")
    found = kedja.json("train", "expressions", *options)
    assert set(found["longer"]) == {"8 numbers", "9 numbers", "10 numbers"}
    assert 0 <= found["test_exact_match"] <= 1
    assert 0 < found["from_the_left"] < 1
    rows = predicted(kedja, "--text", "1+2*3/4", "--text", "8", "--plot", "look.svg")
    assert [row["source"] for row in rows] == ["1+2*3/4", "8"]
    ElementTree.fromstring(Path("look.svg").read_text())
    out = kedja("predict", "run", "--text", "1+2", "--explain").out
    assert out.startswith("1+2 -> ") and "decoder.0.cross, head 0" in out


def test_brackets_from_the_left_are_the_baseline():
    assert pairs._from_the_left("1+2*3") == "((1+2)*3)"
    assert pairs._from_the_left("8") == "8"


def test_lines_of_a_file_are_translated(kedja):
    trained(kedja, "encoder-decoder")
    Path("ask.txt").write_text("ab\n\nba\n")
    assert [row["source"] for row in predicted(kedja, "ask.txt")] == ["ab", "ba"]


# ---------------------------------------------------------------------------- text-classifier


def test_ids_are_carried_through(kedja):
    found = trained(kedja, "text-classifier", "--epochs", 40)
    assert found["test_examples"] == 6 and found["most_frequent_accuracy"] == 0.5
    assert set(found["classes"]) == {"money", "party"}
    asked = [{"text": "pay a bill", "id": "x7"}, {"text": "", "id": 3}, {"text": "wine"}]
    Path("ask.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    code, out, _ = kedja("errors", "run", "--by", "class", "--by", "words", "--json")
    tables = json.loads(out)["tables"]
    assert code == 0
    assert [each["all"]["count"] for each in tables] == [6, 6]
    assert tables[0]["all"]["value"] == pytest.approx(1 - found["test_accuracy"])
    rows = predicted(kedja, "ask.jsonl", "--text", "dance")
    assert [row["id"] for row in rows] == ["x7", 3, None, None]
    assert [rows[i]["label"] for i in (0, 2, 3)] == ["money", "party", "party"]
    code, out, err = kedja("predict", "run", "gone.jsonl", "ask.jsonl", "gone.txt")
    assert (code, len(out.splitlines())) == (1, 3)
    assert [line.split(": ")[1] for line in err.splitlines()[:3]][:2] == ["gone.jsonl", "gone.txt"]
    code, out, _ = kedja("predict", "run", "ask.jsonl", "--explain")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].split()[:2] == ["x7", "money"] and "bill +" in lines[1]
    assert lines[3].strip() == "no words"


def test_a_rare_class_is_named(kedja):
    rows = [{"text": "usual", "label": "often"}] * 60 + [{"text": "odd", "label": "rare"}] * 6
    Path("odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ("odd.jsonl", "--model", "text-classifier", *TINY["text-classifier"])
    code, _, err = kedja("train", *options)
    assert code == 0
    assert "rare is rare: --balanced" in err
    assert kedja.json("train", *options, "--balanced")["balanced"] is True


# --------------------------------------------------------------------------------------- bert


def test_blanks_are_filled(kedja):
    found = trained(kedja, "bert")
    assert found["test_words"] > 0 and found["test_unigram_loss"] > 0
    [row] = predicted(kedja, "--text", "the [MASK] drinks milk")
    assert row["blanks"][0]["place"] == 1 and len(row["blanks"][0]["guesses"]) == 5
    code, out, _ = kedja("predict", "run", "--text", "the [MASK] drinks milk")
    assert code == 0 and "word 2: " in out
    code, _, err = kedja("predict", "run", "--text", "the cat")
    assert code == 2 and "nothing is hidden" in err


# ---------------------------------------------------------------------------------- embedding


def test_neighbours_analogies_and_a_map(kedja):
    trained(kedja, "embedding")
    rows = predicted(kedja, "--text", "cat", "--text", "cat dog milk")
    assert len(rows[0]["words"]) == 10 and "cat" not in rows[0]["words"]
    assert not {"cat", "dog", "milk"} & set(rows[1]["words"])
    pytest.importorskip("matplotlib")
    code, _, err = kedja("predict", "run", "--plot", "map.svg")
    assert code == 0, err
    ElementTree.fromstring(Path("map.svg").read_text())
    for arguments, reason in [
        (["--text", "zebra"], "the word 'zebra' is not known"),
        (["--text", "cat dog"], "2 words"),
        (["--plot", "map.txt"], "no picture"),
        ([], "no word to look up"),
    ]:
        code, _, err = kedja("predict", "run", *arguments)
        assert code == 2 and reason in err


def test_the_main_directions_are_scikit_learns():
    decomposition = pytest.importorskip("sklearn.decomposition")
    vectors = np.random.default_rng(0).normal(size=(20, 5))
    mine = main_directions(vectors)
    other = decomposition.PCA(2).fit_transform(vectors)
    np.testing.assert_allclose(np.abs(mine), np.abs(other), atol=1e-8)
    np.testing.assert_allclose(main_directions(-vectors), mine, atol=1e-8)


def test_a_map_shows_the_words_asked_for_and_their_neighbours():
    words = Words([f"w{chr(97 + i)}" for i in range(20)], ["[UNK]"])
    kj.random.seed(0)
    found = Vocabulary(WordVectors(WordVectorsConfig(21, 4)), words)
    shown = word_map.chosen(found, ["WA"])
    assert shown[0] == "wa" and len(shown) == 1 + word_map.NEIGHBOURS
    assert word_map.chosen(found, []) == words.words
    vectors = np.stack([found.vector(word) for word in shown])
    np.testing.assert_array_equal(flat(vectors), flat(vectors))


# ------------------------------------------------------------------------------------- asking


def test_rows_take_no_texts(kedja):
    Path("table.csv").write_text("a,b\n" + "".join(f"{i},{2 * i}\n" for i in range(40)))
    assert kedja("train", "table.csv", "--model", "linear", "--epochs", 1, "--out", "run")[0] == 0
    for arguments, reason in [
        (["--text", "a"], "was trained on pictures or rows"),
        ([], "nothing to predict"),
    ]:
        code, _, err = kedja("predict", "run", *arguments)
        assert code == 2 and reason in err


def test_nothing_to_predict(kedja):
    trained(kedja, "bert")
    code, _, err = kedja("predict", "run")
    assert code == 2 and "nothing to predict" in err
    Path("run/tokenizer.json").unlink()
    code, _, err = kedja("predict", "run", "--text", "a [MASK]")
    assert code == 1 and "no tokenizer.json" in err


@pytest.mark.parametrize("model", MODELS)
def test_what_such_models_do_not_do(kedja, model):
    trained(kedja, model)
    text = "a bird"
    for arguments, says in [
        (["generate", "run", "--prompt", text], "does not"),
        (["explain", text, "--run", "run"], "does not"),
        (["export", "run", "--to", "a.onnx"], "which is not exported"),
    ]:
        code, out, err = kedja(*arguments)
        assert code in (1, 2) and out == ""
        assert says in err
    code, _, err = kedja("attention", "a bird", "--run", "run")
    if model == "bert":
        assert code == 0, err
    else:
        assert code == 2 and "does not read one text" in err


def test_the_model_follows_from_the_data(kedja):
    code, out, _ = kedja("train", "mails.jsonl", "--epochs", 1)
    assert code == 0 and out.startswith("text-classifier on mails.jsonl")
    assert families.usual(("expressions",)) == "encoder-decoder"
    Path("other.jsonl").write_text('{"text": "a"}\n')
    assert families.usual(("other.jsonl",)) != "text-classifier"


def test_labels_in_the_file_are_checked(kedja):
    trained(kedja, "text-classifier", "--epochs", 40)
    asked = [{"text": "pay a bill", "label": "money"}, {"text": "wine", "label": "music"}]
    Path("ask.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    code, out, err = kedja("predict", "run", "ask.jsonl")
    assert code == 0 and len(out.splitlines()) == 2
    assert "50.00% of 2 labelled texts are right" in err
    assert "labels that were never trained: music (1)" in err
    code, out, _ = kedja("predict", "run", "ask.jsonl", "--json")
    assert json.loads(out)["quality"]["unseen"] == {"music": 1}


@pytest.mark.parametrize(
    ("model", "option", "says"),
    [
        ("bert", "--explain", "has no --explain"),
        ("embedding", "--explain", "explain nothing"),
        ("text-classifier", "--plot=a.svg", "draws nothing"),
    ],
)
def test_options_that_a_model_does_not_have(kedja, model, option, says):
    trained(kedja, model)
    code, _, err = kedja("predict", "run", "--text", "cat", option)
    assert code == 2 and says in err
