"""Word vectors: words that stand among the same words get vectors that point the same way.

Source: T. Mikolov et al.: Distributed representations of words and phrases (2013), skip-gram with
negative sampling. Not here: training (`kedja/train/vectors.py`), the map in two dimensions
(`kedja/cli/language/vectors.py`). Next: `resnet.py`.
Dimensions: B places of a text, K words around each, N drawn as noise, D numbers, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

import kedja as kj
from kedja import Tensor, nn
from kedja.data.words import Words
from kedja.ground.errors import UsageError
from kedja.ground.suggest import did_you_mean
from kedja.models import registry

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class WordVectorsConfig:
    """How many words there are, and how many numbers a vector has."""

    model_type: ClassVar[str] = "word-vectors"

    vocab_size: int
    width: int = 100


class WordVectors(nn.Module):
    """Two vectors for each word: its own, and the one by which its neighbours meet it.

    The buffers are statistics of the text that training draws by: how likely each word is kept, and
    the alias table of the noise (`chance` of the word itself, else the `other` word).

    >>> tiny = WordVectors(WordVectorsConfig(5, width=4))
    >>> tiny(kj.tensor([0, 1]), kj.tensor([[2, 3, 4], [2, 2, 2]])).shape
    (2, 3)
    """

    config: WordVectorsConfig
    words: nn.Embedding
    contexts: nn.Embedding
    kept: nn.Buffer
    chance: nn.Buffer
    other: nn.Buffer

    def __init__(self, config: WordVectorsConfig) -> None:
        self.config = config
        self.kept, self.chance = kj.ones(config.vocab_size), kj.ones(config.vocab_size)
        self.other = kj.zeros(config.vocab_size, kj.int32)
        self.words = nn.Embedding(config.vocab_size, config.width, init=_small)
        self.contexts = nn.Embedding(config.vocab_size, config.width, init=_zeros)

    def __call__(self, words: Tensor, contexts: Tensor) -> Tensor:
        """words (B,), contexts (B, K) → w·c (B, K): the logit of c's standing near w."""
        own = kj.expand_dims(self.words(words), -1)  # (B, D, 1)
        return (self.contexts(contexts) @ own)[..., 0]


def _small(key: Tensor, shape: Sequence[int]) -> Tensor:
    return nn.init.uniform(key, shape, -0.5 / shape[1], 0.5 / shape[1])


def _zeros(key: Tensor, shape: Sequence[int]) -> Tensor:
    return kj.zeros(shape)


# -------------------------------------------------------------------------------- its use


class Vocabulary:
    """Learned vectors by word: neighbours and analogies, both by the cosine of the angle.

    `vectors` (V, D) have length 1. Raises UsageError for a model that has no word for each vector.
    """

    def __init__(self, model: WordVectors, tokenizer: Words) -> None:
        if tokenizer.size != model.config.vocab_size:
            what = f"{tokenizer.size} words for {model.config.vocab_size} vectors"
            raise UsageError(what, fix="use the tokenizer with which the model was trained")
        self.tokenizer = tokenizer
        count = len(tokenizer.words)
        raw = model.words.weight.numpy()[:count].astype(np.float64)
        self.vectors: Array = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-12)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word; the most frequent is 0."""
        return {word: number for number, word in enumerate(self.tokenizer.words)}

    def vector(self, word: str) -> Array:
        """A word's vector (D,), of length 1. Raises UsageError for a word that is not known."""
        number = self.numbers.get(word.lower())
        if number is None:
            fix = did_you_mean(word.lower(), self.tokenizer.words)
            raise UsageError(f"the word {word!r} is not known", fix=fix)
        found: Array = self.vectors[number]
        return found

    def similarity(self, one: str, other: str) -> float:
        """The cosine of two words: 1 for the same direction, 0 for none in common."""
        return float(self.vector(one) @ self.vector(other))

    def neighbours(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """The words whose vectors are nearest to a word's, with their cosines."""
        return self._nearest(self.vector(word), {word.lower()}, count)

    def analogy(self, a: str, b: str, c: str, count: int = 5) -> list[tuple[str, float]]:
        """What is to c as b is to a: the words nearest to b − a + c, the three left out.

        analogy("man", "woman", "king") asks for the queen.
        """
        wanted = self.vector(b) - self.vector(a) + self.vector(c)
        return self._nearest(wanted, {each.lower() for each in (a, b, c)}, count)

    def _nearest(self, wanted: Array, without: set[str], count: int) -> list[tuple[str, float]]:
        cosines = self.vectors @ wanted / max(float(np.linalg.norm(wanted)), 1e-12)
        order = np.argsort(-cosines, kind="stable")[: count + len(without)].tolist()
        found = [(self.tokenizer.words[each], float(cosines[each])) for each in order]
        return [(word, cosine) for word, cosine in found if word not in without][:count]


registry.add(WordVectorsConfig.model_type, WordVectorsConfig, WordVectors)
