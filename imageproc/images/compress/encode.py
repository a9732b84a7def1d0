"""From a picture to the bytes of a file, without metadata."""

from __future__ import annotations

from typing import Any

from imageproc import faults
from imageproc.images.compress.effort import SECONDS, EncodingLimits, best
from imageproc.images.compress.engine import call
from imageproc.images.compress.identify import RefusedError
from imageproc.images.recipe import Recipe

# Up to here (224 x 224) a JPEG goes without trellis quantization: that takes three fifths of the
# encoder's time, for 3 % of the bytes at equal quality. From 256 x 256 on it saves 7 %, at 800 x
# 800 a tenth (docs/adr/0002-codec.md).
_SMALL_JPEG = 50_000


def encode(image: Any, recipe: Recipe, room: int, spent: float = 0.0) -> bytes:
    """``image`` (8-bit sRGB) as a file of the recipe's format, holding at most ``room`` bytes.
    ``spent``: seconds that go to the picture's colours meanwhile.

    Raises RefusedError if the format's encoder cannot stay within that, and libvips' error
    if the source turns out to be broken (decoding happens here, row by row) or the encoder fails.
    """
    pixels = image.width * image.height
    alpha = bool(image.hasalpha())
    limits = EncodingLimits(room, max(0.0, SECONDS - spent))
    effort = best(recipe.format, alpha, pixels, recipe.quality, limits)
    if effort is None:
        detail = f"{pixels} pixels as {recipe.format} of quality {recipe.quality}"
        raise RefusedError(faults.CANNOT_ENCODE.because(detail))
    if recipe.format == "jpeg":
        return _jpeg(image, recipe.quality, effort.options, small=pixels <= _SMALL_JPEG)
    saver, options = _SAVERS[recipe.format]
    if recipe.format != "png":
        options = options | {"Q": recipe.quality}
    encoded: bytes = call(saver, image, keep="none", **options, **effort.options)
    return encoded


_SAVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "webp": ("webpsave_buffer", {}),
    "avif": ("heifsave_buffer", {"compression": "av1", "subsample_mode": "on", "bitdepth": 8}),
    "png": ("pngsave_buffer", {}),
}


def _jpeg(image: Any, quality: int, options: dict[str, Any], *, small: bool) -> bytes:
    """MozJPEG, baseline, with the quantization table that SSIMULACRA2 likes best at a given size.
    ``small``: not worth the trellis. Measurements: docs/adr/0002-codec.md."""
    number = _on_our_table(quality)
    if small:
        number, options = _without_trellis(number), options | {"trellis_quant": False}
    encoded: bytes = call(
        "jpegsave_buffer",
        image,
        Q=number,
        subsample_mode="on",
        overshoot_deringing=True,
        quant_table=5,
        keep="none",
        **options,
    )
    return encoded


def _on_our_table(quality: int) -> int:
    """MozJPEG's quality number, moved to where table 5 costs fewer bytes than its table 3.

    30 becomes 25, whose first step is 20: the paper white of a product photograph stays at 255
    (a step of 19, one number up, would make it 254).
    """
    return quality - min(5, quality // 6, (100 - quality) // 10)


def _without_trellis(number: int) -> int:
    """The quality number that gives a small picture the score it has with trellis at ``number``.

    25 becomes 22, whose first step is 23: white stays 255 and black 0 (one lower, it would be 254).
    """
    return number - min(3, number // 7, (100 - number) // 10)
