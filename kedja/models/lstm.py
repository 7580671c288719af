"""A language model by LSTM: embedding, recurrent layers, logits of the next token.

Source: T. Mikolov et al.: Recurrent neural network based language model (2010); the layout is that
of PyTorch's word-language-model example. Next: `resnet.py`.
"""

from __future__ import annotations

from typing import Any

from kedja import Tensor, nn


class LSTMLanguageModel(nn.Module):
    """Logits of the next token at every position, and the state to go on from.

    >>> import kedja as kj
    >>> model = LSTMLanguageModel(vocabulary=11, width=8, layers=2)
    >>> logits, state = model(kj.tensor([[1, 2, 3]]))
    >>> logits.shape
    (1, 3, 11)
    """

    encoder: nn.Embedding
    drop: nn.Dropout
    rnn: nn.LSTM
    decoder: nn.Linear

    def __init__(
        self, vocabulary: int, width: int = 128, layers: int = 1, dropout: float = 0.0
    ) -> None:
        self.encoder = nn.Embedding(vocabulary, width)
        self.drop = nn.Dropout(dropout)
        self.rnn = nn.LSTM(width, width, layers, dropout=dropout, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)

    def __call__(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """tokens (B, T) integers, state (h, c) or None → logits (B, T, V), state."""
        y, state = self.rnn(self.drop(self.encoder(tokens)), state)  # (B, T, C)
        return self.decoder(self.drop(y)), state
