"""Removes metadata and leaves the pixels alone, for a file that would grow if it was encoded again.

Nothing is decoded. What remains decodes to exactly the same picture.
"""

from __future__ import annotations

import struct

from imageproc.images.compress import jpeg, webp
from imageproc.images.compress.anatomy import png_chunks

_END_OF_IMAGE = 0xD9
# APP0 is JFIF and APP14 Adobe's colour transform: a decoder needs both. The other APPn and COM go.
_DROPPED_SEGMENTS = {*range(0xE1, 0xEE), 0xEF, 0xFE}
_END_OF_PNG = b"\0\0\0\0IEND\xaeB`\x82"  # put back where it is missing
_KEPT_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}


def strip(kind: str, data: bytes) -> bytes | None:
    """The file without its metadata; None where that cannot be done without encoding again."""
    stripper = {"jpeg": _strip_jpeg, "png": _strip_png, "webp": _strip_webp}.get(kind)
    return stripper(data) if stripper else None


def _strip_jpeg(data: bytes) -> bytes | None:
    segments = list(jpeg.segments(data))
    if not segments or segments[-1][0] != _END_OF_IMAGE:
        return None
    kept = (data[start:end] for marker, start, end in segments if marker not in _DROPPED_SEGMENTS)
    return b"\xff\xd8" + b"".join(kept)


def _strip_png(data: bytes) -> bytes:
    kept = (data[start:end] for name, start, end in png_chunks(data) if name in _KEPT_CHUNKS)
    return data[:8] + b"".join(kept) + _END_OF_PNG


def _strip_webp(data: bytes) -> bytes | None:
    """A still picture is one VP8L or VP8 chunk; transparency beside VP8 (ALPH) needs more."""
    chunks = {name: data[start:end] for name, start, end in webp.chunks(data)}
    if b"VP8L" in chunks:
        body = chunks[b"VP8L"]
    elif b"VP8 " in chunks and b"ALPH" not in chunks:
        body = chunks[b"VP8 "]
    else:
        return None
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
