"""Picture files of all kinds as bytes: each row of the table in `kedja/io/photos.py`."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from kedja.ground.errors import DataError
from kedja.io import photos

Image = pytest.importorskip("PIL.Image")

RED, GREEN = (200, 10, 10), (10, 180, 10)


def saved(path, image, **options):
    image.save(path, **options)
    return path


def halves(size=(8, 8), left=RED, right=GREEN):
    """A picture whose left half and right half differ."""
    image = Image.new("RGB", size, right)
    image.paste(left, (0, 0, size[0] // 2, size[1]))
    return image


def test_a_plain_picture_is_read_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    file = saved(tmp_path / "a.png", Image.fromarray(pixels))
    np.testing.assert_array_equal(photos.read(file, (3, 9, 12)), pixels)
    grey = photos.read(file, (1, 9, 12))
    assert grey.shape == (9, 12)
    np.testing.assert_allclose(grey, pixels @ [0.299, 0.587, 0.114], atol=1)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_says_where_up_is(tmp_path, orientation):
    upright = halves((16, 8))
    turns = {1: 0, 3: 180, 6: 90, 8: 270}
    stored = upright.rotate(turns[orientation], expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = saved(tmp_path / "a.png", stored, exif=exif)
    assert photos.size(photos.contents(file), "a.png") == (8, 16)
    np.testing.assert_array_equal(photos.read(file, (3, 8, 16)), np.asarray(upright))


def test_the_first_frame_of_an_animation_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), GREEN)]
    file = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert tuple(photos.read(file, (3, 8, 8))[0, 0]) == RED


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_palettes_and_cmyk_become_rgb(tmp_path, mode):
    kind = "tif" if mode == "CMYK" else "png"
    image = halves().quantize(4) if mode == "P" else halves().convert(mode)
    file = saved(tmp_path / f"a.{kind}", image)
    found = photos.read(file, (3, 8, 8)).astype(int)
    np.testing.assert_allclose(found[0, 0], RED, atol=6)
    np.testing.assert_allclose(found[0, 7], GREEN, atol=6)


@pytest.mark.parametrize(("ink", "ground"), [(240, 0), (20, 255)])
def test_transparent_pictures_lie_on_the_ground_that_they_stand_out_from(tmp_path, ink, ground):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:6, 2:6] = (ink, ink, ink, 255)
    found = photos.read(saved(tmp_path / "a.png", Image.fromarray(pixels)), (1, 8, 8))
    assert (found[0, 0], found[3, 3]) == (ground, ink)


def test_a_transparent_palette_is_transparent(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 255, 240, 240, 240])
    image.paste(1, (2, 2, 6, 6))
    file = saved(tmp_path / "a.png", image, transparency=0)
    found = photos.read(file, (3, 8, 8))
    assert tuple(found[0, 0]) == (0, 0, 0)
    assert tuple(found[3, 3]) == (240, 240, 240)


def test_sixteen_bits_lose_the_lower_byte(tmp_path):
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    file = saved(tmp_path / "a.png", Image.fromarray(values))
    np.testing.assert_array_equal(photos.read(file, (1, 8, 8)), values >> 8)


def test_floats_are_refused(tmp_path):
    file = saved(tmp_path / "a.tif", Image.fromarray(np.ones((8, 8), np.float32)))
    with pytest.raises(DataError, match="mode F"):
        photos.read(file, (1, 8, 8))


def test_the_middle_of_a_longer_picture_is_cut_out(tmp_path):
    image = Image.new("RGB", (32, 8), GREEN)
    image.paste(RED, (12, 0, 20, 8))
    found = photos.read(saved(tmp_path / "a.png", image), (3, 8, 8))
    assert (found == RED).all()


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_named(tmp_path, content):
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with pytest.raises(DataError, match="not a picture") as found:
        photos.read(file, (1, 8, 8))
    assert str(file) in str(found.value)


def test_a_file_that_ends_early_is_damaged(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    file = saved(tmp_path / "a.jpg", Image.fromarray(noise))
    file.write_bytes(file.read_bytes()[:800])
    with pytest.raises(DataError, match="damaged"):
        photos.read(file, (3, 64, 64))


def test_tiny_and_huge_pictures_are_refused_before_they_are_decoded(tmp_path):
    tiny = saved(tmp_path / "a.png", Image.new("L", (3, 90)))
    with pytest.raises(DataError, match="3 × 90 pixels"):
        photos.read(tiny, (1, 8, 8))
    for side in (20_000, 1_000_000):  # the second is what Pillow calls a decompression bomb
        with pytest.raises(DataError, match="more than 100,000,000"):
            photos.size(announced(side), "b.png")


def announced(side: int) -> bytes:
    """The head of a PNG that says that it is so large, without the pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"")


def test_colours_are_seen_not_guessed_from_the_format(tmp_path):
    grey = Image.fromarray(np.full((16, 16, 3), 90, np.uint8))
    for image, coloured in ((halves(), True), (grey, False)):
        file = saved(tmp_path / "a.png", image)
        assert photos.is_coloured(photos.contents(file), "a.png") is coloured
