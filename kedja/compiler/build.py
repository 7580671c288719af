"""What the compiler makes of a graph, and what its cache keeps: a plan and its machine code.

Not here: how it is made (`codegen.py`), kept (`runtime_cache.py`) and run (`runtime.py`).
Next: `pipeline.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from kedja.compiler.runtime_plan import Plan
from kedja.ground.pages import Pages


@dataclass(frozen=True)
class Build:
    """What compiling gives: the plan, the machine code, and on request its text."""

    plan: Plan
    object_code: bytes = b""
    assembly: str = ""
    arena: Pages | None = None  # memory that is being made ready for the first run
