"""LoRA: a trained model learns something new in a few small matrices beside its own.

    model = lora.adapt(saved.model, rank=8)      # train it as any other model
    lora.save("adapters", model)                 # the small matrices alone
    model = lora.load("adapters", saved.model)   # beside the weights again
    plain = lora.merge(model)                    # added into them: as fast as before

y = W x + (α/r) B A x: W stays as it is, A (r, C) and B (H, r) are learned, B starts at 0, so that
the adapted model starts as the model that it was. Source: E. Hu et al.: LoRA: low-rank adaptation
of large language models (2021). Files are those of Hugging Face's PEFT: `adapter_config.json`,
`adapter_model.safetensors`. Not here: training (`kedja/train/answers.py`). Next: `folder.py`.

Dimensions: C features in, H features out, r the rank.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import CheckpointError, StorageError, UnsupportedError, UsageError
from kedja.ground.suggest import did_you_mean
from kedja.io import atomic, weights
from kedja.models.gpt2 import Conv1D

Array = np.ndarray[Any, np.dtype[Any]]
M = TypeVar("M", bound=nn.Module)

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
BASE = "kedja.base"  # the metadata under which the digest of the adapted weights stands

_PREFIX = "base_model.model."
_BEFORE = {"gpt2": "transformer."}  # what GPT2LMHeadModel has before our names
# What other settings of PEFT must say, because they stand for another computation.
_ONLY: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "use_dora": (False, None),
    "modules_to_save": (None, []),
    "lora_bias": (False, None),
    "alpha_pattern": ({}, None),
}


class LoRA(nn.Module):
    """A layer with a matrix of low rank beside its own: y = base(x) + scale · B A x.

    x (…, C) → y (…, H); `lora_a` (r, C), `lora_b` (H, r). `base` is a Linear or GPT-2's Conv1D.
    `dropout` drops features of what A is given.
    """

    base: nn.Module
    lora_a: Tensor
    lora_b: Tensor
    scale: float
    dropout: nn.Dropout

    def __init__(
        self,
        base: nn.Module,
        rank: int,
        alpha: float,
        dropout: float = 0.0,
        *,
        key: Tensor | None = None,
    ) -> None:
        inputs, outputs, kind = _sizes(base)
        key = kj.random.next_key() if key is None else key
        bound = 1 / math.sqrt(inputs)
        self.base = base
        self.lora_a = kj.random.uniform(key, (rank, inputs), -bound, bound).astype(kind)
        self.lora_b = kj.zeros((outputs, rank), kind)
        self.scale = alpha / rank
        self.dropout = nn.Dropout(dropout)

    def __call__(self, x: Tensor) -> Tensor:
        """x (…, C) → (…, H)."""
        low = self.dropout(x) @ self.lora_a.T  # (…, r)
        y: Tensor = self.base(x) + (low @ self.lora_b.T) * self.scale
        return y

    def merged(self) -> nn.Module:
        """The base with the product added to its weight, no longer frozen."""
        change = (self.lora_b @ self.lora_a) * self.scale  # (H, C)
        base: Any = self.base.unfreeze()
        added = base.weight + (change.T if isinstance(base, Conv1D) else change)
        return cast(nn.Module, base.replace(weight=added))


def adapt(
    model: M,
    rank: int = 8,
    *,
    alpha: float | None = None,
    dropout: float = 0.0,
    layers: Sequence[str] | None = None,
    key: Tensor | None = None,
) -> M:
    """The model with adapters beside its linear layers; all else is frozen.

    `alpha` scales the adapters by alpha / rank (None: 2 · rank, so by 2). `layers` are the ends of
    the paths of the layers to adapt: `["c_attn"]`; None adapts all. The initial values come from
    `key` (None: from the default sequence). Raises UsageError for a model that has adapters, for
    a rank below 1, and for layers that are not there.
    """
    if rank < 1:
        raise UsageError(f"rank {rank}", fix="give 1 or more; 4 to 16 are usual")
    if any(_adapters(model)):
        raise UsageError("the model has adapters already", fix="merge them first: lora.merge")
    key = kj.random.next_key() if key is None else key
    adapted = model.freeze()
    for number, path in enumerate(_chosen(model, layers)):
        base = adapted.at(path).get()
        one = kj.random.fold_in(key, number)
        new = LoRA(base, rank, 2 * rank if alpha is None else alpha, dropout, key=one)
        adapted = adapted.at(path).set(new)
    return adapted


def merge(model: M) -> M:
    """The model with its adapters added into its weights: the same outputs up to rounding.

    Nothing is frozen any more. Raises UsageError for a model without adapters.
    """
    merged = _required(model)
    for path, adapter in list(_adapters(model)):
        merged = merged.at(path).set(adapter.merged())
    return merged.unfreeze()


def stripped(model: M) -> M:
    """The model as it was before `adapt`, not frozen."""
    plain = _required(model)
    for path, adapter in list(_adapters(model)):
        plain = plain.at(path).set(adapter.base)
    return plain.unfreeze()


def count(model: nn.Module) -> int:
    """How many numbers the adapters have, which are those that are learned."""
    return sum(each.lora_a.size + each.lora_b.size for _, each in _adapters(model))


# ----------------------------------------------------------------------------------- files


def save(
    folder: str | os.PathLike[str], model: nn.Module, *, base: str | os.PathLike[str] = ""
) -> None:
    """Write the adapters alone into a folder, which is made if need be; `base` names the model's.

    Each file is written whole or not at all, the matrices last. A digest of the weights that are
    adapted is kept with them. Raises UsageError for a model without adapters, StorageError where
    the disk refuses.
    """
    found = dict(_adapters(_required(model)))
    arrays = {
        _name(model, path, letter): matrix.numpy()
        for path, each in found.items()
        for letter, matrix in (("A", each.lora_a), ("B", each.lora_b))
    }
    where = Path(folder)
    _make(where)
    text = json.dumps(_settings(found, os.fspath(base)), indent=2)
    atomic.write_bytes(where / CONFIG, f"{text}\n".encode())
    weights.save(where / WEIGHTS, arrays, {"format": "pt", BASE: digest(stripped(model))})


def load(folder: str | os.PathLike[str], model: M) -> M:
    """The model with the adapters of a folder beside its layers, all else frozen.

    Raises CheckpointError where a file is missing or damaged, or does not fit the model: its
    weights must be those that were adapted, where the file says which. UnsupportedError for
    settings of PEFT that mean another computation.
    """
    settings = read_settings(folder)
    where = Path(folder) / WEIGHTS
    arrays, texts = weights.load(where)
    if texts.get(BASE, "") not in ("", digest(model)):
        what = "the adapters belong to other weights than those of this model"
        raise CheckpointError(what, where=str(where), fix="give the model that they were made for")
    adapted = model.freeze()
    for path, matrices in _by_layer(arrays, model, where).items():
        adapter = _adapter(adapted, path, matrices, settings, where)
        adapted = adapted.at(path).set(adapter)
    return adapted


def exists(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds adapters."""
    return (Path(folder) / CONFIG).exists()


def read_settings(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What `adapter_config.json` says. Raises as `load` does."""
    where = Path(folder) / CONFIG
    try:
        settings = json.loads(where.read_text(encoding="utf-8"))
        rank, alpha = int(settings["r"]), float(settings["lora_alpha"])
        if rank < 1 or not math.isfinite(alpha):
            raise ValueError(f"r is {rank}, lora_alpha {alpha}")
    except OSError as error:
        what = f"cannot read: {error.strerror or error}"
        raise CheckpointError(what, where=str(where), fix="give a folder of adapters") from error
    except (KeyError, TypeError, ValueError) as error:
        what = f"the file is damaged: {type(error).__name__}: {error}"
        raise CheckpointError(what, where=str(where), fix="use another copy") from error
    for key, allowed in _ONLY.items():
        if settings.get(key, allowed[0]) not in allowed:
            what = f"{key} is {settings[key]!r}, which is not supported"
            raise UnsupportedError(what, where=str(where), fix="merge these adapters with PEFT")
    return dict(settings)


def digest(model: nn.Module) -> str:
    """SHA-256 over all arrays of a model, by name."""
    found = hashlib.sha256()
    for name, array in sorted(model.state_dict().items()):
        found.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


# --------------------------------------------------------------------------------- layers


def _adapters(model: nn.Module) -> Iterator[tuple[str, LoRA]]:
    return ((path, each) for path, each in model.modules() if isinstance(each, LoRA))


def _required(model: M) -> M:
    if not any(_adapters(model)):
        raise UsageError("the model has no adapters", fix="lora.adapt(model) gives it some")
    return model


def _linear(model: nn.Module) -> list[str]:
    """The paths of all layers that can be adapted."""
    return [path for path, each in model.modules() if type(each) in (nn.Linear, Conv1D)]


def _chosen(model: nn.Module, layers: Sequence[str] | None) -> list[str]:
    paths = _linear(model)
    wanted = [""] if layers is None else list(layers)
    for end in wanted:
        if not any(_ends(path, end) for path in paths):
            names = list(dict.fromkeys(path.split(".")[-1] for path in paths))
            raise UsageError(f"there is no linear layer {end!r}", fix=did_you_mean(end, names))
    return [path for path in paths if any(_ends(path, end) for end in wanted)]


def _ends(path: str, end: str) -> bool:
    return not end or path == end or path.endswith(f".{end}")


def _sizes(base: nn.Module) -> tuple[int, int, Any]:
    """C and H of a layer, and the dtype of its weight."""
    if not isinstance(base, nn.Linear | Conv1D):
        what = f"{type(base).__name__} is no linear layer"
        raise UsageError(what, fix="adapt a Linear, or GPT-2's Conv1D")
    rows, columns = base.weight.shape
    sizes = (rows, columns) if isinstance(base, Conv1D) else (columns, rows)
    return *sizes, base.weight.dtype


# ----------------------------------------------------------------------------- their files


def _name(model: nn.Module, path: str, letter: str) -> str:
    """PEFT's name of a matrix."""
    return f"{_PREFIX}{_before(model)}{path}.lora_{letter}.weight"


def _before(model: nn.Module) -> str:
    return _BEFORE.get(getattr(getattr(model, "config", None), "model_type", ""), "")


def _settings(found: Mapping[str, LoRA], base: str) -> dict[str, Any]:
    """What PEFT reads as the same adapters."""
    first = next(iter(found.values()))
    rank = first.lora_a.shape[0]
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": first.scale * rank,
        "lora_dropout": first.dropout.p,
        "target_modules": sorted(found),
        "fan_in_fan_out": isinstance(first.base, Conv1D),
        "bias": "none",
        "inference_mode": True,
    }


def _by_layer(
    arrays: Mapping[str, Array], model: nn.Module, where: Path
) -> dict[str, dict[str, Array]]:
    """The matrices A and B of each layer; CheckpointError for names that are none of them."""
    found: dict[str, dict[str, Array]] = {}
    known = set(_linear(model))
    for name, array in arrays.items():
        path, _, letter = name.removesuffix(".weight").rpartition(".lora_")
        path = path.removeprefix(_PREFIX).removeprefix(_before(model))
        if letter not in ("A", "B") or path not in known:
            what = f"it holds {name!r}, for which the model has no layer"
            raise CheckpointError(what, where=str(where), fix="give the model it was made for")
        found.setdefault(path, {})[letter] = array
    return found


def _adapter(
    model: nn.Module,
    path: str,
    matrices: Mapping[str, Array],
    settings: Mapping[str, Any],
    where: Path,
) -> LoRA:
    base = model.at(path).get()
    inputs, outputs, kind = _sizes(base)
    shapes = {letter: array.shape for letter, array in matrices.items()}
    rank = shapes.get("A", (0,))[0]
    if shapes != {"A": (rank, inputs), "B": (outputs, rank)} or not rank:
        what = f"the matrices of {path} are {shapes}, its layer takes {inputs} and gives {outputs}"
        raise CheckpointError(what, where=str(where), fix="give the model that they were made for")
    root = math.sqrt(rank) if settings.get("use_rslora") else rank
    alpha = float(settings["lora_alpha"]) * rank / root
    dropout = float(settings.get("lora_dropout") or 0.0)
    new = LoRA(base, rank, alpha, dropout, key=kj.random.key(0))
    return new.replace(
        lora_a=kj.asarray(matrices["A"]).astype(kind), lora_b=kj.asarray(matrices["B"]).astype(kind)
    )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = f"cannot make the folder: {error.strerror or error}"
        raise StorageError(what, where=str(folder), fix="choose another one") from error
