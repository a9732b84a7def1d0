"""Bytes of an image file -> a rendition: fitted, upright, sRGB, small, its metadata gone.

Pure: no model, no setting, no network. Safe to call from several threads of a process at once, and
in any worker process, as long as its parent has not called it before forking (see `engine`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from imageproc import faults
from imageproc.faults import Fault
from imageproc.images.compress import anatomy
from imageproc.images.compress.decode import Picture, decode
from imageproc.images.compress.encode import encode
from imageproc.images.compress.engine import vips
from imageproc.images.compress.identify import Budget, RefusedError, Source, identify
from imageproc.images.compress.limit import encode_within
from imageproc.images.compress.origin import statement
from imageproc.images.compress.strip import strip
from imageproc.images.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Rendition:
    """The file to store. ``source_width`` and ``source_height`` are those of the upright source.
    ``kept_original``: encoding it again would have made it larger, so this is the input without
    its metadata."""

    data: bytes
    content_type: str
    extension: str
    width: int
    height: int
    source_width: int
    source_height: int
    source_format: str
    kept_original: bool
    sha256: str


def compress(data: bytes, recipe: Recipe, budget: Budget) -> Rendition | Fault:
    """Make the rendition of ``data`` that ``recipe`` describes, or say why there is none.

    The same input gives the same bytes. Every answer about a file is a value; an exception is a
    defect of ours.
    """
    source = identify(data, budget)
    if isinstance(source, Fault):
        return source
    room = budget.max_held_bytes - source.held_bytes
    engine = vips()
    try:
        picture = decode(source, recipe)
        xmp = statement(source, keep_copyright=recipe.keep_copyright)
        if recipe.max_bytes is None:
            encoded = encode(picture.image, recipe, room, picture.seconds, xmp)
        else:
            image, encoded = encode_within(picture.image, recipe, room, picture.seconds, xmp)
            picture = replace(picture, image=image)
    except RefusedError as failure:
        return _named(source.kind, data, failure.fault)
    except engine.Error as error:
        # libvips has one error text for all threads: it may be logged, but decides nothing.
        broken = faults.CANNOT_ENCODE if _can_decode(source, recipe) else faults.IMAGE_CORRUPT
        return _named(source.kind, data, broken.because(f"{source.kind}: {error}"))
    except MemoryError:
        return faults.TOO_COMPLEX.because(f"{source.kind}: out of memory")
    return _rendition(source, picture, encoded, recipe, xmp)


def _can_decode(source: Source, recipe: Recipe) -> bool:
    """Decoder and encoder work row by row in one call: which of them failed shows when the pixels
    are asked for without an encoder."""
    try:
        decode(source, recipe).image.avg()
    except (RefusedError, vips().Error):
        return False
    return True


def _named(kind: str, data: bytes, fault: Fault) -> Fault:
    """A damaged file that does not reach its own end is reported as cut off."""
    if fault.code != faults.IMAGE_CORRUPT.code or anatomy.is_whole(kind, data):
        return fault
    return faults.IMAGE_TRUNCATED.because(fault.detail)


def _rendition(
    source: Source, picture: Picture, encoded: bytes, recipe: Recipe, xmp: bytes
) -> Rendition:
    kept = _smaller_original(source, picture, encoded, recipe, xmp)
    result = kept or encoded
    return Rendition(
        data=result,
        content_type=recipe.file_type.content_type,
        extension=recipe.file_type.extension,
        width=picture.image.width,
        height=picture.image.height,
        source_width=picture.width,
        source_height=picture.height,
        source_format=source.kind,
        kept_original=kept is not None,
        sha256=hashlib.sha256(result).hexdigest(),
    )


def _smaller_original(
    source: Source, picture: Picture, encoded: bytes, recipe: Recipe, xmp: bytes
) -> bytes | None:
    """The input with no metadata but ``xmp``, if it already is what was asked for and no larger."""
    if not picture.as_is or source.kind != recipe.format:
        return None
    stripped = strip(source.kind, source.data, xmp)
    return stripped if stripped and len(stripped) <= len(encoded) else None
