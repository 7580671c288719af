"""What a network expected at each token is what its logits say, in one piece or in several."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import kedja as kj
from kedja.ground.errors import DataError, UsageError
from kedja.models.reading import Guess, Read, Reading, pieces, read

TOKENS = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.fixture(scope="module")
def model() -> kj.models.GPT2:
    config = kj.models.GPT2Config(11, 8, 12, 2, 3)
    drawn = kj.models.GPT2(config)
    louder = {name: 8 * array for name, array in drawn.state_dict().items() if "wte" in name}
    return drawn.load_state_dict({**drawn.state_dict(), **louder})


def test_probabilities_are_the_softmax_of_the_logits(model: kj.models.GPT2) -> None:
    found = read(model, TOKENS, lambda n: "abcdefghijk"[n])
    expected = kj.softmax(model(kj.tensor([TOKENS[:-1]]))[0], -1).numpy()
    true = expected[np.arange(7), TOKENS[1:]]
    np.testing.assert_allclose([each.probability for each in found.tokens], true, rtol=1e-6)
    np.testing.assert_allclose([each.bits for each in found.tokens], -np.log2(true), rtol=1e-6)
    assert found.first == "d"
    assert "".join(each.token for each in found.tokens) == "bebfjcg"
    assert found.nats == pytest.approx(float(-np.log(true).mean()), rel=1e-6)
    assert found.perplexity == pytest.approx(math.exp(found.nats))
    for each, row in zip(found.tokens, expected, strict=True):
        assert [guess.probability for guess in each.likeliest] == sorted(row, reverse=True)[:3]
        assert each.rank == 1 + (row > each.probability).sum()


def test_the_last_block_under_the_lens_is_the_whole_network(model: kj.models.GPT2) -> None:
    found = read(model, TOKENS, lens=True)
    assert found.layers == ("h.0", "h.1")
    for each in found.tokens:
        assert each.lens[-1].token == each.likeliest[0].token
        assert each.lens[-1].probability == pytest.approx(each.probability, rel=1e-5)


def test_a_long_text_is_read_in_pieces_that_know_what_stands_before(model: kj.models.GPT2) -> None:
    long = (TOKENS * 4)[:29]
    found = read(model, long)
    assert len(found.tokens) == 28
    assert [each.token for each in found.tokens] == [str(n) for n in long[1:]]
    last = read(model, long[-9:]).tokens[-1]
    assert found.tokens[-1].probability == pytest.approx(last.probability, rel=1e-5)


@pytest.mark.parametrize("length", range(2, 30))
@pytest.mark.parametrize("context", [None, 1, 2, 5, 8])
def test_pieces_guess_each_token_once_and_fit(length: int, context: int | None) -> None:
    guessed = []
    for piece, known in pieces(length, context):
        places = range(length)[piece]
        assert context is None or len(places) <= context + 1
        guessed += places[known + 1 :]
    assert guessed == list(range(1, length))


def test_the_table_and_the_html_tell_the_figures() -> None:
    best = (Guess("b", 0.5),)
    found = Reading("a", (Read("b", 0.5, 1.0, 1, best), Read("<", 0.125, 3.0, 2, best)))
    assert found.bits == 2
    assert "2 tokens: 2.000 bits (1.3863 nats) a token, perplexity 4" in str(found)
    assert "&lt;" in found.html() and "3.00 bits" in found.html()
    assert found.most_surprising(1)[0].token == "<"
    assert json.loads(json.dumps(found.data()))["perplexity"] == 4


def test_what_cannot_be_read_is_an_error(model: kj.models.GPT2) -> None:
    with pytest.raises(DataError, match="fewer than two"):
        read(model, [1])
    with pytest.raises(UsageError, match="does not predict the next token"):
        read(kj.nn.Linear(2, 2), [1, 2])
