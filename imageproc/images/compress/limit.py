"""A file of a limited number of bytes: at a lower quality first, then at a smaller size.

The limit is a marketplace's. The number of tries is bounded: the first one has half of the seconds
that an encoding may take, the others share the other half, so that a limit costs no more than the
worst picture without one.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

from imageproc import faults
from imageproc.images.compress.decode import resized
from imageproc.images.compress.effort import SECONDS
from imageproc.images.compress.encode import encode
from imageproc.images.compress.identify import RefusedError
from imageproc.images.recipe import Recipe

# Below this a smaller picture looks better than a coarser one.
_LOWEST_QUALITY = 25
_QUALITY_TRIES = 4
_SIZE_TRIES = 5
# Of the size that would fit if bytes went with pixels; they shrink a little slower.
_CAUTION = 0.93
_MOST = 0.8


def encode_within(
    image: Any, recipe: Recipe, room: int, spent: float, xmp: bytes
) -> tuple[Any, bytes]:
    """The image as it was written, and a file of it of up to ``recipe.max_bytes``. Else as
    ``encode``; raises RefusedError where no file is that small."""
    limit = recipe.max_bytes or 0
    # Pixels are asked for again and again, and the source can be read only once.
    image = image.copy_memory()
    room -= image.width * image.height * image.bands
    half = max(0.0, SECONDS - spent) / 2
    share = half / (_QUALITY_TRIES + _SIZE_TRIES)

    def written(image: Any, quality: int) -> bytes:
        return encode(image, replace(recipe, quality=quality), room, SECONDS - share, xmp)

    smallest = encode(image, recipe, room, SECONDS - half, xmp)
    if len(smallest) <= limit:
        return image, smallest
    lowest = min(_LOWEST_QUALITY, recipe.quality)
    if recipe.format != "png" and lowest < recipe.quality:
        found, smallest = _best_quality(image, lowest, recipe.quality, limit, written)
        if found:
            return image, found
    for _ in range(0 if recipe.is_exact else _SIZE_TRIES):
        scale = min(_MOST, _CAUTION * sqrt(limit / len(smallest)))
        size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
        image = resized(image, size).copy_memory()
        smallest = written(image, lowest)
        if len(smallest) <= limit:
            return image, smallest
    raise RefusedError(faults.CANNOT_ENCODE.because(f"{len(smallest)} of {limit} bytes"))


def _best_quality(
    image: Any, lowest: int, highest: int, limit: int, written: Any
) -> tuple[bytes, bytes]:
    """The file of the best quality that was found to fit, or b""; and the smallest one."""
    found, smallest = b"", written(image, lowest)
    if len(smallest) > limit:
        return found, smallest
    found = smallest
    for _ in range(_QUALITY_TRIES - 1):
        middle = (lowest + highest) // 2
        encoded = written(image, middle)
        if len(encoded) <= limit:
            found, lowest = encoded, middle
        else:
            highest = middle
    return found, smallest
