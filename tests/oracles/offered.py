"""The table: which of PyTorch's operators kedja offers, and which of those are not compared.

`ROWS` has an adapter for each operator (and variant) that kedja has under the Array API's, NumPy's
or PyTorch's name; `LEFT_OUT` tells why a name that both have is not compared. A name that stands in
neither fails the test (`test_oracles_op_db.py`), so that a new function gets its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kedja as kj
from tests.oracles import rows_arrays, rows_elementwise, rows_functional, rows_linalg, rows_losses

ROWS = {
    **rows_elementwise.ROWS,
    **rows_arrays.ROWS,
    **rows_linalg.ROWS,
    **rows_functional.ROWS,
    **rows_losses.ROWS,
}
HOMES = {"": kj, "linalg.": kj.linalg, "nn.functional.": kj.nn.functional}
LEFT_OUT = {
    "bmm.triton_optimized": "the same as bmm; its samples are for a GPU",
    "div.trunc_rounding": "kj.div takes no rounding_mode; kj.trunc(a / b) is the same",
    "empty": "what stands in the memory is anything",
    "empty_like": "what stands in the memory is anything",
    "equal": "kj.equal compares element by element, as the Array API says",
    "linalg.eig": "complex numbers, which kj.linalg.eig refuses",
    "linalg.eigvals": "complex numbers, which kj.linalg.eigvals refuses",
    "linalg.matrix_rank.hermitian": "kj.linalg.matrix_rank has no option for symmetric matrices",
    "linalg.pinv.hermitian": "kj.linalg.pinv has no option for symmetric matrices",
    "median": "kj.median is the mean of the two in the middle, as NumPy's; PyTorch's the lower one",
    "nn.functional.batch_norm.without_cudnn": "its samples are for a GPU; batch_norm is compared",
    "nn.functional.silu.complex": "complex numbers",
    "scatter_add": "kj.scatter_add adds whole slices, as PyTorch's index_add, which is compared",
}


def public_name(name: str) -> str | None:
    """`kj.linalg.inv` where kedja has a function, or a method of tensors, of that PyTorch name."""
    for prefix in sorted(HOMES, key=len, reverse=True):
        last = name.removeprefix(prefix)
        if name.startswith(prefix) and "." not in last:
            home: Any = HOMES[prefix]
            if callable(getattr(home, last, None)):
                return f"kj.{prefix}{last}"
    if "." not in name and hasattr(kj.Tensor, name):
        return f"kj.Tensor.{name}"
    return None


def missing(operators: Mapping[str, Any]) -> list[str]:
    """The operators that kedja has by name, but that have neither row nor reason."""
    found = []
    for name, op in operators.items():
        names = [op.name, *(each.name for each in op.aliases)]
        public = next(filter(None, map(public_name, names)), None)
        if public and name not in ROWS and name not in LEFT_OUT:
            found.append(f"{name}: {public}")
    return found
