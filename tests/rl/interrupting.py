"""Ctrl-C in the middle of what an agent does."""

from __future__ import annotations


def interrupted_after(monkeypatch, where, calls):
    """Press Ctrl-C in a later call of a method."""
    original, count = where.step, []

    def step(self, *given):
        count.append(1)
        if len(count) > calls:
            monkeypatch.setattr(where, "step", original)
            raise KeyboardInterrupt
        return original(self, *given)

    monkeypatch.setattr(where, "step", step)
