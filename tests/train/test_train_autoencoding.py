"""Autoencoders: shapes, the loss by its definition, codes beside pixels."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.data import pictures
from kedja.data.dataset import Split
from kedja.data.pictures import Pictures
from kedja.ground.errors import UsageError
from kedja.models import load, save
from kedja.models.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    decode_pictures,
    encode_pictures,
)
from kedja.train import autoencoding as training


@pytest.fixture(scope="module")
def bars() -> Pictures:
    """Pictures of one upright or lying bar at any place."""
    draws = np.random.default_rng(0)
    kind, place = draws.integers(2, size=160), draws.integers(8, size=160)
    given = np.zeros((160, 8, 8), np.uint8)
    for row in range(160):
        if kind[row]:
            given[row, :, place[row]] = 230
        else:
            given[row, place[row]] = 230
    parts = (Split(given[part], kind[part]) for part in (slice(0, 120), slice(120, None)))
    return Pictures("bars", ("lying", "upright"), (1, 8, 8), *parts)


@pytest.fixture(scope="module")
def trained(bars):
    config = training.config_for(bars, widths=(8, 16), width=6)
    history = training.fit_autoencoder(
        bars, config=config, epochs=40, batch_size=16, progress=False
    )
    return history.model


@pytest.mark.parametrize("shape", [(1, 7, 9), (3, 8, 8), (1, 5, 16)])
def test_pictures_come_back_in_their_shape(shape):
    model = Autoencoder(AutoencoderConfig(shape, (), widths=(4, 5), width=3))
    given = np.zeros((2, *model.config.stored), np.uint8)
    codes = encode_pictures(model, given)
    assert codes.shape == (2, 3)
    assert decode_pictures(model, codes).shape == given.shape


def test_the_loss_is_that_of_the_definition(bars):
    config = training.config_for(bars, widths=(4,), width=2)
    model, x = Autoencoder(config), bars.train.inputs[:5]
    found = training.PictureLoss(config)(model, kj.tensor(x)).item()
    again = decode_pictures(model, encode_pictures(model, x)).astype(np.float64)
    target = x / 255
    expected = -(target * np.log(again) + (1 - target) * np.log(1 - again)).mean()
    assert found == pytest.approx(expected, rel=1e-4)


def test_training_brings_pictures_back(bars, trained):
    before = training.reconstruction_error(Autoencoder(trained.config), bars.test.inputs)
    after = training.reconstruction_error(trained, bars.test.inputs)
    assert after < 0.6 * before


@pytest.mark.parametrize("pictures", [30, 400])
def test_principal_components_of_many_pixels_are_those_of_few(monkeypatch, pictures):
    draws = np.random.default_rng(0)
    factors = draws.normal(size=(pictures, 6)) * [9, 7, 5, 4, 3, 2]
    x = factors @ draws.normal(size=(6, 144)) + draws.normal(size=(pictures, 144))
    x = np.clip(128 + 4 * x, 0, 255).astype(np.uint8).reshape(-1, 12, 12)
    mean, wanted = training.components(x, 3)
    assert np.allclose(mean, x.reshape(pictures, -1).mean(0) / 255)
    monkeypatch.setattr(training, "EXACT", 100)  # by the pictures, or by iteration
    found = training.components(x, 3)[1]
    assert np.allclose(np.abs(np.linalg.svd(found.T @ wanted)[1]), 1, atol=1e-5)


def test_coloured_photographs_do_not_take_minutes(monkeypatch):
    asked = []
    monkeypatch.setattr(np.linalg, "eigh", lambda x: asked.append(x.shape) or (x[0], x))
    training.components(np.zeros((20, 64, 64, 3), np.uint8), 5)
    assert asked == [(20, 20)]


def test_pixels_in_the_span_of_few_pictures_have_the_same_products():
    draws = np.random.default_rng(0)
    x, asked = draws.normal(size=(7, 40)), draws.normal(size=(5, 40))
    x -= x.mean(0)
    few, seen = training._in_span(x, asked)
    assert (few.shape, seen.shape) == ((7, 7), (5, 7))
    np.testing.assert_allclose(few @ few.T, x @ x.T, atol=1e-12)
    np.testing.assert_allclose(seen @ few.T, asked @ x.T, atol=1e-12)
    assert training._in_span(x.T, x.T)[0].shape == (40, 7)


def test_principal_components_are_the_best_linear_code(bars):
    rows = bars.train.inputs.reshape(120, -1) / 255
    centred = rows - rows.mean(0)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    expected = np.sqrt(values[5:].sum() / rows.size)
    found = training.projection_error(bars.train.inputs, bars.train.inputs, 5)
    assert found == pytest.approx(expected)


def test_codes_are_compared_with_pixels(bars, trained):
    pytest.importorskip("sklearn")
    few, many = training.features(trained, bars.train, bars.test, (10, 100))
    assert few.labelled == 10
    assert many.codes > 0.8
    assert many.codes > many.components
    with pytest.raises(UsageError, match="500 labelled of 120"):
        training.features(trained, bars.train, bars.test, (500,))


def test_few_labelled_ones_are_as_many_of_each_class():
    labels = np.array([0] * 90 + [1] * 20 + [2] * 5)
    order = training._drawn(labels, seed=3)
    assert sorted(order.tolist()) == list(range(115))
    assert np.bincount(labels[order[:15]]).tolist() == [5, 5, 5]
    assert np.bincount(labels[order[:25]]).tolist() == [10, 10, 5]
    assert not np.array_equal(order, training._drawn(labels, seed=4))


def test_it_is_saved_and_loaded(bars, trained, tmp_path):
    save(tmp_path, trained)
    again, _ = load(tmp_path)
    one, other = (encode_pictures(model, bars.test.inputs) for model in (trained, again))
    assert np.array_equal(one, other)


def test_noise_disturbs_the_input_alone(bars):
    config = training.config_for(bars, widths=(4,), width=2)
    model, x = Autoencoder(config), kj.tensor(bars.train.inputs[:5])
    plain, noisy = (training.PictureLoss(config, noise)(model, x).item() for noise in (0.0, 0.5))
    assert plain == noisy  # outside of training nothing is disturbed
    with kj.nn.training(kj.random.key(0)):
        assert training.PictureLoss(config, 0.5)(model, x).item() != plain


def test_too_many_stages_are_refused():
    with pytest.raises(UsageError, match="4 stages"):
        AutoencoderConfig((1, 8, 8), (), widths=(4, 4, 4, 4))


def test_digits_have_usual_sizes():
    pytest.importorskip("sklearn")
    config = training.config_for(pictures.load("digits"))
    assert (config.widths, config.width) == ((16, 32), 16)
