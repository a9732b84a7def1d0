"""The boxes of HEIC and AVIF files, read into tables.

ISO/IEC 14496-12 has the boxes, 23008-12 (HEIF) the items and their properties. Nothing is decoded;
broken boxes raise ValueError, IndexError or struct.error.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

Box = tuple[bytes, int, int]  # type, start of the body, end
Property = tuple[bytes, bytes]  # type, body


@dataclass(slots=True)
class Meta:
    """A meta box as tables by item id. ``idat``: start and end in the file."""

    primary: int = 0
    properties: dict[int, list[Property]] = field(default_factory=dict)
    # (file offset or offset in idat, length); length 0: to the end.
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    inside: set[int] = field(default_factory=set)  # items whose data is in idat
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)
    idat: tuple[int, int] = (0, 0)

    def sources(self, item: int) -> list[int]:
        """The items that a derived one (a grid, an overlay) is put together from."""
        return [
            part
            for name, origin, to in self.references
            if name == b"dimg" and origin == item
            for part in to
        ]

    def ingredients(self) -> set[int]:
        """The items of the picture: itself, its tiles and layers, its transparency."""
        found: set[int] = set()
        waiting = [self.primary]
        while waiting:
            item = waiting.pop()
            if item in found:
                continue
            found.add(item)
            waiting += self.sources(item)
            waiting += [
                other for name, other, to in self.references if name == b"auxl" and item in to
            ]
        return found

    def data_of_the_picture(self) -> Iterator[tuple[int, int]]:
        """(start, length) in the file of all data that the picture consists of, but for idat."""
        for item in self.ingredients() - self.inside:
            yield from self.extents.get(item, [])


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


def read_meta(data: bytes) -> Meta | None:
    """The file's meta box; None where it has none, or one without a primary item."""
    found = next((box for box in boxes(data, 0, len(data)) if box[0] == b"meta"), None)
    if found is None:
        return None
    meta = Meta()
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


def _read_properties(body: bytes) -> dict[int, list[Property]]:
    """Item id -> its (type, body) in the order of association (23008-12, 9.3)."""
    known: list[Property] = []
    linked: dict[int, list[Property]] = defaultdict(list)
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


def _read_locations(body: bytes, meta: Meta) -> None:
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
