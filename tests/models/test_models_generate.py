"""Text from models: the same seed gives the same text, with cache or without, streamed or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import kedja as kj
from kedja import models, nn
from kedja.data.tokenizer import Bytes, Characters
from kedja.ground.errors import DataError, NonFiniteError, UsageError
from kedja.models import GPT2Config

LETTERS = Characters("abcdefgh ", ["<end>", "<pad>"])


def gpt(context=32, size=LETTERS.size):
    """Weights so large that each token depends on all before it."""
    kj.random.seed(7)
    net = models.GPT2(GPT2Config(size, context, 16, 2, 2, dropout=0.0))
    blocks = [kj.tree.map(lambda x: x * 10 if x.ndim == 2 else x, each) for each in net.h]
    table = net.wte.replace(weight=net.wte.weight * 5)
    return net.replace(h=blocks, wte=table, wpe=net.wpe.replace(weight=net.wpe.weight * 50))


NET = gpt()


def texts(net=NET, prompt="a", **options):
    given = {"tokens": 20, "seed": 3} | options
    return [each.text for each in models.generate(net, prompt, LETTERS, **given)]


# ------------------------------------------------------------------------------- the same text


def greedy(net, known, count, context=None):
    """Without a cache: the whole text again for each token, its latest half where it is full."""
    known, start = [*known], 0
    before = len(known)
    for _ in range(count):
        if context is not None and len(known) - start > context:
            start = len(known) - context // 2
        known.append(int(net(kj.tensor([known[start:]])).numpy()[0, -1].argmax()))
    return known[before:]


@pytest.mark.parametrize("length", [1, 5, 20])
def test_greedy_is_that_without_a_cache(length):
    """Short prompts go through the loop, long ones side by side."""
    prompt = np.random.default_rng(length).integers(0, 9, length).tolist()
    (sample,) = models.generate(NET, prompt, tokens=11, temperature=0)
    assert sample.tokens.tolist() == greedy(NET, prompt, 11)
    assert len(set(sample.tokens.tolist())) > 2


def test_the_seed_decides():
    assert texts(seed=1) == texts(seed=1)
    assert len({texts(seed=seed)[0] for seed in range(8)}) > 4


def test_streaming_changes_nothing():
    pieces = list(models.stream(NET, "a", LETTERS, tokens=20, seed=3, count=3))
    for number, whole in enumerate(models.generate(NET, "a", LETTERS, tokens=20, seed=3, count=3)):
        mine = [each for each in pieces if each.number == number]
        assert "".join(each.text for each in mine) == whole.text
        assert mine[-1].whole.tokens.tolist() == whole.tokens.tolist()
        assert mine[-1].whole.ended == whole.ended


def test_samples_are_the_same_alone_and_beside_others():
    assert texts(count=4)[:1] == texts(count=1)
    assert texts(count=4)[:3] == texts(count=3)
    assert len(set(texts(count=4))) > 1


def test_fewer_tokens_are_the_beginning():
    assert texts(tokens=20)[0].startswith(texts(tokens=7)[0])


def test_interpreted_is_compiled():
    with kj.scope(tier="interpret"):
        found = texts(tokens=6)
    assert found == texts(tokens=6)


def test_explaining_changes_nothing():
    (plain,) = models.generate(NET, "a", LETTERS, tokens=20, seed=3)
    (told,) = models.generate(NET, "a", LETTERS, tokens=20, seed=3, explain=True)
    assert told.text == plain.text
    assert plain.choices == ()
    assert [each.token for each in told.choices] == told.tokens.tolist()


# ------------------------------------------------------------------------------------ explained


def test_choices_are_the_models_own_probabilities():
    prompt = LETTERS.encode("<end>ab", specials=True)
    (told,) = models.generate(NET, "ab", LETTERS, tokens=9, seed=1, explain=True, temperature=0.5)
    whole = np.concatenate([prompt, told.tokens])
    logits = NET(kj.tensor(whole[None])).numpy()[0].astype(np.float64)
    logits[:, LETTERS.specials["<pad>"]] = -np.inf
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for place, each in enumerate(told.choices, prompt.size - 1):
        assert each.probability == pytest.approx(shares[place, each.token], rel=1e-3)
        assert each.bits == pytest.approx(-math.log2(each.probability))
        order = [n for n in np.argsort(-shares[place]) if n != each.token][:3]
        assert [text for text, _ in each.runners] == [LETTERS.token(int(n)) for n in order]
        assert [p for _, p in each.runners] == pytest.approx(shares[place, order], rel=1e-3)


# ------------------------------------------------------------------------------ how a sample ends


def test_ends_and_stops():
    found = models.generate(NET, "a", LETTERS, tokens=60, seed=3, count=8)
    assert {each.ended for each in found} <= {"end", "length"}
    for each in found:
        end = LETTERS.specials["<end>"]
        assert (each.tokens[-1] == end) == (each.ended == "end")
        assert end not in each.tokens[:-1]
        assert each.text == LETTERS.decode(each.tokens)


def test_a_stop_is_left_out_and_never_shown():
    whole = next(text for seed in range(20) if len(text := texts(seed=seed)[0]) > 8)
    seed = next(seed for seed in range(20) if texts(seed=seed)[0] == whole)
    stop = whole[4:6]
    at = whole.index(stop)
    (sample,) = models.generate(NET, "a", LETTERS, tokens=20, seed=seed, stop=stop)
    assert (sample.text, sample.ended, sample.tokens.size) == (whole[:at], "stop", at + 2)
    pieces = models.stream(NET, "a", LETTERS, tokens=20, seed=seed, stop=["zzz", stop])
    assert "".join(each.text for each in pieces) == whole[:at]


def test_padding_is_never_drawn():
    wild = texts(temperature=50.0, count=20, tokens=30)
    assert set("".join(wild)) == set("abcdefgh ")


def test_bytes_are_shown_as_whole_characters():
    net = gpt(size=256)
    pieces = list(models.stream(net, "é", Bytes(), tokens=40, seed=2, temperature=3.0))
    whole = pieces[-1].whole
    assert "".join(each.text for each in pieces) == whole.text == Bytes().decode(whole.tokens)


# ---------------------------------------------------------------------------- longer than the room


def test_a_full_context_goes_on_from_its_latest_half():
    (sample,) = models.generate(NET, [0], tokens=50, temperature=0)
    assert sample.tokens.tolist() == greedy(NET, [0], 50, NET.context)


def test_samples_slide_together():
    net = gpt(context=64)
    many = models.generate(net, [0], tokens=150, seed=1, count=3)
    (one,) = models.generate(net, [0], tokens=150, seed=1)
    assert many[0].tokens.tolist() == one.tokens.tolist()
    assert all(each.tokens.size == 150 for each in many)


# ------------------------------------------------------------------------------- recurrent models


@dataclass(frozen=True)
class CellConfig:
    model_type: ClassVar[str] = "cell"
    vocab_size: int = 11


class Cell(nn.Module):
    """h' = tanh(W h + e[token]): a recurrent model of the least size."""

    table: kj.Tensor
    weight: kj.Tensor
    config: CellConfig = CellConfig()
    context: None = None

    def new_state(self, batch, capacity):
        return kj.zeros((batch, 8))

    def decode(self, tokens, state):
        outs = []
        for place in range(tokens.shape[1]):
            state = kj.tanh(state @ self.weight + kj.take(self.table, tokens[:, place], axis=0))
            outs.append(state @ self.table.T)
        return kj.stack(outs, axis=1), state


def cell():
    keys = kj.random.split(kj.random.key(0))
    return Cell(kj.random.normal(keys[0], (11, 8)) * 3, kj.random.normal(keys[1], (8, 8)))


def test_a_recurrent_model_has_no_end():
    net, prompt = cell(), np.arange(300) % 11
    (sample,) = models.generate(net, prompt, tokens=200, temperature=0)
    known = prompt.tolist()
    logits, state = net.decode(kj.tensor([known[:1]]), net.new_state(1, 0))
    for token in known[1:]:
        logits, state = net.decode(kj.tensor([[token]]), state)
    for _ in range(20):
        known.append(int(logits.numpy()[0, -1].argmax()))
        logits, state = net.decode(kj.tensor([known[-1:]]), state)
    assert sample.tokens.size == 200
    assert sample.tokens[:20].tolist() == known[300:]


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": 0}, "tokens 0"),
        ({"count": 0}, "count 0"),
        ({"temperature": -1.0}, r"temperature -1\.0"),
        ({"temperature": math.nan}, "temperature nan"),
        ({"top_k": 0}, "top_k 0"),
        ({"top_p": 0.0}, r"top_p 0\.0"),
        ({"top_p": 1.5}, r"top_p 1\.5"),
        ({"stop": ""}, "a stop is an empty text"),
        ({"seed": -1}, "seed -1"),
        ({"prompt": "a" * 33}, "34 tokens, the model's context 32"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(UsageError, match=message):
        texts(**options)


def test_a_model_that_writes_no_text():
    with pytest.raises(UsageError, match="Linear does not predict the next token"):
        texts(nn.Linear(2, 2))


def test_unknown_characters():
    with pytest.raises(DataError, match="'x'"):
        texts(prompt="axe")


def test_prompts():
    tokens = models.generate.__globals__["prompt_tokens"]
    end = LETTERS.specials["<end>"]
    assert tokens("", LETTERS, 11, None).tolist() == [end]
    assert tokens("ab", LETTERS, 11, None).tolist() == [end, 0, 1]
    assert tokens("<end>ab", LETTERS, 11, None).tolist() == [end, 0, 1]
    starts = Characters("ab", ["<end>", "<start>", "<spells>"])
    assert tokens("ab", starts, 5, None).tolist() == [3, 0, 1]
    assert tokens("<spells>ab", starts, 5, None).tolist() == [4, 0, 1]
    gpt2 = Characters("ab", ["<|endoftext|>"])
    assert tokens("ab", gpt2, 5, None).tolist() == [0, 1]
    assert tokens("", gpt2, 5, None).tolist() == [2]
    with pytest.raises(UsageError, match="the prompt is empty"):
        tokens("", Characters("ab"), 2, None)
    with pytest.raises(UsageError, match=r"(?s)the prompt is empty.*<names>"):
        tokens("", Characters("ab", ["<names>"]), 3, None)
    lists = Characters("ab", ["<end>", "<names>", "<spells>"])
    with pytest.raises(UsageError, match=r"(?s)the prompt is empty.*<names> or <spells>"):
        tokens("", lists, 5, None)
    assert tokens("<spells>", lists, 5, None).tolist() == [4]
    for wrong in ([], [[1]], [0.5]):
        with pytest.raises(UsageError, match="prompt"):
            tokens(wrong, None, 5, None)
    with pytest.raises(DataError, match="token 7"):
        tokens([1, 7], None, 5, None)
    with pytest.raises(UsageError, match="without a tokenizer"):
        tokens("a", None, 5, None)


def test_weights_that_are_nan():
    broken = NET.replace(wpe=NET.wpe.replace(weight=NET.wpe.weight * math.nan))
    with pytest.raises(NonFiniteError, match="NaN"):
        texts(broken)


# ------------------------------------------------------------------------------------- the oracle


def test_greedy_continuation_is_that_of_transformers(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=41, n_positions=64, n_embd=24, n_layer=3, n_head=4, initializer_range=0.3
    )
    theirs = transformers.GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(tmp_path)
    prompt = [3, 1, 4, 1, 5]
    settings = {"do_sample": False, "max_new_tokens": 40, "eos_token_id": None, "pad_token_id": 0}
    expected = theirs.generate(torch.tensor([prompt]), **settings)[0, 5:].tolist()
    (ours,) = models.generate(models.load(tmp_path).model, prompt, tokens=40, temperature=0)
    assert len(set(expected)) > 5
    assert ours.tokens.tolist() == expected
