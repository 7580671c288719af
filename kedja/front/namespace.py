"""What kedja says about itself as a namespace of the Python Array API standard 2024.12.

Complex numbers, and with them FFT, are left out; everything else of the main specification and of
the linear-algebra extension is there. Source: data-apis.org/array-api. Next: `kedja/__init__.py`.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from kedja.front.device import CPU, require_cpu
from kedja.front.kinds import KINDS
from kedja.ground.dtypes import HALVES, DType, float32, int64
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.ir.graph import locating

__array_api_version__ = "2024.12"
OLDER = ("2021.12", "2022.12", "2023.12")

e, pi, inf, nan, newaxis = math.e, math.pi, math.inf, math.nan, None


def namespace(api_version: str | None = None) -> Any:
    """The module `kedja`, if it follows that version of the standard."""
    with locating():
        if api_version not in (None, __array_api_version__, *OLDER):
            raise UsageError(
                f"version {api_version!r} of the array API",
                fix=f"kedja follows {__array_api_version__}",
            )
    return sys.modules["kedja"]


class Info:
    """What `kj.__array_namespace_info__()` returns."""

    def capabilities(self) -> dict[str, Any]:
        """What is possible: both outside of `jit` only."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> str:
        """The CPU, the one device of tensors."""
        return CPU

    def devices(self) -> list[str]:
        """The CPU alone."""
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType | None]:
        """The dtypes of results for which none is asked; None for the complex ones."""
        require_cpu(device)
        return {
            "real floating": float32,
            "complex floating": None,
            "integral": int64,
            "indexing": int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The standard's dtypes of some kinds (all by default) by name."""
        require_cpu(device)
        kinds = (
            ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        )
        found: dict[str, DType] = {}
        for each in kinds:
            if each not in KINDS:
                raise UsageError(f"there is no kind {each!r}", fix=did_you_mean(str(each), KINDS))
            found |= {dtype.name: dtype for dtype in KINDS[each] if dtype not in HALVES}
        return found


def __array_namespace_info__() -> Info:  # noqa: N807  the standard's name
    """The standard's inspection functions."""
    return Info()
