"""What stays of a picture's metadata: the label of AI, copyright and creator; nothing else."""

from __future__ import annotations

import struct
import zlib
from itertools import product

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from imageproc.images.compress import Recipe
from imageproc.images.recipe import OutputFormat
from tests.images.compress.files import opened, png_chunk, rendition
from tests.support import pictures

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
OUTPUTS: tuple[OutputFormat, ...] = ("jpeg", "webp", "png", "avif")
KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")
SECRETS = (b"SERIAL-4711", b"47.3769", b"Secret Camera", b"GPS")
FORMS = {
    "attribute": f'<rdf:Description Iptc4xmpExt:DigitalSourceType="{AI}" {{rest}}/>',
    "single quotes": f"<rdf:Description e:DigitalSourceType = '{AI}' {{rest}}/>",
    "element": "<rdf:Description {rest}><Iptc4xmpExt:DigitalSourceType>"
    f"{AI}</Iptc4xmpExt:DigitalSourceType></rdf:Description>",
    "resource": "<rdf:Description {rest}><Iptc4xmpExt:DigitalSourceType "
    f'rdf:resource="{AI}"/></rdf:Description>',
}
RIGHTS = (
    '<rdf:Description><dc:rights><rdf:Alt><rdf:li xml:lang="x-default">© Müller &amp; Co'
    "</rdf:li></rdf:Alt></dc:rights><dc:creator><rdf:Seq><rdf:li>Anna Müller</rdf:li></rdf:Seq>"
    "</dc:creator></rdf:Description>"
)


def xmp(description: str) -> bytes:
    place = 'exif:GPSLatitude="47.3769" aux:SerialNumber="SERIAL-4711"'
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>'
    return f"{head}{description.replace('{rest}', place)}</rdf:RDF></x:xmpmeta>".encode()


def with_secrets(kind: str, packet: bytes, size: tuple[int, int] = (60, 40)) -> bytes:
    """A file of Pillow's format ``kind`` with that XMP, and EXIF with a place and a camera."""
    exif = Image.Exif()
    exif[0x010F], exif[0xA431] = "Secret Camera", "SERIAL-4711"
    exif.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 36.0)})
    options: dict[str, object] = {"exif": exif, "xmp": packet}
    if kind == "PNG":
        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"exif": exif, "pnginfo": text}
    if kind == "TIFF":
        options = {"tiffinfo": {700: packet, 271: "Secret Camera"}}
    if kind in ("AVIF", "HEIF"):
        options["exif"] = exif.tobytes()
    return pictures.encoded(pictures.draw(2, size), kind, **options)


def about(data: bytes) -> bytes:
    """The XMP of a result."""
    start = data.find(b"<x:xmpmeta")
    return data[start : data.find(b"</x:xmpmeta>") + 12] if start >= 0 else b""


def leaks(data: bytes) -> list[bytes]:
    shown = opened(data)
    return [each for each in SECRETS if each in data] + [b"EXIF"] * bool(shown.getexif())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_label_stays_and_all_else_goes(kind: str, form: str) -> None:
    data = with_secrets(kind, xmp(FORMS[form]))
    for output in OUTPUTS if form == "attribute" else OUTPUTS[:1]:
        result = rendition(data, Recipe(format=output)).data
        assert f'Iptc4xmpExt:DigitalSourceType="{AI}"'.encode() in about(result), output
        assert leaks(result) == []
        assert len(about(result)) <= 500
        plain = rendition(with_secrets(kind, xmp("")), Recipe(format=output)).data
        assert (about(plain), leaks(plain)) == (b"", [])
        assert len(result) - len(plain) <= 500


def test_packed_text_of_a_png_and_the_manifest_of_c2pa_are_read() -> None:
    data = pictures.encoded(pictures.draw(2, (60, 40)), "PNG")
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(FORMS["element"]))
    manifest = b"jumbf digitalSourceType\x78" + struct.pack("B", len(AI)) + AI.encode() + b"\x63end"
    for chunk in (png_chunk(b"iTXt", packed), png_chunk(b"caBX", manifest)):
        result = rendition(data[:33] + chunk + data[33:])
        assert f'="{AI}"'.encode() in about(result.data)


@pytest.mark.parametrize("output", ["jpeg", "png", "webp"])
def test_a_smaller_original_keeps_its_label(output: OutputFormat) -> None:
    options = {"jpeg": {"quality": 5}, "png": {"optimize": True}, "webp": {"quality": 5}}[output]
    flat = Image.new("RGB", (64, 64), "red") if output == "png" else pictures.draw(2, (300, 200))
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp(FORMS["attribute"]).decode())
    extra = {"pnginfo": text} if output == "png" else {"xmp": xmp(FORMS["attribute"])}
    data = pictures.encoded(flat, output.upper(), **options, **extra)  # type: ignore[arg-type]
    result = rendition(data, Recipe(format=output, quality=95))
    assert result.kept_original is (output != "webp")
    assert f'="{AI}"'.encode() in about(result.data)
    assert leaks(result.data) == []
    assert opened(result.data).size == opened(data).size


def _iptc() -> bytes:
    records = b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(text)) + text
        for number, text in ((80, "Anna Müller".encode()), (116, "© Müller & Co".encode()))
    )
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records
    body = b"Photoshop 3.0\0" + resource + b"\0" * (len(records) % 2)
    plain = pictures.encoded(pictures.draw(2, (60, 40)), "JPEG")
    return plain[:2] + b"\xff\xed" + struct.pack(">H", len(body) + 2) + body + plain[2:]


def _exif(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x8298], exif[0x013B] = "© Müller & Co".encode(), "Anna Müller".encode()
    exif[0x010F] = "Secret Camera"
    return pictures.encoded(pictures.draw(2, (60, 40)), kind, exif=exif.tobytes())


def _png_text() -> bytes:
    text = PngInfo()
    text.add_text("Copyright", "© Müller & Co")
    text.add_text("Author", "Anna Müller")
    return pictures.encoded(pictures.draw(2, (60, 40)), "PNG", pnginfo=text)


WITH_NAMES = {
    **{f"xmp {kind}": with_secrets(kind, xmp(RIGHTS)) for kind in KINDS},
    **{f"exif {kind}": _exif(kind) for kind in ("JPEG", "PNG", "WEBP", "HEIF", "AVIF")},
    "iptc": _iptc(),
    "png text": _png_text(),
}


@pytest.mark.parametrize("name", WITH_NAMES)
def test_copyright_and_creator_stay_only_where_that_is_asked_for(name: str) -> None:
    for output, keep in product(OUTPUTS[:3], (False, True)):
        result = rendition(WITH_NAMES[name], Recipe(format=output, keep_copyright=keep)).data
        expected = 'dc:rights="© Müller &amp; Co" dc:creator="Anna Müller"'.encode()
        assert (expected in about(result)) is keep, output
        assert leaks(result) == []


def test_long_names_are_cut_and_the_label_is_whole() -> None:
    long = RIGHTS.replace("Müller &amp; Co", "ü&amp;" * 400)
    data = with_secrets("JPEG", xmp(FORMS["attribute"] + long))
    packet = about(rendition(data, Recipe(keep_copyright=True)).data)
    assert 480 < len(packet) <= 500
    assert AI.encode() in packet
    assert b"Anna" in packet


def test_what_is_no_label_is_not_passed_on() -> None:
    for value in ("&lt;script", "x" * 200, ""):
        packet = xmp(f'<rdf:Description Iptc4xmpExt:DigitalSourceType="{value}"/>')
        assert b"script" not in rendition(with_secrets("JPEG", packet)).data
