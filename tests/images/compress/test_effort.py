"""Encoders within their time and memory: less effort for larger pictures, or a plain refusal."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest

from imageproc.images.compress import Budget, Recipe, effort, encode, rendition
from imageproc.images.compress.engine import vips
from imageproc.images.recipe import OutputFormat
from tests.images.compress.files import fault
from tests.images.compress.files import rendition as done
from tests.support import pictures

ROOM = 365_000_000
MEGA = 1_000_000


@pytest.mark.parametrize("output", get_args(OutputFormat))
def test_no_effort_is_above_the_limits(output: OutputFormat) -> None:
    sizes, qualities = (0.01, 1, 8, 22, 50), (1, 50, 70, 90, 95, 100)
    for alpha, megapixels, quality in itertools.product((False, True), sizes, qualities):
        pixels = int(megapixels * MEGA)
        chosen = effort.best(output, alpha, pixels, quality, effort.EncodingLimits(ROOM))
        if chosen is not None:
            assert effort.at_quality(chosen.seconds, quality) * megapixels <= 6
            assert effort.at_quality(chosen.held, quality) * pixels <= ROOM


@pytest.mark.parametrize(
    ("output", "quality", "megapixels", "expected"),
    [
        # Ordinary results are written as well as the format can.
        ("jpeg", 30, 0.64, {"optimize_coding": True, "trellis_quant": True}),
        ("jpeg", 50, 24, {"optimize_coding": True, "trellis_quant": True}),
        ("webp", 80, 0.64, {"effort": 4, "smart_subsample": True}),
        ("avif", 50, 0.64, {"effort": 2}),
        ("png", 100, 0.64, {"compression": 6, "filter": "all"}),
        # Large ones with less effort.
        ("jpeg", 50, 50, {"optimize_coding": True, "trellis_quant": False}),
        ("jpeg", 100, 50, {"optimize_coding": False, "trellis_quant": False}),
        ("webp", 50, 14, {"effort": 2, "smart_subsample": True}),
        ("webp", 50, 50, {"effort": 0}),
        ("avif", 50, 2.1, {"effort": 0}),
        ("png", 50, 50, {"compression": 1, "filter": "none"}),
        # The largest not at all.
        ("webp", 100, 50, None),
        ("avif", 50, 17, None),
    ],
)
def test_effort_follows_size_and_quality(
    output: OutputFormat, quality: int, megapixels: float, expected: dict[str, Any] | None
) -> None:
    pixels = int(megapixels * MEGA)
    chosen = effort.best(output, False, pixels, quality, effort.EncodingLimits(ROOM))
    assert (chosen and chosen.options) == expected


@pytest.mark.parametrize(("output", "megapixels"), [("webp", 15), ("avif", 8), ("png", 41)])
def test_transparency_costs_more(output: OutputFormat, megapixels: int) -> None:
    """The largest picture that is still written with alpha; a little more is refused."""
    pixels = megapixels * MEGA
    assert effort.best(output, True, pixels, 50, effort.EncodingLimits(ROOM))
    above = int(1.15 * pixels)
    assert not effort.best(output, True, above, 50, effort.EncodingLimits(ROOM))
    assert effort.best(output, False, above, 50, effort.EncodingLimits(ROOM))


def test_a_jpeg_of_low_quality_fits_beside_any_source() -> None:
    assert effort.best("jpeg", False, 50 * MEGA, 50, effort.EncodingLimits(0))


def test_time_spent_on_colours_is_not_there_for_the_encoder() -> None:
    after_hdr = effort.EncodingLimits(ROOM, 6.0 - 0.12 * 40)
    assert not effort.best("webp", False, 40 * MEGA, 50, after_hdr)
    assert effort.best("webp", False, 40 * MEGA, 50, effort.EncodingLimits(ROOM))
    assert effort.best("jpeg", False, 50 * MEGA, 50, effort.EncodingLimits(ROOM, 0.0))


def test_what_a_source_holds_is_not_there_for_the_encoder() -> None:
    data = pictures.encoded(pictures.draw(1, (1600, 1200)), "JPEG", progressive=True)
    recipe = Recipe(None, None, format="avif")
    held = 1600 * 1200 * 3 + 2 * len(data)  # 4:2:0, two bytes a sample
    refused = fault(data, recipe, Budget(max_held_bytes=held + 1_000_000))
    assert refused.code == "cannot_encode"
    assert done(data, recipe).width == 1600


def test_a_failure_of_the_encoder_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """libwebp gives up on some pictures (its first partition holds 512 KB)."""
    engine = vips()

    def fail(*_: Any, **__: Any) -> bytes:
        raise engine.Error("unable to encode")

    sound = pictures.jpeg(1, (300, 200))
    broken = sound[: len(sound) // 2] + b"\xff\xd9"
    monkeypatch.setattr(rendition, "encode", fail)
    failed = fault(sound, Recipe(format="webp"))
    assert (failed.code, failed.permanent) == ("cannot_encode", True)
    assert fault(broken, Recipe(format="webp")).code == "image_corrupt"


def test_the_options_of_an_effort_reach_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures.jpeg(1, (600, 400), 95)
    best = {output: done(data, Recipe(format=output)).data for output in get_args(OutputFormat)}
    for output in get_args(OutputFormat):
        least = effort._OPAQUE[output][-1]
        monkeypatch.setattr(encode, "best", lambda *_, least=least, **__: least)
        assert len(done(data, Recipe(format=output)).data) > len(best[output])
