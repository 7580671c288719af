"""The data itself: what is wrong with a data set, and how much of it is needed.

`inspect` looks at a file, a folder or a named data set and gives a `Report` of findings. Start at
`checks.py`, the table of checks; the data are read by `reading.py`.
"""

from kedja.inspection.checks import inspect
from kedja.inspection.finding import Finding, Report, Summary

__all__ = ["Finding", "Report", "Summary", "inspect"]
