"""The first directory of a TIFF file (TIFF 6.0): which kind of picture it is, and whether we read
it.

libtiff warns of tags that have nothing to do with pixels (texts without their final NUL, entries
out of order), and libvips does not tell such a warning from one about a strip, which may be damage.
So the decoder gets the file with a directory of only the tags that pixels need, in order.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from imageproc.images.compress import jpeg

SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, STRIP_BYTES, SUB_DIRECTORIES, EXTRA_SAMPLES, DNG_VERSION = 273, 279, 330, 338, 50706
PLANAR, TILE_OFFSETS, TILE_BYTES = 284, 324, 325
# All that libtiff needs to decode, the orientation, the resolution and the colour profile.
_FOR_PIXELS = {
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIP_OFFSETS, 274, 277, 278, STRIP_BYTES,
    282, 283, PLANAR, 292, 293, 296, 317, 320, 322, 323, TILE_OFFSETS, TILE_BYTES, 332,
    EXTRA_SAMPLES, 339, 347, 529, 530, 531, 532, 34675,
}  # fmt: skip
_LZW, _JPEG, _PACKBITS, _DEFLATE = 5, 7, 32773, (8, 32946)
_YCBCR, _UNSPECIFIED, _SEPARATE = 6, 0, 2
# Read by libvips; Pillow's libtiff also has LZMA and Zstandard.
_COMPRESSIONS = {1, 2, 3, 4, _LZW, _JPEG, _PACKBITS, *_DEFLATE}
_BY_PILLOW = {34925, 50000}
_PHOTOMETRICS = {0, 1, 2, 3, 5, _YCBCR}  # grey, RGB, palette, ink, YCbCr
_RAW = {32803, 34892}  # a sensor's samples (TIFF/EP, DNG)
_MOST_SUB_DIRECTORIES = 16
_JPEG_TABLES = 347
_ZEROS = bytes(64)
# PackBits copies up to 128 bytes as they are, with a byte other than 0 before the next.
_MORE_THAN_PACKBITS_COPIES = bytes(256)
_UNPACKED_AT_ONCE = 1_000_000


@dataclass(frozen=True, slots=True)
class Tiff:
    """``data``: the file with its directory tidied. ``tag_v2``: the first directory's tags, by
    number. ``size``: as stored, not turned."""

    data: bytes
    tag_v2: Any
    size: tuple[int, int]
    unread_kind: str

    @property
    def needs_pillow(self) -> bool:
        """libvips has no decoder for it (tiles of separate channels, some compressions), or reads
        the colours wrong (YCbCr that is not JPEG)."""
        compression = self.number(COMPRESSION, 1)
        if self.number(PLANAR, 1) == _SEPARATE and TILE_OFFSETS in self.tag_v2:
            return True
        wrong_colours = self.number(PHOTOMETRIC, 1) == _YCBCR and compression != _JPEG
        return wrong_colours or compression in _BY_PILLOW

    @property
    def saved_selections(self) -> int:
        """How many channels at the end are no transparency (TIFF 6.0, ExtraSamples)."""
        extra = _numbers(self.tag_v2, EXTRA_SAMPLES)
        return len(extra) if extra and extra[0] == _UNSPECIFIED else max(0, len(extra) - 1)

    @property
    def has_hole(self) -> bool:
        """Whether zeros stand where packed pixels should be."""
        is_hole = _HOLES.get(self.number(COMPRESSION, 1))
        return is_hole is not None and any(
            self.data.find(_ZEROS, start, start + length) >= 0
            and is_hole(self.data[start : start + length], self.tag_v2)
            for start, length in _strips(self.tag_v2)
        )

    def number(self, tag: int, default: int) -> int:
        """The first whole number of a tag."""
        return _number(self.tag_v2, tag, default)


def read(data: bytes) -> Tiff:
    """Broken directories raise; no set of exceptions is promised."""
    tags = _directory(data)
    size = _number(tags, WIDTH, 0), _number(tags, HEIGHT, 0)
    return Tiff(_tidied(data, tags.offset), tags, size, _unread_kind(data, tags))


def is_whole(data: bytes) -> bool:
    """Whether the file holds the first directory and all strips or tiles that it lists."""
    try:
        return all(start + length <= len(data) for start, length in _strips(_directory(data)))
    except (EOFError, struct.error):
        return False
    except Exception:  # noqa: BLE001
        return True  # broken: the decoder will report it


def _strips(tags: Any) -> Iterator[tuple[int, int]]:
    """(start, length) of every strip or tile."""
    for offsets, lengths in ((STRIP_OFFSETS, STRIP_BYTES), (TILE_OFFSETS, TILE_BYTES)):
        yield from zip(_numbers(tags, offsets), _numbers(tags, lengths), strict=False)


def _fails_its_checksum(strip: bytes, tags: Any) -> bool:
    """A zlib stream (RFC 1950) may hold many zeros. libtiff does not look at its checksum."""
    unpacker = zlib.decompressobj()
    try:
        while strip and not unpacker.eof:
            unpacker.decompress(strip, _UNPACKED_AT_ONCE)
            strip = unpacker.unconsumed_tail
    except zlib.error:
        return True
    return not unpacker.eof


def _is_jpeg_with_hole(strip: bytes, tags: Any) -> bool:
    """The tables that all strips share are in a tag of their own (TIFF Technical Note 2)."""
    tables = tags.get(_JPEG_TABLES)
    shared = tables[:-2] if isinstance(tables, bytes) else b""
    header = jpeg.read_header(shared + strip[2:] if shared else strip)
    return any(not flat for _, flat in jpeg.zero_runs(header))


# Compression -> whether a strip or tile with 64 zeros in a row has lost pixels. LZW never has so
# many.
_HOLES: dict[int, Callable[[bytes, Any], bool]] = {
    _LZW: lambda strip, tags: True,
    _PACKBITS: lambda strip, tags: _MORE_THAN_PACKBITS_COPIES in strip,
    _JPEG: _is_jpeg_with_hole,
    **dict.fromkeys(_DEFLATE, _fails_its_checksum),
}


def _directory(data: bytes, at: int | None = None) -> Any:
    """The directory at ``at``, or the first."""
    tags = ImageFileDirectory_v2(data[:8])
    start = tags.next if at is None else at
    if start + 2 > len(data):
        raise EOFError("the directory is not in the file")
    file = io.BytesIO(data)
    file.seek(start)
    tags.load(file)
    return tags


def _tidied(data: bytes, at: int) -> bytes:
    """The file with a directory of nothing but what pixels need, in order, behind its end; or
    ``data`` itself where the directory is so already."""
    order = "<" if data[:2] == b"II" else ">"
    (count,) = struct.unpack_from(f"{order}H", data, at)
    entries = [data[at + 2 + 12 * each : at + 14 + 12 * each] for each in range(count)]
    if len(entries[-1]) < 12:
        raise EOFError("the directory is cut off")
    tags = [struct.unpack_from(f"{order}H", entry)[0] for entry in entries]
    needed = {tag: each for tag, each in zip(tags, entries, strict=True) if tag in _FOR_PIXELS}
    if tags == sorted(needed):
        return data
    directory = struct.pack(f"{order}H", len(needed))
    directory += b"".join(needed[tag] for tag in sorted(needed)) + bytes(4)
    padding = bytes(len(data) % 2)
    moved = struct.pack(f"{order}I", len(data) + len(padding))
    return b"".join([data[:4], moved, memoryview(data)[8:], padding, directory])


def _unread_kind(data: bytes, tags: Any) -> str:
    """The name of a kind that our decoders don't read, or ""."""
    compression, photometric = _number(tags, COMPRESSION, 1), _number(tags, PHOTOMETRIC, 1)
    is_preview = bool(_number(tags, SUBFILE_TYPE, 0) & 1)
    if DNG_VERSION in tags or _has_sensor_data(data, tags):
        return "camera raw file"
    if is_preview and (SUB_DIRECTORIES in tags or tags.next):
        return "file whose first picture is only a preview of another"
    if compression not in _COMPRESSIONS | _BY_PILLOW:
        return "old-style JPEG in TIFF" if compression == 6 else f"TIFF compression {compression}"
    if photometric not in _PHOTOMETRICS:
        return "Lab TIFF" if photometric in (8, 9, 10) else f"TIFF colour model {photometric}"
    depths = set(_numbers(tags, BITS) or (1,))
    return "" if depths <= {1, 2, 4, 8, 16} else f"TIFF of {max(depths)} bits a sample"


def _has_sensor_data(data: bytes, tags: Any) -> bool:
    if _number(tags, PHOTOMETRIC, 1) in _RAW:
        return True
    for at in _numbers(tags, SUB_DIRECTORIES)[:_MOST_SUB_DIRECTORIES]:
        try:
            if _number(_directory(data, at), PHOTOMETRIC, 1) in _RAW:
                return True
        except EOFError:
            continue
    return False


def _numbers(tags: Any, tag: int) -> tuple[int, ...]:
    """The whole numbers of a tag, where a file may put anything at all."""
    value = tags.get(tag, ())
    values = value if isinstance(value, tuple) else (value,)
    return tuple(each for each in values if isinstance(each, int) and each >= 0)


def _number(tags: Any, tag: int, default: int) -> int:
    return next(iter(_numbers(tags, tag)), default)
