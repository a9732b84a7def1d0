"""Every way in which a file says what its colours are, and what is made of it.

Expected values come from the formulas and matrices that the standards print, in plain arithmetic,
or from Pillow's ImageCms.
"""

from __future__ import annotations

import io
import itertools
import math
import struct
import zlib
from collections.abc import Callable, Sequence

import pytest
from PIL import Image, ImageCms

from imageproc.images.compress import Recipe
from tests.images.compress.files import (
    SMALL,
    difference,
    opened,
    png_chunk,
    rendition,
    sampling,
    variant,
)
from tests.images.compress.heif_files import encoded, nclx, with_properties
from tests.support import pictures

Colour = tuple[float, float, float]
LOSSLESS = Recipe(format="png")
PATCHES = [(200, 60, 40), (60, 180, 90), (50, 80, 200), (128, 128, 128), (240, 230, 200), (9, 9, 9)]
# Linear BT.709 -> linear light of other primaries, by rows: ITU-R BT.2087, table 1; Display P3.
TO_BT2020 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))
TO_P3 = ((0.8225, 0.1774, 0.0), (0.0332, 0.9669, 0.0), (0.0171, 0.0724, 0.9108))
SAME = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
PRIMARIES = {1: SAME, 2: SAME, 9: TO_BT2020, 12: TO_P3}


def _linear(value: float) -> float:
    """IEC 61966-2-1"""
    value /= 255
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _srgb(light: float) -> float:
    light = min(max(light, 0.0), 1.0)
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


# Code points of ITU-T H.273 -> the sample (0 to 1) of a light (0 to 1).
CURVES: dict[int, Callable[[float], float]] = {
    1: lambda light: _srgb(light) / 255,  # shown with sRGB's, as browsers do
    4: lambda light: light ** (1 / 2.2),
    5: lambda light: light ** (1 / 2.8),
    8: lambda light: light,
    13: lambda light: _srgb(light) / 255,
}


def _stated(colour: tuple[int, ...], primaries: int, transfer: int) -> tuple[int, ...]:
    """The samples that mean this sRGB colour in a space of H.273."""
    light = [_linear(value) for value in colour]
    other = (sum(a * b for a, b in zip(row, light, strict=True)) for row in PRIMARIES[primaries])
    return tuple(round(255 * CURVES[transfer](max(each, 0.0))) for each in other)


def _chart(colours: list[tuple[int, ...]]) -> Image.Image:
    """Patches of 16 x 16, side by side."""
    chart = Image.new("RGB", (16 * len(colours), 16))
    for place, colour in enumerate(colours):
        chart.paste(colour, (16 * place, 0, 16 * place + 16, 16))
    return chart


def _patches(data: bytes) -> list[tuple[int, ...]]:
    shown = opened(rendition(data, LOSSLESS).data).convert("RGB")
    return [shown.getpixel((x, 8)) for x in range(8, shown.width, 16)]  # type: ignore[misc]


def _furthest(one: Sequence[tuple[int, ...]], other: Sequence[tuple[int, ...]]) -> int:
    pairs = zip(one, other, strict=True)
    return max(abs(a - b) for left, right in pairs for a, b in zip(left, right, strict=True))


def _png(picture: Image.Image, *chunks: bytes, **options: object) -> bytes:
    whole = pictures.encoded(picture, "PNG", **options)
    return whole[:33] + b"".join(chunks) + whole[33:]


def _in_file(kind: str, chart: Image.Image, primaries: int, transfer: int) -> bytes:
    if kind == "png":
        return _png(chart, png_chunk(b"cICP", bytes([primaries, transfer, 0, 1])))
    whole = encoded(chart, kind)
    return with_properties(whole, nclx(primaries, transfer), without=(b"colr",))


@pytest.mark.parametrize("kind", ["avif", "heic", "png"])
@pytest.mark.parametrize("transfer", CURVES)
@pytest.mark.parametrize("primaries", PRIMARIES)
def test_code_points_are_honoured(kind: str, primaries: int, transfer: int) -> None:
    chart = _chart([_stated(colour, primaries, transfer) for colour in PATCHES])
    shown = _patches(_in_file(kind, chart, primaries, transfer))
    # Far from sRGB's curve, the steps of 8 bits are wide.
    assert _furthest(shown, PATCHES) <= (8 if transfer in (5, 8) else 4)


def _pq(light: float) -> float:
    """ITU-R BT.2100, table 4: candela per square metre -> sample."""
    power = (light / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


def _hlg(light: float) -> float:
    """ITU-R BT.2100, table 5: grey of this light on the reference display -> sample."""
    scene = (light / 1000) ** (1 / 1.2)
    if scene <= 1 / 12:
        return math.sqrt(3 * scene)
    return 0.17883277 * math.log(12 * scene - 0.28466892) + 0.55991073


HDR: dict[int, Callable[[float], float]] = {16: _pq, 18: _hlg}


@pytest.mark.parametrize("kind", ["avif", "heic", "png"])
@pytest.mark.parametrize("transfer", HDR)
def test_hdr_greys_are_pressed_into_a_standard_range(kind: str, transfer: int) -> None:
    """Up to a fifth of paper white (203 cd/m2) nothing changes; 1,000 is white; between, no two
    steps fall together."""
    lights = [0, 2, 10, 40, 100, 203, 400, 1000]
    samples = [round(255 * HDR[transfer](light)) for light in lights]
    shown = _patches(_in_file(kind, _chart([(s, s, s) for s in samples]), 9, transfer))
    assert all(max(patch) - min(patch) <= 2 for patch in shown)
    greys = [patch[1] for patch in shown]
    assert greys[0] == 0
    for light, grey in zip(lights[1:4], greys[1:4], strict=True):
        assert abs(grey - _srgb(light / 203)) <= 6  # 8-bit PQ is that coarse
    assert greys[-1] >= 253
    assert all(later - earlier >= 8 for earlier, later in itertools.pairwise(greys))
    assert 185 <= greys[5] <= 225


@pytest.mark.parametrize("kind", ["avif", "heic", "png"])
def test_dark_hdr_colours_keep_their_hue(kind: str) -> None:
    """PQ in BT.2020: colours below a fifth of paper white are what they are in sRGB."""
    dark = [(90, 30, 20), (30, 80, 40), (25, 35, 95), (110, 100, 60)]
    chart = []
    for colour in dark:
        light = [203 * _linear(value) for value in colour]
        rows = (sum(a * b for a, b in zip(row, light, strict=True)) for row in TO_BT2020)
        chart.append(tuple(round(255 * _pq(each)) for each in rows))
    assert _furthest(_patches(_in_file(kind, _chart(chart), 9, 16)), dark) <= 8


def test_hdr_keeps_transparency() -> None:
    half = Image.new("RGBA", (16, 16), (0, 0, 0, 128))
    data = _png(half, png_chunk(b"cICP", bytes([9, 16, 0, 1])))
    assert opened(rendition(data, LOSSLESS).data).getpixel((3, 3)) == (0, 0, 0, 128)


GREY = Image.new("RGB", (32, 32), (128, 128, 128))
ORANGE = Image.new("RGB", (32, 32), (200, 100, 50))
SWAPPED = struct.pack(">8I", 31270, 32900, 30000, 60000, 64000, 33000, 15000, 6000)


def _gamma(value: int) -> bytes:
    return png_chunk(b"gAMA", struct.pack(">I", value))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ((_gamma(45455),), 128),
        ((_gamma(45000),), 128),
        ((_gamma(0),), 128),
        ((_gamma(100_000),), 188),
        ((_gamma(62500),), 157),
        ((_gamma(100_000), png_chunk(b"sRGB", b"\0")), 128),
        ((_gamma(100_000), png_chunk(b"cICP", bytes([1, 13, 0, 1]))), 128),
        ((png_chunk(b"cICP", bytes([1, 8, 0, 1])), png_chunk(b"sRGB", b"\0")), 188),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_a_pngs_gamma(chunks: tuple[bytes, ...], expected: int, mode: str) -> None:
    grey = GREY.quantize(2) if mode == "P" else GREY.convert(mode)
    shown = opened(rendition(_png(grey, *chunks), LOSSLESS).data).convert("RGB")
    assert _furthest([shown.getpixel((9, 9))], [(expected,) * 3]) <= 1  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (SWAPPED, (100, 200, 50)),
        (struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000), (200, 100, 50)),
        (bytes(32), (200, 100, 50)),
        (struct.pack(">8I", *[30000] * 8), (200, 100, 50)),
    ],
    ids=["red and green exchanged", "of sRGB", "zeros", "no triangle"],
)
@pytest.mark.parametrize("gamma", [(), (_gamma(45455),)], ids=["alone", "with gamma"])
def test_a_pngs_chromaticities(
    chunk: bytes, expected: tuple[int, ...], gamma: tuple[bytes, ...]
) -> None:
    shown = _patches(_png(ORANGE, png_chunk(b"cHRM", chunk), *gamma))
    assert _furthest(shown[:1], [expected]) <= 1


def test_the_usual_gamma_keeps_a_small_original() -> None:
    """It changes nothing, so the file may go out as it came, without the chunk."""
    flat = _png(ORANGE, _gamma(45455), optimize=True)
    result = rendition(flat, Recipe(format="png"))
    assert result.kept_original
    assert b"gAMA" not in result.data


# ICC profiles.


def _profile(space: bytes, curve: float, name: str = "Test") -> bytes:
    """A grey or RGB display profile with a plain exponent (ICC.1:2001-04)."""
    trc = b"curv" + bytes(4) + struct.pack(">IH", 1, round(curve * 256)) + bytes(2)
    if space == b"RGB ":
        srgb = (
            (0.43607, 0.22249, 0.01392),
            (0.38515, 0.71687, 0.09708),
            (0.14307, 0.06061, 0.7141),
        )
        made = pictures.rgb_profile(name, srgb)
        return made.replace(b"curv" + bytes(4) + struct.pack(">IH", 1, round(2.2 * 256)), trc[:14])
    text = name.encode() + b"\0"
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78),
        b"wtpt": white,
        b"kTRC": trc,
    }
    at, table, body = 132 + 12 * len(tags), b"", b""
    for key, value in tags.items():
        table += struct.pack(">4sII", key, at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    head = struct.pack(
        ">I4xI4s4s4s12x4s", at + len(body), 0x02200000, b"mntr", space, b"XYZ ", b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("name", ["sRGB", "sRGB IEC61966-2.1", "sRGB-elle-V2-g10.icc", "Wide"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "HEIF"])
def test_a_profile_is_believed_by_its_curves(name: str, kind: str) -> None:
    profile = _profile(b"RGB ", 1.0, name)
    data = pictures.encoded(GREY, kind, quality=100, icc_profile=profile)
    assert _furthest(_patches(data), [(188,) * 3] * 2) <= 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_srgb_by_another_name_leaves_pixels_alone(kind: str) -> None:
    renamed = SRGB.replace("sRGB".encode("utf-16-be"), "Blue".encode("utf-16-be"))
    renamed = renamed.replace(b"sRGB", b"Blue")
    picture = pictures.draw(1, SMALL)
    data = pictures.encoded(picture, kind, icc_profile=renamed)
    assert rendition(data).data == rendition(pictures.encoded(picture, kind)).data


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", _profile(b"GRAY", 1.0)),
        ("L", _profile(b"RGB ", 1.0)),
        ("CMYK", _profile(b"RGB ", 1.0)),
        ("RGB", b""),
        ("RGB", b"not a profile"),
        ("RGB", bytes(4000)),
        ("RGB", _profile(b"RGB ", 1.0)[:200]),
        ("L", _profile(b"GRAY", 1.0)[:150]),
    ],
)
def test_a_profile_that_is_no_help_is_passed_over(mode: str, profile: bytes) -> None:
    picture = pictures.draw(1, SMALL).convert(mode)
    data = pictures.encoded(picture, "JPEG", icc_profile=profile)
    assert rendition(data).data == rendition(pictures.encoded(picture, "JPEG")).data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize(("curve", "expected"), [(1.0, 188), (2.2, 128), (1.8, 147)])
def test_a_profile_for_grey(kind: str, curve: float, expected: int) -> None:
    profile = _profile(b"GRAY", curve)
    data = pictures.encoded(GREY.convert("L"), kind, quality=100, icc_profile=profile)
    assert _furthest(_patches(data), [(expected,) * 3] * 2) <= 2


def test_pq_by_the_cicp_tag_of_a_profile() -> None:
    """ICC.1:2022, 9.2.17: curves cannot say it. Without the tag this profile means linear light."""
    plain = _profile(b"RGB ", 1.0)
    (count,) = struct.unpack_from(">I", plain, 128)
    body = b"cicp" + bytes(4) + bytes([9, 16, 0, 1])
    table = bytearray(plain[132 : 132 + 12 * count])
    for entry in range(0, len(table), 12):
        (at,) = struct.unpack_from(">I", table, entry + 4)
        struct.pack_into(">I", table, entry + 4, at + 12)
    table += struct.pack(">4sII", b"cicp", len(plain) + 12, len(body))
    rest = plain[132 + 12 * count :]
    tagged = plain[4:128] + struct.pack(">I", count + 1) + bytes(table) + rest + body
    tagged = struct.pack(">I", len(tagged) + 4) + tagged
    sample = round(255 * _pq(40))
    grey = Image.new("RGB", (32, 32), (sample,) * 3)
    shown = _patches(pictures.encoded(grey, "PNG", icc_profile=tagged))
    assert _furthest(shown, [(round(_srgb(40 / 203)),) * 3] * 2) <= 4


def test_a_png_of_sixteen_bits_with_alpha_and_a_wide_profile() -> None:
    """Pillow writes none. Expected: ImageCms' conversion, on white."""
    profile = pictures.rgb_profile("Wide RGB", pictures.DISPLAY_P3)
    samples, alpha = (60, 180, 90), 128
    row = b"\0" + struct.pack(">4H", *(value * 257 for value in (*samples, alpha))) * 40
    head = struct.pack(">IIBBBBB", 40, 30, 16, 6, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head)
    data += png_chunk(b"iCCP", b"wide\0\0" + zlib.compress(profile))
    data += png_chunk(b"IDAT", zlib.compress(row * 30)) + png_chunk(b"IEND", b"")
    wide = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(
        Image.new("RGB", (1, 1), samples), wide, ImageCms.createProfile("sRGB")
    )
    assert converted is not None
    colour = converted.getpixel((0, 0))
    assert isinstance(colour, tuple)
    kept = opened(rendition(data, LOSSLESS).data).getpixel((9, 9))
    assert _furthest([kept], [(*colour, alpha)]) <= 1  # type: ignore[list-item]
    on_white = [round(value * alpha / 255 + 255 - alpha) for value in colour]
    flat = opened(rendition(data, Recipe(quality=100)).data).getpixel((9, 9))
    assert _furthest([flat], [tuple(on_white)]) <= 2  # type: ignore[list-item]


def test_ink_without_a_profile_is_not_inverted() -> None:
    data = variant("print.cmyk.jpg")
    assert difference(opened(rendition(data).data), pictures.draw(3, SMALL)) < 30
    assert sampling(rendition(data).data) == [(2, 2), (1, 1), (1, 1)]
