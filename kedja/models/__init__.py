"""Whole networks in a page each, with the tensor names of their well-known files.

Start at `gpt2.py`; then `recurrent.py`, `encoder_decoder.py`, `resnet.py`, `unet.py`. Folders of
models are read and written by `folder.py`; `lora.py` adapts them in a few numbers. Not here:
layers (`kedja/nn`).
"""

from kedja.models import gpt2_files as gpt2_files
from kedja.models import lora as lora
from kedja.models.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    decode_pictures,
    encode_pictures,
)
from kedja.models.bert import Bert, BertConfig, Filled, fill
from kedja.models.caption_classes import CaptionClasses
from kedja.models.clip import Clip, ClipConfig, choose
from kedja.models.cnn import CNN, CNNConfig, lenet
from kedja.models.encoder_decoder import EncoderDecoder, EncoderDecoderConfig
from kedja.models.folder import Saved, load, save
from kedja.models.forecaster import (
    Autoregression,
    ForecasterConfig,
    SeriesLSTM,
    SeriesTransformer,
)
from kedja.models.forecasts import Forecast, forecast
from kedja.models.generate import Choice, Piece, Sample, generate, stream
from kedja.models.gpt2 import GPT2
from kedja.models.gpt2_config import GPT2Config
from kedja.models.looking import Attention, attention
from kedja.models.new_users import recommend_new
from kedja.models.pictures import PictureLabel, classify_pictures
from kedja.models.reading import Reading, read
from kedja.models.recommenders import (
    Factors,
    FactorsConfig,
    TwoTower,
    TwoTowerConfig,
    alike,
    recommend,
)
from kedja.models.recurrent import RecurrentConfig, RecurrentLM
from kedja.models.resnet import ResNet, resnet18, resnet34
from kedja.models.seeing import ideal_input, occlusion, saliency
from kedja.models.small_resnet import ResNetConfig, SmallResNet
from kedja.models.spectrogram_cnn import Heard, SpectrogramCNN, SpectrogramCNNConfig, hear
from kedja.models.tabular import TabularConfig, TabularMLP
from kedja.models.text_classifier import (
    Label,
    TextClassifier,
    TextClassifierConfig,
    classify,
)
from kedja.models.translate import Translation, cross_attention, exact_match, translate
from kedja.models.unet import UNet
from kedja.models.word_vectors import Vocabulary, WordVectors, WordVectorsConfig

__all__ = [
    "CNN",
    "GPT2",
    "Attention",
    "Autoencoder",
    "AutoencoderConfig",
    "Autoregression",
    "Bert",
    "BertConfig",
    "CNNConfig",
    "CaptionClasses",
    "Choice",
    "Clip",
    "ClipConfig",
    "EncoderDecoder",
    "EncoderDecoderConfig",
    "Factors",
    "FactorsConfig",
    "Filled",
    "Forecast",
    "ForecasterConfig",
    "GPT2Config",
    "Heard",
    "Label",
    "PictureLabel",
    "Piece",
    "Reading",
    "RecurrentConfig",
    "RecurrentLM",
    "ResNet",
    "ResNetConfig",
    "Sample",
    "Saved",
    "SeriesLSTM",
    "SeriesTransformer",
    "SmallResNet",
    "SpectrogramCNN",
    "SpectrogramCNNConfig",
    "TabularConfig",
    "TabularMLP",
    "TextClassifier",
    "TextClassifierConfig",
    "Translation",
    "TwoTower",
    "TwoTowerConfig",
    "UNet",
    "Vocabulary",
    "WordVectors",
    "WordVectorsConfig",
    "alike",
    "attention",
    "choose",
    "classify",
    "classify_pictures",
    "cross_attention",
    "decode_pictures",
    "encode_pictures",
    "exact_match",
    "fill",
    "forecast",
    "generate",
    "hear",
    "ideal_input",
    "lenet",
    "load",
    "occlusion",
    "read",
    "recommend",
    "recommend_new",
    "resnet18",
    "resnet34",
    "saliency",
    "save",
    "stream",
    "translate",
]
