"""GPT-2's sizes. Not here: how `config.json` spells them (`gpt2_files.py`). Next: `gpt2.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kedja.ground.errors import UsageError


@dataclass(frozen=True)
class GPT2Config:
    """Sizes, named as in Hugging Face's config.json; the defaults are GPT-2 small's.

    `n_inner` is the width inside an MLP (None: four times `n_embd`). `dropout` is that of what is
    added to the residual stream; that of embeddings and of attention's weights are the same
    unless they are given.
    """

    model_type: ClassVar[str] = "gpt2"

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    dropout: float = 0.1
    n_inner: int | None = None
    layer_norm_epsilon: float = 1e-5
    embd_pdrop: float | None = None
    attn_pdrop: float | None = None

    def __post_init__(self) -> None:
        if self.n_embd % self.n_head:
            raise UsageError(
                f"n_embd {self.n_embd} in {self.n_head} heads", fix="n_head divides n_embd"
            )
