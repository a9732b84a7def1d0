"""How hard an encoder may try, so that one image stays within its seconds and its memory.

Noise is the worst that can be encoded: what each effort costs there was measured, and the best one
that fits is taken (docs/adr/0002-codec.md). Nothing is known of a picture before it is encoded, so
a smooth one is estimated like noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imageproc.images.recipe import OutputFormat

# Of the 10 s that an image may take, decoding and resizing need up to 4.
SECONDS = 6.0
# An encoder may always hold this much: a source near the limit is no reason for a worse picture.
_ROOM_FOR_ANY = 16_000_000

# What something costs at quality 50 (and below), 90 and 100.
Costs = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class EncodingLimits:
    """Of one encoding: bytes of memory and seconds of CPU."""

    room: int
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Effort:
    """``options`` of libvips' saver. ``seconds``: CPU of a megapixel. ``held``: bytes of memory of
    a pixel. ``up_to``: pixels, where it is not worth its time beyond."""

    options: dict[str, Any]
    seconds: Costs
    held: Costs
    up_to: int | None = None

    def fits(self, pixels: int, quality: int, limits: EncodingLimits) -> bool:
        """Does a picture of that many pixels stay within the limits?"""
        return (
            pixels * at_quality(self.seconds, quality) <= limits.seconds * 1_000_000
            and pixels * at_quality(self.held, quality) <= max(limits.room, _ROOM_FOR_ANY)
            and (self.up_to is None or pixels <= self.up_to)
        )


def best(
    output: OutputFormat, alpha: bool, pixels: int, quality: int, limits: EncodingLimits
) -> Effort | None:
    """The first effort of the format that fits; None where even the least does not."""
    efforts = _WITH_ALPHA[output] if alpha else _OPAQUE[output]
    return next((effort for effort in efforts if effort.fits(pixels, quality, limits)), None)


def at_quality(costs: Costs, quality: int) -> float:
    """Straight lines between the measured qualities lie above the curve."""
    if quality <= 50:
        return costs[0]
    if quality <= 90:
        return costs[0] + (costs[1] - costs[0]) * (quality - 50) / 40
    return costs[1] + (costs[2] - costs[1]) * (quality - 90) / 10


_TRELLIS = {"optimize_coding": True, "trellis_quant": True}
_OPTIMISED = {"optimize_coding": True, "trellis_quant": False}
# Rows go through, and only the file is held. One byte a pixel and 0.02 s are not counted.
_STREAMED = {"optimize_coding": False, "trellis_quant": False}
_SHARP = {"effort": 4, "smart_subsample": True}
_SHARP_FAST = {"effort": 2, "smart_subsample": True}
_FASTEST = {"effort": 0}
_THOROUGH_PNG = {"compression": 6, "filter": "all"}
_FAST_PNG = {"compression": 1, "filter": "none"}
# AVIF's better effort takes 1.2 s a megapixel for a few hundredths of the bytes.
_SMALL_AVIF = 2_000_000

_OPAQUE: dict[OutputFormat, tuple[Effort, ...]] = {
    "jpeg": (
        Effort(_TRELLIS, (0.18, 0.37, 0.57), (6.5, 7.1, 7.6)),
        Effort(_OPTIMISED, (0.03, 0.04, 0.05), (6.5, 7.1, 7.6)),
        Effort(_STREAMED, (0.0, 0.0, 0.0), (0.0, 1.3, 3.3)),
    ),
    "webp": (
        Effort(_SHARP, (0.45, 0.5, 0.6), (22, 30, 37)),
        Effort(_SHARP_FAST, (0.33, 0.36, 0.46), (15.5, 15.5, 15.5)),
        Effort(_FASTEST, (0.09, 0.13, 0.21), (6.0, 6.5, 11.5)),
    ),
    "avif": (
        Effort({"effort": 2}, (1.5, 1.7, 1.7), (26, 30, 36), _SMALL_AVIF),
        Effort({"effort": 0}, (0.21, 0.34, 0.58), (23, 27, 33)),
    ),
    "png": (
        Effort(_THOROUGH_PNG, (0.14, 0.14, 0.14), (6.2, 6.2, 6.2)),
        Effort(_FAST_PNG, (0.05, 0.05, 0.05), (6.5, 6.5, 6.5)),
    ),
}
_WITH_ALPHA: dict[OutputFormat, tuple[Effort, ...]] = {
    "jpeg": _OPAQUE["jpeg"],
    "webp": (
        Effort(_SHARP, (0.6, 0.7, 0.85), (44, 44, 44)),
        Effort(_SHARP_FAST, (0.35, 0.45, 0.45), (35, 35, 35)),
        Effort(_FASTEST, (0.15, 0.18, 0.27), (23, 23, 23)),
    ),
    "avif": (
        Effort({"effort": 2}, (1.6, 2.7, 2.7), (47, 53, 63), _SMALL_AVIF),
        Effort({"effort": 0}, (0.38, 0.56, 1.06), (44, 48, 60)),
    ),
    "png": (
        Effort(_THOROUGH_PNG, (0.18, 0.18, 0.18), (8.3, 8.3, 8.3)),
        Effort(_FAST_PNG, (0.07, 0.07, 0.07), (8.7, 8.7, 8.7)),
    ),
}
