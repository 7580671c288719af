"""What users are told when they use kedja wrongly: one golden table, read by people.

Every error says what is wrong, where (the user's own line or the layer), and the likely fix.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

import kedja as kj
from kedja.ground.errors import KedjaError
from tests.errors import wrong_use

WAYS_OUT = ("fix:", "did you mean", "use numpy.fft")


def told(case):
    """The error of a wrong use, as text that does not depend on where the files stand."""
    kj.random.seed(0)
    with warnings.catch_warnings(), pytest.raises(Exception) as caught:
        warnings.simplefilter("error")
        case()
    assert isinstance(caught.value, KedjaError | AttributeError), repr(caught.value)
    folder = str(Path(wrong_use.__file__).parent)
    text = str(caught.value).replace(folder, "").replace(str(Path.cwd()), "")
    text = re.sub(r"/?wrong_use\.py:\d+", "user.py", text)
    return f"{case.__name__}\n  {type(caught.value).__name__}: {text}"


def test_every_wrong_use_is_told(golden):
    golden("errors", "\n\n".join(told(case) for case in wrong_use.CASES) + "\n")


def test_there_are_many():
    assert len(wrong_use.CASES) >= 40


@pytest.mark.parametrize("case", wrong_use.CASES, ids=lambda case: case.__name__)
def test_an_error_has_a_fix(case):
    """What, and how it is mended: none of them comes from inside NumPy or Python."""
    text = told(case)
    assert any(each in text for each in WAYS_OUT), text
