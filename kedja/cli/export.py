"""`kedja export`: a trained network as an ONNX file, with its preparation of the data inside.

The file computes what `kedja predict` prints: probabilities of the classes, or the number in its
own units. Not here: how a graph becomes ONNX (`kedja/io/onnx`), the run's folder (`runs.py`).

| run on              | the file takes                                                             |
|---------------------|----------------------------------------------------------------------------|
| pictures            | `picture`, uint8 (batch, H, W): 0 is the background, 255 the ink           |
| folders of pictures | `picture`, uint8 (batch, H, W), with colours (batch, H, W, 3)              |
| recordings          | `spectrogram`, float32 (batch, frames, bands), as `LogMel` makes them      |
| a table of numbers  | `columns`, float64 (batch, columns), NaN where a number is missing         |
| a table with texts  | `features`, float32 (batch, features), as the run's preparation makes them |

Next: `pictures.py`.
"""

from __future__ import annotations

import importlib
import json as jsons
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from kedja.cli import families, recipes, runs
from kedja.cli.output import note, say, say_json
from kedja.data.prepare import Numeric, PicturePreparation, Preparation, TablePreparation, Target
from kedja.front import functions
from kedja.front.tensor import Tensor
from kedja.ground.errors import UsageError
from kedja.io import onnx

OPSET = onnx.OPSET


def export(
    run: Annotated[
        Path, typer.Argument(help="The folder of a run of `kedja train`.", show_default=False)
    ],
    to: Annotated[
        Path, typer.Option("--to", help="The file to write: model.onnx.", show_default=False)
    ],
    opset: Annotated[int, typer.Option("--opset", help="The version of ONNX's operators.")] = OPSET,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the network of RUN as an ONNX file, for any number of examples at once."""
    if to.suffix.lower() != ".onnx":
        raise UsageError(
            f"--to {to}: the kind of file is not known", fix="a name that ends in .onnx"
        )
    family = families.MODELS.get(runs.model_of(run))
    if family is not None and family.exports:
        found: Exported = importlib.import_module(family.module).exported(run)
    elif runs.model_of(run) in recipes.MODELS:
        found = _of_rows(run)
    else:
        can = [name for name, each in families.MODELS.items() if each.exports]
        what = f"{run} is a run of the model {runs.model_of(run)}, which is not exported"
        raise UsageError(what, fix=f"name a run of {', '.join((*recipes.MODELS, *can))}")
    onnx.save(
        to,
        found.answer,
        found.example,
        opset=opset,
        input_names=[found.takes],
        output_names=[found.gives],
        name=found.name,
        metadata={key: jsons.dumps(each, ensure_ascii=False) for key, each in found.about.items()},
    )
    _report(to, opset, json)


class Exported(NamedTuple):
    """What a file is made of: `answer(x)` from an `example` of inputs, and the names of both.

    `about` is what a reader needs beside the numbers.
    """

    answer: Callable[[Tensor], Tensor]
    example: np.ndarray[Any, np.dtype[Any]]
    takes: str
    gives: str
    name: str
    about: Mapping[str, Any]


def _of_rows(run: Path) -> Exported:
    record = runs.load(run)
    model = runs.load_network(run, record)
    raw, target = _raw(record.preparation), record.preparation.target
    return Exported(
        predictor(model, record.preparation, raw),
        np.zeros((1, *raw.shape), raw.dtype),
        raw.name,
        "probabilities" if target.classes else "prediction",
        record.name,
        _metadata(record, raw),
    )


def _report(to: Path, opset: int, json: bool) -> None:
    """What was written."""
    read = onnx.load(to)
    ports = {"inputs": list(map(str, read.inputs)), "outputs": list(map(str, read.outputs))}
    size = to.stat().st_size
    if json:
        say_json({"file": str(to), "bytes": size, "opset": opset, **ports})
        return
    note(f"wrote {to}, {size:,} bytes, opset {opset}")
    say(f"{', '.join(ports['inputs'])} -> {', '.join(ports['outputs'])}")


# -------------------------------------------------------------------------- what the file takes


class Raw(NamedTuple):
    """The input of the file: its name, the shape of one example, what each number is."""

    name: str
    shape: tuple[int, ...]
    dtype: Any
    columns: tuple[str, ...]


def _raw(preparation: Preparation) -> Raw:
    """What an example is before the preparation, where that can be written as numbers."""
    if isinstance(preparation, PicturePreparation):
        return Raw("picture", preparation.shape, np.uint8, ())
    columns = preparation.columns
    if all(isinstance(each, Numeric) for each in columns):
        return Raw("columns", (len(columns),), np.float64, tuple(each.name for each in columns))
    return Raw("features", preparation.input_shape, np.float32, preparation.feature_names)


def _metadata(record: runs.Record, raw: Raw) -> dict[str, Any]:
    """What a reader needs beside the numbers."""
    target = record.preparation.target
    about: dict[str, Any] = {"data": record.name, "target": target.name}
    about |= {"classes": target.classes} if target.classes else {}
    about |= {raw.name: raw.columns} if raw.columns else {}
    return about


# ------------------------------------------------------------------------ what the file computes


def predictor(model: Any, preparation: Preparation, raw: Raw) -> Callable[[Tensor], Tensor]:
    """From raw examples to answers: preparation, network, probabilities or units."""
    step = recipes.prepare(preparation)

    def answer(x: Tensor) -> Tensor:
        return _answer(model(step(_stored(x, preparation, raw))), preparation.target)

    return answer


def _stored(x: Tensor, preparation: Preparation, raw: Raw) -> Tensor:
    """Raw examples as training has them stored."""
    if isinstance(preparation, PicturePreparation):
        return functions.round(x.astype("float32") * (preparation.levels / 255))
    if raw.name == "features":
        return x
    return _standard(x, preparation)


def _standard(x: Tensor, preparation: TablePreparation) -> Tensor:
    """Columns of numbers in standard units, and whether a number was missing where that counts."""
    numeric = [each for each in preparation.columns if isinstance(each, Numeric)]
    median, mean, std = (
        np.array([getattr(each, key) for each in numeric]) for key in ("median", "mean", "std")
    )
    missing = functions.isnan(x)
    values = (functions.where(missing, median, x) - mean) / std
    parts = []
    for place, each in enumerate(numeric):
        parts.append(values[:, place : place + 1])
        if each.indicator:
            parts.append(missing[:, place : place + 1].astype("float64"))
    return functions.concat(parts, 1).astype("float32")


def _answer(outputs: Tensor, target: Target) -> Tensor:
    """Probabilities (N, classes), or numbers in their own units (N,)."""
    if target.classes:
        return functions.softmax(outputs)
    return outputs[:, 0].astype("float64") * target.std + target.mean
