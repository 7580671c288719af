"""The picture on the page of views is the one that kedja draws today.

That the page's numbers are right is tested by pytest's doctest of `docs/views.md`.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import kedja as kj
from kedja.models.gpt2 import GPT2, GPT2Config

FILE = Path(__file__).resolve().parents[2] / "docs" / "images" / "gpt.svg"


def test_the_picture_is_up_to_date(request: pytest.FixtureRequest) -> None:
    kj.random.seed(0)
    model = GPT2(GPT2Config(vocab_size=11, n_positions=4, n_embd=8, n_layer=3, n_head=2))
    tokens = np.array([[1, 2, 3], [4, 5, 6]])
    picture = kj.show(model, at={"tokens": tokens}, depth=1).svg()
    if request.config.getoption("--update-golden"):
        FILE.write_text(picture, encoding="utf-8")
    ElementTree.fromstring(picture)
    assert picture == FILE.read_text(encoding="utf-8"), "pytest --update-golden draws it anew"
