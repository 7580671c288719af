"""A model's folder: `config.json`, `model.safetensors` and `tokenizer.json`, in and out.

Hugging Face's GPT-2 folders are such folders as they are, and so is the folder of a run of
`kedja train`: where that was interrupted, its checkpoint holds the weights. Not here: which models
there are (`registry.py`), what GPT-2's files look like (`gpt2_files.py`). Next: `generate.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kedja.data import tokenizer as tokenizers
from kedja.data.tokenizer import Bytes, Characters, Tokenizer
from kedja.ground.dtypes import as_dtype, float32, is_float
from kedja.ground.errors import (
    CheckpointError,
    KedjaError,
    StorageError,
    UnsupportedError,
    UsageError,
)
from kedja.io import atomic, weights
from kedja.models import lora, registry
from kedja.nn.module import Module

Array = np.ndarray[Any, np.dtype[Any]]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer.json"
CHECKPOINT = "weights.safetensors"  # what a run keeps while it trains; see train/checkpoint.py
_OTHERS = ("pytorch_model.bin", "model.safetensors.index.json", "tf_model.h5")


class Saved(NamedTuple):
    """What a folder holds; `tokenizer` is None where it has none."""

    model: Any
    tokenizer: Tokenizer | None


# ------------------------------------------------------------------------------------------ out


def save(folder: str | os.PathLike[str], model: Any, tokenizer: Tokenizer | None = None) -> None:
    """Write a model, and its tokenizer, into a folder, which is made if need be.

    Each file is written whole or not at all; the weights come last. A GPT-2's folder is one that
    `transformers` loads. Raises UsageError for a model without a configuration and for a tokenizer
    that does not fit the model, StorageError where the disk refuses.
    """
    entry = describe(folder, model, tokenizer)
    arrays = entry.files.arrays_out(model.state_dict())
    weights.save(Path(folder) / WEIGHTS, arrays, {"format": "pt"})


def describe(
    folder: str | os.PathLike[str], model: Any, tokenizer: Tokenizer | None = None
) -> registry.Entry:
    """Write what a folder says of a model beside its weights, as a run does when it starts.

    Gives the kind of model that it is. Raises as `save` does.
    """
    config = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if not isinstance(kind, str):
        what = f"{type(model).__name__} has no config with a model_type, so it has no folder"
        raise UsageError(what, fix="kedja.io.weights.save(file, model.state_dict())")
    entry = registry.find(kind)
    require_fit(tokenizer, config)
    where = Path(folder)
    _make(where)
    dtype = _dtype_of(model.state_dict())
    about = {"model_type": kind, **entry.files.write(config), "dtype": dtype}
    about |= _ends(tokenizer) if kind == "gpt2" else {}
    text = json.dumps(about, indent=2, ensure_ascii=False)
    atomic.write_bytes(where / CONFIG, f"{text}\n".encode())
    if tokenizer is not None:
        tokenizer.save(where)
    return entry


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"cannot make the folder: {reason}", where=str(folder)) from error


def _dtype_of(arrays: Mapping[str, Array]) -> str:
    """The dtype of most floats."""
    sizes: dict[str, int] = {}
    for array in arrays.values():
        if is_float(array.dtype):
            sizes[array.dtype.name] = sizes.get(array.dtype.name, 0) + array.size
    return max(sizes, key=lambda name: sizes[name], default="float32")


def _ends(tokenizer: Tokenizer | None) -> dict[str, int | None]:
    """The tokens that begin and end a text, which `transformers` would else take GPT-2's for."""
    specials = {} if tokenizer is None else tokenizer.specials
    both = specials.get("<|endoftext|>")
    return {
        "bos_token_id": specials.get("<start>", both),
        "eos_token_id": specials.get("<end>", both),
    }


# ------------------------------------------------------------------------------------------- in


def load(folder: str | os.PathLike[str], dtype: Any = None) -> Saved:
    """The model and the tokenizer of a folder; the tokenizer is None where there is none.

    The weights keep the dtype in which they are stored, or get `dtype`. Where a folder holds
    adapters alone (`lora.py`), the model is that which they were made for, with them added in.
    Raises CheckpointError where a file is missing or damaged or does not fit the others,
    UnsupportedError for a model that kedja does not have.
    """
    where = Path(folder)
    if lora.exists(where) and not (where / WEIGHTS).exists():
        return _adapted(where, dtype)
    given = _config(where)
    try:
        entry = registry.find(given.get("model_type", "none"))
        config = entry.files.read(given)
        arrays, file = _arrays(where)
        found = entry.files.arrays_in(arrays)
    except KedjaError as error:
        raise _at(error, where) from error
    except (TypeError, ValueError) as error:
        raise _damaged(where / CONFIG, str(error)) from error
    tokenizer = _tokenizer(where, config)
    return Saved(_filled(entry.model(config), found, file, dtype), tokenizer)


def _adapted(folder: Path, dtype: Any) -> Saved:
    """The model that a folder's adapters belong to, with these added into its weights."""
    base = load(_base(folder))
    model = lora.merge(lora.load(folder, base.model))
    tokenizer = _tokenizer(folder, model.config) or base.tokenizer
    return Saved(model if dtype is None else model.astype(as_dtype(dtype)), tokenizer)


def _base(folder: Path) -> Path:
    """Where the model of a folder's adapters stands, seen from that folder or from here."""
    name = str(lora.read_settings(folder).get("base_model_name_or_path") or "")
    for path in (folder / name, Path(name)):
        if name and (path / CONFIG).exists() and path.resolve() != folder.resolve():
            return path
    raise CheckpointError(
        f"the adapters belong to the model {name!r}, which is not there",
        where=str(folder / lora.CONFIG),
        fix="bring it back, or give it from Python: lora.load(folder, model)",
    )


def _at(error: KedjaError, folder: Path) -> KedjaError:
    """The same error, which says where."""
    error.where = error.where or str(folder / CONFIG)
    return error


def _config(folder: Path) -> dict[str, Any]:
    where = folder / CONFIG
    try:
        given = json.loads(where.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        what = f"{folder} holds no model: it has no {CONFIG}"
        raise CheckpointError(what, fix="give the folder of a run, or of a GPT-2") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise CheckpointError(f"cannot read: {reason}", where=str(where)) from error
    except ValueError as error:
        raise _damaged(where, str(error)) from error
    if not isinstance(given, dict):
        raise _damaged(where, "it is no JSON object")
    return given


def _damaged(where: Path, reason: str) -> CheckpointError:
    what = f"the file is damaged: {reason}"
    return CheckpointError(what, where=str(where), fix="use another copy, or train again")


def _arrays(folder: Path) -> tuple[dict[str, Array], Path]:
    """The weights by name, and the file in which they stand."""
    if (folder / WEIGHTS).exists() or not (folder / CHECKPOINT).exists():
        _require_weights(folder)
        return weights.load(folder / WEIGHTS)[0], folder / WEIGHTS
    arrays, _ = weights.load(folder / CHECKPOINT)
    start = "model."
    found = {name[len(start) :]: each for name, each in arrays.items() if name.startswith(start)}
    return found, folder / CHECKPOINT


def _require_weights(folder: Path) -> None:
    if (folder / WEIGHTS).exists():
        return
    others = [name for name in _OTHERS if (folder / name).exists()]
    if others:
        what = f"the weights stand in {others[0]}, which is not read"
        fix = "save it with transformers: model.save_pretrained(folder, safe_serialization=True)"
        raise UnsupportedError(what, where=str(folder), fix=fix)
    what = f"there is no {WEIGHTS}, nor a checkpoint"
    raise CheckpointError(what, where=str(folder), fix="train first, or copy the whole folder")


def _filled(model: Module, arrays: dict[str, Array], file: Path, dtype: Any) -> Module:
    stored = {array.dtype for array in arrays.values() if is_float(array.dtype)}
    kind = as_dtype(dtype) if dtype is not None else next(iter(stored), float32)
    try:
        filled = model.load_state_dict(arrays)
    except UsageError as error:
        fix = "the folder's files belong to different models: copy them again"
        raise CheckpointError(error.what, where=str(file), fix=fix) from error
    alone = dtype is not None or len(stored) == 1
    return filled.astype(kind) if alone and kind != float32 else filled


# ------------------------------------------------------------------------------- the tokenizer


def _tokenizer(folder: Path, config: Any) -> Tokenizer | None:
    if not (folder / TOKENIZER).exists():
        return None
    tokenizer = tokenizers.load(folder)
    try:
        require_fit(tokenizer, config)
    except UsageError as error:
        where = str(folder / TOKENIZER)
        raise CheckpointError(error.what, where=where, fix=error.fix) from error
    return tokenizer


def require_fit(tokenizer: Tokenizer | None, config: Any) -> None:
    """UsageError for a tokenizer whose tokens the model does not have.

    Characters and bytes are as many as the model has; a learned vocabulary may be smaller, since
    the tables of large models are often rounded up.
    """
    size = getattr(config, "vocab_size", None)
    if tokenizer is None or size is None or tokenizer.size == size:
        return
    if tokenizer.size > size or isinstance(tokenizer, Characters | Bytes):
        raise UsageError(
            f"the tokenizer has {tokenizer.size} tokens, the model {size}",
            fix="use the tokenizer with which the model was trained",
        )
