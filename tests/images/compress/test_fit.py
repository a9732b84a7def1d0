"""How a picture gets into its box: fit, crop, trim, margin and sharpening."""

from __future__ import annotations

import hashlib
from itertools import product
from random import Random

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps, ImageStat

from imageproc.images.compress import Recipe
from imageproc.images.compress.framing import Part
from imageproc.images.presets import PRESETS
from imageproc.images.recipe import Crop, Fit, OutputFormat, RecipeError
from tests.images.compress.files import difference, fault, opened, rendition, variant
from tests.support import pictures

WHITE = (255, 255, 255)
LOSSLESS: OutputFormat = "png"


def product_on(colour: tuple[int, int, int], seed: int, size: tuple[int, int]) -> Image.Image:
    """A drawn product somewhere on a plain backdrop, at 15 to 90 % of it."""
    random = Random(seed)
    width = int(size[0] * random.uniform(0.15, 0.9))
    height = int(size[1] * random.uniform(0.15, 0.9))
    left, top = random.randint(0, size[0] - width), random.randint(0, size[1] - height)
    picture = Image.new("RGB", size, colour)
    pen = ImageDraw.Draw(picture)
    box = (left, top, left + width - 1, top + height - 1)
    shape = random.choice([pen.ellipse, pen.rectangle])
    shape(box, fill=(random.randint(0, 150), random.randint(0, 150), random.randint(0, 150)))
    return picture


def filled(picture: Image.Image, background: tuple[int, int, int]) -> float:
    """The share of the longer side that differs from the background by more than 32 of 255."""
    plain = Image.new("RGB", picture.size, background)
    bands = ImageChops.difference(picture.convert("RGB"), plain).split()
    strongest = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2])
    box = strongest.point(lambda value: 255 if value > 32 else 0).getbbox()
    assert box is not None
    return max((box[2] - box[0]) / picture.width, (box[3] - box[1]) / picture.height)


def corners(picture: Image.Image) -> set[object]:
    right, bottom = picture.width - 1, picture.height - 1
    shown = picture.convert("RGB")
    return {shown.getpixel(point) for point in product((0, right), (0, bottom))}


def apart(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures of one size, 0-255."""
    between = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return sum(ImageStat.Stat(between).mean) / 3


# --- Today's options ------------------------------------------------------------------------------
OLD_OPTIONS = (
    PRESETS["catalog"].recipe,
    PRESETS["half"].recipe,
    Recipe(format="webp"),
    Recipe(max_width=200, format="avif"),
    Recipe(format="png"),
    Recipe(max_width=300, max_height=50, quality=77, background="#0a64c8"),
)


def test_what_could_be_asked_for_before_has_the_same_bytes() -> None:
    """Of this version of libvips and its encoders: with another, take the digest before a change
    and after it."""
    together = hashlib.sha256()
    for name, recipe in product(("plain.png", "cut-out.png", "deep.png"), OLD_OPTIONS):
        together.update(rendition(variant(name), recipe).data)
    assert together.hexdigest() == DIGEST


DIGEST = "fafea41ab99b28a528f20b939affefa1743afa4ccd79af215c1fd27346942d75"


# --- Sizes ----------------------------------------------------------------------------------------
SIZES = [(1, 1), (2, 300), (301, 2), (333, 501), (2500, 1200)]
BOXES = [(1, 1), (7, 300), (241, 200), (900, 90)]


@pytest.mark.parametrize("size", SIZES)
def test_exact_fits_have_the_exact_size(size: tuple[int, int]) -> None:
    files = [pictures.jpeg(1, size), pictures.encoded(pictures.cut_out(1, size), "PNG")]
    options: list[dict[str, object]] = [
        {"fit": "pad"},
        {"fit": "pad", "margin": 7.5, "trim": 10},
        {"fit": "pad", "margin": 45},
        {"fit": "cover"},
        {"fit": "cover", "crop": "attention"},
        {"fit": "cover", "crop": "attention", "trim": 10},
    ]
    for data, box, each in product(files, BOXES, options):
        result = rendition(data, Recipe(*box, **each))  # type: ignore[arg-type]
        assert (result.width, result.height) == opened(result.data).size == box, each
        assert (result.source_width, result.source_height) == size


@pytest.mark.parametrize("name", pictures.VARIANTS)
def test_every_kind_of_file_gets_every_fit(name: str) -> None:
    """Compared with the picture that the fit ``inside`` makes of it, padded or cut by Pillow."""
    data = variant(name)
    whole = opened(rendition(data, Recipe(None, None, format=LOSSLESS)).data)
    on_white = Image.new("RGBA", whole.size, "white")
    on_white.alpha_composite(whole.convert("RGBA"))
    flat = on_white.convert("RGB")
    padded = opened(rendition(data, Recipe(300, 500, fit="pad", format=LOSSLESS)).data)
    reference = ImageOps.pad(flat, (300, 500), Image.Resampling.LANCZOS, color="white")
    assert apart(padded, reference) <= 2
    assert corners(padded) == {WHITE}
    covered = opened(rendition(data, Recipe(200, 300, 100, fit="cover")).data)
    reference = ImageOps.fit(flat, (200, 300), Image.Resampling.LANCZOS)
    # Seen from afar: ink is made smaller before it becomes light, which changes its grain.
    assert difference(covered, reference) <= 2
    trimmed = rendition(data, Recipe(300, 300, trim=10, fit="pad", margin=5))
    assert corners(opened(trimmed.data)) == {WHITE}


@pytest.mark.parametrize("turn", range(2, 9))
@pytest.mark.parametrize("options", [{"fit": "pad"}, {"fit": "cover"}, {"fit": "pad", "trim": 60}])
def test_a_turned_picture_is_framed_as_it_is_shown(turn: int, options: dict[str, object]) -> None:
    for size in ((400, 250), (250, 400)):
        recipe = Recipe(200, 100, quality=90, **options)  # type: ignore[arg-type]
        results = [
            opened(rendition(data, recipe).data)
            for data in (pictures.jpeg(1, size), pictures.turned(turn, 1, size))
        ]
        assert apart(*results) < 2


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_part_before_it_is_turned(turn: int) -> None:
    shown = Image.new("L", (30, 20))
    shown.paste(255, (3, 5, 14, 9))
    stored = shown.transpose(pictures.STORED_AS[turn]) if turn > 1 else shown
    part = Part(3, 5, 11, 4).as_stored(turn, shown.size)
    box = (part.left, part.top, part.left + part.width, part.top + part.height)
    assert stored.getbbox() == box


# --- Padding and trimming -------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("colour", [WHITE, (244, 240, 233), (90, 120, 200)])
def test_a_product_fills_85_percent_of_a_square(kind: str, colour: tuple[int, int, int]) -> None:
    recipe = Recipe(800, 800, quality=85, fit="pad", trim=20, margin=7.5)
    for seed, size in enumerate([(700, 500), (300, 900), (2600, 1900), (240, 240)]):
        drawn = product_on(colour, seed, size)
        data = pictures.encoded(drawn, kind, quality=90)
        result = opened(rendition(data, recipe).data)
        assert corners(result) == {WHITE}
        if colour == WHITE:
            assert filled(result, WHITE) == pytest.approx(0.85, abs=0.01), (seed, size)


@pytest.mark.parametrize("colour", [WHITE, (244, 240, 233), (0, 0, 0), (90, 120, 200)])
def test_a_trimmed_picture_has_no_border_left(colour: tuple[int, int, int]) -> None:
    for seed in range(4):
        drawn = product_on(colour, seed, (600, 450)).filter(ImageFilter.GaussianBlur(1))
        plain = Image.new("RGB", drawn.size, colour)
        found = ImageChops.difference(drawn, plain).convert("L").point(lambda v: 255 * (v > 10))
        box = found.getbbox()
        assert box is not None
        data = pictures.encoded(drawn, "PNG")
        result = rendition(data, Recipe(None, None, trim=10, format=LOSSLESS))
        assert abs(result.width - (box[2] - box[0])) <= 2
        assert abs(result.height - (box[3] - box[1])) <= 2


@pytest.mark.parametrize("output", ["jpeg", "webp", "avif", "png"])
@pytest.mark.parametrize("quality", [8, 25, 30, 41, 57, 85])
def test_padding_on_white_is_white(output: OutputFormat, quality: int) -> None:
    for data in (variant("cut-out.png"), variant("camera.jpg")):
        recipe = Recipe(240, 400, quality, output, fit="pad", margin=10)
        assert corners(opened(rendition(data, recipe).data)) == {WHITE}


def test_a_cut_out_has_no_dark_edge_on_white() -> None:
    recipe = Recipe(300, 300, format=LOSSLESS, fit="pad", trim=1)
    drawn = pictures.cut_out(3, (480, 360))
    shown = Image.new("RGBA", drawn.size, "white")
    shown.alpha_composite(drawn)
    cut = shown.convert("RGB").crop(drawn.getchannel("A").point(lambda v: 255 * (v > 1)).getbbox())
    expected = ImageOps.pad(cut, (300, 300), Image.Resampling.LANCZOS, color="white")
    assert apart(opened(rendition(pictures.encoded(drawn, "PNG"), recipe).data), expected) <= 2


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (300, 200), "white"),
        Image.new("RGB", (1, 1), "red"),
        Image.new("RGB", (2, 900), "red"),
        Image.new("RGBA", (300, 200), (0, 0, 0, 0)),
    ],
    ids=["white", "one pixel", "thin", "transparent"],
)
def test_a_picture_that_is_all_border_is_left_whole(picture: Image.Image) -> None:
    data = pictures.encoded(picture, "PNG")
    inside = rendition(data, Recipe(None, None, trim=10, format=LOSSLESS))
    assert (inside.width, inside.height) == picture.size


def test_specks_are_no_product() -> None:
    drawn = product_on(WHITE, 2, (600, 450))
    clean = rendition(pictures.encoded(drawn, "PNG"), Recipe(None, None, trim=10))
    drawn.putpixel((3, 3), (0, 0, 0))
    drawn.putpixel((590, 440), (0, 0, 0))
    dusty = rendition(pictures.encoded(drawn, "PNG"), Recipe(None, None, trim=10))
    assert (dusty.width, dusty.height) == (clean.width, clean.height)


def test_attention_finds_what_is_not_in_the_middle() -> None:
    picture = Image.new("RGB", (900, 300), (230, 230, 230))
    ImageDraw.Draw(picture).rectangle((700, 80, 820, 220), fill=(200, 30, 30))
    data = pictures.encoded(picture, "PNG")
    boxes: dict[Crop, bool] = {}
    for crop in ("centre", "attention"):
        shown = opened(rendition(data, Recipe(200, 200, 90, fit="cover", crop=crop)).data)
        darkest = shown.convert("RGB").getchannel("G").getextrema()[0]
        boxes[crop] = darkest < 80  # type: ignore[operator]
    assert boxes == {"centre": False, "attention": True}


# --- Sharpening -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("side", "differs"), [(200, True), (300, False)])
def test_only_what_becomes_much_smaller_is_sharpened(side: int, differs: bool) -> None:
    for name in ("camera.jpg", "cut-out.png"):
        plain = rendition(variant(name), Recipe(side, side, format=LOSSLESS))
        sharp = rendition(variant(name), Recipe(side, side, format=LOSSLESS, sharpen=True))
        assert (plain.data != sharp.data) is differs
        assert 0.2 * differs <= apart(opened(plain.data), opened(sharp.data)) < 4


# --- Damage and budget ----------------------------------------------------------------------------
@pytest.mark.parametrize("fit", ["pad", "cover"])
def test_a_file_that_is_cut_off_is_refused_whatever_part_is_shown(fit: Fit) -> None:
    for data in (pictures.jpeg(1, (400, 900)), variant("plain.png", (400, 900))):
        cut = data[: int(len(data) * 0.9)]
        for recipe in (Recipe(100, 100, fit=fit), Recipe(100, 100, fit=fit, trim=10)):
            assert fault(cut, recipe).code == "image_truncated"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"fit": "fill"}, "fit"),
        ({"crop": "left", "fit": "cover"}, "crop"),
        ({"crop": "attention"}, "crop"),
        ({"trim": -1}, "trim"),
        ({"trim": 101}, "trim"),
        ({"margin": 5}, "margin"),
        ({"margin": 5, "fit": "cover"}, "margin"),
        ({"margin": 45.1, "fit": "pad"}, "margin"),
        ({"margin": float("nan"), "fit": "pad"}, "margin"),
        ({"fit": "pad", "max_width": None}, "max_width"),
        ({"fit": "cover", "max_height": None}, "max_height"),
        ({"fit": "pad", "max_width": 5001, "max_height": 5000}, "max_width"),
    ],
)
def test_a_fit_that_cannot_be_made_names_its_field(wrong: dict[str, object], field: str) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe(**wrong)  # type: ignore[arg-type]
    assert error.value.field == field
