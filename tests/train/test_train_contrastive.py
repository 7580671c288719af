"""Pictures and captions: the loss by its definition, retrieval, the choice among captions."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja.data import captioned
from kedja.data.captioned import Captioned, Pairs
from kedja.ground.errors import UsageError
from kedja.models import load, save
from kedja.models.clip import Clip, ClipConfig, caption_rows, choose
from kedja.train import contrastive

WORDS = ("black", "dark", "bright", "white")


@pytest.fixture(scope="module")
def given() -> Captioned:
    """Pictures of four greys with one word each."""
    draws = np.random.default_rng(0)
    level = draws.integers(4, size=200)
    grey = np.clip(20 + 70 * level[:, None, None] + draws.normal(0, 8, (200, 8, 8)), 0, 255)
    pictures, captions = grey.astype(np.uint8), tuple(f"it is {WORDS[each]}" for each in level)
    train = Pairs(pictures[:160], captions[:160])
    test = Pairs(pictures[160:], captions[160:])
    asked = tuple(f"it is {word}" for word in WORDS)
    return Captioned("greys", (1, 8, 8), train, test, asked, level[160:])


@pytest.fixture(scope="module")
def trained(given):
    tokenizer = contrastive.vocabulary(given.train)
    config = contrastive.config_for(given, tokenizer, widths=(4, 8), width=8)
    history, _ = contrastive.fit_clip(
        given, config=config, tokenizer=tokenizer, epochs=30, batch_size=32, progress=False
    )
    return history.model, tokenizer


def test_the_loss_is_that_of_the_definition(given):
    tokenizer = contrastive.vocabulary(given.train)
    config = contrastive.config_for(given, tokenizer, widths=(4,), width=4)
    model = Clip(config)
    words = caption_rows(given.train.captions[:6], tokenizer, config)
    x = given.train.pictures[:6]
    numbers = np.array([0, 1, 2, 3, 1, 4], np.int32)  # the second and the fifth are one picture
    loss = contrastive.ContrastiveLoss(config)
    found = loss(model, kj.tensor(x), kj.tensor(words), kj.tensor(numbers)).item()
    inputs = (x[:, None] / 255 - config.mean[0]) / config.std[0]
    logits = model(kj.tensor(inputs.astype(np.float32)), kj.tensor(words)).numpy().astype(float)
    same = np.array([[a == b for b in given.train.captions[:6]] for a in given.train.captions[:6]])
    same |= numbers[:, None] == numbers
    targets = same / same.sum(1, keepdims=True)

    def crossed(scores):
        return -(targets * (scores - np.log(np.exp(scores).sum(1, keepdims=True)))).sum(1).mean()

    assert found == pytest.approx((crossed(logits) + crossed(logits.T)) / 2, rel=1e-5)


def test_pictures_and_captions_find_each_other(given, trained):
    model, tokenizer = trained
    found = contrastive.evaluate_retrieval(model, given.test, tokenizer)
    assert found.caption_at_1 > 0.9
    assert found.picture_at_1 == 1
    assert found.chance == pytest.approx(0.25)
    assert contrastive.zero_shot(model, given, tokenizer) > 0.9


@pytest.fixture
def flickr(monkeypatch):
    """Two pictures with two captions each, which model and tokenizer know by heart."""
    u = {3: [1, 0], 9: [0, 1]}
    v = {"one": [1, 0], "uno": [0.2, 0.9], "two": [0, 1], "due": [0.1, 1]}

    def seen(model, given):
        return np.array([u[int(each[0, 0])] for each in given], np.float32)

    def said(model, captions, tokenizer):
        return np.array([v[each] for each in captions], np.float32)

    monkeypatch.setattr(contrastive, "picture_vectors", seen)
    monkeypatch.setattr(contrastive, "caption_vectors", said)
    pictures = np.repeat(np.array([3, 9], np.uint8), 2)[:, None, None] * np.ones(
        (1, 2, 2), np.uint8
    )
    return Pairs(pictures, ("one", "uno", "two", "due"))


def test_each_caption_of_a_picture_is_right_for_it(flickr):
    found = contrastive.evaluate_retrieval(None, flickr, None)
    assert (found.pictures, found.captions, found.chance) == (2, 4, 0.5)
    assert found.caption_at_1 == 1
    assert found.picture_at_1 == 0.75  # uno finds the other picture
    assert found.picture_at_5 == 1


def test_captions_that_mean_the_same_are_right_for_each_others_pictures(flickr):
    found = contrastive.evaluate_retrieval(None, flickr, None, np.array([0, 0, 0, 0]))
    assert found.picture_at_1 == found.chance == 1


def test_shares_add_up_to_one_and_follow_the_angle(given, trained):
    model, tokenizer = trained
    shares = choose(model, given.test.pictures, given.asked, tokenizer)
    assert np.allclose(shares.sum(1), 1)
    assert (shares.argmax(1) == given.answers).mean() > 0.9
    with pytest.raises(UsageError, match="no captions"):
        choose(model, given.test.pictures, [], tokenizer)


@pytest.mark.parametrize("layers", [0, 1])
def test_a_caption_does_not_depend_on_its_padding(layers):
    config = ClipConfig((1, 8, 8), (), words=9, widths=(4,), width=8, layers=layers, heads=2)
    model = Clip(config)
    short = model.captions(kj.tensor([[3, 4]], kj.int32)).numpy()
    long = model.captions(kj.tensor([[3, 4, 0, 0, 0]], kj.int32)).numpy()
    assert np.allclose(short, long, atol=1e-6)


def test_words_that_nobody_knows_are_passed_over(trained):
    model, tokenizer = trained
    one, two = caption_rows(["it really is dark", "it is dark"], tokenizer, model.config)
    assert np.array_equal(one, two)
    assert len(one) == 3


@pytest.mark.parametrize("layers", [0, 1])
def test_a_caption_without_a_known_word_has_a_direction_too(layers):
    config = ClipConfig((1, 8, 8), (), words=9, widths=(4,), width=8, layers=layers, heads=2)
    found = Clip(config).captions(kj.tensor([[0, 0], [3, 0]], kj.int32)).numpy()
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


@pytest.mark.parametrize("average", [False, True])
def test_sizes_of_the_encoder_of_pictures(average):
    config = ClipConfig((3, 8, 8), (), words=9, widths=(4, 6), depth=2, average=average, width=5)
    model = Clip(config)
    assert len(model.image.convs) == 4
    assert model.pictures(kj.ones((2, 3, 8, 8))).shape == (2, 5)


def test_it_is_saved_and_loaded(given, trained, tmp_path):
    model, tokenizer = trained
    save(tmp_path, model, tokenizer)
    again, words = load(tmp_path)
    one = choose(model, given.test.pictures[:5], given.asked, tokenizer)
    assert np.array_equal(choose(again, given.test.pictures[:5], given.asked, words), one)


def test_the_same_seed_gives_the_same_bits(given):
    runs = [
        contrastive.fit_clip(given, epochs=1, batch_size=64, seed=3, progress=False)[0]
        for _ in range(2)
    ]
    first, second = (run.model.state_dict() for run in runs)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_batch_of_one_tells_nothing_apart(given):
    with pytest.raises(UsageError, match="batches of 1"):
        contrastive.fit_clip(given, batch_size=1)


def test_where_no_answer_is_known_none_is_counted(given, trained):
    model, tokenizer = trained
    unknown = Captioned("greys", given.shape, given.train, given.test)
    with pytest.raises(UsageError, match="does not say which caption is right"):
        contrastive.zero_shot(model, unknown, tokenizer)


def test_too_many_poolings_are_refused():
    with pytest.raises(UsageError, match="4 poolings of 8 × 8 pixels"):
        ClipConfig((1, 8, 8), (), words=9, widths=(4, 4, 4, 4))


def test_digits_with_captions_alone():
    pytest.importorskip("sklearn")
    digits = captioned.load("digits")
    history, tokenizer = contrastive.fit_clip(digits, epochs=6, progress=False)
    assert contrastive.zero_shot(history.model, digits, tokenizer) > 0.8
