"""What comes out: fitted, upright, sRGB, small, and nothing of the photographer's in it."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image, ImageCms, ImageOps

from imageproc.images.compress import Recipe, encode
from imageproc.images.presets import PRESETS
from imageproc.images.recipe import OutputFormat
from tests.images.compress.files import (
    SMALL,
    difference,
    opened,
    rendition,
    sampling,
    variant,
)
from tests.support import pictures


@pytest.mark.parametrize("size", [SMALL, (1100, 850)], ids=str)
@pytest.mark.parametrize("source", pictures.VARIANTS)
def test_every_kind_becomes_a_catalogue_jpeg(source: str, size: tuple[int, int]) -> None:
    data = variant(source, size)
    result = rendition(data)
    picture = opened(result.data)

    assert (picture.format, picture.mode) == ("JPEG", "RGB")
    assert picture.size == (result.width, result.height)
    assert max(picture.size) == min(800, max(result.source_width, result.source_height))
    scale = result.width / result.source_width
    assert abs(result.source_height * scale - result.height) <= 1
    assert sampling(result.data) == [(2, 2), (1, 1), (1, 1)]
    assert not picture.getexif()
    assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"http://ns.adobe.com/xap" not in result.data
    assert (result.content_type, result.extension) == ("image/jpeg", "jpg")
    assert result.sha256 == hashlib.sha256(result.data).hexdigest()
    assert rendition(data).data == result.data


@pytest.mark.parametrize("size", [(1600, 1200), (2600, 1900), (3300, 1100)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_pictures_look_like_pillows_upright_rendering(
    size: tuple[int, int], orientation: int
) -> None:
    data = pictures.turned(orientation, 7, size)
    reference = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert difference(opened(rendition(data).data), reference) < 3


@pytest.mark.parametrize("name", [n for n in pictures.VARIANTS if not n.startswith("cut-out")])
def test_every_kind_shows_the_picture_that_was_drawn(name: str) -> None:
    drawn = pictures.draw(3, SMALL)
    if name in ("grey.jpg", "deep.png"):
        drawn = drawn.convert("L")
    # Without a profile ink has no true colour: libvips' press differs from Pillow's arithmetic.
    tolerance = 30 if "cmyk" in name else 4
    assert difference(opened(rendition(variant(name)).data), drawn) < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1000, 700), (400, 300)])
def test_every_exif_orientation_comes_out_upright(orientation: int, size: tuple[int, int]) -> None:
    result = rendition(pictures.turned(orientation, 5, size))
    assert (result.source_width, result.source_height) == size
    assert (result.width, result.height) == ((800, 560) if size[0] > 800 else size)
    assert difference(opened(result.data), pictures.draw(5, size)) < 2
    assert b"Secret Camera" not in result.data
    assert b"photographer" not in result.data


@pytest.mark.parametrize("kind", ["JPEG", "HEIF"])
@pytest.mark.parametrize("columns", [pictures.ADOBE_RGB, pictures.DISPLAY_P3])
def test_wide_colours_are_converted_not_just_relabelled(
    columns: tuple[tuple[float, float, float], ...], kind: str
) -> None:
    green = Image.new("RGB", (64, 64), (60, 180, 90))
    profile = pictures.rgb_profile("Wide RGB", columns)
    wide = ImageCms.profileToProfile(green, ImageCms.createProfile("sRGB"), io.BytesIO(profile))
    assert wide is not None
    assert difference(wide, green) > 10
    data = pictures.encoded(wide, kind, quality=95, icc_profile=profile)
    assert difference(opened(rendition(data, Recipe(quality=95)).data), green) < 3


def test_a_broken_profile_is_passed_over() -> None:
    data = pictures.encoded(pictures.draw(3, SMALL), "JPEG", icc_profile=b"not a profile" * 20)
    assert difference(opened(rendition(data).data), pictures.draw(3, SMALL)) < 2


def test_a_ycbcr_tiff_keeps_its_colours() -> None:
    data = pictures.encoded(pictures.draw(3, SMALL).convert("YCbCr"), "TIFF")
    assert difference(opened(rendition(data).data), pictures.draw(3, SMALL)) < 3


@pytest.mark.parametrize(("background", "expected"), [("#ffffff", 255), ("#000000", 1)])
def test_transparency_shows_the_background(background: str, expected: int) -> None:
    result = rendition(variant("cut-out.png"), Recipe(background=background))
    corner = opened(result.data).getpixel((2, 2))
    assert corner == (expected,) * 3  # paper white stays exactly white


@pytest.mark.parametrize(("width", "first_step"), [(250, 23), (251, 20)])
def test_a_small_jpeg_goes_without_trellis(
    monkeypatch: pytest.MonkeyPatch, width: int, first_step: int
) -> None:
    """With trellis it would be smaller even at the finer step."""
    data = pictures.jpeg(3, (width, 200), 95)
    result = rendition(data).data
    assert opened(result).quantization[0][0] == first_step  # type: ignore[attr-defined]
    monkeypatch.setattr(encode, "_SMALL_JPEG", 0)
    assert (len(rendition(data).data) < len(result)) == (width == 250)


@pytest.mark.parametrize(
    ("side", "grey", "expected"), [(200, 255, 255), (300, 255, 255), (200, 0, 0), (300, 0, 1)]
)
def test_paper_stays_white_and_ink_black(side: int, grey: int, expected: int) -> None:
    plain = pictures.encoded(Image.new("L", (side, side), grey), "PNG")
    extrema = opened(rendition(plain).data).convert("L").getextrema()
    assert extrema == (expected, expected)


@pytest.mark.parametrize("output", ["webp", "avif", "png"])
def test_other_formats_keep_transparency(output: OutputFormat) -> None:
    result = rendition(variant("cut-out.png"), Recipe(format=output))
    picture = opened(result.data)
    assert (picture.format, picture.mode) == (output.upper(), "RGBA")
    assert picture.getchannel("A").getextrema() == (0, 255)
    assert result.content_type == f"image/{output}"


def test_half_keeps_the_size() -> None:
    result = rendition(pictures.jpeg(1, (1300, 900)), PRESETS["half"].recipe)
    assert (result.width, result.height) == (1300, 900)


def test_the_box_may_be_any_shape() -> None:
    data = pictures.turned(6, 1, (1200, 400))
    result = rendition(data, Recipe(max_width=300, max_height=50))
    assert (result.width, result.height) == (150, 50)


def test_a_smaller_original_is_kept_without_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret Camera"
    tight = pictures.encoded(pictures.draw(2, (300, 200)), "JPEG", quality=5, exif=exif)
    result = rendition(tight, Recipe(quality=90))
    assert result.kept_original
    assert len(result.data) < len(tight)
    assert b"Secret" not in result.data
    assert opened(result.data).tobytes() == opened(tight).tobytes()


@pytest.mark.parametrize("output", ["png", "webp"])
def test_smaller_png_and_webp_originals_are_kept_too(output: OutputFormat) -> None:
    options = {"quality": 5, "method": 6} if output == "webp" else {"optimize": True}
    flat = Image.new("RGB", (64, 64), "red") if output == "png" else pictures.draw(2, (300, 200))
    tight = pictures.encoded(flat, output.upper(), **options)
    result = rendition(tight, Recipe(format=output, quality=90))
    assert result.kept_original
    assert len(result.data) <= len(tight)
    assert opened(result.data).tobytes() == opened(tight).tobytes()


@pytest.mark.parametrize(
    "data",
    [
        pictures.turned(6, 2, (300, 200)),
        pictures.profiled(pictures.ADOBE_RGB, 2, (300, 200)),
        pictures.encoded(pictures.draw(2, (300, 200)).convert("CMYK"), "JPEG"),
    ],
    ids=["turned", "wide colours", "ink"],
)
def test_an_original_that_is_not_what_was_asked_for_is_never_kept(data: bytes) -> None:
    result = rendition(data, Recipe(quality=100))
    assert not result.kept_original


def test_eight_threads_at_once_give_the_same_bytes_as_one() -> None:
    names = list(pictures.VARIANTS)
    alone = [rendition(variant(name)).sha256 for name in names]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda name: rendition(variant(name)).sha256, names * 6))
    assert together == alone * 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"quality": 0},
        {"quality": 101},
        {"max_width": 0},
        {"format": "gif"},
        {"background": "white"},
        {"background": "#fff0"},
    ],
)
def test_a_recipe_that_cannot_be_followed_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"quality|max_|format|background"):
        Recipe(**wrong)  # type: ignore[arg-type]
