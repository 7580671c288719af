"""`kedja export`: the file computes what `kedja predict` prints.

Not here: how graphs become ONNX (`tests/io/test_io_onnx_export.py`).
"""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest

from kedja.data import digits
from kedja.io.onnx import load

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


@pytest.fixture
def kedja(terminal, tmp_path, monkeypatch):
    """The command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return terminal


def write_csv(path, texts: bool, target: str):
    """Two columns of numbers, one with holes, perhaps one of texts; and a price or a kind."""
    rng = np.random.default_rng(0)
    with open(path, "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["year", "weight", *(["colour"] if texts else []), target])
        for place, (year, weight) in enumerate(rng.normal(size=(60, 2))):
            hole = "" if place % 7 == 3 else f"{weight:.4f}"
            colour = ["red" if year > 0 else "blue"] if texts else []
            kind = "big" if year + weight > 0 else "small"
            answer = f"{900 + 50 * year:.2f}" if target == "price" else kind
            row = [f"{1990 + 10 * year:.3f}", hole, *colour, answer]
            out.writerow(row)
    return path


def session(path):
    return runtime.InferenceSession(path, providers=["CPUExecutionProvider"])


def predictions(kedja, *arguments):
    result = kedja("predict", *arguments, "--json")
    assert result.code == 0, result.err
    return json.loads(result.out)["predictions"]


def test_pictures(kedja, tmp_path):
    assert kedja("train", "digits", "--hidden", "8", "--epochs", "1", "--out", "run").code == 0
    result = kedja("export", "run", "--to", "model.onnx")
    assert result.code == 0, result.err
    assert result.out == "picture uint8[batch, 8, 8] -> probabilities float32[batch, 10]\n"
    assert "wrote model.onnx" in result.err
    greys = np.rint(digits.load().test.inputs[:3] * (255 / 16)).astype(np.uint8)
    image = pytest.importorskip("PIL.Image")
    files = [f"{place}.png" for place in range(3)]
    for name, grey in zip(files, greys, strict=True):
        image.fromarray(grey).save(name)
    found = session("model.onnx").run(None, {"picture": greys})[0]
    said = [list(each["probabilities"].values()) for each in predictions(kedja, "run", *files)]
    np.testing.assert_allclose(found, said, rtol=1e-4, atol=1e-6)
    model = load("model.onnx")
    assert json.loads(model.metadata["classes"]) == [str(each) for each in range(10)]
    np.testing.assert_allclose(model(greys).numpy(), found, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("target", ["price", "kind"])
def test_tables(kedja, tmp_path, texts, target):
    path = write_csv(tmp_path / "cars.csv", texts, target)
    options = ["--target", target, "--hidden", "6", "--epochs", "2", "--out", "run"]
    assert kedja("train", str(path), *options).code == 0
    result = kedja("export", "run", "--to", "model.onnx", "--json")
    assert result.code == 0, result.err
    about = json.loads(result.out)
    said = predictions(kedja, "run", str(path))[:9]
    if texts:
        assert about["inputs"][0].startswith("features float32[batch, ")
        return
    assert about["inputs"][0].startswith("columns float64[batch, ")
    columns = json.loads(load("model.onnx").metadata["columns"])
    with open(path) as file:
        rows = list(csv.DictReader(file))[:9]
    raw = np.array([[float(row[name] or "nan") for name in columns] for row in rows])
    found = session("model.onnx").run(None, {"columns": raw})[0]
    if target == "price":
        np.testing.assert_allclose(found, [each["price"] for each in said], rtol=1e-5)
    else:
        expected = [list(each["probabilities"].values()) for each in said]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_wrong_use(kedja, tmp_path):
    assert kedja("train", "digits", "--hidden", "4", "--epochs", "1", "--out", "run").code == 0
    result = kedja("export", "run", "--to", "model.pt")
    assert result.code == 2
    assert "a name that ends in .onnx" in result.err
    assert kedja("export", "nowhere", "--to", "model.onnx").code == 2
    assert kedja("export", "run").code == 2
    result = kedja("export", "run", "--to", "nowhere/model.onnx")
    assert result.code == 1
    assert "folder does not exist" in result.err
    assert kedja("export", "run", "--to", "model.onnx", "--opset", "7").code == 2


def test_without_the_package(kedja, monkeypatch):
    assert kedja("train", "digits", "--hidden", "4", "--epochs", "1", "--out", "run").code == 0
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = kedja("export", "run", "--to", "model.onnx")
    assert result.code == 1
    assert "pip install 'kedja[onnx]'" in result.err
