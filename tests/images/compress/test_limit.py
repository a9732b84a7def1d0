"""A limit of bytes: kept, by quality first, then by size."""

from __future__ import annotations

from typing import Any

import pytest

from imageproc.images.compress import Recipe, encode, limit
from imageproc.images.recipe import OutputFormat
from tests.images.compress.files import fault, opened, rendition
from tests.support import pictures

SIZE = (900, 700)


@pytest.mark.parametrize("output", ["jpeg", "webp", "avif", "png"])
@pytest.mark.parametrize("most", [5_000, 20_000, 60_000, 5_000_000])
def test_a_limit_is_kept(output: OutputFormat, most: int) -> None:
    recipe = Recipe(800, 800, 90, output)
    for data in (pictures.jpeg(2, SIZE), pictures.encoded(pictures.cut_out(2, SIZE), "PNG")):
        free = rendition(data, recipe)
        held = rendition(data, Recipe(800, 800, 90, output, max_bytes=most))
        assert len(held.data) <= most
        assert opened(held.data).size == (held.width, held.height)
        if len(free.data) <= most:
            assert held.data == free.data


def test_quality_goes_first_and_most_of_the_limit_is_used() -> None:
    data = pictures.jpeg(2, SIZE)
    most = len(rendition(data, Recipe(800, 800, 90)).data) * 2 // 3
    held = rendition(data, Recipe(800, 800, 90, max_bytes=most))
    assert (held.width, held.height) == (800, 622)
    assert most * 0.7 < len(held.data) <= most
    smaller = rendition(data, Recipe(800, 800, 90, max_bytes=5_000))
    assert 300 < smaller.width < 700


def test_an_exact_size_is_kept_or_the_picture_fails() -> None:
    data = pictures.jpeg(2, SIZE)
    held = rendition(data, Recipe(300, 300, 90, fit="pad", max_bytes=10_000))
    assert (held.width, held.height) == (300, 300)
    refused = fault(data, Recipe(2000, 2000, 90, fit="cover", max_bytes=5_000))
    assert refused.code == "cannot_encode"


def test_the_number_of_tries_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    original = encode.encode

    def counted(*arguments: Any) -> bytes:
        tries.append(1)
        return original(*arguments)

    monkeypatch.setattr(limit, "encode", counted)
    data = pictures.jpeg(2, SIZE)
    for most in (5_000, 30_000, 70_000):
        tries.clear()
        rendition(data, Recipe(800, 800, 95, max_bytes=most))
        assert 1 < len(tries) <= 10
