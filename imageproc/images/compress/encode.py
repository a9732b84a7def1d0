"""From a picture to the bytes of a file, without metadata."""

from __future__ import annotations

from typing import Any

from imageproc import faults
from imageproc.images.compress.effort import SECONDS, EncodingLimits, best
from imageproc.images.compress.engine import call, vips
from imageproc.images.compress.identify import RefusedError
from imageproc.images.compress.load import XMP, with_field
from imageproc.images.compress.strip import strip
from imageproc.images.recipe import Recipe

# Up to here (224 x 224) a JPEG goes without trellis quantization: that takes three fifths of the
# encoder's time, for 3 % of the bytes at equal quality. From 256 x 256 on it saves 7 %, at 800 x
# 800 a tenth (docs/adr/0002-codec.md).
_SMALL_JPEG = 50_000


# WebP and AVIF predict each block from those before it, so white may come out as 254. That depends
# on the picture; at so many qualities, one after the other, it was white again at the latest.
_WHITE_TRIES = 4
_WHITE_STEP = 3
_WHITE = [255.0, 255.0, 255.0]
_LOADERS = {"webp": "webpload_source", "avif": "heifload_source"}


def encode(image: Any, recipe: Recipe, room: int, spent: float = 0.0, xmp: bytes = b"") -> bytes:
    """``image`` (8-bit sRGB) as a file of the recipe's format, holding at most ``room`` bytes.
    ``spent``: seconds that go to the picture's colours meanwhile. ``xmp``: the only metadata.

    Raises RefusedError if the format's encoder cannot stay within that, and libvips' error
    if the source turns out to be broken (decoding happens here, row by row) or the encoder fails.
    """
    limits = EncodingLimits(room, max(0.0, SECONDS - spent))
    if xmp and recipe.format == "png":  # libvips would pack it, and not every reader unpacks
        return strip("png", encode(image, recipe, room, spent), xmp) or b""
    keep = "xmp" if xmp else "none"
    if xmp:  # in place of what the source's file had
        image = with_field(image, vips().GValue.blob_type, XMP, xmp)
    if recipe.pads_with_white and recipe.format in ("webp", "avif"):
        return _with_white_corners(image, recipe, limits, keep)
    return _encode(image, recipe, recipe.quality, limits, keep)


def _with_white_corners(image: Any, recipe: Recipe, limits: EncodingLimits, keep: str) -> bytes:
    """At the recipe's quality, or the next one at which white corners are decoded as white."""
    pixels = image.width * image.height
    shared = EncodingLimits(limits.room - 3 * pixels, limits.seconds / _WHITE_TRIES)
    last = min(100, recipe.quality + _WHITE_STEP * (_WHITE_TRIES - 1))
    if best(recipe.format, False, pixels, last, shared) is None:
        return _encode(image, recipe, recipe.quality, limits, keep)  # too large to be written twice
    image, limits = image.copy_memory(), shared
    white, encoded = _white_corners(image), b""
    for quality in range(recipe.quality, last + 1, _WHITE_STEP):
        encoded = _encode(image, recipe, quality, limits, keep)
        written = vips().Source.new_from_memory(encoded)
        if white <= _white_corners(call(_LOADERS[recipe.format], written)):
            break
    return encoded


def _white_corners(image: Any) -> set[tuple[int, int]]:
    corners = {(x, y) for x in (0, image.width - 1) for y in (0, image.height - 1)}
    return {corner for corner in corners if image.getpoint(*corner) == _WHITE}


def _encode(image: Any, recipe: Recipe, quality: int, limits: EncodingLimits, keep: str) -> bytes:
    """``keep``: the metadata that libvips writes, "xmp" or "none"."""
    pixels = image.width * image.height
    effort = best(recipe.format, bool(image.hasalpha()), pixels, quality, limits)
    if effort is None:
        detail = f"{pixels} pixels as {recipe.format} of quality {quality}"
        raise RefusedError(faults.CANNOT_ENCODE.because(detail))
    if recipe.format == "jpeg":
        small, white = pixels <= _SMALL_JPEG, recipe.pads_with_white
        jpeg = effort.options | {"keep": keep}
        return _jpeg(image, quality, jpeg, small=small, white=white)
    saver, options = _SAVERS[recipe.format]
    if recipe.format != "png":
        options = options | {"Q": quality}
    encoded: bytes = call(saver, image, keep=keep, **options, **effort.options)
    return encoded


_SAVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "webp": ("webpsave_buffer", {}),
    "avif": ("heifsave_buffer", {"compression": "av1", "subsample_mode": "on", "bitdepth": 8}),
    "png": ("pngsave_buffer", {}),
}


def _jpeg(image: Any, quality: int, options: dict[str, Any], *, small: bool, white: bool) -> bytes:
    """MozJPEG, baseline, with the quantization table that SSIMULACRA2 likes best at a given size.
    ``small``: not worth the trellis. ``white``: must stay 255. Measurements:
    docs/adr/0002-codec.md."""
    number = _on_our_table(quality)
    if small:
        number, options = _without_trellis(number), options | {"trellis_quant": False}
    if white:
        number = next(each for each in range(number, 101) if _keeps_white(each))
    encoded: bytes = call(
        "jpegsave_buffer",
        image,
        Q=number,
        subsample_mode="on",
        overshoot_deringing=True,
        quant_table=5,
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


def _keeps_white(number: int) -> bool:
    """Whether a white block is decoded as 255 at this quality number.

    White is 127 * 8 in the first coefficient. Its step is 10 on table 5 at number 50, scaled as
    libjpeg does (jcparam.c, jpeg_quality_scaling). What is decoded is a multiple of the step,
    within 4 of white or above it. Halfway between two, trellis quantization may take either.
    """
    scale = 5000 // number if number < 50 else 200 - 2 * number
    step = max(1, (10 * scale + 50) // 100)
    below = 1016 % step
    return below <= 4 or 2 * below > step
