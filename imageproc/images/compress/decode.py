"""From a Source to a small, upright, 8-bit sRGB picture.

The order of work is the order of cost: shrink while loading, resize, and only then turn, convert
colours and flatten, on the few pixels that are left. libvips runs it row by row, so a 50-megapixel
baseline JPEG never stands in memory whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imageproc.images.compress.colour import is_plain, to_srgb
from imageproc.images.compress.identify import Source
from imageproc.images.compress.load import load, load_shrunk, orientation_of
from imageproc.images.recipe import Recipe

# EXIF orientations that exchange width and height (CIPA DC-008, tag 0x0112).
_SIDEWAYS = (5, 6, 7, 8)
# CPU that a megapixel of PQ or HLG takes (docs/adr/0002-codec.md).
_HDR_SECONDS = 0.12


@dataclass(frozen=True, slots=True)
class Picture:
    """``image``: a lazy vips image, upright, sRGB, 8 bits, 3 or 4 bands. ``width``, ``height``: of
    the source, upright. ``as_is``: its pixels are the source's own, with nothing applied.
    ``seconds``: what its colours will take, beyond what every picture takes."""

    image: Any
    width: int
    height: int
    as_is: bool
    seconds: float


def decode(source: Source, recipe: Recipe) -> Picture:
    """The picture of ``source``, fitted to ``recipe``. Raises RefusedError, or libvips' own
    error when the pixels are asked for."""
    loaded = None if source.bare else load(source)
    turn = 1 if loaded is None else orientation_of(loaded)
    sideways = turn in _SIDEWAYS
    upright = (source.height, source.width) if sideways else (source.width, source.height)
    target = recipe.fit(*upright)
    pixels = loaded
    if source.kind == "jpeg":
        pixels = load_shrunk(source, loaded, _shrink(upright, target))
    image = _resize(pixels, target[::-1] if sideways else target)
    if turn > 1:
        # Turning reads in another order than the decoder writes.
        image = image.copy_memory().autorot()
    plain = is_plain(pixels, source.numbers)
    if not plain:
        image = to_srgb(image, source.numbers)
    if image.hasalpha() and recipe.format == "jpeg":
        image, plain = image.flatten(background=recipe.background_rgb), False
    hdr = source.numbers is not None and source.numbers.is_hdr
    seconds = _HDR_SECONDS * target[0] * target[1] / 1_000_000 if hdr else 0.0
    return Picture(image, *upright, plain and turn <= 1 and target == upright, seconds)


def _shrink(size: tuple[int, int], target: tuple[int, int]) -> int:
    """How much the JPEG decoder may shrink by itself (its inverse DCT at 1/2, 1/4, 1/8 costs less
    the smaller it gets), leaving the rest, a factor of 1 to 2, to a Lanczos kernel."""
    factor = min(size[0] / target[0], size[1] / target[1])
    return next((shrink for shrink in (8, 4, 2) if factor >= shrink), 1)


def _resize(image: Any, target: tuple[int, int]) -> Any:
    """Lanczos3; with transparency, on premultiplied colours so that no hidden colour bleeds in."""
    horizontal, vertical = target[0] / image.width, target[1] / image.height
    if horizontal == 1 and vertical == 1:
        return image
    if not image.hasalpha():
        return image.resize(horizontal, vscale=vertical, kernel="lanczos3")
    small = image.premultiply().resize(horizontal, vscale=vertical, kernel="lanczos3")
    return small.unpremultiply().cast(image.format)
