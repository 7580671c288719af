"""What is measured. Start at `case.py`; the table of all cases is `table.py`.

Not here: how a side computes a case (`kedja_side`, `torch_side`, …), how time is taken
(`measure.py`).
"""

from benchmarks.cases.case import COMPARED, Array, Arrays, Case
from benchmarks.cases.table import CASES, MM_PEAK, PEAK, STREAM, named

__all__ = ["CASES", "COMPARED", "MM_PEAK", "PEAK", "STREAM", "Array", "Arrays", "Case", "named"]
