"""Files as cameras, scanners and programs write them: a flaw that costs no pixel is no damage."""

from __future__ import annotations

import pytest

from tests.images.compress.files import fault, rendition, variant


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
