"""Each option of a recipe reaches the pixels or the file: background, quality, format, box."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image, ImageChops, ImageStat

from imageproc.images.compress import Recipe
from imageproc.images.recipe import OutputFormat
from tests.images.compress.files import opened, rendition
from tests.images.compress.heif_files import encoded
from tests.support import pictures

SIZE = (64, 48)
BACKGROUNDS = ("#ffffff", "#000000", "#ff8040", "#0a64c8")
OUTPUTS: tuple[OutputFormat, ...] = ("jpeg", "webp", "avif", "png")


def _layers(mode: str = "RGBA") -> Image.Image:
    """Three stripes: solid, half transparent, and nothing at all."""
    picture = Image.new("RGBA", SIZE, (40, 160, 90, 255))
    picture.paste((40, 160, 90, 128), (0, 16, 64, 32))
    picture.paste((40, 160, 90, 0), (0, 32, 64, 48))
    return picture.convert(mode)


def _key_colour() -> bytes:
    """An RGB PNG in which one colour counts as transparent (tRNS)."""
    picture = Image.new("RGB", SIZE, (40, 160, 90))
    picture.paste((255, 0, 255), (0, 32, 64, 48))
    return pictures.encoded(picture, "PNG", transparency=(255, 0, 255))


def _palette(file_format: str) -> bytes:
    picture = Image.new("P", SIZE, 0)
    picture.putpalette([40, 160, 90, 255, 0, 255])
    picture.paste(1, (0, 32, 64, 48))
    return pictures.encoded(picture, file_format, transparency=1)


TRANSPARENT: dict[str, Callable[[], bytes]] = {
    "png": lambda: pictures.encoded(_layers(), "PNG"),
    "grey.png": lambda: pictures.encoded(_layers("LA"), "PNG"),
    "key.png": _key_colour,
    "palette.png": lambda: _palette("PNG"),
    "gif": lambda: _palette("GIF"),
    "lossless.webp": lambda: pictures.encoded(_layers(), "WEBP", lossless=True, exact=True),
    "webp": lambda: pictures.encoded(_layers(), "WEBP", quality=100),
    "tiff": lambda: pictures.encoded(_layers(), "TIFF"),
    "avif": lambda: encoded(_layers(), "avif"),
    "heic": lambda: encoded(_layers(), "heic"),
}


def _on(background: str, picture: Image.Image) -> Image.Image:
    canvas = Image.new("RGBA", picture.size, background)
    canvas.alpha_composite(picture.convert("RGBA"))
    return canvas.convert("RGB")


def _furthest(one: Image.Image, other: Image.Image) -> int:
    bands = ImageChops.difference(one, other).getextrema()
    return max(int(high) for _, high in bands)  # type: ignore[misc]


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("name", TRANSPARENT)
def test_the_background_shows_through_transparency(name: str, background: str) -> None:
    data = TRANSPARENT[name]()
    result = rendition(data, Recipe(quality=100, background=background))
    picture = Image.open(io.BytesIO(data))
    expected = _on(background, picture)
    shown = opened(result.data)
    for y in (8, 24, 40):  # the middle of each stripe
        pairs = zip(shown.getpixel((32, y)), expected.getpixel((32, y)), strict=True)  # type: ignore[arg-type]
        assert max(abs(one - other) for one, other in pairs) <= 4, y


@pytest.mark.parametrize("output", ["webp", "avif", "png"])
@pytest.mark.parametrize("name", ["png", "palette.png", "gif", "avif", "heic"])
def test_where_transparency_is_kept_no_background_is_put_in(
    name: str, output: OutputFormat
) -> None:
    data = TRANSPARENT[name]()
    results = {
        rendition(data, Recipe(format=output, quality=100, background=each)).data
        for each in BACKGROUNDS
    }
    assert len(results) == 1
    kept = opened(results.pop()).convert("RGBA")
    assert kept.getchannel("A").getpixel((32, 40)) <= 1  # type: ignore[operator]  # AVIF rounds
    assert kept.getchannel("A").getpixel((32, 8)) >= 254  # type: ignore[operator]


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_an_opaque_picture_has_no_background(background: str) -> None:
    data = pictures.jpeg(1, SIZE)
    assert rendition(data, Recipe(background=background)).data == rendition(data, Recipe()).data


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("size", [(200, 150), (400, 300)])
def test_quality_costs_bytes_and_buys_likeness(output: OutputFormat, size: tuple[int, int]) -> None:
    drawn = pictures.draw(4, size)
    data = pictures.encoded(drawn, "PNG")
    results = [
        rendition(data, Recipe(format=output, quality=each)).data for each in (1, 20, 50, 80, 100)
    ]
    lengths = [len(each) for each in results]
    errors = [
        sum(ImageStat.Stat(ImageChops.difference(opened(each).convert("RGB"), drawn)).mean)
        for each in results
    ]
    if output == "png":
        assert len(set(results)) == 1
        assert errors == [0.0] * 5
    else:
        assert lengths == sorted(set(lengths))
        assert errors == sorted(set(errors), reverse=True)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("source", OUTPUTS)
def test_every_format_becomes_every_other(source: OutputFormat, output: OutputFormat) -> None:
    data = pictures.encoded(pictures.draw(2, (160, 120)), source.upper(), quality=95)
    result = rendition(data, Recipe(format=output, quality=95))
    shown = opened(result.data)
    assert (shown.format, shown.size) == (output.upper(), (160, 120))
    assert result.content_type == f"image/{output}"
    assert result.extension == {"jpeg": "jpg"}.get(output, output)
    difference = ImageChops.difference(shown.convert("RGB"), opened(data).convert("RGB"))
    assert max(ImageStat.Stat(difference).mean) < 3


def test_png_to_png_changes_no_pixel() -> None:
    for picture in (pictures.draw(2, SIZE), pictures.cut_out(2, SIZE), _layers("LA")):
        data = pictures.encoded(picture, "PNG")
        shown = opened(rendition(data, Recipe(format="png")).data)
        assert _furthest(shown.convert("RGBA"), picture.convert("RGBA")) == 0


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((None, None), (400, 300)),
        ((400, 300), (400, 300)),
        ((401, 301), (400, 300)),
        ((399, 300), (399, 299)),
        ((400, 299), (399, 299)),
        ((200, None), (200, 150)),
        ((None, 75), (100, 75)),
        ((1, 300), (1, 1)),
        ((2, None), (2, 2)),
    ],
)
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_picture_fits_its_box(
    box: tuple[int | None, int | None], expected: tuple[int, int], output: OutputFormat
) -> None:
    data = pictures.jpeg(1, (400, 300))
    result = rendition(data, Recipe(*box, format=output))
    assert opened(result.data).size == expected == (result.width, result.height)


@pytest.mark.parametrize("output", ["png", "webp"])
def test_a_half_transparent_colour_is_the_same_colour_when_it_is_smaller(output: str) -> None:
    """Neither darker, nor tinged by the colour that hides behind full transparency beside it."""
    picture = Image.new("RGBA", (400, 200), (200, 100, 50, 128))
    picture.paste((0, 255, 0, 0), (200, 0, 400, 200))
    recipe = Recipe(max_width=100, max_height=100, format=output, quality=100)  # type: ignore[arg-type]
    shown = opened(rendition(pictures.encoded(picture, "PNG"), recipe).data).convert("RGBA")
    for x, alpha in ((10, 128), (40, 128), (49, 121)):
        pixel = shown.getpixel((x, 25))
        assert isinstance(pixel, tuple)
        furthest = max(
            abs(got - due) for got, due in zip(pixel, (200, 100, 50, alpha), strict=True)
        )
        assert furthest <= 3, (x, pixel)
    assert shown.getpixel((60, 25))[3] == 0  # type: ignore[index]
