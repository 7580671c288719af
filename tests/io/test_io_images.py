"""Pictures: every kind of grey, and a clear refusal of all else."""

from __future__ import annotations

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kedja.ground.errors import DataError, MissingExtra, UsageError
from kedja.io import images

Image = pytest.importorskip("PIL.Image")

DIGIT = np.zeros((28, 28), np.uint8)
DIGIT[6:22, 12:16] = 250


@pytest.fixture
def saved(tmp_path):
    def save(image, name="digit.png", **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def test_grey_bytes_come_back(saved):
    assert np.array_equal(images.read_gray(saved(Image.fromarray(DIGIT))), DIGIT)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_other_modes(saved, mode):
    found = images.read_gray(saved(Image.fromarray(DIGIT).convert(mode)))
    assert np.array_equal(found, DIGIT)


def test_one_bit(saved):
    found = images.read_gray(saved(Image.fromarray(DIGIT).convert("1", dither=0)))
    assert np.array_equal(found, np.where(DIGIT > 0, 255, 0))


def test_cmyk(saved):
    image = Image.fromarray(DIGIT).convert("RGB").convert("CMYK")
    found = images.read_gray(saved(image, "digit.tif"))
    assert np.array_equal(found, DIGIT)


def test_colours_are_weighted(saved):
    image = Image.new("RGB", (28, 28), (255, 0, 0))
    assert np.all(images.read_gray(saved(image), invert=False) == round(0.299 * 255))


def test_sixteen_bits_keep_their_range(saved):
    deep = DIGIT.astype(np.uint16) * 256 + 77
    assert np.array_equal(images.read_gray(saved(Image.fromarray(deep))), DIGIT)


def test_thirty_two_bits_and_floats_are_refused(saved):
    with pytest.raises(DataError, match="32-bit pixels"):
        images.read_gray(saved(Image.fromarray(DIGIT.astype(np.int32) * 10**6), "digit.tif"))
    with pytest.raises(DataError, match="mode F"):
        images.read_gray(saved(Image.fromarray(DIGIT.astype(np.float32)), "digit.tif"))


@pytest.mark.parametrize("ink", [0, 255])
def test_transparent_paper_lets_the_drawing_stand_out(saved, ink):
    pixels = np.zeros((28, 28, 4), np.uint8)
    pixels[..., :3] = ink
    pixels[..., 3] = np.where(DIGIT > 0, 255, 0)
    found = images.read_gray(saved(Image.fromarray(pixels)))
    assert np.array_equal(found, np.where(DIGIT > 0, 255, 0))


def test_inversion(saved):
    path = saved(Image.fromarray(255 - DIGIT))
    assert np.array_equal(images.read_gray(path), DIGIT)
    assert np.array_equal(images.read_gray(path, invert=True), DIGIT)
    assert np.array_equal(images.read_gray(path, invert=False), 255 - DIGIT)
    dark = saved(Image.fromarray(DIGIT), "dark.png")
    assert np.array_equal(images.read_gray(dark, invert=True), 255 - DIGIT)
    with pytest.raises(UsageError, match="'maybe'"):
        images.read_gray(path, invert="maybe")


def test_wrong_size_names_both_sizes_and_the_fix(saved):
    path = saved(Image.new("L", (30, 20)))
    with pytest.raises(DataError, match=r"30 × 20 pixels .*expected 28 × 28") as caught:
        images.read_gray(path)
    assert caught.value.where == str(path)
    assert "28 × 28" in caught.value.fix
    assert images.read_gray(path, size=(20, 30)).shape == (20, 30)


def test_animation_is_refused(saved):
    frames = [Image.fromarray(DIGIT), Image.fromarray(255 - DIGIT)]
    path = saved(frames[0], "digit.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="2 frames"):
        images.read_gray(path)


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + end


@pytest.mark.parametrize("side", [9_500, 60_000])
def test_decompression_bombs_are_refused(tmp_path, side):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    with pytest.raises(DataError, match=r"far too large|pixels \(width × height\)"):
        images.read_gray(path)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        images.read_gray(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match="not a picture, or it is damaged"):
        images.read_gray(tmp_path / "text.png")
    with pytest.raises(DataError, match="cannot read"):
        images.read_gray(tmp_path)


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(DIGIT).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM"])
def test_damaged_files_are_refused_or_read(tmp_path_factory, kind):
    good = encoded(kind)
    path = tmp_path_factory.mktemp("damaged") / "picture"

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def check(data):
        bad = bytearray(good[: data.draw(st.integers(0, len(good)))])
        if bad:
            bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(bad)
        try:
            assert images.read_gray(path).shape == (28, 28)
        except DataError as error:
            assert error.where == str(path)

    check()


def test_without_pillow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match="Pillow") as caught:
        images.read_gray(tmp_path / "digit.png")
    assert caught.value.fix == "pip install 'kedja[vision]'"
