"""From a picture to the bytes of a file, without metadata."""

from __future__ import annotations

from typing import Any

from imageproc import faults
from imageproc.images.compress.engine import call
from imageproc.images.compress.identify import RefusedError
from imageproc.images.recipe import Recipe

# Up to here AVIF is given some effort (0.4 s a megapixel); above, the least (0.1 s).
_AVIF_SMALL = 2_000_000
# Up to here (224 x 224) a JPEG goes without trellis quantization: that takes three fifths of the
# encoder's time, for 3 % of the bytes at equal quality. From 256 x 256 on it saves 7 %, at 800 x
# 800 a tenth (docs/adr/0002-codec.md).
_SMALL_JPEG = 50_000
# An encoder may always hold this much: a source near the limit is no reason for a worse picture.
_ROOM_FOR_ANY = 16_000_000


def encode(image: Any, recipe: Recipe, room: int) -> bytes:
    """``image`` (8-bit sRGB) as a file of the recipe's format, holding at most ``room`` bytes.

    Raises RefusedError where the format's encoder cannot stay within that, and libvips' error
    where the source turns out broken (decoding happens here, row by row).
    """
    pixels = image.width * image.height
    fits = pixels * recipe.file_type.held_per_pixel <= max(room, _ROOM_FOR_ANY)
    if recipe.format == "jpeg":
        return _jpeg(image, recipe.quality, small=pixels <= _SMALL_JPEG, thorough=fits)
    if not fits:
        raise RefusedError(
            faults.TOO_MANY_PIXELS.because(f"{pixels} pixels as {recipe.format} need more memory")
        )
    encoded: bytes = {"webp": _webp, "avif": _avif, "png": _png}[recipe.format](image, recipe)
    return encoded


def _jpeg(image: Any, quality: int, *, small: bool, thorough: bool) -> bytes:
    """MozJPEG, baseline, with the quantization table that SSIMULACRA2 likes best at a given size.

    ``thorough`` looks at the whole picture before writing; without it rows stream through, in
    constant memory, for a tenth more bytes. ``small``: not worth the trellis. Measurements:
    docs/adr/0002-codec.md.
    """
    number = _on_our_table(quality)
    encoded: bytes = call(
        "jpegsave_buffer",
        image,
        Q=_without_trellis(number) if small else number,
        subsample_mode="on",
        optimize_coding=thorough,
        trellis_quant=thorough and not small,
        overshoot_deringing=True,
        quant_table=5,
        keep="none",
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


def _webp(image: Any, recipe: Recipe) -> Any:
    return call(
        "webpsave_buffer", image, Q=recipe.quality, effort=4, smart_subsample=True, keep="none"
    )


def _avif(image: Any, recipe: Recipe) -> Any:
    effort = 2 if image.width * image.height <= _AVIF_SMALL else 0
    return call(
        "heifsave_buffer",
        image,
        Q=recipe.quality,
        compression="av1",
        effort=effort,
        subsample_mode="on",
        bitdepth=8,
        keep="none",
    )


def _png(image: Any, recipe: Recipe) -> Any:
    return call("pngsave_buffer", image, compression=6, filter="all", keep="none")
