"""Word vectors: the words around a place, what is drawn and how often, the loss, learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja import models, nn
from kedja.data.corpus import Corpus
from kedja.data.words import Words
from kedja.ground.errors import DataError, UsageError
from kedja.models.word_vectors import Vocabulary, WordVectors, WordVectorsConfig
from kedja.train.vectors import (
    Neighbourhoods,
    Pairs,
    SkipGramLoss,
    alias_table,
    counted,
    fit_word_vectors,
    kept,
    noise,
    prepared,
    ranking,
)


def two_worlds(count: int = 400, seed: int = 0, tokenizer: Words | None = None) -> Corpus:
    """Sea words stand among sea words, land words among land words."""
    worlds = (["ship", "wave", "fish", "sail"], ["field", "plough", "horse", "barn"])
    rng = np.random.default_rng(seed)
    text = " ".join(" ".join(rng.choice(worlds[i % 2], 8)) for i in range(count))
    return Corpus.of(text, tokenizer or Words.of([text]))


def test_the_words_around_each_place() -> None:
    given = Neighbourhoods([5, 6, 7, 8], 2)
    rows = given.batch(given.tensors, kj.arange(4))["x"].tolist()
    assert rows[0] == [5, -1, -1, 6, 7]
    assert rows[2] == [7, 5, 6, 8, -1]


def test_counts_leave_special_tokens_out() -> None:
    counts = counted(np.array([0, 1, 1, 3, 2]), 2, 4)
    assert counts.tolist() == [1, 2, 0, 0]
    assert kept(counts, 1e-3).tolist() == pytest.approx([0.003**0.5, 0.0015**0.5, 0, 0])
    assert kept(counts, 10.0).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("weights", [[1.0], [3.0, 1.0], [1.0, 0.0, 5.0, 2.0, 0.5]])
def test_the_alias_table_has_the_weights(weights: list[float]) -> None:
    chance, other = alias_table(np.array(weights))
    total = chance.copy()
    np.add.at(total, other, 1 - chance)
    np.testing.assert_allclose(total / len(weights), np.array(weights) / sum(weights), atol=1e-12)


def test_noise_is_drawn_as_the_counts_to_the_power_of_three_quarters() -> None:
    tokens = np.repeat([0, 1, 2], [16, 81, 1])
    model = prepared(tokens, WordVectorsConfig(4, 2), 3)
    keys = kj.random.split(kj.random.key(0))
    drawn = noise(model, (1, 60_000), *keys).numpy()
    shares = np.bincount(drawn[0], minlength=4) / 60_000
    np.testing.assert_allclose(shares, np.array([8, 27, 1, 0]) / 36, atol=0.01)


def test_the_loss_is_the_papers_where_nothing_is_by_chance() -> None:
    """Every word is kept, a window of 1, one word as noise: all can be told in advance."""
    kj.random.seed(0)
    model = WordVectors(WordVectorsConfig(3, 4)).replace(
        contexts=nn.Embedding(3, 4),
        chance=kj.zeros(3),
        other=kj.full(3, 2, kj.int32),
    )
    x = np.array([[0, -1, 1], [1, 0, 2]])
    w, c = model.words.weight.numpy(), model.contexts.weight.numpy()

    def cost(logit: float) -> float:
        return float(np.log1p(np.exp(-logit)))

    pairs = [(0, 1), (1, 0), (1, 2)]
    wanted = np.mean([cost(w[a] @ c[b]) + 2 * cost(-w[a] @ c[2]) for a, b in pairs])
    assert SkipGramLoss(2)(model, kj.tensor(x)).item() == pytest.approx(wanted, rel=1e-5)


def test_frequent_words_are_passed_over() -> None:
    model = WordVectors(WordVectorsConfig(2, 2)).replace(kept=kj.tensor([0.0, 1.0]))
    x = kj.tensor([[1, 0, 0]] * 5 + [[0, 1, 1]] * 5)
    assert SkipGramLoss(1)(model, x).item() == 0


def test_it_finds_the_two_worlds() -> None:
    corpus = two_worlds()
    options: dict[str, Any] = {"epochs": 8, "batch_size": 64, "progress": False}
    options["optimizer"] = kj.optim.Adam(0.02)
    history = fit_word_vectors(corpus, width=8, window=2, threshold=1.0, **options)
    found = Vocabulary(history.model, corpus.tokenizer)  # type: ignore[arg-type]
    assert {word for word, _ in found.neighbours("ship", 3)} == {"wave", "fish", "sail"}
    assert found.analogy("ship", "wave", "horse", 3)[0][0] in {"field", "plough", "barn"}
    assert found.similarity("ship", "ship") == pytest.approx(1)
    held = two_worlds(50, 1, corpus.tokenizer)  # type: ignore[arg-type]
    figures = ranking(history.model, held.tokens, corpus.tokens, special=8)
    assert figures.learned > 0.65
    assert figures.counted > 0.65


def test_a_stranger_is_a_chance() -> None:
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 5, 4000)
    model = prepared(tokens, WordVectorsConfig(5, 4), 5)
    found = ranking(model, rng.integers(0, 5, 4000), tokens, special=5)
    assert found.learned == 0.5
    assert found.counted == pytest.approx(0.5, abs=0.03)


def test_pairs_are_counted_on_both_sides() -> None:
    pairs = Pairs(np.array([0, 1, 2]), 4)
    near = pairs(np.array([0, 2, 0]), np.array([1, 0, 3]))
    assert near[0] == pytest.approx(np.log(1 * 6 / (2 * 2)))
    assert near[1] == pytest.approx(np.log(1 * 6 / (2 * 2)))
    assert near[2] == 0


def test_the_seed_gives_the_bits_and_the_folder_the_vectors(tmp_path: Path) -> None:
    corpus = two_worlds(20)
    options: dict[str, Any] = {"width": 4, "epochs": 1, "batch_size": 32, "progress": False}
    one, other = (fit_word_vectors(corpus, **options) for _ in range(2))
    np.testing.assert_array_equal(one.losses, other.losses)
    models.save(tmp_path, one.model, corpus.tokenizer)
    loaded, tokenizer = models.load(tmp_path)
    np.testing.assert_array_equal(loaded.words.weight.numpy(), one.model.words.weight.numpy())
    assert isinstance(tokenizer, Words)
    assert Vocabulary(loaded, tokenizer).neighbours("ship")


def test_errors() -> None:
    words = Words(["a", "b"])
    model = WordVectors(WordVectorsConfig(3, 2))
    with pytest.raises(UsageError, match="the word 'x' is not known"):
        Vocabulary(model, words).neighbours("x")
    with pytest.raises(UsageError, match="3 words for 4 vectors"):
        Vocabulary(WordVectors(WordVectorsConfig(4, 2)), words)
    with pytest.raises(UsageError, match="a window of 0"):
        Neighbourhoods([1, 2], 0)
    with pytest.raises(DataError, match="a text of 1 words"):
        Neighbourhoods([1], 2)
    with pytest.raises(DataError, match="no known word"):
        counted(np.array([2, 2]), 2, 3)
