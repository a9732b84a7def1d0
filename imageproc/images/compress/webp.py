"""WebP files (RFC 9649): their chunks, and whether pixel data was lost, for which there is no
checksum."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_FRAME_HEADER = 16  # of an ANMF chunk, before the chunks of its picture
# So many zeros in a row are no accident. VP8L never had more than 11, nor VP8 outside of plain
# areas, which it writes as zeros too: 117 in a row in a picture of 1500 x 1500 on white.
_ZEROS, _MANY_ZEROS = bytes(64), bytes(256)
# More than the decoder reads ahead and the encoder fills up.
_LAST_BYTES = 24


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(FourCC, start, end with padding) of every chunk of a RIFF file."""
    return _chunks(data, 12, int.from_bytes(data[4:8], "little") + 8)


def _chunks(data: bytes, at: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    stop = min(stop, len(data))
    while at + 8 <= stop:
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length + (length & 1)
        yield name, at, end
        at = end


def _picture(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of the picture, or of an animation's first."""
    for name, start, end in chunks(data):
        if name == b"ANMF":
            yield from _chunks(data, start + 8 + _FRAME_HEADER, end)
            return
        yield name, start, end


def has_hole(data: bytes) -> bool:
    """Whether lossless data (VP8L) has a long run of zeros, which it never has when it is whole."""
    return any(
        name == b"VP8L" and data.find(_ZEROS, start, end) >= 0
        for name, start, end in _picture(data)
    )


def shortened(data: bytes) -> bytes | None:
    """The lossy picture without its last bytes, if it has a run of zeros that may be a plain area
    or a hole; None if there is no doubt.

    A decoder that accepts this did not read the data as it was written, which is needed to its
    last byte.
    """
    for name, start, end in _picture(data):
        if name == b"VP8 " and data.find(_MANY_ZEROS, start, end) >= 0:
            (length,) = struct.unpack_from("<I", data, start + 4)
            body = data[start + 8 : start + 8 + (length & ~1) - _LAST_BYTES]
            chunk = struct.pack("<4sI", b"VP8 ", len(body)) + body
            return struct.pack("<4sI4s", b"RIFF", 4 + len(chunk), b"WEBP") + chunk
    return None
