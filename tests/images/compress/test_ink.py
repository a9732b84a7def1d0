"""Pictures in ink with a profile of their press. Pillow's ImageCms is the reference."""

from __future__ import annotations

import io
import struct

import pytest
from PIL import Image, ImageChops, ImageCms

from imageproc.images.compress import Recipe
from tests.images.compress.files import opened, rendition
from tests.support import pictures


def _press(name: bytes = b"Test press") -> bytes:
    """A CMYK output profile: a table of the sixteen full-tone mixtures, as Lab of 8 bits
    (ICC.1:2001-04, 6.5.8). Not the arithmetic of a screen: cyan is darker than magenta."""
    table = bytearray()
    for cyan in (0, 1):
        for magenta in (0, 1):
            for yellow in (0, 1):
                for black in (0, 1):
                    paper = 0 if black else 255
                    light = max(0, paper - 110 * cyan - 80 * magenta - 20 * yellow)
                    tint = (-60 * cyan + 70 * magenta, -40 * cyan + 85 * yellow)
                    table += bytes([light, *(0x80 + (0 if black else each) for each in tint)])
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    straight = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity
    lut += straight * 4 + bytes(table) + straight * 3
    text = name + b"\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"cprt": b"text" + bytes(4) + b"Public domain\0",
        b"A2B0": lut,
    }
    at, index, body = 132 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        index += struct.pack(">4sII", key, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s", at + len(body), 0x02200000, b"prtr", b"CMYK", b"Lab ", b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + index + body


INKS = [(0, 0, 0, 0), (0, 0, 0, 255), (200, 30, 0, 0), (0, 180, 60, 20), (10, 0, 220, 0)]


@pytest.mark.parametrize("ink", INKS)
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_a_press_profile_decides_what_ink_looks_like(kind: str, ink: tuple[int, ...]) -> None:
    plain = Image.new("CMYK", (32, 32), ink)
    profile = _press()
    data = pictures.encoded(plain, kind, quality=100, icc_profile=profile)
    shown = opened(rendition(data, Recipe(format="png")).data).convert("RGB")
    expected = ImageCms.profileToProfile(
        opened(data),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    assert expected is not None
    bands = ImageChops.difference(shown, expected).getextrema()
    assert max(int(high) for _, high in bands) <= 2  # type: ignore[misc]
    without = opened(
        rendition(pictures.encoded(plain, kind, quality=100), Recipe(format="png")).data
    )
    if ink == (200, 30, 0, 0):
        assert without.convert("RGB").getpixel((9, 9)) != shown.getpixel((9, 9))
