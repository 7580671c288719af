"""A classifier of pictures whose classes are captions, without any class having been trained.

    logit_n = exp(s) · u·v_n        u the picture's vector, v_n that of the n-th caption

What classifiers of pictures can be asked, this one can, too: `classify_pictures`, `saliency`,
`occlusion`, `ideal_input`, and what draws them. Source: A. Radford et al.: Learning transferable
visual models from natural language supervision (2021), section 3.1. Not here: the two networks
(`clip.py`). Next: `seeing.py`.
Dimensions: B pictures, N captions, C channels, H W height and width, D numbers in common.
"""

from __future__ import annotations

from collections.abc import Sequence

import kedja as kj
from kedja import Tensor, nn
from kedja.data.tokens import Tokenizer
from kedja.ground.errors import UsageError
from kedja.models.clip import Clip, ImageEncoder, caption_vectors
from kedja.models.pictures import Maps, PictureConfig


class CaptionClasses(nn.Module):
    """The pictures' network of a `Clip`, and the vectors of the captions to choose from.

    >>> from kedja.data.words import PADDING, UNKNOWN, Words
    >>> from kedja.models import ClipConfig
    >>> words = Words.of(["a dog", "a cat"], 9, specials=(PADDING, UNKNOWN))
    >>> clip = Clip(ClipConfig((1, 8, 8), (), words=9, widths=(4,), width=4))
    >>> model = CaptionClasses(clip, ["a dog", "a cat"], words)
    >>> model(kj.ones((3, 1, 8, 8))).shape
    (3, 2)
    """

    config: PictureConfig
    image: ImageEncoder
    vectors: Tensor
    heat: Tensor

    def __init__(self, model: Clip, captions: Sequence[str], tokenizer: Tokenizer) -> None:
        if not captions:
            raise UsageError("no captions to choose from", fix="give at least one")
        seen = model.config
        self.config = PictureConfig(seen.shape, tuple(captions), seen.mean, seen.std)
        self.image = model.image
        self.vectors = kj.tensor(caption_vectors(model, captions, tokenizer))
        self.heat = model.heat()

    def __call__(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → logits (B, N)."""
        return self.heat * (self.codes(x) @ self.vectors.T)

    def codes(self, x: Tensor) -> Tensor:
        """x (B, C, H, W), standardised → vectors of length 1, (B, D)."""
        return nn.functional.normalize(self.image(x), dim=-1)

    def maps(self, x: Tensor) -> Maps:
        """x (B, C, H, W) → each convolution's maps by its name."""
        return self.image.maps(x)
