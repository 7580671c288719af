"""The data itself, and errors: what is wrong with a data set, and for whom a network is wrong.

`inspect` looks at a file, a folder or a named data set and gives a `Report` of findings;
`learning_curve` trains on growing parts of it. Start at `checks.py`, the table of checks; the data
are read by `reading.py`. Errors by group, of whatever network, stand in `groups.py` and
`judged.py`; which columns it leans on, in `importance.py`.
"""

from kedja.inspection.checks import inspect, inspect_arrays
from kedja.inspection.curves import LearningCurve, learning_curve
from kedja.inspection.finding import Finding, Report, Summary
from kedja.inspection.groups import Group, Groups, by_group, by_groups
from kedja.inspection.groups_page import groups_html
from kedja.inspection.importance import Importance, permutation_importance
from kedja.inspection.intervals import bootstrap, wilson
from kedja.inspection.judged import Judged
from kedja.inspection.kappa import cohen_kappa, fleiss_kappa, krippendorff_alpha
from kedja.inspection.page import html

__all__ = [
    "Finding",
    "Group",
    "Groups",
    "Importance",
    "Judged",
    "LearningCurve",
    "Report",
    "Summary",
    "bootstrap",
    "by_group",
    "by_groups",
    "cohen_kappa",
    "fleiss_kappa",
    "groups_html",
    "html",
    "inspect",
    "inspect_arrays",
    "krippendorff_alpha",
    "learning_curve",
    "permutation_importance",
    "wilson",
]
