"""What a matrix product is asked to compute: sizes, strides and dtypes, before any choice is made.

Not here: the choices (`matmul_plan.py`). Next: `matmul_plan.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kedja.compiler.matmul_rows import Rows
from kedja.ground.dtypes import FLOATS, DType
from kedja.ground.errors import DtypeError, ShapeError


@dataclass(frozen=True)
class MatmulShape:
    """`batch` products C = A B with A[m, k], B[k, n] and C contiguous, row-major (batch, m, n).

    Strides are in elements. Of each operand's two strides one is 1 (or its dimension is 1); the
    batch strides advance an operand from one product to the next, 0 shares it.
    """

    batch: int
    m: int
    n: int
    k: int
    dtype: DType
    a_strides: tuple[int, int]
    b_strides: tuple[int, int]
    a_batch: int = 0
    b_batch: int = 0
    halves: tuple[DType, DType] | None = None  # A and B in memory, where bfloat16 is multiplied
    a_rows: Rows | None = None  # where an index picks A's rows (m) or steps (k) out of a table,
    b_rows: Rows | None = None  # or B's steps

    def __post_init__(self) -> None:
        if self.dtype not in FLOATS:
            raise DtypeError(f"no matrix product for {self.dtype}", fix="float32 or float64")
        if min(self.batch, self.m, self.n, self.k) < 0:
            raise ShapeError(f"negative size in {(self.batch, self.m, self.n, self.k)}")
        for name, size, strides in (("A", self.m, self.a_strides), ("B", self.n, self.b_strides)):
            if size > 1 and self.k > 1 and 1 not in strides:
                raise ShapeError(f"{name} has strides {strides}", fix="one of them must be 1")

    def transposed(self) -> MatmulShape:
        """The same product written as C^T = B^T A^T; C must have one row or one column."""
        return replace(
            self,
            m=self.n,
            n=self.m,
            a_strides=self.b_strides[::-1],
            b_strides=self.a_strides[::-1],
            a_batch=self.b_batch,
            b_batch=self.a_batch,
            halves=self.halves and self.halves[::-1],
        )

    @property
    def multiply_adds(self) -> int:
        """The work of all products together."""
        return self.batch * self.m * self.n * self.k


@dataclass(frozen=True)
class Phase:
    """One launch: `tasks` calls of the function `<name>_<suffix>`, in any order, on any thread."""

    suffix: Literal["pack", "parts", "product"]
    tasks: int
