"""Networks for pictures: equal to PyTorch's layers, saved and loaded, sizes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.ground.errors import ShapeError, UsageError
from kedja.models.cnn import CNN, CNNConfig, lenet
from kedja.models.pictures import classify_pictures, inputs, probabilities
from kedja.models.small_resnet import ResNetConfig, SmallResNet

CLASSES = ("a", "b", "c")
CONFIGS = [
    CNNConfig((1, 12, 12), CLASSES, widths=(4, 8), hidden=(6,)),
    CNNConfig((3, 12, 10), CLASSES, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), depth=2, norm=True),
    CNNConfig((1, 9, 17), CLASSES, widths=(4,), kernel=5, average=True, hidden=()),
    lenet((1, 28, 28), CLASSES),
    ResNetConfig((3, 12, 12), CLASSES, widths=(4, 8), depth=1),
]
IDS = ["plain", "norm", "average", "lenet", "resnet"]


def network(config):
    kj.random.seed(1)
    return (CNN if isinstance(config, CNNConfig) else SmallResNet)(config)


def drawn(config, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, *config.stored)).astype(np.uint8)


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_a_folder_gives_the_same_network_back(config, tmp_path):
    model, pictures = network(config), drawn(config)
    models.save(tmp_path, model)
    again = models.load(tmp_path).model
    assert again.config == config
    np.testing.assert_array_equal(probabilities(again, pictures), probabilities(model, pictures))


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_codes_and_maps_are_those_that_the_answer_comes_from(config):
    model = network(config)
    x = inputs(config, drawn(config))
    last = model.output if isinstance(model, CNN) else model.fc
    np.testing.assert_allclose(model(x).numpy(), last(model.codes(x)).numpy(), atol=1e-6)
    maps = model.maps(x)
    assert all(each.ndim == 4 and each.numpy().min() >= 0 for each in maps.values())
    assert next(iter(maps.values())).shape[2:] == config.shape[1:]


def test_the_cnn_is_pytorchs_in_float64():
    torch = pytest.importorskip("torch")
    config = CNNConfig((1, 12, 12), CLASSES, widths=(4, 8), hidden=(6,))
    model = network(config).astype(kj.float64)
    theirs = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)),
        *(torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)),
        *(torch.nn.Flatten(), torch.nn.Linear(72, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)),
    ).double()
    arrays = [each.copy() for each in model.state_dict().values()]
    state = dict(zip(theirs.state_dict(), map(torch.from_numpy, arrays), strict=True))
    theirs.load_state_dict(state)
    x = np.random.default_rng(0).normal(size=(2, 1, 12, 12))
    wanted = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(model(kj.tensor(x)).numpy(), wanted, atol=1e-12)


def test_bytes_are_standardised_by_channel():
    config = CONFIGS[1]
    pictures = drawn(config)
    wanted = (pictures / 255 - config.mean) / config.std
    found = inputs(config, pictures).numpy()
    np.testing.assert_allclose(found, wanted.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-6)


def test_answers_sum_to_one_and_many_are_compiled_to_the_same(monkeypatch):
    config = CONFIGS[0]
    model, pictures = network(config), drawn(config, 5)
    plain = probabilities(model, pictures)
    np.testing.assert_allclose(plain.sum(1), 1)
    monkeypatch.setattr(models.pictures, "COMPILED", 4)
    monkeypatch.setattr(models.pictures, "BATCH", 2)
    np.testing.assert_allclose(probabilities(model, pictures), plain, atol=1e-6)
    assert probabilities(model, pictures[:0]).shape == (0, 3)
    [found] = classify_pictures(model, pictures[:1])
    assert found.label == CLASSES[plain[0].argmax()]
    assert found.probabilities["b"] == pytest.approx(plain[0, 1], abs=1e-6)


def test_pictures_of_another_shape_are_an_error():
    with pytest.raises(ShapeError, match=r"\[9, 9\], expected \[12, 12\]"):
        inputs(CONFIGS[0], np.zeros((2, 9, 9), np.uint8))
    with pytest.raises(ShapeError, match="one picture, expected several"):
        inputs(CONFIGS[0], np.zeros((12, 12), np.uint8))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: CNNConfig((2, 8, 8), CLASSES), "shape"),
        (lambda: CNNConfig((1, 8, 8), CLASSES, widths=(4, 4, 4, 4)), "4 stages"),
        (lambda: CNNConfig((1, 8, 8), CLASSES, widths=()), "0 stages"),
        (lambda: CNNConfig((1, 8, 8), CLASSES, widths=(4,), kernel=4), "kernel 4"),
        (lambda: CNNConfig((3, 8, 8), CLASSES, (0.1,), widths=(4,)), "mean has 1"),
        (lambda: ResNetConfig((3, 8, 8), CLASSES, depth=0), "depth 0"),
    ],
)
def test_sizes_that_do_not_fit(make, match):
    with pytest.raises(UsageError, match=match):
        make()
