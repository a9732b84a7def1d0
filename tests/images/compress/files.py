"""The codec tests' own files and short ways to read a result."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

from PIL import Image, ImageChops, ImageStat

from imageproc.faults import Fault
from imageproc.images.compress import Budget, Recipe, Rendition, compress
from imageproc.images.presets import PRESETS
from tests.support import pictures

SMALL = (480, 360)
CATALOG = PRESETS["catalog"].recipe


@cache
def variant(name: str, size: tuple[int, int] = SMALL) -> bytes:
    return pictures.VARIANTS[name](3, size)


def rendition(data: bytes, recipe: Recipe = CATALOG) -> Rendition:
    answer = compress(data, recipe, Budget())
    assert isinstance(answer, Rendition), answer
    return answer


def fault(data: bytes, recipe: Recipe = CATALOG, budget: Budget | None = None) -> Fault:
    answer = compress(data, recipe, budget or Budget())
    assert isinstance(answer, Fault), answer
    return answer


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two pictures, 0-255, looked at from afar (64 pixels wide)."""
    small = [each.convert("RGB").resize((64, 64), Image.Resampling.BOX) for each in (one, other)]
    return sum(ImageStat.Stat(ImageChops.difference(*small)).mean) / 3


def sampling(data: bytes) -> list[tuple[int, int]]:
    """(horizontal, vertical) sampling factors of a baseline JPEG's components, from its SOF0."""
    at = data.index(b"\xff\xc0")
    return [(f >> 4, f & 15) for f in data[at + 11 : at + 10 + 3 * data[at + 9] : 3]]


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def flat_png(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    """A PNG whose header promises all that, around one row's worth of data."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    body = zlib.compress(bytes(1000))
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
