"""Any picture file as bytes of one size, in grey or colour. Needs Pillow (extra `vision`).

Not here: digits of an exact size (`images.py`), folders of pictures (`kedja/data/pictures.py`).
Next: `kedja/data/pictures.py`.

| a file that                      | is read as                                             |
|----------------------------------|--------------------------------------------------------|
| says by EXIF how it is turned    | turned upright                                         |
| is animated, or has pages        | its first frame                                        |
| has a palette, or is CMYK        | red, green, blue                                       |
| is transparent                   | laid on black if the drawing is bright, else on white  |
| has 16 bits a pixel              | their upper byte                                       |
| has another shape than asked for | scaled until it covers the shape, the middle cut out   |
| has a side below 4 pixels        | an error: there is nothing to see                      |
| has more than 100 million pixels | an error, before a pixel is decoded                    |
| is damaged or no picture at all  | an error                                               |
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from kedja.ground.errors import DataError, KedjaError, MissingExtra
from kedja.ground.quiet import quiet
from kedja.io.images import FORMATS

if TYPE_CHECKING:
    from PIL.Image import Image as Opened

T = TypeVar("T")
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".tif", ".tiff"),
    *(".webp", ".avif", ".ppm", ".pgm", ".pbm"),
)
# What else pictures are called, which people would miss if nothing were said of them.
OTHERS = (
    *(".heic", ".heif", ".jp2", ".jxl", ".psd", ".svg", ".tga", ".ico"),
    *(".raw", ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".raf"),
)
SMALLEST = 4
MOST_PIXELS = 100_000_000
# A pixel is coloured whose channels differ so much, a picture that has so many of them.
COLOURED, SHARE = 24, 0.005


def is_named_so(name: str) -> bool:
    """Whether a file's name says that it is a picture.

    >>> is_named_so("cat.JPG"), is_named_so("cat.txt")
    (True, False)
    """
    return name.lower().endswith(SUFFIXES)


def read(path: str | os.PathLike[str], shape: tuple[int, int, int]) -> Bytes:
    """One picture as uint8 (H, W), or (H, W, 3) for three channels; `shape` is (channels, H, W).

    Raises DataError for what the table calls an error, MissingExtra without Pillow.
    """
    return decode(contents(path), shape, os.fspath(path))


def contents(path: str | os.PathLike[str]) -> bytes:
    """The file's bytes; DataError where it cannot be read."""
    where = os.fspath(path)
    try:
        with open(where, "rb") as file:
            return file.read()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read: {reason}", where=where, fix="check the path") from None


def size(content: bytes, where: str) -> tuple[int, int]:
    """Height and width as they will be seen, from the file's head alone.

    Raises DataError for what is no picture, too small or too large.
    """
    return _within(content, where, _seen_size)


def decode(content: bytes, shape: tuple[int, int, int], where: str) -> Bytes:
    """As `read`, from a file's bytes."""

    def pixels(image: Opened) -> Bytes:
        _seen_size(image)
        return _pixels(image, shape)

    return _within(content, where, pixels)


class Sketch(NamedTuple):
    """A picture in small, uint8 (S, S, 3), a digest of all its pixels, and its height and width."""

    pixels: Bytes
    digest: bytes
    size: tuple[int, int]


def sketch(path: str | os.PathLike[str], side: int) -> Sketch:
    """What it takes to compare a picture with others; raises as `read` does.

    The digests of two files are equal where all their pixels are, in whatever format they stand.
    """

    def sketched(image: Opened) -> Sketch:
        from PIL import Image, ImageOps

        size = _seen_size(image)
        whole = _plain(ImageOps.exif_transpose(image)).convert("RGB")
        digest = hashlib.blake2b(whole.tobytes(), digest_size=16)
        digest.update(f"{whole.size}".encode())
        small = whole.resize((side, side), Image.Resampling.BOX)
        return Sketch(np.array(small, np.uint8), digest.digest(), size)

    return _within(contents(path), os.fspath(path), sketched)


def is_coloured(content: bytes, where: str) -> bool:
    """Whether a picture shows colours, not only in its file's format."""
    pixels = decode(content, (3, 64, 64), where).astype(np.int16)  # (64, 64, 3)
    spread = pixels.max(-1) - pixels.min(-1)
    return bool((spread > COLOURED).mean() > SHARE)


def _within(content: bytes, where: str, of: Callable[[Opened], T]) -> T:
    """`of(image)` of an opened file, all that Pillow may raise as one kind of error."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtra("Pillow", "vision", "reading pictures") from None
    with quiet():
        # The check below is stricter than Pillow's warning of large pictures.
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                return of(image)
        except KedjaError as error:
            error.where = error.where or where
            raise
        except Image.DecompressionBombError:
            raise _too_large(where) from None
        except Exception as error:
            # Pillow's readers fail on damaged files with errors of nearly every kind.
            what = "this is not a picture, or it is damaged"
            fix = f"give one of {', '.join(FORMATS)}"
            raise DataError(what, where=where, fix=fix) from error


def _too_large(where: str | None) -> DataError:
    what = f"the picture has more than {MOST_PIXELS:,} pixels"
    return DataError(what, where=where, fix="scale it down")


def _seen_size(image: Opened) -> tuple[int, int]:
    """Height and width after EXIF's turn; DataError for sizes that are not read."""
    height, width = image.height, image.width
    if height * width > MOST_PIXELS:
        raise _too_large(None)
    if min(height, width) < SMALLEST:
        what = f"the picture has {width} × {height} pixels (width × height)"
        raise DataError(what, fix=f"at least {SMALLEST} × {SMALLEST}")
    lies = image.getexif().get(0x0112, 1) >= 5  # the orientations that change sides
    return (width, height) if lies else (height, width)


def _pixels(image: Opened, shape: tuple[int, int, int]) -> Bytes:
    from PIL import Image, ImageOps

    channels, height, width = shape
    longest = 2 * max(height, width)
    image.draft("RGB", (longest, longest))  # large JPEGs are decoded at a fraction of their size
    turned = ImageOps.exif_transpose(image)
    plain = _plain(turned)
    mode = "L" if channels == 1 else "RGB"
    fitted = ImageOps.fit(plain.convert(mode), (width, height), Image.Resampling.BILINEAR)
    return np.array(fitted, np.uint8)  # (H, W) or (H, W, 3)


def _plain(image: Opened) -> Opened:
    """The picture with eight bits a channel and nothing to see through."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _laid(image.convert("RGBA"))
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _eight_bits(image: Opened) -> Opened:
    from PIL import Image

    pixels = np.asarray(image)
    whole = pixels.dtype.kind in "iu"
    if not whole or pixels.min() < 0 or pixels.max() > 65535:
        what = f"pixels of mode {image.mode} are not read"
        raise DataError(what, fix="save the picture with 8 or 16 bits a channel")
    return Image.fromarray((pixels >> 8).astype(np.uint8))


def _laid(image: Opened) -> Opened:
    """A transparent picture on the ground that its drawing stands out from."""
    from PIL import Image

    grey = np.asarray(image.convert("LA"), np.float64)  # (H, W, 2)
    seen = grey[..., 1]
    bright = (grey[..., 0] * seen).sum() > 127.5 * max(float(seen.sum()), 1e-9)
    ground = Image.new("RGBA", image.size, (0, 0, 0, 255) if bright else (255, 255, 255, 255))
    return Image.alpha_composite(ground, image).convert("RGB")
