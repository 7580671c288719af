"""Fixtures of the tests of calls. Next: `calls.py`."""

from __future__ import annotations

import pytest

import kedja as kj
from kedja.compiler import runtime_recording


@pytest.fixture
def long_ways(monkeypatch):
    """The calls that no route knew. (A recorder that another test has left on would see all.)"""
    monkeypatch.setattr(runtime_recording, "_current", None)
    found = []
    before = kj.jit.__globals__["Compiled"]._call

    def counted(self, args, kwargs):
        found.append(args)
        return before(self, args, kwargs)

    monkeypatch.setattr(kj.jit.__globals__["Compiled"], "_call", counted)
    return found
