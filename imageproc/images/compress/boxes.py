"""The boxes of HEIC and AVIF files: which picture is shown, how large, in what colours.

ISO/IEC 14496-12 has the boxes, 23008-12 (HEIF) the items and their properties. Nothing is decoded;
broken boxes raise ValueError, IndexError or struct.error.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from imageproc.images.compress import av1
from imageproc.images.compress.numbers import Numbers, coded

Box = tuple[bytes, int, int]  # type, start of the body, end
_ZEROS = bytes(32)
_CONTAINERS = (b"meta", b"mdat", b"moov")


@dataclass(frozen=True, slots=True)
class Still:
    """The picture that a file shows. ``size``: cropped and upright. ``coded_pixels``: what must be
    decoded for it. ``premultiplied``: colours are multiplied by their alpha already."""

    size: tuple[int, int]
    coded_pixels: int
    numbers: Numbers | None
    premultiplied: bool


@dataclass(slots=True)
class _Meta:
    """A meta box, read into tables by item id."""

    primary: int = 0
    properties: dict[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)
    # (file offset or offset in idat, length); length 0: to the end.
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)  # items whose data is in idat
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)
    idat: tuple[int, int] = (0, 0)


def boxes(data: bytes, at: int, end: int) -> Iterator[Box]:
    """Every box that is there whole."""
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, at + 8)
            body = at + 16
        stop = end if size == 0 else at + size
        if stop < body or stop > end:
            return
        yield name, body, stop
        at = stop


def is_whole(data: bytes) -> bool:
    """Is all that the picture is made of in the file? What follows the last whole box (a newline,
    zeros, a telephone's film) is not looked at, unless it is the beginning of a box that counts."""
    at = 0
    for _, _, stop in boxes(data, 0, len(data)):
        at = stop
    if data[at + 4 : at + 8] in _CONTAINERS:
        return False
    try:
        meta = _read(data)
    except (ValueError, IndexError, struct.error):
        return True  # broken, which is for the decoder to say
    if meta is None:
        return any(name == b"moov" for name, _, _ in boxes(data, 0, len(data)))
    return all(start + length <= len(data) for start, length in _extents(meta))


def has_hole(data: bytes) -> bool:
    """Do zeros stand in the coded data of the still picture? HEVC has never more than two in a
    row (ISO/IEC 23008-2, 7.4.2), but for lengths; no AV1 picture had more than six."""
    meta = _read(data)
    parts = [] if meta is None else _extents(meta)
    return any(data.find(_ZEROS, start, start + length) >= 0 for start, length in parts)


def _extents(meta: _Meta) -> Iterator[tuple[int, int]]:
    for item in _ingredients(meta) - meta.inside:
        yield from meta.extents.get(item, [])


def still(data: bytes) -> Still | None:
    """The primary picture of the file; None where it has none (a film only)."""
    meta = _read(data)
    if meta is None:
        return None
    properties = meta.properties.get(meta.primary, [])
    sizes = [struct.unpack_from(">II", body, 4) for name, body in properties if name == b"ispe"]
    if not sizes:
        raise ValueError("the picture has no size")
    width, height = sizes[0]
    return Still(
        size=_turned(width, height, properties),
        coded_pixels=width * height,
        numbers=_numbers(data, meta),
        premultiplied=any(
            name == b"prem" and item == meta.primary for name, item, _ in meta.references
        ),
    )


def _turned(width: int, height: int, properties: list[tuple[bytes, bytes]]) -> tuple[int, int]:
    """The size after the picture's own crop and turns, in the order in which they are listed."""
    for name, body in properties:
        if name == b"irot" and body[0] & 1:
            width, height = height, width
        elif name == b"clap":
            width, height = _cropped(width, height, struct.unpack(">IIIIiIiI", body[:32]))
    return width, height


def _cropped(width: int, height: int, aperture: tuple[int, ...]) -> tuple[int, int]:
    """The clean aperture (14496-12, 12.1.4) within the picture, rounded as libheif does."""
    sides = []
    for side, (size, per, offset, offset_per) in (
        (width, aperture[0:2] + aperture[4:6]),
        (height, aperture[2:4] + aperture[6:8]),
    ):
        first = (side - 1) / 2 + offset / offset_per - (size / per - 1) / 2
        start = int(first // 1)
        stop = start + round(size / per)
        sides.append(min(stop, side) - max(start, 0))
    return sides[0], sides[1]


def _numbers(data: bytes, meta: _Meta) -> Numbers | None:
    """By the nclx box of the picture or, in a grid, of its tiles; else by the first AV1 frame."""
    parts = [meta.primary, *_sources(meta, meta.primary)]
    found = [pair for item in parts for pair in meta.properties.get(item, [])]
    of_bits = _of_bitstream(data, meta, parts[-1], found)
    nclx = next((body for name, body in found if name == b"colr" and body[:4] == b"nclx"), None)
    if nclx is not None:
        primaries, transfer, _, flags = struct.unpack_from(">HHHB", nclx, 4)
        numbers, full_range = coded(primaries, transfer), bool(flags & 0x80)
    elif of_bits is not None:
        numbers, full_range = coded(of_bits.primaries, of_bits.transfer), of_bits.full_range
    else:
        return None
    grey = of_bits.monochrome if of_bits else _is_grey(found)
    return replace(numbers, limited_grey=grey and not full_range)


def _is_grey(properties: list[tuple[bytes, bytes]]) -> bool:
    """One channel by pixi, or chroma_format 0 by the decoder configuration of HEVC."""
    for name, body in properties:
        if name == b"pixi":
            return body[4] == 1
        if name == b"hvcC":
            return body[16] & 3 == 0
    return False


def _of_bitstream(
    data: bytes, meta: _Meta, item: int, properties: list[tuple[bytes, bytes]]
) -> av1.ColourConfig | None:
    if not any(name == b"av1C" for name, _ in properties):
        return None
    configured = next(body[4:] for name, body in properties if name == b"av1C")
    start, length = (meta.extents.get(item) or [(0, 0)])[0]
    if item in meta.inside:
        start += meta.idat[0]
    return av1.colour_config(configured) or av1.colour_config(data[start : start + length][:200])


def _ingredients(meta: _Meta) -> set[int]:
    """The items that the picture is made of: itself, its tiles and layers, its transparency."""
    shown: set[int] = set()
    waiting = [meta.primary]
    while waiting:
        item = waiting.pop()
        if item in shown:
            continue
        shown.add(item)
        waiting += _sources(meta, item)
        waiting += [other for name, other, to in meta.references if name == b"auxl" and item in to]
    return shown


def _sources(meta: _Meta, item: int) -> list[int]:
    """The items that a derived one (a grid, an overlay) is put together from."""
    return [
        part
        for name, origin, to in meta.references
        if name == b"dimg" and origin == item
        for part in to
    ]


def _read(data: bytes) -> _Meta | None:
    """The file's meta box; None where it has none, or one without a primary item."""
    found = next((box for box in boxes(data, 0, len(data)) if box[0] == b"meta"), None)
    if found is None:
        return None
    meta = _Meta()
    for name, start, end in boxes(data, found[1] + 4, found[2]):
        body = data[start:end]
        if name == b"pitm":
            meta.primary = int.from_bytes(body[4 : 6 if body[0] == 0 else 8], "big")
        elif name == b"iloc":
            _read_locations(body, meta)
        elif name == b"iref":
            meta.references = list(_references(body))
        elif name == b"iprp":
            meta.properties = _read_properties(body)
        elif name == b"idat":
            meta.idat = (start, end)
    return meta if meta.primary else None


def _read_properties(body: bytes) -> dict[int, list[tuple[bytes, bytes]]]:
    """Item id -> its (type, body) in the order of association (23008-12, 9.3)."""
    known: list[tuple[bytes, bytes]] = []
    linked: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
    for name, start, end in boxes(body, 0, len(body)):
        if name == b"ipco":
            known = [(each, body[at:stop]) for each, at, stop in boxes(body, start, end)]
        elif name == b"ipma":
            for item, number in _associations(body[start:end]):
                if 0 < number <= len(known):
                    linked[item].append(known[number - 1])
    return dict(linked)


def _associations(body: bytes) -> Iterator[tuple[int, int]]:
    """(item id, property's number from 1)"""
    id_size = 2 if body[0] == 0 else 4
    wide = bool(body[3] & 1)
    (entries,) = struct.unpack_from(">I", body, 4)
    at = 8
    for _ in range(entries):
        item = int.from_bytes(body[at : at + id_size], "big")
        count = body[at + id_size]
        at += id_size + 1
        for _ in range(count):
            number = int.from_bytes(body[at : at + 1 + wide], "big")
            yield item, number & (0x7FFF if wide else 0x7F)
            at += 1 + wide


def _read_locations(body: bytes, meta: _Meta) -> None:
    """iloc (14496-12, 8.11.3): where the data of each item is."""
    version = body[0]
    offset_size, length_size = body[4] >> 4, body[4] & 15
    base_size, index_size = body[5] >> 4, body[5] & 15 if version else 0
    id_size = 4 if version == 2 else 2
    reader = _Reader(body, 6)
    for _ in range(reader.take(id_size)):
        item = reader.take(id_size)
        if version and reader.take(2) & 15 == 1:
            meta.inside.add(item)
        reader.take(2)
        base = reader.take(base_size)
        extents = []
        for _ in range(reader.take(2)):
            reader.take(index_size)
            offset = reader.take(offset_size)
            extents.append((base + offset, reader.take(length_size)))
        meta.extents[item] = extents


def _references(body: bytes) -> Iterator[tuple[bytes, int, list[int]]]:
    """(type, from, to) of each reference between items (14496-12, 8.11.12). An item may occur in
    ``to`` only once: where a grid names a tile twice, another tile is missing."""
    id_size = 2 if body[0] == 0 else 4
    for name, start, _ in boxes(body, 4, len(body)):
        reader = _Reader(body, start)
        origin = reader.take(id_size)
        to = [reader.take(id_size) for _ in range(reader.take(2))]
        if name == b"dimg" and len(set(to)) < len(to):
            raise ValueError("a tile is named twice")
        yield name, origin, to


class _Reader:
    """Whole numbers, one after the other, big end first."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def take(self, size: int) -> int:
        end = self._at + size
        if end > len(self._data):
            raise ValueError("a box ends early")
        value = int.from_bytes(self._data[self._at : end], "big")
        self._at = end
        return value
