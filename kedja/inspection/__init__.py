"""The data itself, and errors: what is wrong with a data set, and for whom a network is wrong.

`inspect` looks at a file, a folder or a named data set and gives a `Report` of findings. Start at
`checks.py`, the table of checks; the data are read by `reading.py`. Errors by group, of whatever
network, stand in `groups.py`; which columns it leans on, in `importance.py`.
"""

from kedja.inspection.checks import inspect
from kedja.inspection.finding import Finding, Report, Summary
from kedja.inspection.groups import Group, Groups, bootstrap, by_group, by_groups, wilson
from kedja.inspection.importance import Importance, permutation_importance

__all__ = [
    "Finding",
    "Group",
    "Groups",
    "Importance",
    "Report",
    "Summary",
    "bootstrap",
    "by_group",
    "by_groups",
    "inspect",
    "permutation_importance",
    "wilson",
]
