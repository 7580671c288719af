"""Data sets: recognised, read, split, and prepared for a network. Start at `source.py`.

The names below are loaded when they are first used: training on arrays needs none of the readers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedja.ground import lazy

if TYPE_CHECKING:
    from kedja.data.augment import Augment
    from kedja.data.augment_sound import AugmentSound
    from kedja.data.bpe import BPE
    from kedja.data.corpus import Corpus
    from kedja.data.dataset import Dataset, Split
    from kedja.data.pictures import Pictures
    from kedja.data.ratings import Ratings
    from kedja.data.seasonal import Seasonal
    from kedja.data.series import Series
    from kedja.data.source import load
    from kedja.data.tokenizer import Bytes, Characters, Tokenizer

__all__ = [
    "BPE",
    "Augment",
    "AugmentSound",
    "Bytes",
    "Characters",
    "Corpus",
    "Dataset",
    "Pictures",
    "Ratings",
    "Seasonal",
    "Series",
    "Split",
    "Tokenizer",
    "load",
]

_FILES = {
    "augment": "Augment",
    "augment_sound": "AugmentSound",
    "bpe": "BPE",
    "corpus": "Corpus",
    "dataset": "Dataset Split",
    "ratings": "Ratings",
    "pictures": "Pictures",
    "seasonal": "Seasonal",
    "series": "Series",
    "source": "load",
    "tokenizer": "Bytes Characters Tokenizer",
}
__getattr__ = lazy.names("kedja.data", _FILES)
