"""The bundled digits: the right rows, one fixed division, and no import of scikit-learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from kedja.data import digits
from kedja.ground.errors import MissingExtra
from tests.paths import ROOT

pytest.importorskip("sklearn")


def test_what_they_are():
    found = digits.load()
    assert (found.kind, found.task, found.input_shape) == ("images", "classification", (8, 8))
    assert found.train.inputs.dtype == np.uint8
    assert found.train.inputs.max() == 16
    assert (len(found.train), len(found.test)) == (1438, 359)
    assert found.classes == tuple("0123456789")
    assert found.preparation.scale == np.float32(1 / 16)


def test_the_division_is_stratified_and_fixed():
    found = digits.load()
    assert set(np.bincount(found.test.targets)) <= {35, 36, 37}
    assert found.test.targets[:10].tolist() == digits.load().test.targets[:10].tolist()


def test_the_file_holds_what_scikit_learn_gives():
    np.testing.assert_array_equal(digits._read(), digits._ask_sklearn())


def test_scikit_learn_is_asked_where_the_file_is_elsewhere(monkeypatch, tmp_path):
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(digits, "find_spec", lambda name: Spec)
    assert len(digits.load().train) == 1438


def test_scikit_learn_is_not_imported():
    program = (
        "import sys\n"
        "from kedja.data import digits\n"
        "digits.load()\n"
        "print('sklearn' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match="scikit-learn") as caught:
        digits.load()
    assert caught.value.fix == "pip install 'kedja[learn]'"
