"""The picture that a HEIC or AVIF file shows: its size, its colours, and whether it is all there.

Broken boxes raise ValueError, IndexError or struct.error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from imageproc.images.compress import av1
from imageproc.images.compress.boxes import Meta, Property, boxes, read_meta
from imageproc.images.compress.numbers import Numbers, coded

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


def is_whole(data: bytes) -> bool:
    """Whether the file holds all of the picture. What follows the last whole box (a newline, zeros,
    a phone's video) is ignored, unless it is the beginning of a box that counts."""
    at = 0
    for _, _, stop in boxes(data, 0, len(data)):
        at = stop
    if data[at + 4 : at + 8] in _CONTAINERS:
        return False
    try:
        meta = read_meta(data)
    except (ValueError, IndexError, struct.error):
        return True  # broken: the decoder will report it
    if meta is None:
        return any(name == b"moov" for name, _, _ in boxes(data, 0, len(data)))
    return all(start + length <= len(data) for start, length in meta.data_of_the_picture())


def has_hole(data: bytes) -> bool:
    """Whether there are zeros among the coded data of the picture. HEVC never has more than two in
    a row (ISO/IEC 23008-2, 7.4.2), except in lengths; no AV1 picture had more than six."""
    meta = read_meta(data)
    parts = [] if meta is None else meta.data_of_the_picture()
    return any(data.find(_ZEROS, start, start + length) >= 0 for start, length in parts)


def read_still(data: bytes) -> Still | None:
    """The primary picture of the file; None if it has none (only a video)."""
    meta = read_meta(data)
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


def _turned(width: int, height: int, properties: list[Property]) -> tuple[int, int]:
    """The size after the picture's own crop and turns, in the order of the file."""
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


def _numbers(data: bytes, meta: Meta) -> Numbers | None:
    """By the nclx box of the picture or, in a grid, of its tiles; else by the first AV1 frame."""
    parts = [meta.primary, *meta.sources(meta.primary)]
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


def _is_grey(properties: list[Property]) -> bool:
    """One channel by pixi, or chroma_format 0 by the decoder configuration of HEVC."""
    for name, body in properties:
        if name == b"pixi":
            return body[4] == 1
        if name == b"hvcC":
            return body[16] & 3 == 0
    return False


def _of_bitstream(
    data: bytes, meta: Meta, item: int, properties: list[Property]
) -> av1.ColourConfig | None:
    if not any(name == b"av1C" for name, _ in properties):
        return None
    configured = next(body[4:] for name, body in properties if name == b"av1C")
    start, length = (meta.extents.get(item) or [(0, 0)])[0]
    if item in meta.inside:
        start += meta.idat[0]
    return av1.colour_config(configured) or av1.colour_config(data[start : start + length][:200])
