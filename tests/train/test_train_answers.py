"""Fine-tuning on prompts: answers alone count, exact match is that of generation, LoRA, resume."""

from __future__ import annotations

import numpy as np
import pytest

import kedja as kj
from kedja import optim
from kedja.data.bpe import BPE
from kedja.data.prompts import Prompt
from kedja.data.tokenizer import Bytes, Characters
from kedja.ground.errors import DataError, UsageError
from kedja.models import GPT2, GPT2Config, lora
from kedja.nn.losses.reduction import IGNORED
from kedja.train import answers
from kedja.train.answers import Exam, evaluate_answers, fit_answers, rows, stop_text

WORDS = ("cat", "dog", "owl", "bee")
PROMPTS = [
    Prompt(f"what is {a} {b}?", b, f"q.txt, line {i}")
    for i, (a, b) in enumerate([(a, b) for a in WORDS for b in WORDS], 1)
]
ADAMW = {"optimizer": "adamw", "lr": 3e-3}  # for a model that knows nothing yet
LETTERS = Characters.of("".join(f"{p.prompt} {p.answer}\n" for p in PROMPTS))


def small(tokenizer, seed=0, context=24):
    kj.random.seed(seed)
    return GPT2(GPT2Config(tokenizer.size, context, 32, 2, 2, dropout=0.0))


def shown(pieces, number, tokenizer):
    batch = pieces.batch(pieces.tensors, kj.asarray(np.array([number], np.uint32)))
    x, y = (batch[name].numpy()[0] for name in "xy")
    counted = y != IGNORED
    return tokenizer.decode(x, specials=True), tokenizer.decode(y[counted], specials=True), counted


def test_the_answer_alone_counts():
    pieces = rows([Prompt("2 + 2 =", "4"), Prompt("10 + 1 =", "11")], Bytes(), 20)
    text, answer, counted = shown(pieces, 1, Bytes())
    assert text == "10 + 1 = 11"
    assert answer == " 11\n"
    assert np.flatnonzero(counted).tolist() == [7, 8, 9, 10]
    assert pieces.length == 11  # the longest row but its last token


def test_what_stands_around_a_row():
    special = Bytes(["<start>", "<end>"])
    text, answer, _ = shown(rows([Prompt("a", "b")], special, 20), 0, special)
    assert (text, answer) == ("<start>a b", " b<end>")
    gpt2 = Bytes(["<|endoftext|>"])
    text, answer, _ = shown(rows([Prompt("a", "b")], gpt2, 20), 0, gpt2)
    assert (text, answer) == ("a b", " b<|endoftext|>")
    assert [stop_text(each) for each in (Bytes(), special, gpt2)] == ["\n", "", ""]


def test_names_of_special_tokens_in_a_prompt_are_text():
    special = Bytes(["<end>"])
    pieces = rows([Prompt("is <end> a tag?", "<end>")], special, 64)
    assert (pieces.tokens == special.specials["<end>"]).sum() == 2  # at the beginning and the end


@pytest.fixture(scope="module")
def tuned():
    """The last word of each question, learned from twelve questions of sixteen."""
    train = [each for number, each in enumerate(PROMPTS) if number % 4]
    held = PROMPTS[::4]
    model = small(LETTERS)
    result = fit_answers(
        model, LETTERS, train, held, epochs=60, batch_size=6, **ADAMW, progress=False
    )
    return model, train, held, result


def test_it_learns(tuned):
    model, train, held, result = tuned
    assert result.before["exact_match"] == 0
    assert evaluate_answers(model, LETTERS, train)["exact_match"] == 0
    assert evaluate_answers(result.model, LETTERS, train)["exact_match"] == 1
    assert evaluate_answers(model, LETTERS, held) == pytest.approx(result.before)
    assert evaluate_answers(result.model, LETTERS, held) == pytest.approx(result.after)


def test_exact_match_is_that_of_generation(tuned):
    """Also for a model that is right sometimes: it was trained for too short a time."""
    _, _, _, result = tuned
    half = fit_answers(
        small(LETTERS), LETTERS, PROMPTS, epochs=8, batch_size=4, **ADAMW, progress=False
    ).model
    rights = []
    for model in (result.model, half):
        exam = Exam(rows(PROMPTS, LETTERS, None))
        generated = [
            kj.models.generate(model, each.prompt, LETTERS, tokens=8, temperature=0, stop="\n")
            for each in PROMPTS
        ]
        expected = [
            sample.text == f" {each.answer}" and sample.ended == "stop"
            for [sample], each in zip(generated, PROMPTS, strict=True)
        ]
        assert exam.each(model)["right"].astype(bool).tolist() == expected
        rights.append(sum(expected))
    assert 0 < rights[1] < len(PROMPTS)


def test_the_loss_is_that_of_the_formula(tuned):
    _, _, held, result = tuned
    total = count = 0
    for each in held:
        tokens = LETTERS.encode(f"{each.prompt} {each.answer}\n")
        logits = result.model(kj.asarray(tokens[None, :-1])).numpy()[0].astype(np.float64)
        logits -= logits.max(1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        for place in range(len(each.prompt) - 1, len(tokens) - 1):
            total -= log_p[place, tokens[place + 1]]
            count += 1
    assert result.after["loss"] == pytest.approx(total / count, rel=1e-4)


def test_adapters_alone_are_tuned():
    model = fit_answers(
        small(LETTERS), LETTERS, PROMPTS[:4], epochs=5, **ADAMW, progress=False
    ).model
    new = lora.adapt(model, 4, key=kj.random.key(1))
    result = fit_answers(new, LETTERS, PROMPTS, epochs=30, batch_size=8, lr=1e-2, progress=False)
    plain = lora.stripped(result.model).state_dict()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(plain[name], array)
    merged = lora.merge(result.model)
    first, second = (evaluate_answers(m, LETTERS, PROMPTS) for m in (result.model, merged))
    assert first["loss"] < evaluate_answers(model, LETTERS, PROMPTS)["loss"] - 0.05
    assert second["loss"] == pytest.approx(first["loss"], rel=1e-3)


def test_interrupted_and_resumed_gives_the_same_bits(tmp_path):
    def interrupt(moment):
        if moment.epoch == 3:
            raise KeyboardInterrupt

    options = {"batch_size": 5, "epochs": 4, "lr": 1e-3}
    whole = fit_answers(small(LETTERS), LETTERS, PROMPTS, progress=False, **options)
    options["checkpoint"] = tmp_path
    with pytest.raises(KeyboardInterrupt):
        fit_answers(small(LETTERS), LETTERS, PROMPTS, progress=interrupt, **options)
    again = fit_answers(small(LETTERS, 1), LETTERS, PROMPTS, progress=False, resume=True, **options)
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(again.model.state_dict()[name], array)


def test_bytes_pairs_keep_the_border():
    """The first token of the answer never joins the last one of the question."""
    pytest.importorskip("tokenizers")
    pairs = BPE.of("what is cat cat? cat\n" * 9, 290)
    pieces = rows([Prompt("what is cat", "cat")], pairs, 20)
    text, answer, _ = shown(pieces, 0, pairs)
    assert text + "\n" == "what is cat" + answer
    assert answer == " cat\n"


# ------------------------------------------------------------------------ the optimizer


def test_how_it_learns_unless_told():
    """All weights by SGD, adapters by AdamW, neither with decay; both can be chosen."""
    model = small(LETTERS)
    adapted = lora.adapt(model, 2, key=kj.random.key(0))
    assert answers._optimizer(model, None, None) == optim.SGD(0.3)
    assert answers._optimizer(adapted, None, None) == optim.AdamW(5e-3, weight_decay=0.0)
    assert answers._optimizer(model, "adamw", 1e-4) == optim.AdamW(1e-4, weight_decay=0.0)
    assert answers._optimizer(model, "lion", None) == optim.Lion(1.5e-4)
    assert answers._optimizer(adapted, "sgd", None) == optim.SGD(0.3)


def test_by_default_is_by_sgd_with_warm_up():
    """The same bits as when all of it is said."""
    usual = fit_answers(small(LETTERS), LETTERS, PROMPTS, epochs=2, batch_size=8, progress=False)
    said = fit_answers(
        small(LETTERS),
        LETTERS,
        PROMPTS,
        epochs=2,
        batch_size=8,
        progress=False,
        optimizer=optim.SGD(0.3),
        schedule="cosine",
    )
    for name, array in usual.model.state_dict().items():
        np.testing.assert_array_equal(said.model.state_dict()[name], array)


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("prompts", "reason", "where"),
    [
        ([], "no prompts", None),
        ([PROMPTS[0], Prompt("what is zebra?", "cat", "q.txt, line 7")], "'z'", "q.txt, line 7"),
        ([Prompt("what is " * 9, "cat", "q.txt, line 2")], "the model's context 24", "line 2"),
    ],
)
def test_prompts_that_cannot_be_learned(prompts, reason, where):
    with pytest.raises(DataError, match=reason) as caught:
        fit_answers(small(LETTERS), LETTERS, prompts, progress=False)
    assert caught.value.fix
    assert (caught.value.where or "").endswith(where or "")


def test_other_errors_are_those_of_training():
    with pytest.raises(UsageError):
        fit_answers(small(LETTERS), LETTERS, PROMPTS, epochs=0, progress=False)


def test_an_optimizer_that_does_not_serve():
    with pytest.raises(UsageError, match="no optimizer 'adamww'") as caught:
        fit_answers(small(LETTERS), LETTERS, PROMPTS, optimizer="adamww", progress=False)
    assert "adamw" in caught.value.fix
