"""Files as cameras, scanners and programs write them: a flaw that costs no pixel is no damage."""

from __future__ import annotations

import struct
import zlib

import pytest
from PIL import Image

from imageproc.images.compress import Recipe
from tests.images.compress.files import (
    SMALL,
    difference,
    fault,
    opened,
    png_chunk,
    rendition,
    variant,
)
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
    tags: dict[int, tuple[int, int, bytes]],
    picture: Image.Image | None = None,
    samples: int = 3,
    pixels: bytes = b"",
) -> bytes:
    """An uncompressed little-endian TIFF of one strip. ``tags``: number -> (type, count, value) of
    further entries, in the order in which they are to stand; a value of up to 4 bytes stands in
    its entry."""
    picture = picture or pictures.draw(3, (64, 48))
    pixels = pixels or picture.tobytes()
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
    if 324 in tags:  # tiles instead of strips
        entries = {number: entries[number] for number in sorted(entries.keys() - {273, 278, 279})}
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
    stored = drawn.transpose(pictures.STORED_AS[orientation]) if orientation > 1 else drawn
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


PNG = variant("plain.png")


def _with_chunk(name: bytes, body: bytes, *, sound: bool = True) -> bytes:
    """``PNG`` with a chunk behind its header; its checksum is wrong where it is not ``sound``."""
    chunk = png_chunk(name, body)
    return PNG[:33] + (chunk if sound else chunk[:-1] + bytes([chunk[-1] ^ 1])) + PNG[33:]


PNG_FLAWS = {
    "a text of 3 MB": _with_chunk(b"iTXt", b"XML\0\1\0\0\0" + zlib.compress(bytes(3_000_000))),
    "a packed text of 3 MB": _with_chunk(b"zTXt", b"XML\0\0" + zlib.compress(bytes(3_000_000))),
    "a profile of 2 MB that is none": _with_chunk(
        b"iCCP", b"wide\0\0" + zlib.compress(bytes(2_000_000))
    ),
    "a text's wrong checksum": _with_chunk(b"tEXt", b"Title\0shoe", sound=False),
    "a profile's wrong checksum": _with_chunk(
        b"iCCP", b"wide\0\0" + zlib.compress(b"x" * 500), sound=False
    ),
    "no end chunk": PNG[:-12],
    "an unknown chunk": _with_chunk(b"abCd", b"?"),
    "bytes behind the end": PNG + bytes(999),
}


@pytest.mark.parametrize("name", PNG_FLAWS)
def test_a_flaw_of_a_png_that_costs_no_pixel(name: str) -> None:
    _same_picture(PNG_FLAWS[name], PNG)


def test_a_kept_png_gets_its_end_chunk_back() -> None:
    flat = pictures.encoded(Image.new("RGB", (64, 64), "red"), "PNG", optimize=True)
    result = rendition(flat[:-12], Recipe(format="png"))
    assert result.kept_original
    assert result.data == flat


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"IDAT"])
def test_a_wrong_checksum_of_pixels_is_damage(name: bytes) -> None:
    whole = bytearray(variant("palette.png"))
    at = whole.index(name)
    length = int.from_bytes(whole[at - 4 : at], "big")
    whole[at + 4 + length] ^= 1
    assert fault(bytes(whole)).code == "image_corrupt"


def _gif(
    canvas: tuple[int, int],
    frames: list[tuple[tuple[int, int], Image.Image, bytes]],
    *,
    end: bytes = b";",
) -> bytes:
    """``frames``: (place on the canvas, picture, graphic control extension)."""
    data = struct.pack("<6sHHBBB", b"GIF89a", *canvas, 0, 0, 0)
    for (left, top), picture, control in frames:
        single = pictures.encoded(picture.quantize(16), "GIF")
        # Pillow's header is 13 bytes and a colour table, which becomes the frame's own.
        table = single[13 : 13 + (3 << ((single[10] & 7) + 1))]
        at = single.index(b",", 13 + len(table))
        place = struct.pack("<4H", left, top, *picture.size)
        data += control + b"," + place + bytes([0x80 | single[10] & 7]) + table
        data += single[at + 10 : -1]
    return data + end


RED = Image.new("RGB", (200, 150), (200, 30, 30))
WHOLE_GIF = _gif((200, 150), [((0, 0), RED, b"")])
TRANSPARENT = b"!\xf9\4\1\0\0\0\0"  # colour 0 is not drawn


@pytest.mark.parametrize("end", [b"", b"\0", b"\0\0;", b"\0\0\0", b";;", b";" + bytes(500)])
def test_a_gif_without_its_trailer_or_with_nuls(end: bytes) -> None:
    _same_picture(_gif((200, 150), [((0, 0), RED, b"")], end=end), WHOLE_GIF)


def test_nuls_between_the_frames_of_a_gif() -> None:
    first, rest = WHOLE_GIF[:-1], _gif((200, 150), [((0, 0), RED, b"")])[13:]
    _same_picture(first + bytes(3) + rest, WHOLE_GIF)


@pytest.mark.parametrize(
    "canvas", [(640, 480), (640, 512), (800, 600), (1024, 768), (1600, 1200), (2100, 100)]
)
def test_a_gif_is_as_large_as_its_canvas(canvas: tuple[int, int]) -> None:
    """libnsgif takes some sizes for mistakes. What no frame covers shows the background."""
    small = RED.crop((0, 0, 50, 40))
    result = rendition(_gif(canvas, [((30, 20), small, b"")]), Recipe(None, None, quality=90))
    expected = Image.new("RGB", canvas, "white")
    expected.paste(small, (30, 20))
    assert (result.width, result.height) == canvas
    assert difference(opened(result.data), expected) < 1


@pytest.mark.parametrize("blank", [1, 2, 4])
def test_the_first_frame_that_shows_anything_is_taken(blank: int) -> None:
    nothing = ((0, 0), Image.new("RGB", RED.size, "black"), TRANSPARENT)
    data = _gif(RED.size, [nothing] * blank + [((0, 0), RED, b"")])
    assert difference(opened(rendition(data).data), RED) < 2


def test_a_gif_of_nothing_stays_blank() -> None:
    nothing = ((0, 0), Image.new("RGB", RED.size, "black"), TRANSPARENT)
    result = opened(rendition(_gif(RED.size, [nothing] * 3)).data)
    assert result.getextrema() == ((255, 255),) * 3


def test_a_gif_cut_off_in_a_later_frame_shows_its_first() -> None:
    whole = pictures.animated_gif(3, SMALL, frames=2)
    assert difference(opened(rendition(whole[:-500]).data), pictures.draw(3, SMALL)) < 4


def _bmp(**fields: int) -> bytes:
    """A bitmap of 24 bits with other values in its header, by name (struct BITMAPINFOHEADER)."""
    places = {"file_size": (2, "<I"), "header_size": (14, "<I"), "compression": (30, "<I")}
    data = bytearray(pictures.encoded(pictures.draw(3, SMALL), "BMP"))
    for name, value in fields.items():
        struct.pack_into(places[name][1], data, places[name][0], value)
    return bytes(data)


@pytest.mark.parametrize("file_size", [0, 54, 2_111_692_253])
def test_the_size_in_a_bitmap_s_file_header_means_nothing(file_size: int) -> None:
    _same_picture(_bmp(file_size=file_size), _bmp())


def test_the_fourth_byte_of_a_bitmap_is_no_transparency() -> None:
    drawn = pictures.draw(3, SMALL)
    head = _bmp()[:28] + struct.pack("<HI", 32, 0) + _bmp()[34:54]
    pixels = drawn.transpose(Image.Transpose.FLIP_TOP_BOTTOM).convert("RGBX")
    data = head + pixels.tobytes("raw", "BGRX")
    assert difference(opened(rendition(data).data), drawn) < 2


@pytest.mark.parametrize("fields", [{"compression": 4}, {"compression": 9}, {"header_size": 20}])
def test_a_bitmap_of_a_kind_that_we_do_not_read_is_named(fields: dict[str, int]) -> None:
    assert fault(_bmp(**fields)).code == "format_unsupported"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pictures.encoded(pictures.draw(3, (64, 64)), "ICO"), "ICO"),
        (pictures.encoded(pictures.draw(3, (64, 64)), "TGA"), "TGA"),
        (pictures.encoded(pictures.draw(3, (64, 64)), "TGA", compression="tga_rle"), "TGA"),
        (pictures.encoded(pictures.draw(3, (64, 64)), "PCX"), "PCX"),
        (pictures.encoded(pictures.draw(3, (64, 64)), "SGI"), "SGI"),
        (pictures.encoded(pictures.draw(3, (64, 64)), "JPEG2000"), "JPEG 2000"),
        (pictures.encoded(pictures.draw(3, (64, 64)), "PPM"), "PNM"),
        (pictures.encoded(pictures.draw(3, (64, 64)), "QOI"), "QOI"),
        (b"FUJIFILMCCD-RAW 0201FF383501", "camera raw file"),
        (b"IIU\0\x18\0\0\0" + bytes(90), "camera raw file"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "crx"),
        (b"\xff\xd8\xff\xf7\0\x0b\x08\0\x09\0\x09\1\1\x11\0" + bytes(90), "lossless"),
    ],
)
def test_a_picture_of_a_kind_that_we_do_not_read_is_named(data: bytes, kind: str) -> None:
    answer = fault(data)
    assert answer.code == "format_unsupported"
    assert kind in answer.detail


def test_an_animated_webp_is_shown_by_its_first_frame_that_shows_anything() -> None:
    nothing = Image.new("RGBA", SMALL)
    drawn = pictures.draw(3, SMALL)
    data = pictures.encoded(
        nothing, "WEBP", save_all=True, append_images=[drawn.convert("RGBA")], duration=100
    )
    assert difference(opened(rendition(data).data), drawn) < 4


def test_a_tiff_of_tiles_with_separate_channels() -> None:
    """PlanarConfiguration 2: a plane of tiles for each colour, which libvips does not read."""
    drawn = pictures.draw(3, (64, 48))
    planes = [channel.tobytes() for channel in drawn.split()]
    lengths = struct.pack("<3I", *map(len, planes))
    offsets = struct.pack("<3I", *(8 + each * len(planes[0]) for each in range(3)))
    tiled = {
        284: _short(2),
        322: _short(64),
        323: _short(48),
        324: (4, 3, offsets),
        325: (4, 3, lengths),
    }
    data = tiff(tiled, drawn, pixels=b"".join(planes))
    result = opened(rendition(data, Recipe(format="png")).data)
    assert result.convert("RGB").tobytes() == drawn.tobytes()
