"""Files as cameras, scanners and programs write them: a flaw that costs no pixel is no damage."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from tests.images.compress.files import SMALL, difference, fault, opened, rendition, variant
from tests.support import pictures


def _same_picture(flawed: bytes, sound: bytes) -> None:
    assert rendition(flawed).sha256 == rendition(sound).sha256


CAMERA = variant("camera.jpg")
PROGRESSIVE = variant("progressive.jpg")
_TABLE, _HUFFMAN, _SCAN = (CAMERA.index(mark) for mark in (b"\xff\xdb", b"\xff\xc4", b"\xff\xda"))


def _scan_parameters(parameters: bytes) -> bytes:
    """The camera's file with other spectral selection and approximation in its SOS segment."""
    end = _SCAN + 2 + int.from_bytes(CAMERA[_SCAN + 2 : _SCAN + 4], "big")
    return CAMERA[: end - 3] + parameters + CAMERA[end:]


JPEG_FLAWS = {
    "Samsung's scan parameters": (_scan_parameters(b"\0\0\0"), CAMERA),
    "scan parameters of a progressive file": (_scan_parameters(b"\1\5\x21"), CAMERA),
    "a byte before a table": (CAMERA[:_TABLE] + b"\0" + CAMERA[_TABLE:], CAMERA),
    "three bytes before a table": (CAMERA[:_HUFFMAN] + b"abc" + CAMERA[_HUFFMAN:], CAMERA),
    "a byte before the scan": (CAMERA[:_SCAN] + b"\0" + CAMERA[_SCAN:], CAMERA),
    "no end mark": (CAMERA[:-2], CAMERA),
    "half an end mark": (CAMERA[:-1], CAMERA),
    "progressive without end mark": (PROGRESSIVE[:-2], PROGRESSIVE),
    "grey without end mark": (variant("grey.jpg")[:-2], variant("grey.jpg")),
    "two bytes before the end mark": (CAMERA[:-2] + b"\0\0" + CAMERA[-2:], CAMERA),
    "padding behind the end": (CAMERA + bytes(5000), CAMERA),
    "several of them": (_scan_parameters(b"\0\0\0")[:-2] + b"\0\0", CAMERA),
}


@pytest.mark.parametrize("name", JPEG_FLAWS)
def test_a_flaw_of_a_jpeg_that_costs_no_pixel(name: str) -> None:
    _same_picture(*JPEG_FLAWS[name])


def test_a_progressive_jpeg_without_its_last_scan_is_cut_off() -> None:
    """Every scan that is there is whole; the fine detail of all blocks is not there."""
    assert fault(PROGRESSIVE[: PROGRESSIVE.rindex(b"\xff\xda")]).code == "image_truncated"


def _as_process(marker: int, bits: int = 8) -> bytes:
    """The camera's file with the frame header of another coding process (T.81, table B.1)."""
    frame = CAMERA.index(b"\xff\xc0")
    return (
        CAMERA[: frame + 1]
        + bytes([marker])
        + CAMERA[frame + 2 : frame + 4]
        + bytes([bits])
        + (CAMERA[frame + 5 :])
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_as_process(0xC1, bits=12), "12-bit JPEG"),
        (_as_process(0xC3), "lossless or hierarchical JPEG"),
        (_as_process(0xC5), "lossless or hierarchical JPEG"),
    ],
)
def test_a_jpeg_of_a_kind_that_we_do_not_read_is_named(data: bytes, kind: str) -> None:
    answer = fault(data)
    assert (answer.code, answer.detail) == ("format_unsupported", kind)


def tiff(
    tags: dict[int, tuple[int, int, bytes]], picture: Image.Image | None = None, samples: int = 3
) -> bytes:
    """An uncompressed little-endian TIFF of one strip. ``tags``: number -> (type, count, value) of
    further entries, in the order in which they are to stand; a value of up to 4 bytes stands in
    its entry."""
    picture = picture or pictures.draw(3, (64, 48))
    pixels = picture.tobytes()
    entries = {
        256: (4, 1, struct.pack("<I", picture.width)),
        257: (4, 1, struct.pack("<I", picture.height)),
        258: (3, samples, struct.pack("<H", 8) * samples),
        259: (3, 1, struct.pack("<H", 1)),
        262: (3, 1, struct.pack("<H", 2)),
        273: (4, 1, struct.pack("<I", 8)),
        277: (3, 1, struct.pack("<H", samples)),
        278: (4, 1, struct.pack("<I", picture.height)),
        279: (4, 1, struct.pack("<I", len(pixels))),
    } | tags
    directory = struct.pack("<H", len(entries))
    behind, at = b"", 8 + len(pixels) + 2 + 12 * len(entries) + 4
    for number, (kind, count, value) in entries.items():
        if len(value) > 4:
            value, behind = struct.pack("<I", at + len(behind)), behind + value
        directory += struct.pack("<HHI", number, kind, count) + value.ljust(4, b"\0")
    head = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    return head + pixels + directory + bytes(4) + behind


def _short(value: int) -> tuple[int, int, bytes]:
    return 3, 1, struct.pack("<H", value)


TIFF_FLAWS = {
    "a text without its final NUL": {33432: (2, 9, b"(c) ACME!")},
    "a text padded with NULs": {270: (2, 20, b"shoe".ljust(20, b"\0"))},
    "a tag out of order": {315: (2, 6, b"ACME!\0"), 274: _short(1)},
    "a tag of an unknown type": {305: (99, 1, b"ACME")},
    "a text as number": {305: (3, 2, b"ACME")},
    "unknown tags": {60000: (7, 4, b"ACME"), 60001: (7, 4, b"ACME")},
    "dates of EXIF": {36867: (2, 20, b"2026:01:01 00:00:00\0")},
}


@pytest.mark.parametrize("name", TIFF_FLAWS)
def test_a_flaw_of_a_tiff_that_costs_no_pixel(name: str) -> None:
    _same_picture(tiff(TIFF_FLAWS[name]), tiff({}))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright(orientation: int) -> None:
    drawn = pictures.draw(5, (480, 320))
    stored = drawn.transpose(way) if (way := pictures.STORED_AS.get(orientation)) else drawn
    result = rendition(tiff({274: _short(orientation)}, stored))
    assert (result.width, result.height) == (480, 320)
    assert difference(opened(result.data), drawn) < 2


def test_a_turned_tiff_that_pillow_decodes_is_turned_once() -> None:
    drawn = pictures.draw(5, (480, 320))
    stored = drawn.transpose(pictures.STORED_AS[6])
    result = rendition(pictures.encoded(stored.convert("YCbCr"), "TIFF", tiffinfo={274: 6}))
    assert (result.width, result.height) == (480, 320)
    assert difference(opened(result.data), drawn) < 3


@pytest.mark.parametrize(("meaning", "expected"), [(0, (200, 40, 40)), (2, (255, 255, 255))])
def test_a_saved_selection_is_no_transparency(meaning: int, expected: tuple[int, int, int]) -> None:
    """ExtraSamples 0 is a channel without a meaning, 2 is transparency (TIFF 6.0, page 31)."""
    red = Image.new("RGBA", (60, 40), (200, 40, 40, 0))
    result = opened(rendition(tiff({338: _short(meaning)}, red, samples=4)).data)
    assert difference(result, Image.new("RGB", result.size, expected)) < 3


@pytest.mark.parametrize("compression", ["lzma", "zstd"])
def test_a_tiff_that_only_pillow_unpacks(compression: str) -> None:
    data = pictures.encoded(pictures.draw(3, SMALL), "TIFF", compression=compression)
    assert difference(opened(rendition(data).data), pictures.draw(3, SMALL)) < 3


def _raw(preview: dict[int, tuple[int, int, bytes]], photometric: int) -> bytes:
    """A preview, and in a sub-directory at the file's end the sensor's own picture."""
    sensor = struct.pack("<HHHII", 1, 262, 3, 1, photometric) + bytes(4)
    data = tiff(preview | {330: (4, 1, bytes(4))})
    at = data.rindex(struct.pack("<HHI", 330, 4, 1)) + 8
    return data[:at] + struct.pack("<I", len(data)) + data[at + 4 :] + sensor


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_raw({254: (4, 1, b"\1\0\0\0")}, 32803), "camera raw file"),
        (_raw({}, 34892), "camera raw file"),
        (tiff({50706: (1, 4, b"\1\4\0\0")}), "camera raw file"),
        (_raw({254: (4, 1, b"\1\0\0\0")}, 2), "only a preview"),
        (tiff({259: _short(6)}), "old-style JPEG in TIFF"),
        (tiff({259: _short(34712)}), "TIFF compression 34712"),
        (pictures.encoded(Image.new("LAB", (9, 9)), "TIFF"), "Lab TIFF"),
        (tiff({258: (3, 3, struct.pack("<3H", 12, 12, 12))}), "12 bits"),
        (pictures.encoded(Image.new("F", (9, 9)), "TIFF"), "32 bits"),
        (b"II+\0" + bytes(60), ""),
    ],
)
def test_a_tiff_of_a_kind_that_we_do_not_read_is_named(data: bytes, kind: str) -> None:
    answer = fault(data)
    assert answer.code == "format_unsupported"
    assert kind in answer.detail
