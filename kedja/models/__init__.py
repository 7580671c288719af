"""Whole networks in a page each, with the tensor names of their well-known files.

Start at `gpt2.py`; then `lstm.py`, `resnet.py`, `unet.py`. Not here: layers (`kedja/nn`).
"""

from kedja.models.gpt2 import GPT2, GPT2Config
from kedja.models.looking import Attention, attention
from kedja.models.lstm import LSTMLanguageModel
from kedja.models.resnet import ResNet, resnet18, resnet34
from kedja.models.unet import UNet

__all__ = [
    "GPT2",
    "Attention",
    "GPT2Config",
    "LSTMLanguageModel",
    "ResNet",
    "UNet",
    "attention",
    "resnet18",
    "resnet34",
]
