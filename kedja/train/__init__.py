"""Training: minibatches, epochs, validation, checkpoints. Start at `trainer.py`.

`fit` and `Trainer` train any network on arrays. Each kind of data has a function of its own, which
chooses what suits it (`fit_pictures`, `fit_table`, `fit_forecaster`, …), and one that measures the
result; they are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kedja.ground import lazy
from kedja.train.early_stopping import EarlyStopping
from kedja.train.history import Epoch, History
from kedja.train.progress import Moment
from kedja.train.trainer import Trainer, fit

if TYPE_CHECKING:
    from kedja.train.answers import Tuned, evaluate_answers, fit_answers
    from kedja.train.autoencoding import fit_autoencoder
    from kedja.train.classification import evaluate_classifier, fit_text_classifier
    from kedja.train.contrastive import evaluate_retrieval, fit_clip, zero_shot
    from kedja.train.forecasting import fit_forecaster
    from kedja.train.language import evaluate_language, fit_language
    from kedja.train.masked import evaluate_masked, fit_masked
    from kedja.train.pictures import evaluate_pictures, fit_pictures
    from kedja.train.ranking import Ranking, evaluate_ranking, item_knn, popularity
    from kedja.train.recommending import fit_factors, fit_two_tower
    from kedja.train.sounds import evaluate_sound, fit_sound
    from kedja.train.tables import fit_table
    from kedja.train.translation import fit_translation
    from kedja.train.vectors import fit_word_vectors
    from kedja.train.walking import WalkForward, walk_forward
    from kedja.train.windows import Pieces, Windows

__all__ = [
    "EarlyStopping",
    "Epoch",
    "History",
    "Moment",
    "Pieces",
    "Ranking",
    "Trainer",
    "Tuned",
    "WalkForward",
    "Windows",
    "evaluate_answers",
    "evaluate_classifier",
    "evaluate_language",
    "evaluate_masked",
    "evaluate_pictures",
    "evaluate_ranking",
    "evaluate_retrieval",
    "evaluate_sound",
    "fit",
    "fit_answers",
    "fit_autoencoder",
    "fit_clip",
    "fit_factors",
    "fit_forecaster",
    "fit_language",
    "fit_masked",
    "fit_pictures",
    "fit_sound",
    "fit_table",
    "fit_text_classifier",
    "fit_translation",
    "fit_two_tower",
    "fit_word_vectors",
    "item_knn",
    "popularity",
    "walk_forward",
    "zero_shot",
]

_FILES = {
    "answers": "Tuned evaluate_answers fit_answers",
    "autoencoding": "fit_autoencoder",
    "classification": "evaluate_classifier fit_text_classifier",
    "forecasting": "fit_forecaster",
    "contrastive": "evaluate_retrieval fit_clip zero_shot",
    "language": "evaluate_language fit_language",
    "masked": "evaluate_masked fit_masked",
    "ranking": "Ranking evaluate_ranking item_knn popularity",
    "recommending": "fit_factors fit_two_tower",
    "pictures": "evaluate_pictures fit_pictures",
    "sounds": "evaluate_sound fit_sound",
    "tables": "fit_table",
    "translation": "fit_translation",
    "vectors": "fit_word_vectors",
    "walking": "WalkForward walk_forward",
    "windows": "Pieces Windows",
}
__getattr__ = lazy.names("kedja.train", _FILES)
