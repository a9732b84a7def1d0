"""HEIC and AVIF: the primary picture, upright, whatever else is in the file."""

from __future__ import annotations

import io
import struct

import pillow_heif
import pytest
from PIL import Image, ImageChops

from imageproc.images.compress import Recipe, still
from tests.images.compress.files import difference, fault, opened, rendition
from tests.images.compress.heif_files import box, encoded, nclx, with_properties
from tests.support import pictures

SIZE = (120, 80)
KINDS = ("avif", "heic")
LOSSLESS = Recipe(format="png")
# (quarter turns against the clock of irot, axis of imir or None) -> what a viewer does.
TURNS = {
    (1, None): Image.Transpose.ROTATE_90,
    (2, None): Image.Transpose.ROTATE_180,
    (3, None): Image.Transpose.ROTATE_270,
    (0, 0): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
}


def _shown(data: bytes) -> Image.Image:
    return opened(rendition(data, LOSSLESS).data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", TURNS)
def test_turns_and_mirrors_of_the_container(kind: str, turn: tuple[int, int | None]) -> None:
    drawn = pictures.draw(1, SIZE)
    quarters, axis = turn
    added = box(b"irot", bytes([quarters])) if axis is None else box(b"imir", bytes([axis]))
    result = rendition(with_properties(encoded(drawn, kind), added), LOSSLESS)
    expected = drawn.transpose(TURNS[turn])
    assert (result.source_width, result.source_height) == expected.size
    assert opened(result.data).size == expected.size
    assert difference(opened(result.data), expected) < 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", KINDS)
def test_every_orientation_as_encoders_write_it(kind: str, orientation: int) -> None:
    """Both encoders turn an EXIF orientation into irot and imir."""
    drawn = pictures.draw(2, SIZE)
    stored = drawn.transpose(pictures.STORED_AS[orientation]) if orientation > 1 else drawn
    exif = Image.Exif()
    exif[0x0112] = orientation
    shown = _shown(encoded(stored, kind, exif=exif.tobytes()))
    assert shown.size == SIZE
    assert difference(shown, drawn) < 2


@pytest.mark.parametrize("kind", KINDS)
def test_an_exif_orientation_alone_turns_nothing(kind: str) -> None:
    drawn = pictures.draw(2, SIZE)
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.register_heif_opener()
    target = io.BytesIO()
    if kind == "heic":
        drawn.save(target, "HEIF", exif=exif.tobytes())
    else:
        drawn.save(target, "AVIF", exif=exif.tobytes())
    data = target.getvalue()
    assert b"irot" in data
    shown = _shown(data.replace(b"irot", b"skip"))
    assert shown.size == SIZE
    assert difference(shown, drawn) < 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), [(60, 40), (58, 42)])
def test_a_clean_aperture_crops(kind: str, width: int, height: int) -> None:
    """The aperture's middle is 10 right of and 4 above the picture's (14496-12, 12.1.4)."""
    drawn = pictures.draw(1, SIZE)
    aperture = struct.pack(">IIIIiIiI", width, 1, height, 1, 10, 1, -4, 1)
    result = rendition(with_properties(encoded(drawn, kind), box(b"clap", aperture)), LOSSLESS)
    left, top = (SIZE[0] - width) // 2 + 10, (SIZE[1] - height) // 2 - 4
    assert (result.width, result.height) == (width, height)
    expected = drawn.crop((left, top, left + width, top + height))
    assert difference(opened(result.data), expected) < 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "tail", [b"\r\n", b"\0" * 7, b"\0" * 200, b"trailer", b"SEFT" * 40, box(b"mpvd", b"film")]
)
def test_bytes_behind_the_last_box_are_not_looked_at(kind: str, tail: bytes) -> None:
    data = encoded(pictures.draw(1, SIZE), kind)
    assert rendition(data + tail).data == rendition(data).data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_off_file_is_cut_off(kind: str, kept: float) -> None:
    data = encoded(pictures.draw(1, SIZE), kind)
    assert fault(data[: int(len(data) * kept)]).code == "image_truncated"


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_lies_beyond_the_file_is_cut_off(kind: str) -> None:
    """No box is cut, but the picture's bytes are not there."""
    moved = with_properties(encoded(pictures.draw(1, SIZE), kind))
    start = moved.index(b"mdat") - 4
    (size,) = struct.unpack_from(">I", moved, start)
    short = moved[:start] + moved[start + size :]
    assert fault(short).code == "image_truncated"


def test_the_primary_picture_is_shown_and_not_the_first() -> None:
    shown, other = pictures.draw(1, SIZE), pictures.draw(2, (64, 64))
    file = pillow_heif.HeifFile()  # type: ignore[no-untyped-call]
    file.add_from_pillow(other)
    file.add_from_pillow(shown)
    target = io.BytesIO()
    file.save(target, primary_index=1, quality=100, chroma=444)
    assert difference(_shown(target.getvalue()), shown) < 2


def test_a_grid_is_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 64)
    drawn = pictures.draw(1, (200, 100))
    data = encoded(drawn, "heic")
    assert b"grid" in data
    assert difference(_shown(data), drawn) < 2


def test_a_grid_that_names_a_tile_twice_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders would show it in place of the one that is missing."""
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 64)
    data = encoded(pictures.draw(1, (200, 100)), "heic")
    tiles = data.index(b"dimg") + 8
    repeated = data[: tiles + 2] + data[tiles : tiles + 2] + data[tiles + 4 :]
    assert repeated != data
    assert fault(repeated).code == "image_corrupt"


def test_of_a_film_with_a_still_picture_the_picture_is_shown() -> None:
    drawn = pictures.draw(1, SIZE)
    data = encoded(drawn, "avif", save_all=True, append_images=[pictures.draw(2, SIZE)])
    assert data[8:12] == b"avis"
    assert difference(_shown(data), drawn) < 2


def test_of_a_film_alone_the_first_frame_is_shown_if_it_can_be_read() -> None:
    drawn = pictures.draw(1, SIZE)
    film = encoded(drawn, "avif", save_all=True, append_images=[pictures.draw(2, SIZE)])
    for name in (b"meta", b"mif1", b"avif"):
        film = film.replace(name, b"free", 1)
    assert difference(_shown(film), drawn) < 2
    start = film.index(b"ftyp")
    named_heic = film[:start] + b"ftyphevc" + film[start + 8 :].replace(b"avis", b"hevc", 1)
    assert fault(named_heic).code == "format_unsupported"


@pytest.mark.parametrize("kind", KINDS)
def test_transparency_shows_the_background(kind: str) -> None:
    drawn = pictures.cut_out(1, SIZE)
    expected = Image.alpha_composite(Image.new("RGBA", SIZE, "white"), drawn)
    assert (
        difference(opened(rendition(encoded(drawn, kind), Recipe(quality=95)).data), expected) < 3
    )


def test_colours_that_are_multiplied_by_alpha_are_undone() -> None:
    drawn = Image.new("RGBA", SIZE, (200, 100, 50, 128))
    data = encoded(drawn, "avif", alpha_premultiplied=True)
    assert b"prem" in data
    shown = _shown(data).getpixel((9, 9))
    assert isinstance(shown, tuple)
    assert all(
        abs(own - drawn_at) <= 2 for own, drawn_at in zip(shown, (200, 100, 50, 128), strict=True)
    )


@pytest.mark.parametrize("depth", [10, 12])
def test_more_than_eight_bits(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", depth == 12)
    grey = struct.pack("<H", 30_000) * 3 * 37 * 21
    file = pillow_heif.from_bytes("RGB;16", (37, 21), grey)
    target = io.BytesIO()
    file.save(target, quality=-1)
    result = rendition(target.getvalue(), LOSSLESS)
    assert (result.width, result.height) == (37, 21)
    assert opened(result.data).getpixel((36, 20)) == (117,) * 3


def test_grey_of_more_than_eight_bits() -> None:
    file = pillow_heif.from_bytes("I;16", (37, 21), struct.pack("<H", 30_000) * 37 * 21)
    target = io.BytesIO()
    file.save(target, quality=-1)
    assert _shown(target.getvalue()).getpixel((36, 20)) == (117,) * 3


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("sample_range", ["full", "limited"])
@pytest.mark.parametrize("stated", ["in a box", "in the stream"])
def test_the_range_of_samples(mode: str, sample_range: str, stated: str) -> None:
    """Monochrome of limited range is stretched too, whether a box says so or the AV1 stream."""
    ramp = Image.linear_gradient("L").convert(mode)
    data = encoded(ramp, "avif", range=sample_range)
    if stated == "in the stream":
        data = data.replace(b"colrnclx", b"skipnclx")
    shown = _shown(data).convert("L")
    worst = ImageChops.difference(shown, Image.linear_gradient("L")).getextrema()
    assert isinstance(worst[1], int)
    assert worst[1] <= 2


def test_an_empty_profile_is_none() -> None:
    drawn = pictures.draw(1, SIZE)
    data = encoded(drawn, "heic")
    emptied = with_properties(data, box(b"colr", b"prof"), nclx(1, 13), without=(b"colr",))
    assert difference(_shown(emptied), drawn) < 2


def test_broken_boxes_are_damage() -> None:
    """Each byte of the meta box set to 255: an answer, and never an exception."""
    whole = encoded(pictures.draw(1, (16, 16)), "avif")
    start = whole.index(b"meta")
    for at in range(start, start + 240, 3):
        broken = whole[:at] + b"\xff" + whole[at + 1 :]
        still.is_whole(broken)
        try:
            still.read_still(broken)
        except (ValueError, IndexError, struct.error):
            continue
