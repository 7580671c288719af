"""Adapters go to Hugging Face's PEFT and come from it, with the same outputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kedja as kj
from kedja import models
from kedja.models import GPT2, GPT2Config, lora

pytestmark = pytest.mark.slow  # the import of transformers alone takes seconds
TOKENS = np.arange(12)[None]


@pytest.fixture
def base(tmp_path):
    """A folder with a small model, which PEFT's side loads as a GPT2LMHeadModel."""
    kj.random.seed(0)
    models.save(tmp_path / "base", GPT2(GPT2Config(40, 12, 16, 2, 2, dropout=0.0)))
    return tmp_path / "base"


def theirs(base):
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModelForCausalLM.from_pretrained(base)


def logits(model):
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        return model.eval()(torch.tensor(TOKENS)).logits.numpy()


def same(ours, found):
    np.testing.assert_allclose(ours(kj.asarray(TOKENS)).numpy(), found, atol=1e-5)


def test_peft_reads_ours(base, tmp_path):
    peft = pytest.importorskip("peft")
    adapted = lora.adapt(models.load(base).model, 3, alpha=5)
    for path, each in list(adapted.modules()):
        if isinstance(each, lora.LoRA):
            lora_b = 0.1 * kj.random.normal(kj.random.next_key(), each.lora_b.shape)
            adapted = adapted.at(path).set(each.replace(lora_b=lora_b))
    lora.save(tmp_path / "ours", adapted)
    found = logits(peft.PeftModel.from_pretrained(theirs(base), tmp_path / "ours"))
    same(adapted, found)
    assert abs(found - logits(theirs(base))).max() > 0.01


@pytest.mark.parametrize("more", [{}, {"use_rslora": True}])
def test_ours_reads_peft(base, tmp_path, more):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=["c_attn", "c_fc"],
        task_type="CAUSAL_LM",
        fan_in_fan_out=True,
        init_lora_weights=False,
        **more,
    )
    model = peft.get_peft_model(theirs(base), config)
    model.save_pretrained(tmp_path / "theirs")
    settings = json.loads(Path(tmp_path / "theirs" / lora.CONFIG).read_text())
    assert settings["r"] == 4
    same(lora.load(tmp_path / "theirs", models.load(base).model), logits(model))
