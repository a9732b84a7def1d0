"""libjpeg-turbo decodes most JPEGs, libvips all others and what that refuses, to one result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imageproc.images.compress import Recipe, decode, load
from imageproc.images.compress.identify import Source
from imageproc.images.presets import PRESETS
from tests.images.compress.files import SMALL, fault, rendition, variant
from tests.support import pictures

TURBO = load._by_turbo
DRAWN: dict[str, Callable[[], bytes]] = {
    "as it is": lambda: pictures.jpeg(1, SMALL),
    "halved, odd sides": lambda: pictures.jpeg(2, (1601, 1203)),
    "an eighth": lambda: pictures.jpeg(3, (6500, 300)),
    "turned": lambda: pictures.turned(6, 5, (1000, 700)),
    "wide colours": lambda: pictures.profiled(pictures.DISPLAY_P3, 3, (1000, 700)),
    "progressive": lambda: variant("progressive.jpg", (1700, 1300)),
    "grey": lambda: variant("grey.jpg", (1700, 1300)),
    "full colour": lambda: pictures.encoded(
        pictures.draw(4, (1700, 1300)), "JPEG", quality=95, subsampling=0
    ),
    "colours halved one way": lambda: pictures.encoded(
        pictures.draw(4, (1901, 1267)), "JPEG", quality=90, subsampling="4:2:2"
    ),
    "optimised": lambda: pictures.encoded(pictures.draw(6, (1333, 2001)), "JPEG", optimize=True),
    "too large for one decoder": lambda: pictures.jpeg(7, (2600, 1800)),
}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether libjpeg-turbo gave a picture, for each time that it was asked."""
    given: list[bool] = []

    def noted(*arguments: Any) -> Any:
        pixels = TURBO(*arguments)
        given.append(pixels is not None)
        return pixels

    monkeypatch.setattr(load, "_by_turbo", noted)
    return given


@pytest.mark.parametrize("preset", ["catalog", "half"])
@pytest.mark.parametrize("name", DRAWN)
def test_both_decoders_make_the_same_file(
    name: str, preset: str, answers: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DRAWN[name]()
    by_either = rendition(data, PRESETS[preset].recipe).data
    assert answers in ([True], [])  # []: too large to be decoded at once
    assert answers or preset == "half"
    monkeypatch.setattr(load, "_by_turbo", lambda *_: None)
    assert rendition(data, PRESETS[preset].recipe).data == by_either


def test_ink_is_left_to_libvips(answers: list[bool]) -> None:
    rendition(variant("print.cmyk.jpg"))
    assert answers == []


def test_a_large_picture_is_read_row_by_row(answers: list[bool]) -> None:
    rendition(pictures.jpeg(1, (2001, 2000)), Recipe(None, None))
    assert answers == []


def test_a_harmless_flaw_that_one_refuses_is_no_damage(answers: list[bool]) -> None:
    """Some cameras write stray bytes before the end of the image."""
    data = pictures.jpeg(1, SMALL)
    flawed = rendition(data[:-2] + bytes(40) + data[-2:])
    assert answers == [False]
    assert flawed.data == rendition(data).data


ADOBE = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1"  # transform 1: YCbCr


@pytest.mark.parametrize(
    ("make", "asked"),
    [
        (lambda: pictures.jpeg(1, SMALL), 0),
        (lambda: pictures.turned(3, 1, SMALL), 1),
        (lambda: pictures.profiled(pictures.DISPLAY_P3, 1, SMALL), 1),
        (lambda: b"\xff\xd8" + ADOBE + pictures.jpeg(1, SMALL)[2:], 1),
    ],
    ids=["bare", "exif", "profile", "adobe"],
)
def test_libvips_is_asked_of_the_header_where_it_says_something(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], bytes], asked: int
) -> None:
    seen: list[Source] = []

    def noted(source: Source) -> Any:
        seen.append(source)
        return load.load(source)

    monkeypatch.setattr(decode, "load", noted)
    rendition(make())
    assert len(seen) == asked


def test_what_libjpeg_turbo_finds_damaged_is_not_tried_again(answers: list[bool]) -> None:
    """libvips would not look at a warning in the last rows."""
    for name in ("camera.jpg", "grey.jpg", "display-p3.jpg", "print.cmyk.jpg"):
        assert fault(variant(name)[:-100]).code == "image_truncated"
    assert answers == []
