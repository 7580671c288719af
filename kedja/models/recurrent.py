"""Language models by recurrence: embedding, layers of RNN, LSTM or GRU, logits of the next token.

Source: T. Mikolov et al.: Recurrent neural network based language model (2010); the layout is that
of PyTorch's word-language-model example. Not here: the layers (`kedja/nn/recurrent.py`),
generation (`generate.py`). Next: `resnet.py`.
Dimensions: B sequences, T positions, C channels, K layers, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import kedja as kj
from kedja import Tensor, nn
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models import registry

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes V, C and K; the cell (rnn, lstm or gru); dropout before, between and after layers."""

    model_type: ClassVar[str] = "recurrent"

    vocab_size: int
    width: int = 128
    layers: int = 1
    cell: str = "lstm"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            fix = did_you_mean(str(self.cell), CELLS)
            raise UsageError(f"there is no recurrent cell {self.cell!r}", fix=fix)


class RecurrentLM(nn.Module):
    """Logits of the next token at every position; what came before is in a state of fixed size.

    >>> model = RecurrentLM(RecurrentConfig(vocab_size=11, width=8, layers=2, cell="gru"))
    >>> model(kj.tensor([[1, 2, 3]])).shape
    (1, 3, 11)
    >>> state = model.new_state(batch=1)
    >>> logits, state = model.decode(kj.tensor([[1]]), state)
    >>> logits.shape, state.shape
    ((1, 1, 11), (2, 1, 8))
    """

    encoder: nn.Embedding
    drop: nn.Dropout
    rnn: nn.RNN | nn.LSTM | nn.GRU
    decoder: nn.Linear
    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig) -> None:
        self.config = config
        self.encoder = nn.Embedding(config.vocab_size, config.width)
        self.drop = nn.Dropout(config.dropout)
        between = config.dropout if config.layers > 1 else 0.0
        cell = CELLS[config.cell]
        self.rnn = cell(
            config.width, config.width, config.layers, dropout=between, batch_first=True
        )
        self.decoder = nn.Linear(config.width, config.vocab_size)

    @property
    def context(self) -> None:
        """There is no longest sequence."""
        return

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) integers → logits (B, T, V)."""
        return self.decode(tokens, None)[0]

    def new_state(self, batch: int, capacity: int = 0) -> Any:
        """The state before the first token: zeros (K, B, C), for an LSTM a pair of them.

        It needs no room for what it has seen: `capacity` is there because other models do.
        """
        shape = (self.config.layers, batch, self.config.width)
        zeros = kj.zeros(shape, self.encoder.weight.dtype)
        return (zeros, zeros) if self.config.cell == "lstm" else zeros

    def decode(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The next L tokens (B, L) of sequences that are known up to here → logits (B, L, V)."""
        y, state = self.rnn(self.drop(self.encoder(tokens)), state)  # (B, L, C)
        return self.decoder(self.drop(y)), state


registry.add(RecurrentConfig.model_type, RecurrentConfig, RecurrentLM)
