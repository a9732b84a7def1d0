"""What is refused, by which name, and before it costs anything."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest
from PIL import Image

from imageproc.faults import Fault
from imageproc.images.compress import Budget, Recipe, Rendition, compress, jpeg
from tests.images.compress.files import SMALL, fault, flat_png, png_chunk, rendition, variant
from tests.support import pictures


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_body"),
        (b"hello", "not_an_image"),
        (b"<!doctype html><title>Sign in</title>", "not_an_image"),
        (b"\0" * 5000, "not_an_image"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "format_unsupported"),
        (b'<?xml version="1.0"?>\n<svg width="9"/>', "format_unsupported"),
        (b"%PDF-1.7\n", "format_unsupported"),
        (b"8BPS\0\1", "format_unsupported"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "format_unsupported"),
        (b"\0\0\1\0\1\0", "format_unsupported"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "format_unsupported"),
        (pictures.encoded(Image.new("F", (9, 9)), "TIFF"), "format_unsupported"),
        (b"\xff\xd8\xff\xe0", "image_truncated"),
        (b"\x89PNG\r\n\x1a\n", "image_truncated"),
    ],
)
def test_what_is_not_a_picture_we_read_is_named(data: bytes, code: str) -> None:
    assert fault(data).code == code


@pytest.mark.parametrize("name", list(pictures.VARIANTS))
def test_a_cut_off_file_is_never_half_a_picture(name: str) -> None:
    whole = variant(name)
    if name == "animated.gif":  # only its first frame is shown
        whole = pictures.animated_gif(3, SMALL, frames=1)
    rendition(whole)
    cuts = {len(whole) - 100} | {len(whole) * tenth // 10 for tenth in range(1, 10)}
    found = {fault(whole[:cut]).code for cut in cuts}
    assert found <= {"image_truncated", "image_corrupt"}
    assert "image_truncated" in found


@pytest.mark.parametrize("name", ["camera.jpg", "progressive.jpg"])
def test_a_broken_scan_with_a_proper_end_is_damage(name: str) -> None:
    whole = variant(name)
    assert fault(whole[: len(whole) // 2] + b"\xff\xd9").code == "image_corrupt"


def test_padding_after_the_end_is_no_damage() -> None:
    whole = variant("camera.jpg")
    assert rendition(whole + b"\xff\xda" + bytes(500)).sha256 == rendition(whole).sha256


def test_pixels_are_counted_before_any_is_decoded() -> None:
    for data in (flat_png(30_000, 30_000), flat_png(8_000, 8_000), flat_png(40_000, 10)):
        started = time.process_time()
        assert fault(data).code == "too_many_pixels"
        assert time.process_time() - started < 1


def test_the_pixel_limit_is_exact() -> None:
    data = pictures.jpeg(1, SMALL)
    pixels = SMALL[0] * SMALL[1]
    assert isinstance(compress(data, Recipe(), Budget(max_pixels=pixels)), Rendition)
    assert fault(data, budget=Budget(max_pixels=pixels - 1)).code == "too_many_pixels"


def _with_scans(scans: int, name: str = "progressive.jpg") -> bytes:
    """A JPEG whose last scan is there again and again: a lenient decoder works on."""
    data = variant(name)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    assert fault(_with_scans(1000)).code == "too_complex"


def test_scans_after_the_only_one_of_a_baseline_jpeg_are_not_read() -> None:
    again = _with_scans(1000, "camera.jpg")
    begun = time.process_time()
    assert rendition(again).sha256 == rendition(variant("camera.jpg")).sha256
    assert time.process_time() - begun < 1


def test_a_scan_for_each_colour_is_counted() -> None:
    """ITU-T T.81, B.2: a sequential frame of three components, and three scans of one each."""
    frame = b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x03" + bytes(9)
    scans = b"".join(b"\xff\xda\x00\x08\x01%c\x00\x00\x3f\x00pixels" % n for n in range(3))
    data = b"\xff\xd8" + frame + scans + b"\xff\xd9"
    assert jpeg.scan_count(jpeg.read_header(data), 100) == 3


@pytest.mark.parametrize("name", pictures.VARIANTS)
def test_a_file_that_ends_within_its_header_is_no_error_of_ours(name: str) -> None:
    whole = variant(name)
    codes = {fault(whole[:cut]).code for cut in range(1, 120)}
    assert codes <= {"image_truncated", "image_corrupt", "not_an_image", "format_unsupported"}


@pytest.mark.parametrize("name", ["camera.jpg", "progressive.jpg"])
def test_a_jpeg_that_ends_within_the_header_of_a_scan_is_cut_off(name: str) -> None:
    """A phone that loses its connection stops at any byte."""
    whole = variant(name)
    headers = [start for marker, start, _ in jpeg.segments(whole) if marker == 0xDA]
    cuts = [start + length for start in headers for length in range(1, 14)]
    assert {cut: fault(whole[:cut]).code for cut in cuts} == dict.fromkeys(cuts, "image_truncated")


def test_scans_count_the_more_the_larger_the_picture() -> None:
    data = variant("progressive.jpg")
    tight = Budget(max_scan_pixels=5 * SMALL[0] * SMALL[1])
    assert fault(data, budget=tight).code == "too_complex"


def test_memory_is_reckoned_before_it_is_taken() -> None:
    assert fault(flat_png(9_000, 5_000, depth=16, colour=6, interlace=1)).code == "too_complex"


def test_a_format_that_cannot_be_written_in_the_room_left_says_so() -> None:
    data = pictures.jpeg(1, (1200, 900))
    little = Budget(max_held_bytes=1_000_000)
    assert fault(data, Recipe(None, None, format="avif"), little).code == "cannot_encode"
    assert isinstance(compress(data, Recipe(), little), Rendition)


@pytest.mark.parametrize(("name", "code"), [(b"iCCP", "too_complex"), (b"zTXt", "done")])
def test_a_png_chunk_that_unpacks_to_gigabytes_is_not_unpacked(name: bytes, code: str) -> None:
    packed = zlib.compress(bytes(200_000_000), 9)
    plain = variant("plain.png")
    bomb = plain[:33] + png_chunk(name, b"name\0\0" + packed) + plain[33:]
    started = time.process_time()
    answer = compress(bomb, Recipe(), Budget())
    assert (answer.code if isinstance(answer, Fault) else "done") == code
    assert time.process_time() - started < 1


def test_an_absurd_animation_is_refused() -> None:
    frames = [Image.new("RGB", (4, 4), (each % 2 * 200, 0, 0)) for each in range(2_100)]
    target = io.BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    assert fault(target.getvalue()).code == "too_complex"


def test_a_tiff_may_not_ask_for_a_giant_tile() -> None:
    tags = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: 65_520, 323: 65_520}
    tags |= {324: 200, 325: 1000}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)
    data = directory.ljust(200, b"\0") + zlib.compress(bytes(1000)).ljust(1000, b"\0")
    assert fault(data).code == "too_complex"
