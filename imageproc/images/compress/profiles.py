"""ICC profiles: what they are for, whether they change anything, and how to make one of numbers."""

from __future__ import annotations

import io
import struct
from functools import lru_cache

from PIL import Image, ImageChops, ImageCms

from imageproc.images.compress.numbers import BT709, Chromaticities, Numbers, coded

Matrix = tuple[tuple[float, float, float], ...]

# The profile's colour space (ICC.1:2022, table 19) that fits libvips' interpretations.
_SPACES = {
    "srgb": b"RGB ", "rgb16": b"RGB ", "b-w": b"GRAY", "grey16": b"GRAY", "cmyk": b"CMYK",
}  # fmt: skip
# Profiles up to this size are examined (and remembered); a larger one has tables, and is applied.
_SMALL = 65_536
# Profiles that are called sRGB round differently: up to 2 of 255 is no other colour.
_SAME = 2
_D50 = (0.9642, 1.0, 0.8249)
# ICC.1:2022, annex E.3: Bradford's cone responses.
_BRADFORD: Matrix = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)


def fits(profile: bytes, interpretation: str) -> bool:
    """Whether it is an ICC profile for samples of this kind, not for another colour space."""
    return profile[36:40] == b"acsp" and profile[16:20] == _SPACES.get(interpretation)


def is_srgb(profile: bytes) -> bool:
    """Whether it leaves sRGB as it is. Its name says nothing: linear profiles are called "sRGB",
    too."""
    return len(profile) <= _SMALL and _changes_nothing(profile)


@lru_cache(maxsize=64)
def _changes_nothing(profile: bytes) -> bool:
    """Whether a ramp of greys and a cube of 216 colours stay as they are."""
    steps = range(0, 256, 51)
    cube = bytes(value for r in steps for g in steps for b in steps for value in (r, g, b))
    ramp = bytes(value for value in range(256) for _ in range(3))
    chart = Image.frombytes("RGB", (256 + len(steps) ** 3, 1), ramp + cube)
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        shown = ImageCms.profileToProfile(chart, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError):
        return False
    assert shown is not None
    bands = ImageChops.difference(chart, shown).getextrema()
    return all(isinstance(band, tuple) and band[1] <= _SAME for band in bands)


def hdr_numbers(profile: bytes) -> Numbers | None:
    """PQ or HLG by the profile's cicp tag (ICC.1:2022, 9.2.17), which its curves cannot hold."""
    (count,) = struct.unpack_from(">I", profile, 128) if len(profile) >= 132 else (0,)
    for entry in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        name, start = struct.unpack_from(">4sI", profile, entry)
        if name == b"cicp" and start + 10 <= len(profile):
            numbers = coded(profile[start + 8], profile[start + 9])
            return numbers if numbers.is_hdr else None
    return None


def made_of(numbers: Numbers) -> bytes:
    """A display profile (version 4) with these chromaticities and this curve, which is not HDR."""
    columns = zip(*to_d50(numbers.chromaticities), strict=True)
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {name: _xyz(column) for name, column in zip(names, columns, strict=True)}
    tags |= {b"wtpt": _xyz(_D50), b"desc": _text("stated"), b"cprt": _text("none")}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _parametric(numbers))
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s", at + len(body), 0x04400000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    head = head.ljust(68, b"\0") + _fixed(*_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _parametric(numbers: Numbers) -> bytes:
    """parametricCurveType (ICC.1:2022, 10.18): a plain exponent, or the curve of sRGB."""
    if isinstance(numbers.curve, float):
        return struct.pack(">4s4xHxx", b"para", 0) + _fixed(numbers.curve)
    srgb = _fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return struct.pack(">4s4xHxx", b"para", 3) + srgb


def _text(text: str) -> bytes:
    written = text.encode("utf-16-be")
    return struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(written), 28) + written


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))


def to_bt709(chromaticities: Chromaticities) -> Matrix:
    """Linear light of these primaries -> of BT.709, white staying white."""
    return _times(_inverse(to_d50(BT709)), to_d50(chromaticities))


def to_d50(chromaticities: Chromaticities) -> Matrix:
    """Linear light of these primaries -> CIE XYZ adapted to D50 (ICC.1:2022, annex E)."""
    points = [chromaticities[at : at + 2] for at in range(0, 8, 2)]
    *colours, white = [(x / y, 1.0, (1 - x - y) / y) for x, y in points]
    primaries: Matrix = tuple(zip(*colours, strict=True))
    shares = _apply(_inverse(primaries), white)
    to_white = _times(primaries, _diagonal(shares))
    seen, wanted = _apply(_BRADFORD, white), _apply(_BRADFORD, _D50)
    ratios = tuple(there / here for there, here in zip(wanted, seen, strict=True))
    adapt = _times(_inverse(_BRADFORD), _times(_diagonal(ratios), _BRADFORD))
    return _times(adapt, to_white)


def _diagonal(values: tuple[float, ...]) -> Matrix:
    return ((values[0], 0.0, 0.0), (0.0, values[1], 0.0), (0.0, 0.0, values[2]))


def _apply(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _times(left: Matrix, right: Matrix) -> Matrix:
    columns = [_apply(left, column) for column in zip(*right, strict=True)]
    return tuple(zip(*columns, strict=True))


def _inverse(matrix: Matrix) -> Matrix:
    """By cofactors. ZeroDivisionError where there is none."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    determinant = a * rows[0][0] + b * rows[1][0] + c * rows[2][0]
    return tuple((x / determinant, y / determinant, z / determinant) for x, y, z in rows)
