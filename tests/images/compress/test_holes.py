"""Half a picture of the right length: copies that broke off, blocks that were never written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random

import pytest
from PIL import Image

from imageproc.images.compress import Budget, Rendition, compress
from imageproc.images.presets import PRESETS
from tests.images.compress.files import difference, fault, opened, rendition, variant
from tests.support import pictures

SIZE = (640, 480)
DAMAGE = {"image_truncated", "image_corrupt"}


def on_white(size: tuple[int, int] = (1500, 1500)) -> Image.Image:
    """A product on paper white, most of which a good encoder writes as zeros."""
    picture = Image.new("RGB", size, "white")
    picture.paste(pictures.draw(1, (size[0] // 3, size[1] // 3)), (size[0] // 3, size[1] // 3))
    return picture


def _tiff(compression: str) -> bytes:
    return pictures.encoded(pictures.draw(1, SIZE), "TIFF", compression=compression)


def _jpeg(picture: Image.Image, **options: object) -> bytes:
    return pictures.encoded(picture, "JPEG", quality=88, **options)


# Sound files by name, each made when the first test asks for it.
MAKERS: dict[str, Callable[[], bytes]] = {
    "camera.jpg": lambda: variant("camera.jpg", SIZE),
    "optimised.jpg": lambda: _jpeg(pictures.draw(1, SIZE), optimize=True),
    "progressive.jpg": lambda: variant("progressive.jpg", SIZE),
    "grey.jpg": lambda: variant("grey.jpg", SIZE),
    "print.cmyk.jpg": lambda: variant("print.cmyk.jpg", SIZE),
    "plain.png": lambda: variant("plain.png", SIZE),
    "palette.png": lambda: variant("palette.png", SIZE),
    "still.gif": lambda: pictures.animated_gif(3, SIZE, frames=1),
    "lzw.tiff": lambda: variant("scan.tiff", SIZE),
    "deflate.tiff": lambda: _tiff("tiff_adobe_deflate"),
    "packbits.tiff": lambda: _tiff("packbits"),
    "jpeg.tiff": lambda: _tiff("jpeg"),
    "web.webp": lambda: variant("web.webp", SIZE),
    "lossless.webp": lambda: pictures.encoded(
        pictures.draw(1, (300, 200)), "WEBP", lossless=True, method=0
    ),
    "white.webp": lambda: pictures.encoded(on_white((3000, 2400)), "WEBP", quality=80, method=2),
    "next.avif": lambda: variant("next.avif", SIZE),
    "iphone.heic": lambda: variant("iphone.heic", SIZE),
    "white.jpg": lambda: _jpeg(on_white(), optimize=True),
    "white.progressive.jpg": lambda: _jpeg(on_white(), progressive=True),
    "white.grey.jpg": lambda: _jpeg(on_white().convert("L"), optimize=True),
    "white.cmyk.jpg": lambda: _jpeg(on_white().convert("CMYK"), optimize=True),
}


@cache
def whole_file(name: str) -> bytes:
    return MAKERS[name]()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.7])
def test_a_tail_of_zeros_is_never_a_picture(name: str, share: float) -> None:
    whole = whole_file(name)
    missing = int(len(whole) * share)
    assert fault(whole[:-missing] + bytes(missing)).code in DAMAGE


@pytest.mark.parametrize("name", MAKERS)
def test_a_hole_of_zeros_is_never_a_picture(name: str) -> None:
    """But for one in the last bit of a progressive picture's brightness, which is hardly seen."""
    random, whole = Random(name), whole_file(name)
    sound = opened(rendition(whole).data)
    for size in (500, 1000, len(whole) // 10, len(whole) // 4):
        at = random.randrange(1000, len(whole) - size - 300)
        holed = whole[:at] + bytes(size) + whole[at + size :]
        answer = compress(holed, PRESETS["catalog"].recipe, Budget())
        if isinstance(answer, Rendition):
            assert name == "white.progressive.jpg"
            assert difference(opened(answer.data), sound) < 1
        else:
            assert answer.code in DAMAGE, (at, size)


@pytest.mark.parametrize(
    "name", [name for name in MAKERS if name.startswith("white") and name.endswith("jpg")]
)
def test_zeros_that_an_encoder_wrote_are_no_hole(name: str) -> None:
    """Long runs of zero bytes, and every pixel is there."""
    assert bytes(64) in whole_file(name)[1000:]
    assert rendition(whole_file(name)).source_width in (1500, 3000)


@pytest.mark.parametrize("compression", ["packbits", "jpeg", "tiff_adobe_deflate", "tiff_lzw"])
@pytest.mark.parametrize("colour", ["black", "white"])
def test_a_plain_tiff_has_no_hole(compression: str, colour: str) -> None:
    picture = Image.new("RGB", (1500, 1500), colour)
    result = rendition(pictures.encoded(picture, "TIFF", compression=compression))
    assert opened(result.data).getpixel((400, 400)) == (
        (255,) * 3 if colour == "white" else (1,) * 3
    )


def test_a_hole_in_a_jpeg_tiff_is_found_wherever_it_is() -> None:
    """On paper white its decoder takes many a run of zeros for pixels, and warns of nothing."""
    whole = pictures.encoded(on_white((600, 600)), "TIFF", compression="jpeg", quality=75)
    for percent in range(10, 95, 5):
        at = len(whole) * percent // 100
        assert fault(whole[:at] + bytes(100) + whole[at + 100 :]).code in DAMAGE, percent


def _packbits(rows: bytes) -> bytes:
    """A grey TIFF of 256 x 256 in one strip, packed as ``rows``."""
    plain = pictures.encoded(Image.new("L", (256, 256)), "TIFF", compression="packbits")
    directory = int.from_bytes(plain[4:8], "little")
    entries = bytearray(plain[directory + 2 : directory + 2 + 12 * plain[directory]])
    for at in range(0, len(entries), 12):
        tag = int.from_bytes(entries[at : at + 2], "little")
        if tag == 273:
            entries[at + 8 : at + 12] = (8).to_bytes(4, "little")
        if tag == 278:
            entries[at + 8 : at + 12] = (256).to_bytes(4, "little")
        if tag == 279:
            entries[at + 8 : at + 12] = len(rows).to_bytes(4, "little")
    head = b"II*\0" + (8 + len(rows)).to_bytes(4, "little")
    return head + rows + plain[directory : directory + 2] + entries + bytes(4)


def test_bytes_that_packbits_copies_may_be_zeros() -> None:
    """An encoder that looks for no repetitions: 128 bytes as they are behind their number."""
    data = _packbits(256 * (b"\x7f" + bytes(128) + b"\x7f" + bytes(range(128))))
    shown = opened(rendition(data).data).convert("L")
    assert shown.getpixel((60, 100)) <= 8  # type: ignore[operator]
    assert shown.getpixel((250, 100)) > 100  # type: ignore[operator]


def test_a_hole_that_unpacks_to_the_right_length_is_a_hole() -> None:
    """Each sample by itself behind a zero, its number less one."""
    rows = 256 * 256 * b"\0\x80"
    assert opened(rendition(_packbits(rows)).data).convert("L").getpixel((60, 60)) == 128
    assert fault(_packbits(rows[:20_000] + bytes(600) + rows[20_600:])).code == "image_corrupt"


def test_a_gif_whose_data_ends_early_is_cut_off() -> None:
    """Its trailer is in place."""
    whole = whole_file("still.gif")
    for share in (0.2, 0.5, 0.9):
        assert fault(whole[: int(len(whole) * share)] + b"\0;").code in DAMAGE
