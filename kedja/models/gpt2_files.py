"""GPT-2's folders as Hugging Face writes them: their `config.json` and the names of their arrays.

Other spellings of a key are read, too (`n_ctx`, `hidden_size` …). Keys that change what the model
computes must have the value that `gpt2.py` computes; keys of other tasks and of generation are
left aside. Next: `folder.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from kedja.ground.errors import CheckpointError, UnsupportedError
from kedja.models import registry
from kedja.models.gpt2 import GPT2
from kedja.models.gpt2_config import GPT2Config

Array = np.ndarray[Any, np.dtype[Any]]

# Our field: the keys under which it may stand, the usual one first.
KEYS = {
    "vocab_size": ("vocab_size",),
    "n_positions": ("n_positions", "n_ctx", "max_position_embeddings"),
    "n_embd": ("n_embd", "hidden_size"),
    "n_layer": ("n_layer", "num_hidden_layers"),
    "n_head": ("n_head", "num_attention_heads"),
    "n_inner": ("n_inner",),
    "layer_norm_epsilon": ("layer_norm_epsilon",),
    "dropout": ("resid_pdrop", "dropout"),
    "embd_pdrop": ("embd_pdrop",),
    "attn_pdrop": ("attn_pdrop",),
}
# What a key may say, the first being what it says where it is missing.
ONLY: dict[str, tuple[Any, ...]] = {
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
    "tie_word_embeddings": (True,),
}
PREFIX = "transformer."
HEAD = "lm_head.weight"
TABLE = "wte.weight"
_MASK = re.compile(r"h\.\d+\.attn\.(masked_)?bias")  # constants that old files hold


def read(given: Mapping[str, Any]) -> GPT2Config:
    """The configuration that a `config.json` describes.

    Raises UnsupportedError for a value that stands for another computation.
    """
    for key, allowed in ONLY.items():
        if given.get(key, allowed[0]) not in allowed:
            raise UnsupportedError(
                f"{key} is {given[key]!r} in this GPT-2, which is not supported",
                fix=f"kedja's GPT-2 has {' or '.join(map(repr, allowed))}",
            )
    found = {field: _first(given, keys) for field, keys in KEYS.items()}
    return GPT2Config(**{field: value for field, value in found.items() if value is not None})


def _first(given: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((given[key] for key in keys if given.get(key) is not None), None)


def write(config: GPT2Config) -> dict[str, Any]:
    """What `transformers` reads as the same configuration."""
    values = {keys[0]: getattr(config, field) for field, keys in KEYS.items()}
    for key in ("embd_pdrop", "attn_pdrop"):
        values[key] = config.dropout if values[key] is None else values[key]
    fixed = {key: allowed[0] for key, allowed in ONLY.items()}
    return {"architectures": ["GPT2LMHeadModel"], **values, **fixed}


def arrays_in(given: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a file under our names: without prefix, masks and the tied head."""
    plain = {name.removeprefix(PREFIX): array for name, array in given.items()}
    head = plain.pop(HEAD, None)
    if head is not None and not np.array_equal(head, plain.setdefault(TABLE, head)):
        raise CheckpointError(
            f"{HEAD} differs from {TABLE}: the head has weights of its own",
            fix="kedja's GPT-2 has one table for both (tie_word_embeddings)",
        )
    return {name: array for name, array in plain.items() if not _MASK.fullmatch(name)}


def arrays_out(given: Mapping[str, Array]) -> dict[str, Array]:
    """Our arrays under the names that `GPT2LMHeadModel` gives them."""
    return {PREFIX + name: array for name, array in given.items()}


registry.add("gpt2", GPT2Config, GPT2, registry.Files(read, write, arrays_in, arrays_out))
