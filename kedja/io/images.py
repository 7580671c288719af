"""Picture files as arrays of grey bytes, of the size that a network expects.

Not here: what a network does with the bytes (`kedja/data/prepare.py` holds shift and scale).
Next: `kedja/data/dataset.py`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kedja.ground.errors import DataError, KedjaError, MissingExtra, UsageError
from kedja.ground.quiet import quiet

if TYPE_CHECKING:
    from PIL.Image import Image

Grey = np.ndarray[Any, np.dtype[np.uint8]]
Invert = Literal["auto"] | bool

# Pillow knows more formats, some of which start other programs. Before 11.3 it does not know AVIF:
# as that stands last, no file of another kind is touched by it.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "AVIF")

# Modes whose pixels Pillow turns into bytes of grey without loss of range.
_EIGHT_BIT = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "LAB", "HSV")
_TRANSPARENT = ("LA", "PA", "RGBA")
_SIXTEEN_BIT = ("I;16", "I;16B", "I")


def read_gray(
    path: str | os.PathLike[str], size: tuple[int, int] = (28, 28), invert: Invert = "auto"
) -> Grey:
    """Read one picture of `size` (height, width) as uint8 greys, 0 black to 255 white.

    The digits of MNIST are white on black. `invert` says what to do with a picture drawn the
    other way round: "auto" inverts it (x becomes 255 − x) where its border is brighter than
    half, on average; True always does, False never.

    Colours become grey by ITU-R 601 (0.299 R + 0.587 G + 0.114 B), 16-bit greys lose their lower
    byte, transparent pixels get the background, black or white, that the drawing stands out from.
    Refused with DataError, which says what was found: missing and damaged files, another size
    (before a pixel is decoded, so that no file can claim much memory), several frames, pixels of
    floating point. Raises UsageError for another `invert`, MissingExtra without Pillow.
    """
    if invert not in ("auto", True, False):
        raise UsageError(f"invert is {invert!r}", fix="one of 'auto', True, False")
    where = os.fspath(path)
    try:
        grey = _decode(where, size)
    except KedjaError:
        raise
    except Exception as error:
        # Pillow's readers fail on damaged files with errors of nearly every kind.
        raise _unreadable(where, error) from error
    turn = _border_mean(grey) > 127.5 if invert == "auto" else invert
    return 255 - grey if turn else grey


def _decode(where: str, size: tuple[int, int]) -> Grey:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("Pillow", "vision", "reading pictures") from None
    with quiet():
        # The size check below is stricter than Pillow's warning of large pictures.
        try:
            with Image.open(where, formats=FORMATS) as image:
                _check_size(image, size, where)
                return _greys(image, where)
        except Image.DecompressionBombError:
            raise DataError("the picture is far too large", where=where, fix=_fix(size)) from None


def _unreadable(where: str, error: Exception) -> DataError:
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"cannot read: {error.strerror}", where=where, fix="check the path")
    what = "this is not a picture, or it is damaged"
    return DataError(what, where=where, fix=f"give one of {', '.join(FORMATS)}")


def _check_size(image: Image, size: tuple[int, int], where: str) -> None:
    height, width = size
    if (image.height, image.width) != size:
        found = f"{image.width} × {image.height}"
        what = f"the picture has {found} pixels (width × height), expected {width} × {height}"
        raise DataError(what, where=where, fix=_fix(size))
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        what = f"the picture has {frames} frames, expected one"
        raise DataError(what, where=where, fix="save one frame as PNG")


def _fix(size: tuple[int, int]) -> str:
    height, width = size
    return f"crop and scale the picture to {width} × {height} pixels"


def _greys(image: Image, where: str) -> Grey:
    if image.mode in _SIXTEEN_BIT:
        return _from_sixteen_bit(np.asarray(image), where)
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return _flatten(np.asarray(image.convert("RGBA").convert("LA")))
    if image.mode in _EIGHT_BIT:
        return np.array(image.convert("L"), np.uint8)
    what = f"pixels of mode {image.mode} cannot be read as greys"
    raise DataError(what, where=where, fix="save the picture as an 8-bit PNG")


def _from_sixteen_bit(pixels: np.ndarray[Any, Any], where: str) -> Grey:
    """The upper byte of each 16-bit grey."""
    if pixels.min() < 0 or pixels.max() > 65535:
        what = "the picture has 32-bit pixels"
        raise DataError(what, where=where, fix="save the picture as an 8-bit PNG")
    return (pixels >> 8).astype(np.uint8)


def _flatten(pixels: np.ndarray[Any, Any]) -> Grey:
    """Lay grey and opacity (H, W, 2) on black if the drawing is bright, on white if it is dark."""
    grey = pixels[..., 0].astype(np.float64)  # (H, W)
    opacity = pixels[..., 1] / 255.0  # (H, W)
    ink = (grey * opacity).sum() / max(opacity.sum(), 1e-9)
    paper = 0.0 if ink > 127.5 else 255.0
    return np.rint(grey * opacity + paper * (1.0 - opacity)).astype(np.uint8)


def _border_mean(grey: Grey) -> float:
    """The mean grey of the outermost ring of pixels."""
    edges = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return float(edges.mean())
