"""Which encoding a file has: said by a mark, proved by UTF-8's own pattern, or assumed.

A file has one encoding. Bytes that are not UTF-8 in a file that is UTF-8 otherwise are strays: the
text keeps them as surrogates (PEP 383), so that they are written back as they came and the reader
can name their rows. A file that is not UTF-8 has an encoding that its bytes do not tell; one is
assumed that decodes the whole file and encodes it back to the same bytes. Its links must be ASCII.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO, NamedTuple

from charset_normalizer import from_bytes

from imageproc.sheet.errors import UnreadableError

_BLOCK = 1 << 18
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What spreadsheets and shop systems save in, the more frequent first where they fit alike.
_ASSUMABLE = (
    *("cp1252", "cp1251", "gb18030", "cp932", "big5", "cp949", "euc_jp", "cp1250", "mac_roman"),
    *("cp1254", "cp1253", "cp1255", "cp1256", "koi8_r"),
)
# Bytes shown to the detector.
_SAMPLE = 1 << 15
# None of these is the second byte of a letter in an encoding above.
_CELLS = re.compile(rb"[,;\t\"\r\n]+")
STRAY = re.compile("[\udc80-\udcff]")
# Letters and signs. The controls U+0080 to U+009F stand in no text, but are two frequent letters of
# Windows-1252 read as UTF-8.
_BEYOND_ASCII = re.compile("[^\x00-\x9f\udc80-\udcff]")
# Signatures of what is often renamed to .csv: (first bytes, code, what it is).
_SIGNATURES = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "file_is_xls", "an old or protected Excel workbook"),
    (b"%PDF-", "file_is_pdf", "a PDF document"),
    (b"\x1f\x8b", "file_is_archive", "a gzip archive"),
    (b"BZh", "file_is_archive", "a bzip2 archive"),
    (b"7z\xbc\xaf\x27\x1c", "file_is_archive", "a 7-Zip archive"),
    (b"\xfd7zXZ\x00", "file_is_archive", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "file_is_archive", "a Zstandard archive"),
    (b"Rar!\x1a\x07", "file_is_archive", "a RAR archive"),
    (b"\x89PNG\r\n\x1a\n", "file_is_image", "a PNG image"),
    (b"\xff\xd8\xff", "file_is_image", "a JPEG image"),
    (b"GIF87a", "file_is_image", "a GIF image"),
    (b"GIF89a", "file_is_image", "a GIF image"),
    (b"RIFF", "file_is_image", "a WebP image or another RIFF file"),
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<table")


def stray_byte(text: str) -> UnreadableError:
    """For text with a stray byte in it."""
    found = STRAY.search(text)
    byte = f"{ord(found[0]) - 0xDC00:02X}" if found else ""
    return UnreadableError(
        "stray_byte",
        f"The byte {byte} here is not UTF-8, although the rest of the file is. "
        "Save the sheet as CSV UTF-8.",
    )


class Encoding(NamedTuple):
    """``name``: Python's. ``bom``: the file begins with a byte order mark. ``assumed``: the bytes
    do not tell. ``strays``: bytes that are not UTF-8 in a file that is otherwise."""

    name: str
    bom: bool
    assumed: bool = False
    strays: bool = False


def detect_encoding(stream: BinaryIO) -> Encoding:
    """Reads the whole stream and rewinds it. Raises ``UnreadableError``."""
    stream.seek(0)
    head = stream.read(512)
    if not head:
        raise UnreadableError("empty_file", "The file is empty.")
    refuse_other_files(head)
    name, bom = next(((name, True) for mark, name in _BOMS if head.startswith(mark)), ("", False))
    if name not in ("", "utf-8"):
        found = Encoding(name, bom=True)
    else:
        found = _utf8_or_assumed(stream, bom=bom)
    stream.seek(0)
    return found


def _utf8_or_assumed(stream: BinaryIO, *, bom: bool) -> Encoding:
    """UTF-8 is meant where at least as many characters are valid as bytes are not: in another
    encoding hardly any is."""
    if _is_utf8(stream):
        return Encoding("utf-8", bom)
    valid = strays = 0
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in chain(_blocks(stream), [b""]):
        text = decoder.decode(block, final=not block)
        valid += len(_BEYOND_ASCII.findall(text))
        strays += len(STRAY.findall(text))
    if bom or valid >= strays:
        return Encoding("utf-8", bom, strays=True)
    return _assumed(stream)


def _is_utf8(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(stream):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _assumed(stream: BinaryIO) -> Encoding:
    sample = _sample(stream)
    matches = list(from_bytes(sample, cp_isolation=list(_ASSUMABLE), enable_fallback=False))
    fits = {
        name: (match.chaos, -match.coherence, _ASSUMABLE.index(name))
        for match in matches
        for name in match.could_be_from_charset
        if name in _ASSUMABLE
    }
    for name in [*sorted(fits, key=fits.__getitem__), "cp1252"]:
        if _reversible(stream, name):
            return Encoding(name, bom=False, assumed=True)
    raise UnreadableError(
        "encoding_unknown",
        "The file is not text in UTF-8, UTF-16 or another encoding that we know. "
        "Save the sheet as CSV UTF-8.",
    ).at(_first_stray(stream))


def _sample(stream: BinaryIO) -> bytes:
    """The first cells that hold more than ASCII."""
    cells: list[bytes] = []
    for block in _blocks(stream):
        cells += [cell for cell in _CELLS.split(block) if not cell.isascii()]
        if sum(map(len, cells)) >= _SAMPLE:
            break
    return b"\n".join(cells)[:_SAMPLE]


def _reversible(stream: BinaryIO, name: str) -> bool:
    """Whether the file comes back byte for byte."""
    decoder = codecs.getincrementaldecoder(name)()
    ahead = b""
    try:
        for block in _blocks(stream):
            ahead += block
            back = decoder.decode(block).encode(name)
            if not ahead.startswith(back):
                return False
            ahead = ahead[len(back) :]
        return decoder.decode(b"", final=True).encode(name) == ahead
    except UnicodeError:
        return False


def _first_stray(stream: BinaryIO) -> int:
    """The line of the first byte that is not UTF-8."""
    line = 1
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in _blocks(stream):
        text = decoder.decode(block)
        if found := STRAY.search(text):
            return line + text.count("\n", 0, found.start())
        line += text.count("\n")
    return line


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    return iter(partial(stream.read, _BLOCK), b"")


def refuse_other_files(head: bytes) -> None:
    """Raises ``UnreadableError`` when the file's first bytes are those of another format."""
    for signature, code, kind in _SIGNATURES:
        if head.startswith(signature):
            raise _other_file(code, kind)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(_MARKUP):
        raise _other_file("file_is_html", "a web page or XML")


def _other_file(code: str, kind: str) -> UnreadableError:
    remedy = "Save the sheet as CSV UTF-8."
    if code == "file_is_xls":
        remedy = "Save it without a password as an Excel workbook (.xlsx) or as CSV UTF-8."
    return UnreadableError(code, f"The file is {kind}, not CSV text. {remedy}")
