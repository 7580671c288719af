"""The search over options of training, with optuna. Start at `space.py`; then `searching.py`."""

from kedja.tuning.searching import Found, Trial, search
from kedja.tuning.space import SPACES, Choice, Span, space_for

__all__ = ["SPACES", "Choice", "Found", "Span", "Trial", "search", "space_for"]
