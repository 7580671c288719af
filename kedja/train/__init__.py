"""Training: minibatches, epochs, validation, checkpoints. Start at `trainer.py`."""

from kedja.train.early_stopping import EarlyStopping
from kedja.train.history import Epoch, History
from kedja.train.progress import Moment
from kedja.train.trainer import Trainer, fit

__all__ = ["EarlyStopping", "Epoch", "History", "Moment", "Trainer", "fit"]
