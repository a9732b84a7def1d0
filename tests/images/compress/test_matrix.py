"""Every format that is read, in each orientation and at each size at which decoding changes.

Pillow is the reference: to the value where both read full size, or where its own JPEG decoder
shrinks alike; elsewhere within what two resizers differ by.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from imageproc.images.compress import Recipe
from tests.images.compress.files import fault, opened, rendition
from tests.images.compress.heif_files import box, encoded, with_properties
from tests.support import pictures

SIZE = (512, 384)
UPRIGHT = 1
ORIENTATIONS = range(1, 9)
# The longer side of the result: on both sides of each step at which JPEG decoders shrink, and, for
# all formats, just below full size, in the middle and tiny.
JPEG_SIDES = (511, 257, 255, 129, 127, 65, 63, 9)
SIDES = (511, 200, 9)
# EXIF orientation -> quarter turns to the left and mirror axis (ISO/IEC 23008-12, 6.5.10, 6.5.12):
# first turned, then mirrored; axis 1 exchanges left and right.
TURNS: dict[int, tuple[int, int | None]] = {
    1: (0, None), 2: (0, 1), 3: (2, None), 4: (0, 0),
    5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None),
}  # fmt: skip


def _stored(orientation: int) -> Image.Image:
    picture = pictures.draw(5, SIZE)
    method = pictures.STORED_AS.get(orientation)
    return picture if method is None else picture.transpose(method)


def _with_exif(file_format: str, **options: object) -> Callable[[int], bytes]:
    def make(orientation: int) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = orientation
        return pictures.encoded(_stored(orientation), file_format, exif=exif, **options)

    return make


def _with_boxes(kind: str, **options: object) -> Callable[[int], bytes]:
    def make(orientation: int) -> bytes:
        turns, axis = TURNS[orientation]
        added = [box(b"irot", bytes([turns]))] if turns else []
        added += [] if axis is None else [box(b"imir", bytes([axis]))]
        return with_properties(encoded(_stored(orientation), kind, **options), *added)

    return make


TURNABLE: dict[str, Callable[[int], bytes]] = {
    "camera.jpg": _with_exif("JPEG", quality=90),
    "full-colour.jpg": _with_exif("JPEG", quality=90, subsampling=0),
    "progressive.jpg": _with_exif("JPEG", quality=90, progressive=True),
    "png": _with_exif("PNG"),
    "webp": _with_exif("WEBP", lossless=True, method=0),
    "strips.tiff": _with_exif("TIFF", compression="tiff_lzw"),
    "raw.tiff": _with_exif("TIFF"),
    "heic": _with_boxes("heic", quality=90, enc_params={"preset": "ultrafast"}),
    "avif": _with_boxes("avif"),
}
UPRIGHT_ONLY: dict[str, Callable[[int], bytes]] = {
    "gif": lambda _: pictures.encoded(_stored(UPRIGHT), "GIF"),
    "bmp": lambda _: pictures.encoded(_stored(UPRIGHT), "BMP"),
    "palette.png": lambda _: pictures.encoded(_stored(UPRIGHT).quantize(64), "PNG"),
    "grey.jpg": lambda _: pictures.encoded(_stored(UPRIGHT).convert("L"), "JPEG"),
    "ink.jpg": lambda _: pictures.encoded(_stored(UPRIGHT).convert("CMYK"), "JPEG"),
}
CASES = [
    *((name, orientation) for name in TURNABLE for orientation in ORIENTATIONS),
    *((name, UPRIGHT) for name in UPRIGHT_ONLY),
]
# Decoded pixels differ from Pillow's by up to so many of 255: colours are thinned and spread by
# two libraries, or ink becomes colour by two formulas.
ROUNDING = {"heic": 1, "avif": 1}


def _each_turn_and_each_size() -> Iterator[tuple[str, int, int]]:
    """Upright in every size, and each other orientation in one or two of them: the sizes differ in
    how a file is decoded, the orientations in what is done after it."""
    for name, orientation in CASES:
        sides: tuple[int, ...] = JPEG_SIDES if "jpg" in name else SIDES
        if orientation != UPRIGHT:
            sides = sides[orientation % len(sides) :: 4]
        yield from ((name, orientation, side) for side in sides)


@cache
def _file(name: str, orientation: int) -> bytes:
    return (TURNABLE | UPRIGHT_ONLY)[name](orientation)


@cache
def _reference(name: str, orientation: int) -> Image.Image:
    """Pillow's upright picture. It leaves the boxes of HEIC and AVIF to whoever shows them, so
    there the drawing itself, stored and read upright, is the reference."""
    if name in ("heic", "avif"):
        return opened(_file(name, UPRIGHT)).convert("RGB")
    return ImageOps.exif_transpose(opened(_file(name, orientation))).convert("RGB")


def _shown(data: bytes, side: int) -> Image.Image:
    recipe = Recipe(max_width=side, max_height=side, format="png")
    return opened(rendition(data, recipe).data).convert("RGB")


def _furthest(one: Image.Image, other: Image.Image) -> int:
    bands = ImageChops.difference(one, other).getextrema()
    return max(int(high) for _, high in bands)  # type: ignore[misc]


def _mean(one: Image.Image, other: Image.Image) -> float:
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


@pytest.mark.parametrize(("name", "orientation"), [case for case in CASES if case[0] != "ink.jpg"])
def test_full_size_pixels_are_pillows(name: str, orientation: int) -> None:
    shown = _shown(_file(name, orientation), 512)
    assert shown.size == SIZE
    allowed = ROUNDING.get(name, 0)
    if allowed and orientation != UPRIGHT:
        # A turned picture was encoded turned, which rounds in other places.
        assert _mean(shown, _reference(name, orientation)) < 2
    else:
        assert _furthest(shown, _reference(name, orientation)) <= allowed


@pytest.mark.parametrize(
    ("name", "orientation", "side"),
    list(_each_turn_and_each_size()),
)
def test_each_size_shows_the_whole_picture(name: str, orientation: int, side: int) -> None:
    shown = _shown(_file(name, orientation), side)
    expected = (side, max(1, round(side * 0.75)))
    assert shown.size == expected
    small = _reference(name, orientation).resize(expected, Image.Resampling.LANCZOS)
    # Without a profile ink has no true colour: libvips' press differs from Pillow's arithmetic.
    assert _mean(shown, small) < (30 if name == "ink.jpg" else 2.5)


@pytest.mark.parametrize("shrink", [2, 4, 8])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", ["camera.jpg", "full-colour.jpg", "progressive.jpg"])
def test_a_jpeg_shrunk_by_its_decoder_is_pillows(name: str, orientation: int, shrink: int) -> None:
    data = _file(name, orientation)
    stored = Image.open(io.BytesIO(data))
    stored.draft("RGB", (stored.width // shrink, stored.height // shrink))
    expected = ImageOps.exif_transpose(stored)
    assert expected.size == (512 // shrink, 384 // shrink)
    assert _furthest(_shown(data, 512 // shrink), expected) == 0


@pytest.mark.parametrize(
    ("name", "orientation", "side"),
    [
        *((name, UPRIGHT, side) for name in TURNABLE | UPRIGHT_ONLY for side in (512, 200, 50)),
        *((name, 6, 300) for name in TURNABLE),
        *((name, UPRIGHT, 100) for name in TURNABLE if "jpg" in name),
    ],
)
def test_a_cut_off_file_is_no_picture_at_any_size(name: str, orientation: int, side: int) -> None:
    """Its whole twin is one, as the other tests show."""
    whole = _file(name, orientation)
    pixels = whole.rfind(b"meta") if name in ("heic", "avif") else len(whole)
    recipe = Recipe(max_width=side, max_height=side)
    for share in (0.3, 0.6, 0.97):
        assert fault(whole[: int(pixels * share)], recipe).code == "image_truncated", share


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_picture_read_row_by_row_is_turned_too(orientation: int) -> None:
    """More than 4 megapixels are not decoded at once."""
    size = (2200, 1900)
    plain = Image.linear_gradient("L").resize(size).convert("RGB")
    plain.paste((200, 30, 30), (0, 0, 300, 200))
    if orientation in pictures.STORED_AS:
        plain = plain.transpose(pictures.STORED_AS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pictures.encoded(plain, "JPEG", quality=90, exif=exif)
    shown = opened(rendition(data, Recipe(None, None, quality=90)).data)
    assert shown.size == size
    reference = ImageOps.exif_transpose(opened(data))
    small = [each.resize((110, 95), Image.Resampling.BOX) for each in (shown, reference)]
    assert _furthest(*small) <= 4
