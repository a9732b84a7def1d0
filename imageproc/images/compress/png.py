"""Colour that a PNG states in numbers: cICP, gAMA and cHRM (PNG, third edition, 11.3.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from imageproc.images.compress.anatomy import png_chunks
from imageproc.images.compress.numbers import BT709, Chromaticities, Curve, Numbers, coded

# libpng calls a gamma that is within 5 % of another the same (PNG_GAMMA_THRESHOLD_FIXED).
_SAME_GAMMA = 0.05
# The chunks that say something of colour, and the fewest bytes that each must have.
_COLOUR_CHUNKS = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}


@dataclass(frozen=True, slots=True)
class Header:
    size: tuple[int, int]


def read_header(data: bytes) -> Header:
    """Width and height. ValueError or struct.error where there is no whole IHDR at the start."""
    if data[12:16] != b"IHDR":
        raise ValueError("does not begin with IHDR")
    return Header(struct.unpack_from(">II5x", data, 16))  # depth, colour and the rest after them


def stated_colours(data: bytes) -> Numbers | None:
    """What a PNG states (PNG, third edition, 4.3 and 11.3.2): cICP comes before a profile, gAMA and
    cHRM count only without a usable one, and not beside an sRGB chunk. None: it states nothing."""
    chunks: dict[bytes, bytes] = {}
    for name, start, end in png_chunks(data):
        if name == b"IDAT":
            break
        if name in _COLOUR_CHUNKS and end - start - 12 >= _COLOUR_CHUNKS[name]:
            chunks.setdefault(name, data[start + 8 : end - 4])
    if cicp := chunks.get(b"cICP"):
        return replace(coded(cicp[0], cicp[1]), outrank_profile=True)
    if b"sRGB" in chunks or not chunks.keys() & {b"gAMA", b"cHRM"}:
        return None
    return Numbers(_chromaticities(chunks.get(b"cHRM")), _curve(chunks.get(b"gAMA")))


def _chromaticities(chunk: bytes | None) -> Chromaticities:
    """cHRM names white first. BT.709 where there is none, or one that spans no triangle."""
    if chunk is None:
        return BT709
    white_x, white_y, *colours = (value / 100_000 for value in struct.unpack(">8I", chunk[:32]))
    red_x, red_y, green_x, green_y, blue_x, blue_y = colours
    area = (green_x - red_x) * (blue_y - red_y) - (blue_x - red_x) * (green_y - red_y)
    if abs(area) < 0.01 or min(white_y, red_y, green_y, blue_y) <= 0:
        return BT709
    return (red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y)


def _curve(chunk: bytes | None) -> Curve:
    """gAMA holds the encoder's exponent; 0.45455, by far the most frequent, stands for sRGB."""
    gamma = int.from_bytes(chunk[:4], "big") / 100_000 if chunk else 0.0
    if gamma <= 0 or abs(gamma * 2.2 - 1) <= _SAME_GAMMA:
        return "srgb"
    return min(max(1 / gamma, 0.1), 10.0)
