"""The classifier of sounds: its shapes, training, unseen speakers.

Not here: the command line (`tests/cli/test_cli_sound.py`).
"""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.data.recordings import Recordings
from kedja.data.spectrogram import LogMel
from kedja.ground.errors import DataError, UsageError
from kedja.models import spectrogram_cnn
from kedja.models.spectrogram_cnn import SpectrogramCNN, config_for
from kedja.train import sounds

SHAPE = LogMel(rate=8000, window=64, hop=32, bands=8, frames=12)


def drawn(count: int = 60, people=("anna", "ben")) -> Recordings:
    """Classes that differ by the order of two tones; each person has a pitch."""
    draw, pictures, labels, who = np.random.default_rng(0), [], [], []
    for place in range(count):
        person, rising = place % len(people), (place // len(people)) % 2
        x = draw.uniform(0, 0.3, (12, 8)).astype(np.float32)
        low, high = person, person + 4
        x[2:6, low if rising else high] = 1
        x[6:10, high if rising else low] = 1
        pictures.append(x)
        labels.append("rising" if rising else "falling")
        who.append(people[person])
    names = tuple(map(str, range(count)))
    return Recordings(names, np.stack(pictures), tuple(labels), tuple(who), SHAPE, 0)


def test_as_many_layers_as_fit():
    assert config_for(SHAPE, ("a", "b")).channels == (16, 32)
    assert len(config_for(LogMel(8000, 256, 128, 40, 60), ("a", "b")).channels) == 4
    with pytest.raises(UsageError, match="4 halvings of 12 frames"):
        spectrogram_cnn.SpectrogramCNNConfig(("a",), 8000, 64, 32, 8, 12)


def test_the_model_and_its_folder(tmp_path):
    model = SpectrogramCNN(config_for(SHAPE, ("a", "b"), width=4))
    x = kj.random.uniform(kj.random.key(1), (3, 12, 8))
    kj.models.save(tmp_path, model)
    again = kj.models.load(tmp_path).model
    assert again.config == model.config
    assert again.config.shape == SHAPE
    assert np.array_equal(again(x).numpy(), model(x).numpy())


def test_augmentation_is_of_training_alone():
    x = kj.random.uniform(kj.random.key(1), (3, 12, 8))
    changed = sounds.Changed(sounds.USUAL, 8000)
    assert np.array_equal(changed(x).numpy(), x.numpy())
    with kj.nn.training(kj.random.key(0)):
        assert not np.array_equal(changed(x).numpy(), x.numpy())


def test_it_hears_what_mean_spectra_cannot():
    given = drawn(120)
    train, test = sounds.random_split(given)
    assert len(test) == 24
    assert not set(train) & set(test)
    config = config_for(SHAPE, given.classes, width=8)
    history = sounds.fit_sound(
        given, train, test, config=config, epochs=25, batch_size=16, progress=False
    )
    assert sounds.evaluate_sound(history.model, given, test).mean() >= 0.9
    assert sounds.logistic_regression(given, train, test).mean() < 0.75
    assert sounds.nearest_neighbours(given, train, test).mean() < 0.75


def test_the_baselines_hear_what_is_in_the_mean():
    given = drawn(60)
    louder = given.inputs + np.array([each == "rising" for each in given.labels])[:, None, None]
    given = Recordings(given.names, louder, given.labels, given.speakers, SHAPE, 0)
    train, test = sounds.random_split(given)
    assert sounds.logistic_regression(given, train, test).all()
    assert sounds.nearest_neighbours(given, train, test).all()


def test_a_speaker_left_out_is_nowhere_in_the_training():
    given = drawn()
    others, theirs = sounds.of_speaker(given, "anna")
    assert {given.speakers[row] for row in theirs} == {"anna"}
    assert {given.speakers[row] for row in others} == {"ben"}
    train, test = sounds.random_split(given, among=others)
    assert set(train) | set(test) == set(others)


def test_what_cannot_be_split_is_told():
    given = drawn()
    with pytest.raises(UsageError, match="did you mean 'anna'"):
        sounds.of_speaker(given, "ana")
    nobody = Recordings(given.names, given.inputs, given.labels, None, SHAPE, 0)
    with pytest.raises(UsageError, match="do not say who speaks"):
        sounds.of_speaker(nobody, "anna")
    with pytest.raises(UsageError, match="only speaker"):
        sounds.of_speaker(drawn(people=("anna",)), "anna")
    with pytest.raises(DataError, match="too few to test on"):
        sounds.random_split(given, among=np.arange(4))
