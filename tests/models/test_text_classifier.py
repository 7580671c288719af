"""The text classifier: what is counted, learning, rare and unknown classes, empty texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.models.text_classifier import TextClassifier, TextClassifierConfig, classify, rows_of
from kedja.train.classification import (
    bag_of_words,
    config_for,
    evaluate_classifier,
    fit_text_classifier,
    most_frequent,
    quality,
    stratified,
    vocabulary,
)

MONEY = ["send the invoice", "pay the bill now", "the invoice is due", "a bill of ten pounds"]
PARTY = ["come and dance", "bring cake and wine", "we dance all night", "wine and cake for all"]
TEXTS, LABELS = [*MONEY, *PARTY], ["money"] * 4 + ["party"] * 4
QUIET: dict[str, Any] = {"progress": False, "epochs": 40, "batch_size": 4}


def small(**options: Any) -> tuple[TextClassifier, Any]:
    tokenizer = vocabulary(TEXTS)
    kj.random.seed(2)
    return TextClassifier(config_for(tokenizer, LABELS, width=8, **options)), tokenizer


@pytest.mark.parametrize("buckets", [0, 64])
def test_padding_and_unknown_words_count_for_nothing(buckets: int) -> None:
    model, tokenizer = small(buckets=buckets)
    text = tokenizer.encode("pay the bill")
    row = np.array([[*text]], np.int32)
    pad, unknown = tokenizer.specials["[PAD]"], tokenizer.specials["[UNK]"]
    plain = model(kj.tensor(row)).numpy()
    for more in ([pad, pad], [unknown], [unknown, pad]):
        wide = np.array([[*text, *more]], np.int32)
        np.testing.assert_allclose(model(kj.tensor(wide)).numpy(), plain, atol=1e-6)


def test_pairs_see_the_order_of_words() -> None:
    def logits(buckets: int, text: str) -> Any:
        model, tokenizer = small(buckets=buckets)
        if model.pairs is not None:
            drawn = kj.random.normal(kj.random.key(0), model.pairs.weight.shape)
            model = model.at("pairs.weight").set(drawn)
        return model(kj.tensor(rows_of([text], tokenizer, model.config))).numpy()

    one, other = "pay the bill", "bill the pay"
    np.testing.assert_allclose(logits(0, one), logits(0, other), atol=1e-6)
    assert np.abs(logits(64, one) - logits(64, other)).max() > 1e-3


def test_it_learns_and_says_which_words_spoke() -> None:
    history, tokenizer = fit_text_classifier(TEXTS, LABELS, **QUIET)
    found = evaluate_classifier(history.model, TEXTS, LABELS, tokenizer=tokenizer)
    assert found.accuracy == 1
    [answer] = classify(history.model, ["an invoice unknownword"], tokenizer=tokenizer)
    assert answer.label == "money"
    assert answer.probabilities["money"] > 0.6
    (first, nothing), (second, much), (_, none) = answer.words
    assert (first, second, nothing, none) == ("[UNK]", "invoice", 0, 0)
    assert much > 0.1
    logits = history.model(
        kj.tensor(rows_of(["invoice due"], tokenizer, history.model.config))
    ).numpy()[0]
    [answer] = classify(history.model, ["invoice due"], tokenizer=tokenizer)
    bias = history.model.output.bias.numpy()
    both = (logits - bias) - (logits - bias).mean()
    best = history.model.config.classes.index(answer.label)
    np.testing.assert_allclose(sum(share for _, share in answer.words), both[best], atol=1e-5)


def test_the_seed_gives_the_bits() -> None:
    runs = [fit_text_classifier(TEXTS, LABELS, **{**QUIET, "epochs": 2})[0] for _ in range(2)]
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)


def test_empty_texts_get_an_answer() -> None:
    model, tokenizer = small()
    found = classify(model, ["", "pay", "???"], tokenizer=tokenizer)
    assert [len(each.words) for each in found] == [0, 1, 3]
    assert found[0].probabilities == pytest.approx(found[2].probabilities)
    assert sum(found[0].probabilities.values()) == pytest.approx(1)
    assert classify(model, [], tokenizer=tokenizer) == []


def test_rare_classes_count_when_balanced() -> None:
    texts = ["usual thing"] * 60 + ["strange thing"] * 2 + ["thing"] * 20
    labels = ["often"] * 60 + ["rare"] * 2 + ["often"] * 10 + ["rare"] * 10
    options: dict[str, Any] = {"progress": False, "epochs": 10, "batch_size": 41}
    plain, tokenizer = fit_text_classifier(texts, labels, **options)
    fair, _ = fit_text_classifier(texts, labels, balanced=True, **options)

    def share(history: Any) -> float:
        [answer] = classify(history.model, ["thing"], tokenizer=tokenizer)
        return answer.probabilities["rare"]

    assert share(fair) > share(plain) + 0.1


def test_validation_with_labels_that_were_never_seen() -> None:
    held = (["pay", "sing"], ["money", "music"])
    history, tokenizer = fit_text_classifier(TEXTS, LABELS, validation=held, **QUIET)
    assert set(history.validation) == {"loss", "accuracy"}
    found = evaluate_classifier(history.model, *held, tokenizer=tokenizer)
    assert found.unseen == {"music": 1}
    assert found.accuracy <= 0.5


# ------------------------------------------------------------------------------ the figures


def test_quality_equals_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    true = [str(each) for each in rng.integers(0, 3, 200)]
    said = [t if rng.random() < 0.6 else str(rng.integers(0, 3)) for t in true]
    found = quality(said, true, ("0", "1", "2"))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(true, said))
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(true, said))
    each = metrics.precision_recall_fscore_support(true, said)
    for place, name in enumerate("012"):
        mine = found.classes[name]
        assert (mine.precision, mine.recall, mine.f1, mine.count) == pytest.approx(
            tuple(column[place] for column in each)
        )


def test_stratified_parts() -> None:
    labels = ["a"] * 50 + ["b"] * 10 + ["c"]
    train, test = stratified(labels, 0.2, seed=1)
    assert sorted([*train, *test]) == list(range(61))
    assert [sum(labels[row] == name for row in test) for name in "abc"] == [10, 2, 0]
    assert stratified(labels, 0.2, seed=1)[1].tolist() == test.tolist()
    assert stratified(labels, 0.2, seed=2)[1].tolist() != test.tolist()


def test_baselines() -> None:
    assert most_frequent(["b", "a", "b", "a", "c"]) == "a"
    found = bag_of_words(TEXTS, LABELS, ["an invoice", "dance"], tokenizer=vocabulary(TEXTS))
    assert found == ["money", "party"]


# ------------------------------------------------------------------------------- the rest


def test_the_folder_gives_the_same_answers(tmp_path: Path) -> None:
    model, tokenizer = small(buckets=16)
    models.save(tmp_path, model, tokenizer)
    loaded, same = models.load(tmp_path)
    assert loaded.config == model.config
    assert classify(loaded, TEXTS, tokenizer=same) == classify(model, TEXTS, tokenizer=tokenizer)


def test_numbers_as_labels_are_in_order() -> None:
    tokenizer = vocabulary(TEXTS)
    config = config_for(tokenizer, ["10", "9", "-1"])
    assert config.classes == ("-1", "9", "10")
    assert TextClassifierConfig(3, ["x", "y"]).classes == ("x", "y")  # type: ignore[arg-type]


def test_errors() -> None:
    with pytest.raises(ShapeError, match="2 texts, but 1 labels"):
        fit_text_classifier(["a", "b"], ["x"])
    with pytest.raises(DataError, match="one class only: x"):
        fit_text_classifier(["a", "b"], ["x", "x"])
    with pytest.raises(DataError, match="no word occurs"):
        fit_text_classifier(["", " "], ["x", "y"])
    model, tokenizer = small()
    with pytest.raises(UsageError, match="a list of texts"):
        classify(model, "text", tokenizer=tokenizer)
    with pytest.raises(ShapeError, match="1 predictions for 0 labels"):
        quality(["a"], [], ("a",))
