"""What a picture says of its origin: the label of AI, and whose it is. All other metadata goes.

The label is IPTC's DigitalSourceType. Google Merchant Center demands that it stays in pictures made
by AI (https://support.google.com/merchants/answer/6324350). It is written as XMP, alone, so that
neither a place nor a serial number can go along.
"""

from __future__ import annotations

import io
import re
import zlib
from contextlib import suppress
from html import unescape
from typing import Any
from xml.sax.saxutils import quoteattr

from PIL import Image, IptcImagePlugin

from imageproc.images.compress.anatomy import png_chunks
from imageproc.images.compress.identify import Source

# Bytes of what is written; longer names are cut.
_MAX_BYTES = 500
_MAX_UNPACKED = 1_000_000
_MARK = b"igitalSourceType"
# As an attribute, an element or a resource.
_LABEL = re.compile(
    rb"""DigitalSourceType(?:\s+rdf:resource)?\s*(?:=\s*["']|>)\s*([A-Za-z][\w:/.#-]{2,119})["'<\s]"""
)
# In C2PA's manifest (CBOR, RFC 8949) as a text, whose length goes before it.
_C2PA = re.compile(
    rb"digitalSourceType\x78(.)(https?://cv\.iptc\.org/newscodes/digitalsourcetype/\w+)", re.DOTALL
)
# XMP's dc:rights and dc:creator: the first item of a list, or an attribute.
_XMP_NAMES = {
    name: re.compile(
        rb"<dc:%b>\s*<rdf:(?:Alt|Seq|Bag)>\s*<rdf:li[^>]*>([^<]{1,1000})|dc:%b=[\"']([^\"']{1,1000})"
        % (name, name)
    )
    for name in (b"rights", b"creator")
}
# EXIF's Copyright and Artist (CIPA DC-008), IPTC-IIM's Copyright Notice and By-line, PNG's own.
_EXIF, _IIM = {b"rights": 0x8298, b"creator": 0x013B}, {b"rights": (2, 116), b"creator": (2, 80)}
# The item of a HEIC file: a TIFF, whose byte order comes first.
_EXIF_BLOCK = re.compile(rb"Exif\0\0(?:II\*\0|MM\0\*).{,65535}", re.DOTALL)
_PNG = {b"rights": "Copyright", b"creator": "Author"}
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_DC = "http://purl.org/dc/elements/1.1/"


def statement(source: Source, *, keep_copyright: bool) -> bytes:
    """What is to be kept of the origin of a picture, as XMP of up to 500 bytes; b"" where it says
    nothing."""
    text = source.data
    if source.kind == "png":
        text = _png_text(text)
    label = _label(text)
    names = _names(source, text) if keep_copyright else {}
    packet = _packet(label, names)
    while len(packet) > _MAX_BYTES:
        longest = max(names, key=lambda name: len(names[name]))
        names[longest] = names[longest][:-1]
        packet = _packet(label, names)
    return packet


def _label(text: bytes) -> str:
    if text.find(_MARK) < 0:
        return ""
    if found := _LABEL.search(text):
        return found[1].decode()
    found = _C2PA.search(text)
    return found[2][: found[1][0]].decode() if found else ""


def _png_text(data: bytes) -> bytes:
    """The chunks of a PNG that hold text, unpacked."""
    texts = []
    for name, start, end in png_chunks(data):
        if name not in (b"iTXt", b"zTXt", b"tEXt", b"caBX"):
            continue
        body = data[start + 8 : end - 4]
        keyword, _, rest = body.partition(b"\0")
        packed = (name == b"iTXt" and rest[:1] == b"\1") or name == b"zTXt"
        if packed:
            # iTXt: flag, method, language, translated keyword; zTXt: method.
            rest = rest[2:].split(b"\0", 2)[-1] if name == b"iTXt" else rest[1:]
            with suppress(zlib.error):
                body = keyword + b"\0" + zlib.decompressobj().decompress(rest, _MAX_UNPACKED)
        texts.append(body)
    return b"\n".join(texts)


def _names(source: Source, text: bytes) -> dict[bytes, str]:
    """Copyright (``rights``) and creator, by XMP or else by EXIF, IPTC-IIM or PNG's own text."""
    names: dict[bytes, str] = {}
    for name, pattern in _XMP_NAMES.items():
        if found := pattern.search(text):
            names[name] = unescape((found[1] or found[2]).decode(errors="replace")).strip()
    if len(names) == len(_XMP_NAMES):
        return names
    # Libraries raise anything for hostile metadata.
    with suppress(Exception):
        names = _names_elsewhere(source) | names
    return {name: value for name, value in names.items() if value}


def _names_elsewhere(source: Source) -> dict[bytes, str]:
    names: dict[bytes, str] = {}
    exif = Image.Exif()
    iptc: Any = {}
    info: Any = {}
    if source.kind == "heic":
        found = _EXIF_BLOCK.search(source.data)
        exif.load(found[0] if found else b"")
    else:
        opened = Image.open(io.BytesIO(source.data), formats=[source.kind.upper()])
        exif, info = opened.getexif(), opened.info
        iptc = IptcImagePlugin.getiptcinfo(opened) or {}
    for name, tag in _EXIF.items():
        value = exif.get(tag) or iptc.get(_IIM[name]) or info.get(_PNG[name]) or ""
        names[name] = _as_text(value)
    return names


def _as_text(value: object) -> str:
    """EXIF's text is ASCII by its standard and UTF-8 in files; Pillow reads it as Latin-1."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, str):
        with suppress(UnicodeError):
            value = value.encode("latin-1").decode()
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value).strip("\0 ")


def _packet(label: str, names: dict[bytes, str]) -> bytes:
    """XMP as attributes, the shortest form: in a list, as XMP has dc:creator and dc:rights, they
    and the label would take 500 bytes without a name. Readers, Adobe's among them, take both."""
    parts = ""
    if label:
        parts += f' xmlns:Iptc4xmpExt="{_IPTC}" Iptc4xmpExt:DigitalSourceType="{label}"'
    said = {name: value for name, value in names.items() if value}
    if said:
        parts += f' xmlns:dc="{_DC}"'
    for name, value in said.items():
        # Control characters are not allowed in XML.
        clean = "".join(each for each in value if each.isprintable())
        parts += f" dc:{name.decode()}={quoteattr(clean)}"
    if not parts:
        return b""
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f"<rdf:Description{parts}/></rdf:RDF></x:xmpmeta>"
    ).encode()
