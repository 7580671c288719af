"""The masked language model: what is hidden, the loss at these places, learning, filling blanks."""

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
from kedja.models.bert import Bert, BertConfig, fill
from kedja.nn.losses.reduction import IGNORED
from kedja.train.masked import (
    MaskedLoss,
    Stretches,
    config_for,
    evaluate_masked,
    fit_masked,
    hidden_by_chance,
    hidden_in_turn,
)

SPECIALS = ["[UNK]", "[MASK]"]
CONFIG = BertConfig(52, 50, 51, 16, 1, 2, 32, 40)
SENTENCES = ["the cat drinks milk .", "the dog eats meat .", "a bird sings songs ."]


def rows(count: int, length: int = 40) -> kj.Tensor:
    return kj.tensor(np.random.default_rng(0).integers(0, 50, (count, length)).astype(np.int32))


def test_fifteen_per_cent_are_hidden_four_fifths_of_them_by_the_mask() -> None:
    tokens = rows(2000)
    found = hidden_by_chance(tokens, CONFIG, kj.random.key(1))
    seen, places, answers = (each.numpy() for each in found)
    assert places.shape == (2000, 6)
    np.testing.assert_array_equal(np.take_along_axis(tokens.numpy(), places, 1), answers)
    chosen = np.zeros((2000, 40), bool)
    np.put_along_axis(chosen, places, True, 1)
    assert (chosen.sum(1) == 6).all()
    np.testing.assert_allclose(chosen.mean(0), 0.15, atol=0.04)
    np.testing.assert_array_equal(seen[~chosen], tokens.numpy()[~chosen])
    shown = np.take_along_axis(seen, places, 1)
    masked, same = (shown == 51).mean(), (shown == answers).mean()
    assert masked == pytest.approx(0.8, abs=0.01)
    assert same == pytest.approx(0.1 + 0.1 / 50, abs=0.01)
    changed = shown[(shown != 51) & (shown != answers)]
    assert set(changed) == set(range(50))


def test_special_tokens_are_neither_hidden_nor_asked() -> None:
    tokens = kj.full((3, 40), 50, kj.int32)
    found = hidden_by_chance(tokens, CONFIG, kj.random.key(1))
    assert (found.seen.numpy() == 50).all()
    assert (found.answers.numpy() == IGNORED).all()
    turn = hidden_in_turn(tokens, CONFIG, 3)
    assert (turn.seen.numpy() == 50).all()
    assert (turn.answers.numpy() == IGNORED).all()


def test_in_turn_every_token_is_hidden_once() -> None:
    tokens, times = rows(2, 40), np.zeros((2, 40), int)
    for first in range(7):
        seen, places, answers = (each.numpy() for each in hidden_in_turn(tokens, CONFIG, first))
        times += seen == 51
        counted = answers != IGNORED
        assert (np.take_along_axis(seen, places, 1)[counted] == 51).all()
        assert counted.sum() == (seen == 51).sum()
    assert (times == 1).all()


def test_each_step_hides_others_and_validation_the_same() -> None:
    kj.random.seed(0)
    model, tokens = Bert(CONFIG), rows(4)
    losses = []
    for step in (0, 1, 0):
        with nn.training(kj.random.fold_in(kj.random.key(0), step)):
            losses.append(MaskedLoss()(model, tokens).item())
    assert losses[0] == losses[2] != losses[1]
    assert MaskedLoss()(model, tokens).item() == MaskedLoss()(model, tokens).item()


def test_places_give_the_logits_of_the_whole() -> None:
    model, tokens = Bert(CONFIG), rows(2)
    places = np.array([[3, 3, 39], [0, 17, 20]])
    whole = model(tokens).numpy()
    part = model(tokens, kj.tensor(places)).numpy()
    np.testing.assert_allclose(part, np.take_along_axis(whole, places[..., None], 1), atol=1e-5)


def test_both_sides_of_a_place_are_seen() -> None:
    model = Bert(CONFIG)
    one = rows(1).numpy()
    for place in (0, 39):
        other = one.copy()
        other[0, place] = (other[0, place] + 1) % 50
        apart = model(kj.tensor(one)).numpy()[0, 20] - model(kj.tensor(other)).numpy()[0, 20]
        assert np.abs(apart).max() > 1e-5


def test_it_learns_what_stands_between_words(tmp_path: Path) -> None:
    text = " ".join(SENTENCES * 60)
    tokenizer = Words.of([text], specials=SPECIALS)
    corpus = Corpus.of(text, tokenizer)
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 20,
        "dropout": 0.0,
    }
    options: dict[str, Any] = {"batch_size": 9, "progress": False}
    options["optimizer"] = kj.optim.AdamW(5e-3)
    config = config_for(tokenizer, **sizes)
    history = fit_masked(corpus, config=config, epochs=200, validation=corpus, **options)
    found = evaluate_masked(history.model, corpus, corpus)
    assert found.accuracy > 0.9 > 0.3 > found.unigram_accuracy
    assert found.loss < 0.5 < 2 < found.unigram_loss
    assert found.words == len(corpus.tokens) // 20 * 20
    filled = fill(
        history.model, "a bird sings songs. the [MASK] drinks [MASK].", tokenizer=tokenizer
    )
    assert filled.text == "a bird sings songs. the cat drinks milk."
    assert [blank.guesses[0][0] for blank in filled.blanks] == ["cat", "milk"]
    assert sum(share for _, share in filled.blanks[0].guesses) <= 1
    models.save(tmp_path, history.model, tokenizer)
    loaded, same = models.load(tmp_path)
    assert fill(loaded, "the [MASK] eats meat .", tokenizer=same) == fill(
        history.model, "the [MASK] eats meat .", tokenizer=tokenizer
    )


def test_the_seed_gives_the_bits() -> None:
    text = " ".join(SENTENCES * 10)
    corpus = Corpus.of(text, Words.of([text], specials=SPECIALS))
    config = config_for(corpus.tokenizer, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                        num_attention_heads=2, max_position_embeddings=16)  # fmt: skip
    runs = [fit_masked(corpus, config=config, epochs=2, batch_size=4, progress=False, seed=seed)
            for seed in (0, 0, 1)]  # fmt: skip
    np.testing.assert_array_equal(runs[0].losses, runs[1].losses)
    assert (runs[0].losses != runs[2].losses).any()


def test_stretches_have_no_answers() -> None:
    given = Stretches(np.arange(10, dtype=np.uint16), 4, 2)
    assert set(given.batch(given.tensors, kj.arange(2))) == set(given.kinds) == {"x"}


def test_errors() -> None:
    tokenizer = Words(["a", "b"], SPECIALS)
    model = Bert(config_for(tokenizer, hidden_size=8, num_attention_heads=2, num_hidden_layers=1,
                            intermediate_size=8, max_position_embeddings=4))  # fmt: skip
    with pytest.raises(UsageError, match="nothing is hidden"):
        fill(model, "a b", tokenizer=tokenizer)
    with pytest.raises(UsageError, match="5 tokens, the model reads 4"):
        fill(model, "a b a b [MASK]", tokenizer=tokenizer)
    with pytest.raises(UsageError, match=r"no special token \[MASK\]"):
        config_for(Words(["a"]))
    with pytest.raises(UsageError, match="mask 1"):
        BertConfig(5, 3, 1)
    with pytest.raises(DataError, match="3 tokens"):
        fit_masked(Corpus.of("a b a", tokenizer), config=model.config)
