"""The judge's own eye: a number drawn is a number read, after all that the service does to it."""

from __future__ import annotations

import io
from random import Random

import pytest
from PIL import Image

from imageproc.images.compress import Budget, Recipe, Rendition, compress
from tests.support import numbered

NUMBERS = [0, 1, 7, 2**24 - 1, *(Random(5).randrange(2**24) for _ in range(50))]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_outlives_the_codec(number: int) -> None:
    rendition = compress(numbered.jpeg(number), Recipe(), Budget())
    assert isinstance(rendition, Rendition)
    assert numbered.shown(rendition.data) == number


def test_it_outlives_800_pixels_at_quality_30() -> None:
    with Image.open(io.BytesIO(numbered.jpeg(123_456))) as image:
        target = io.BytesIO()
        image.resize((800, 667)).save(target, "JPEG", quality=30)
    assert numbered.shown(target.getvalue()) == 123_456


@pytest.mark.parametrize("colour", ["black", "white", "grey"])
def test_a_picture_without_blocks_shows_no_number(colour: str) -> None:
    target = io.BytesIO()
    Image.new("RGB", numbered.SIZE, colour).save(target, "PNG")
    assert numbered.shown(target.getvalue()) is None


def test_half_a_picture_of_another_shows_no_number_or_another() -> None:
    """The lower half of one product below the upper half of the next."""
    halves = [Image.open(io.BytesIO(numbered.jpeg(number))) for number in (12_345_678, 2_345_679)]
    mixed = halves[0].copy()
    mixed.paste(halves[1].crop((0, 120, *numbered.SIZE)), (0, 120))
    target = io.BytesIO()
    mixed.save(target, "PNG")
    assert numbered.shown(target.getvalue()) not in (12_345_678, 2_345_679)
