"""Recurrent language models: token by token as in one go, from a folder as they were."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.ground.errors import UsageError
from kedja.models import RecurrentConfig, RecurrentLM
from kedja.models.recurrent import CELLS


def model(cell, layers=2, **options):
    kj.random.seed(3)
    return RecurrentLM(RecurrentConfig(13, 8, layers, cell, **options))


def tokens(*shape):
    return np.random.default_rng(0).integers(0, 13, shape)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("pieces", [[1] * 9, [4, 1, 4], [9]])
def test_pieces_give_the_logits_of_the_whole(cell, pieces):
    net, whole = model(cell).astype("float64"), tokens(2, 9)
    decode = kj.jit(lambda given, state: net.decode(given, state))
    state, found, start = net.new_state(2, 9), [], 0
    for count in pieces:
        logits, state = decode(kj.tensor(whole[:, start : start + count]), state)
        found.append(logits.numpy())
        start += count
    expected = net(kj.tensor(whole)).numpy()
    assert np.allclose(np.concatenate(found, axis=1), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_a_folder_gives_the_model_back(cell, tmp_path):
    net = model(cell, dropout=0.25)
    models.save(tmp_path, net)
    again = models.load(tmp_path).model
    assert again.config == net.config
    np.testing.assert_array_equal(
        again(kj.tensor(tokens(1, 5))).numpy(), net(kj.tensor(tokens(1, 5))).numpy()
    )


def test_the_context_has_no_end():
    assert model("gru").context is None


def test_dropout_is_of_training_alone():
    net, given = model("lstm", dropout=0.5), kj.tensor(tokens(2, 4))
    plain = net(given).numpy()
    with kj.nn.training(kj.random.key(0)):
        assert not np.array_equal(net(given).numpy(), plain)
    np.testing.assert_array_equal(net(given).numpy(), plain)


def test_an_unknown_cell():
    with pytest.raises(UsageError, match="did you mean 'gru'"):
        RecurrentConfig(13, cell="gur")
