"""Windows and pieces of a text: what a step gathers, in which order, what an evaluation sums."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from train_problems import StopAt, StopError, bits, interpreted, tier

import kedja as kj
from kedja import nn
from kedja.ground.errors import DataError, ShapeError, UsageError
from kedja.nn.losses.reduction import IGNORED
from kedja.train.windows import Pieces, Windows

__all__ = ["interpreted", "tier"]

V, T = 7, 4
TOKENS = np.random.default_rng(0).integers(0, V, 203).astype(np.uint16)


def bigrams() -> nn.Module:
    """The logits of the next token are a row of a table."""
    return nn.Embedding(V, V, key=kj.random.key(0))


def gathered(given, numbers) -> dict[str, np.ndarray]:
    found = given.batch(given.tensors, kj.tensor(np.array(numbers, np.uint32)))
    return {name: each.numpy() for name, each in found.items()}


# ------------------------------------------------------------------------------ what is gathered


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.int64])
def test_windows_are_stretches_of_the_text(dtype):
    given = Windows(TOKENS.astype(dtype), T, 5)
    order = given.order(3, 1, True)
    batch = gathered(given, order)
    for place, x, y in zip(order, batch["x"], batch["y"], strict=True):
        np.testing.assert_array_equal(x, TOKENS[place : place + T])
        np.testing.assert_array_equal(y, TOKENS[place + 1 : place + T + 1])


def test_windows_start_anywhere_and_each_epoch_elsewhere():
    given = Windows(TOKENS, T, 20_000)
    order = given.order(0, 1, True)
    assert set(order) == set(range(len(TOKENS) - T))
    np.testing.assert_array_equal(order, given.order(0, 1, True))
    assert (order != given.order(1, 1, True)).any()
    assert (order != given.order(0, 2, True)).any()


def test_unshuffled_windows_follow_one_another():
    given = Windows(np.arange(12), T, 3)
    assert given.order(0, 0, False).tolist() == [0, 4, 0]
    assert given.order(1, 0, False).tolist() == [4, 0, 4]


def test_places_beyond_32_bits_are_whole_numbers_of_64(tier, tmp_path):
    count = 2**32 + 50
    path = tmp_path / "tokens"
    with open(path, "wb") as file:
        file.truncate(2 * count)  # sparse: nothing is written
    tokens = np.memmap(path, np.uint16, "r+")
    tokens[-6:] = [1, 2, 3, 4, 5, 6]
    given = Windows(tokens, T, 2)
    order = given.order(0, 0, True)
    assert order.dtype == np.int64
    with kj.scope(tier=tier):
        last = kj.jit(given.batch)(given.tensors, kj.tensor(np.array([count - T - 1])))
    np.testing.assert_array_equal(last["y"].numpy(), [[3, 4, 5, 6]])


def test_the_text_is_not_copied(interpreted, tmp_path):
    path = tmp_path / "tokens"
    TOKENS.tofile(path)
    tokens = np.memmap(path, np.uint16, "r")
    given = Windows(tokens, T, 8)
    assert np.shares_memory(given.tensors["tokens"].numpy(), tokens)
    assert np.shares_memory(Pieces.of_text(tokens, T).tokens, tokens)


def test_the_whole_text_is_covered_once():
    given = Pieces.of_text(TOKENS, T)
    batch = gathered(given, range(given.count))
    counts = batch["y"] != IGNORED
    np.testing.assert_array_equal(batch["y"][counts], TOKENS[1:])
    np.testing.assert_array_equal(batch["x"][counts], TOKENS[:-1])


def test_documents_are_padded():
    spans = [(0, 3), (3, 4), (10, 15)]
    batch = gathered(Pieces(TOKENS, spans, T), range(3))
    for row, (start, end) in enumerate(spans):
        text = TOKENS[start:end].tolist()
        rest = T - len(text) + 1
        assert batch["y"][row].tolist() == text[1:] + [IGNORED] * rest
        assert batch["x"][row, : len(text) - 1].tolist() == text[:-1]


def test_answers_count_from_their_places_on():
    given = Pieces(TOKENS, [(0, 5), (20, 24)], T, counted=[3, 22])
    y = gathered(given, [0, 1])["y"]
    assert y[0].tolist() == [IGNORED, IGNORED, *TOKENS[3:5]]
    assert y[1].tolist() == [IGNORED, *TOKENS[22:24], IGNORED]


@pytest.mark.parametrize("count", [1, 3, 4, 7, 9])
def test_all_pieces_are_seen_before_any_is_seen_again(count):
    given = Pieces(TOKENS, [(i, i + 3) for i in range(4)], T, count=count)
    drawn = np.concatenate([given.order(epoch, 5, True) for epoch in range(8)])
    assert all(len(each) == count for each in [given.order(2, 5, True)])
    whole = len(drawn) // 4
    for part in drawn[: whole * 4].reshape(whole, 4):
        assert sorted(part) == [0, 1, 2, 3]


# ------------------------------------------------------------------------- training, evaluation


def run(folder: Path | None = None, **changes):
    given = Windows(TOKENS[:160], T, 24, bytes_per_token=1.0)
    held = Pieces.of_text(TOKENS[160:], T, bytes_per_token=1.0)
    options = {"optimizer": kj.optim.Adam(0.05), "batch_size": 5, "epochs": 3, "progress": False}
    options |= {"loss": "cross_entropy", "seed": 1, "checkpoint": folder, "validation": held}
    return kj.fit(bigrams(), given, **(options | changes))


def nats(model, tokens) -> float:
    """The loss on a text, token by token."""
    z = model(kj.tensor(tokens[:-1].astype(np.int64))).numpy().astype(np.float64)
    z -= z.max(-1, keepdims=True)
    chosen = z[np.arange(len(z)), tokens[1:]] - np.log(np.exp(z).sum(-1))
    return float(-chosen.mean())


def test_the_loss_is_the_mean_over_the_whole_held_out_text(tier):
    history = run()
    expected = nats(history.model, TOKENS[160:])
    assert history.validation["loss"] == pytest.approx(expected, rel=1e-5)
    assert history.validation["bits_per_byte"] == pytest.approx(expected / math.log(2), rel=1e-5)
    assert history.train_loss < history.epochs[0].train_loss


def test_padding_weighs_nothing(interpreted):
    spans = [(0, 5), (7, 9), (50, 53), (60, 62)]
    pieces = Pieces(TOKENS, spans, T)
    model = bigrams()
    trainer = kj.train.Trainer(
        model, loss="cross_entropy", optimizer=kj.optim.SGD(0.1), progress=False
    )
    sums = sum(nats(model, TOKENS[a:b]) * (b - a - 1) for a, b in spans)
    count = sum(b - a - 1 for a, b in spans)
    assert trainer.evaluate(pieces)["loss"] == pytest.approx(sums / count, rel=1e-6)


@pytest.mark.parametrize("call", [1, 3, 5, 8])
def test_interrupted_and_resumed_equals_uninterrupted(interpreted, tmp_path, call):
    with pytest.raises(StopError):
        run(tmp_path / "run", progress=StopAt(call))
    assert bits(run(tmp_path / "run", resume=True)) == bits(run())


def test_pieces_resume_in_their_order(interpreted, tmp_path):
    pieces = Pieces(TOKENS, [(i, i + 4) for i in range(0, 60, 3)], T, count=13)

    def train(**changes):
        options = {"optimizer": kj.optim.Adam(0.05), "batch_size": 5, "epochs": 3}
        options |= {"loss": "cross_entropy", "progress": False}
        return kj.fit(bigrams(), pieces, **(options | changes))

    with pytest.raises(StopError):
        train(progress=StopAt(4), checkpoint=tmp_path / "run")
    assert bits(train(resume=True, checkpoint=tmp_path / "run")) == bits(train())


def test_the_same_bits_with_any_number_of_threads():
    with kj.scope(tier="compile"):
        found = [bits(run(threads=count)) for count in (1, 2, 3)]
    assert found[0] == found[1] == found[2]


def test_another_text_is_another_run(interpreted, tmp_path):
    run(tmp_path / "run")
    other = Windows(TOKENS[1:161], T, 24, bytes_per_token=1.0)
    with pytest.raises(kj.ground.errors.CheckpointError, match="data tokens is"):
        kj.fit(
            bigrams(), other, loss="cross_entropy", optimizer=kj.optim.Adam(0.05), batch_size=5,
            epochs=4, progress=False, checkpoint=tmp_path / "run", resume=True, seed=1,
        )  # fmt: skip


# -------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Windows(TOKENS[:4], T, 2), DataError, "4 tokens of text, too few"),
        (lambda: Windows(TOKENS, 0, 2), UsageError, "length 0"),
        (lambda: Windows(TOKENS, T, 0), UsageError, "0 windows"),
        (lambda: Windows(TOKENS.reshape(7, 29), T, 2), ShapeError, "in one row"),
        (lambda: Windows(TOKENS.astype(float), T, 2), ShapeError, "whole numbers"),
        (lambda: Windows([1, -2, 3, 4, 5, 6], T, 2), DataError, "token -2 at place 1"),
        (lambda: Pieces(TOKENS, [], T), ShapeError, "spans of shape"),
        (lambda: Pieces(TOKENS, np.zeros((0, 2)), T), DataError, "no piece"),
        (lambda: Pieces(TOKENS, [(0, 2), (200, 204)], T), DataError, "piece 1 is from 200 to 204"),
        (lambda: Pieces(TOKENS, [(0, 6)], T), DataError, "a piece of 6 tokens, where 5 have room"),
    ],
)
def test_what_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_what_training_refuses(interpreted):
    with pytest.raises(DataError, match="token 7 at place 3, but the network knows 7"):
        run(validation=Pieces.of_text([0, 1, 2, 7, 3], T))
    with pytest.raises(UsageError, match="not divided by chance"):
        run(validation=0.2)
    with pytest.raises(UsageError, match="needs targets"):
        run(metrics=("accuracy",))
