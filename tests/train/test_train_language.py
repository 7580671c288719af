"""Training of language models: what is drawn and evaluated, the optimizer, and that it learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from train_problems import StopAt, StopError, bits, interpreted

import kedja as kj
from kedja import models, optim
from kedja.data.corpus import Corpus
from kedja.data.tokenizer import Characters
from kedja.ground.errors import DataError, UsageError
from kedja.nn.losses.reduction import IGNORED
from kedja.train import language

__all__ = ["interpreted"]

TEXT = "the cat sat on the mat. the dog sat on the cat. " * 30
NAMES = "".join(f"{a}n{b}{c}a\n" for a in "abcdef" for b in "aeiou" for c in "lmr")
SPECIALS = ["<end>", "<first>", "<second>"]


def running() -> Corpus:
    return Corpus.of(TEXT, Characters.of(TEXT))


def names() -> Corpus:
    return Corpus.of(NAMES, Characters.of(NAMES, SPECIALS), lines=True)


def gpt(corpus: Corpus, **changes):
    kj.random.seed(5)
    sizes = {"n_positions": 8, "n_embd": 8, "n_layer": 1, "n_head": 2, "dropout": 0.0}
    return models.GPT2(models.GPT2Config(corpus.tokenizer.size, **(sizes | changes)))


def fit(corpus: Corpus, model=None, **changes):
    train, held = corpus.split(0.2)
    options = {"steps": 6, "batch_size": 4, "lr": 1e-2, "evaluations": 2, "progress": False}
    return language.fit_language(model or gpt(corpus), train, held, **(options | changes))


# ------------------------------------------------------------------------------------ training


@pytest.mark.parametrize("model", [gpt, lambda corpus: recurrent(corpus, "gru")])
def test_it_learns(model):
    corpus = running()
    with kj.scope(tier="compile"):
        history = fit(corpus, model(corpus), steps=300, batch_size=8)
    assert history.validation["loss"] < 1.2 < math.log(corpus.tokenizer.size)
    assert history.validation["bits_per_byte"] == pytest.approx(
        history.validation["loss"] / math.log(2)
    )


def recurrent(corpus: Corpus, cell: str):
    kj.random.seed(5)
    return models.RecurrentLM(models.RecurrentConfig(corpus.tokenizer.size, 16, 1, cell))


def test_an_update_may_see_several_batches(interpreted):
    """Accumulated batches are as one batch of all their windows."""
    corpus = running()
    one = fit(corpus, batch_size=8, clip_norm=None, optimizer=optim.SGD(0.1))
    two = fit(corpus, batch_size=4, accumulate=2, clip_norm=None, optimizer=optim.SGD(0.1))
    assert (one.steps, two.steps) == (6, 12)
    for mine, theirs in zip(kj.tree.leaves(one.model), kj.tree.leaves(two.model), strict=True):
        assert np.allclose(mine.numpy(), theirs.numpy(), atol=1e-5)


def test_bfloat16_is_near_float32(interpreted):
    corpus = running()
    found = [fit(corpus, precision=each).losses for each in (None, "bfloat16")]
    assert not np.array_equal(*found)
    assert np.allclose(*found, rtol=0.03)


@pytest.mark.parametrize("corpus", [running, names])
def test_interrupted_and_resumed_equals_uninterrupted(interpreted, tmp_path, corpus):
    whole = fit(corpus())
    with pytest.raises(StopError):
        fit(corpus(), checkpoint=tmp_path, progress=StopAt(3))
    assert bits(fit(corpus(), checkpoint=tmp_path, resume=True)) == bits(whole)


def test_callbacks_see_the_model_after_each_evaluation(interpreted):
    seen = []
    fit(running(), callbacks=[lambda row, model: seen.append((row.number, type(model)))])
    assert seen == [(1, models.GPT2), (2, models.GPT2)]


def test_steps_are_rounded_up_to_whole_evaluations(interpreted):
    assert fit(running(), steps=5, evaluations=2).steps == 6
    assert language.updates_between(2000, 8) == 250


# ------------------------------------------------------------------------------------- evaluation


def test_evaluation_is_of_every_token_of_the_text(interpreted):
    corpus = running()
    model = gpt(corpus)
    found = language.evaluate_language(model, corpus)
    tokens, sums = corpus.tokens.astype(np.int64), 0.0
    for start in range(0, len(tokens) - 1, 8):
        part = tokens[start : start + 9]
        z = model(kj.tensor(part[None, :-1])).numpy()[0].astype(np.float64)
        chosen = z[np.arange(len(z)), part[1:]] - np.log(np.exp(z).sum(-1))
        sums -= chosen.sum()
    assert found["loss"] == pytest.approx(sums / (len(tokens) - 1), rel=1e-5)


def test_bits_per_byte_of_names_count_their_letters(interpreted):
    corpus = names()
    found = language.evaluate_language(gpt(corpus), corpus)
    letters, ends = len(NAMES.replace("\n", "")), NAMES.count("\n")
    expected = found["loss"] / math.log(2) * (letters + ends) / letters
    assert found["bits_per_byte"] == pytest.approx(expected)


# ------------------------------------------------------------------------------- the examples


def test_documents_are_whole_and_as_long_as_the_longest():
    corpus = names()
    given = language.whole(corpus, 8)
    batch = given.batch(given.tensors, kj.arange(given.count))
    end = corpus.tokenizer.specials["<end>"]
    assert given.length == 6  # five letters and the end
    first = corpus.tokenizer.decode(batch["x"].numpy()[0])
    assert (first, batch["x"].numpy()[0, 0], batch["y"].numpy()[0, -1]) == ("anala", end, end)
    assert (batch["y"].numpy() != IGNORED).all()


def test_long_documents_are_cut_and_each_token_is_predicted_once():
    spans = np.array([(0, 10), (10, 12), (12, 13), (13, 18)])
    found = language.cut(spans, 4)
    assert (found[:, 1] - found[:, 0]).max() == 5
    predicted = [place for start, end in found for place in range(start + 1, end)]
    assert predicted == [p for start, end in spans for p in range(start + 1, end)]


def test_a_short_list_is_seen_more_often_than_its_share():
    tokens = np.array([5] * 100 + [6] * 4)
    found = language.balanced(tokens, [(i, i + 1) for i in range(104)])
    kinds = tokens[found[:, 0]]
    assert [(kinds == 5).sum(), (kinds == 6).sum()] == [100, 20]


# ----------------------------------------------------------------------------- options, errors


def test_the_rate_rises_and_falls():
    rate = language.decaying(1e-3, 100).optimizers["decay"].lr
    assert [round(rate(t).item(), 6) for t in (0, 5, 100)] == [0.000167, 0.001, 0.0001]
    assert isinstance(language.decaying(1e-3, 100, weight_decay=0.0), optim.AdamW)


def test_what_is_refused():
    corpus = running()
    with pytest.raises(UsageError, match="windows of 9 tokens, where the model takes at most 8"):
        fit(corpus, length=9)
    with pytest.raises(UsageError, match="steps is 0"):
        fit(corpus, steps=0)
    with pytest.raises(DataError, match="too few for a window of 8"):
        fit(Corpus.of("abcdefgh", Characters.of("abcdefgh")))
    small = gpt(corpus).config
    other = models.GPT2(models.GPT2Config(5, 8, 8, 1, 2))
    with pytest.raises(DataError, match=r"the network knows 5 \(0 to 4\)"):
        fit(corpus, other)
    assert small.vocab_size > 5
