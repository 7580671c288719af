"""Where JAX is not installed: the error names the line that installs it, and nothing else fails."""

from __future__ import annotations

import subprocess
import sys

import pytest

import kedja as kj
from kedja.ground.errors import MissingExtra


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    f = kj.jit(lambda x: x + 1, backend="xla")
    with pytest.raises(MissingExtra, match=r"pip install 'kedja\[xla\]'"):
        f(kj.ones(3))
    assert kj.jit(lambda x: x + 1)(kj.ones(3)).tolist() == [2, 2, 2]


def test_jax_is_imported_when_it_is_needed_and_not_before():
    code = (
        "import sys, kedja as kj\n"
        "f = kj.jit(lambda x: x + 1)\n"
        "f(kj.ones(3))\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('jax', 'jaxlib')])\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
