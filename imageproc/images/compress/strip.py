"""Removes metadata and leaves the pixels alone, for a file that would grow if it was encoded again.

Nothing is decoded. What remains decodes to exactly the same picture.
"""

from __future__ import annotations

import struct
from zlib import crc32

from imageproc.images.compress import jpeg, webp
from imageproc.images.compress.anatomy import png_chunks

_END_OF_IMAGE, _JFIF = 0xD9, 0xE0
# APP0 is JFIF and APP14 Adobe's colour transform: a decoder needs both. The other APPn and COM go.
_DROPPED_SEGMENTS = {*range(0xE1, 0xEE), 0xEF, 0xFE}
_END_OF_PNG = b"\0\0\0\0IEND\xaeB`\x82"  # put back where it is missing
_KEPT_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT"}


def strip(kind: str, data: bytes, xmp: bytes = b"") -> bytes | None:
    """The file without its metadata but with ``xmp``; None where that cannot be done without
    encoding again."""
    stripper = {"jpeg": _strip_jpeg, "png": _strip_png, "webp": _strip_webp}.get(kind)
    return stripper(data, xmp) if stripper else None


def _strip_jpeg(data: bytes, xmp: bytes) -> bytes | None:
    segments = list(jpeg.segments(data))
    if not segments or segments[-1][0] != _END_OF_IMAGE:
        return None
    kept = [data[start:end] for marker, start, end in segments if marker not in _DROPPED_SEGMENTS]
    if xmp:
        # JFIF's own segment, where there is one, comes first.
        body = b"http://ns.adobe.com/xap/1.0/\0" + xmp
        segment = struct.pack(">BBH", 0xFF, 0xE1, 2 + len(body)) + body
        kept.insert(1 if kept[0][1] == _JFIF else 0, segment)
    return b"\xff\xd8" + b"".join(kept)


def _strip_png(data: bytes, xmp: bytes) -> bytes:
    kept = [data[start:end] for name, start, end in png_chunks(data) if name in _KEPT_CHUNKS]
    if xmp:
        body = b"iTXtXML:com.adobe.xmp" + bytes(5) + xmp
        kept.insert(1, struct.pack(">I", len(body) - 4) + body + struct.pack(">I", crc32(body)))
    return data[:8] + b"".join(kept) + _END_OF_PNG


def _strip_webp(data: bytes, xmp: bytes) -> bytes | None:
    """A still picture is one VP8L or VP8 chunk; transparency beside VP8 (ALPH) needs more."""
    chunks = {name: data[start:end] for name, start, end in webp.chunks(data)}
    if xmp:
        return None  # would need a header of another kind (VP8X)
    if b"VP8L" in chunks:
        body = chunks[b"VP8L"]
    elif b"VP8 " in chunks and b"ALPH" not in chunks:
        body = chunks[b"VP8 "]
    else:
        return None
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
