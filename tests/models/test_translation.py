"""The encoder–decoder: what the cache gives, padding, attention's weights, training, errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.data.expressions import bracket, draw
from kedja.data.tokenizer import Characters
from kedja.ground.errors import DataError, UsageError
from kedja.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from kedja.models.translate import SPECIALS, cross_attention, exact_match, translate
from kedja.train.translation import config_for, fit_translation, pack

LETTERS = Characters("()*+-/123456789", SPECIALS)
SMALL: dict[str, Any] = {"d_model": 16, "d_ff": 32, "num_layers": 2, "num_heads": 2}


def small(**options: Any) -> EncoderDecoder:
    kj.random.seed(1)
    return EncoderDecoder(config_for(LETTERS, **{**SMALL, **options}))


def rows(texts: list[str], width: int) -> kj.Tensor:
    pad = LETTERS.specials["<pad>"]
    numbers = [LETTERS.encode(text).tolist() for text in texts]
    return kj.tensor([each + [pad] * (width - len(each)) for each in numbers])


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("stretch", [1, 3])
def test_piece_by_piece_is_the_whole(positions: str, stretch: int) -> None:
    model = small(positions=positions, stretch=stretch)
    source, target = rows(["1+2", "3*4-5"], 5), rows(["(1+2)", "((3*4"], 5)
    whole = model(source, target).numpy()
    memory, parts = model.encode(source, 7), []
    for place in range(5):
        at = model.places(2, 1, place)
        logits, memory = model.decode(target[:, place : place + 1], memory, at)
        parts.append(logits.numpy())
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)


def test_padding_of_the_source_changes_nothing() -> None:
    model, target = small(), rows(["(1+"], 3)
    alone = model(rows(["1+2"], 3), target).numpy()
    wide = model(rows(["1+2"], 9), target).numpy()
    np.testing.assert_allclose(alone, wide, atol=1e-5)


def test_a_target_sees_nothing_behind_it_and_all_of_the_source() -> None:
    model, source = small(), rows(["1+2*3"], 5)
    one, other = model(source, rows(["(1+2"], 4)), model(source, rows(["(1+9"], 4))
    np.testing.assert_array_equal(one.numpy()[:, :3], other.numpy()[:, :3])
    assert np.abs(one.numpy()[:, 3] - other.numpy()[:, 3]).max() > 1e-4
    last = model(rows(["1+2*4"], 5), rows(["(1+2"], 4))
    assert np.abs(one.numpy()[:, 0] - last.numpy()[:, 0]).max() > 1e-6


def test_stretched_places_are_drawn_in_training_alone() -> None:
    model = small(stretch=4)
    assert model.places(2, 3).tolist() == [[0.0, 2.5, 5.0]] * 2
    with kj.nn.training(kj.random.key(0)):
        drawn = model.places(2, 50).numpy()
    gaps = np.diff(drawn, axis=1)
    assert set(np.unique(gaps)) == {1.0, 2.0, 3.0, 4.0}
    assert (drawn[0] != drawn[1]).any()


def test_translate_equals_choosing_from_the_whole_again_and_again() -> None:
    model, tokenizer = small(), LETTERS
    [found] = translate(model, ["1+2"], tokenizer=tokenizer, longest=6)
    source, tokens = rows(["1+2"], 3), [tokenizer.specials["<begin>"]]
    while len(tokens) < 7 and tokens[-1] != tokenizer.specials["<end>"]:
        logits = model(source, kj.tensor([tokens])).numpy()
        tokens.append(int(logits[0, -1].argmax()))
    assert found.text == tokenizer.decode(tokens)
    assert found.finished == (tokens[-1] == tokenizer.specials["<end>"])


def test_answers_do_not_depend_on_the_company() -> None:
    model = small()
    texts = ["1+2", "3*4-5/6+7", "8"]
    together = translate(model, texts, tokenizer=LETTERS, longest=9)
    assert [each.source for each in together] == texts
    for text, each in zip(texts, together, strict=True):
        [alone] = translate(model, [text], tokenizer=LETTERS, longest=9)
        assert alone.text == each.text
        assert alone.finished == each.finished


def test_it_learns_and_the_seed_gives_the_bits() -> None:
    pairs = [(each, bracket(each)) for each in draw(30, 1, 2)]
    options: dict[str, Any] = {
        "tokenizer": LETTERS,
        "config": config_for(LETTERS, **SMALL),
        "batch_size": 10,
        "progress": False,
        "optimizer": kj.optim.AdamW(1e-2),
    }
    history, _ = fit_translation(pairs, epochs=120, **options)
    assert history.train_loss < 0.05
    assert exact_match(history.model, pairs, tokenizer=LETTERS) > 0.9
    before, _ = fit_translation(pairs, epochs=2, **options)
    assert exact_match(before.model, pairs, tokenizer=LETTERS) < 0.5
    again, _ = fit_translation(pairs, epochs=2, **options)
    np.testing.assert_array_equal(before.losses, again.losses)


def test_packed_rows() -> None:
    table, source = pack([("1+2", "(1+2)"), ("8", "8")], LETTERS)
    assert (table.shape, source) == ((2, 3 + 7), 3)
    texts = [LETTERS.decode(row, specials=True) for row in table]
    assert texts[1] == "8<pad><pad><begin>8<end>" + 4 * "<pad>"


def test_errors() -> None:
    model = small()
    with pytest.raises(DataError, match="is empty"):
        translate(model, ["1", ""], tokenizer=LETTERS)
    with pytest.raises(DataError, match="'x'"):
        translate(model, ["1+x"], tokenizer=LETTERS)
    with pytest.raises(UsageError, match="a list of texts"):
        translate(model, "1+2", tokenizer=LETTERS)
    with pytest.raises(UsageError, match="<begin>, <end>"):
        config_for(Characters("ab", ["<pad>"]))
    with pytest.raises(UsageError, match="positions 'rotarry'"):
        EncoderDecoderConfig(7, positions="rotarry")
    with pytest.raises(UsageError, match="d_model 12 in 4 heads"):
        EncoderDecoderConfig(7, d_model=12)
    with pytest.raises(DataError, match="pair 2 has an empty side"):
        pack([("1", "1"), ("1", "")], LETTERS)
    with pytest.raises(DataError, match="sources of 3 tokens, trained are 1"):
        pack([("1+2", "(1+2)")], LETTERS, 1, 7)


def test_cross_attention_is_a_map_of_answer_to_text() -> None:
    model = small()
    found = cross_attention(model, "1+2*3", "(1+", tokenizer=LETTERS)
    assert (found.queries, found.keys) == (("(", "1", "+", "<end>"), tuple("1+2*3"))
    assert found.layers == ("decoder.0.cross", "decoder.1.cross")
    assert len(found.maps) == 4
    for each in found.maps:
        np.testing.assert_allclose(each.weights.sum(-1), 1, atol=1e-5)
    assert "<svg" in found.svg()


def test_the_folder_gives_the_same_model(tmp_path: Path) -> None:
    model = small(positions="sinusoidal", stretch=2)
    models.save(tmp_path, model, LETTERS)
    loaded, tokenizer = models.load(tmp_path)
    assert loaded.config == model.config
    assert tokenizer == LETTERS
    given = rows(["1+2"], 3), rows(["(1"], 2)
    np.testing.assert_array_equal(loaded(*given).numpy(), model(*given).numpy())


def test_config_is_static() -> None:
    config = EncoderDecoderConfig(7, **SMALL)
    assert EncoderDecoder(config).config == config
    names = set(dict(EncoderDecoder(config).parameters()))
    assert {"shared.weight", "encoder.1.attention.q.weight", "decoder.0.cross.o.weight"} <= names
