"""Floor 5: what users touch. Start at `tensor.py`, then `functions.py` and `transforms.py`."""

import kedja.front.tensor  # first: it and the files of its methods need each other
import kedja.ops  # noqa: F401  the table of ops, before anything applies one
