"""Bytes to lines of text, with every bound that keeps memory independent of the file."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from imageproc.sheet.errors import UnreadableError

if TYPE_CHECKING:
    from _csv import Reader

    from _typeshed import WriteableBuffer

# Characters in one record. A cell is bounded by the csv module's own 131,072.
MAX_RECORD = 1_000_000
_BLOCK = 1 << 18

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Signatures of what is often renamed to .csv: (first bytes, code, what it is).
_SIGNATURES = (
    (b"PK\x03\x04", "file_is_xlsx", "an Excel workbook or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "file_is_xls", "an old Excel workbook"),
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


def refuse_other_files(head: bytes) -> None:
    """Raises ``UnreadableError`` when the file's first bytes are those of another format."""
    for signature, code, kind in _SIGNATURES:
        if head.startswith(signature):
            raise _other_file(code, kind)
    start = head.removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(_MARKUP):
        raise _other_file("file_is_html", "a web page or XML")


def _other_file(code: str, kind: str) -> UnreadableError:
    return UnreadableError(code, f"The file is {kind}, not CSV text. Save the sheet as CSV UTF-8.")


def detect_encoding(stream: BinaryIO) -> tuple[str, bool]:
    """(encoding, has a byte order mark); reads the whole stream and rewinds it.

    Text that is not UTF-8 anywhere is Windows-1252 as a whole: a file has one encoding.
    """
    stream.seek(0)
    head = stream.read(512)
    stream.seek(0)
    if not head:
        raise UnreadableError("empty_file", "The file is empty.")
    refuse_other_files(head)
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, True
    encoding = "utf-8" if _is_utf8(stream) else "cp1252"
    stream.seek(0)
    return encoding, False


def _is_utf8(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in iter(partial(stream.read, _BLOCK), b""):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


class _Source(io.RawIOBase):
    """A stream whose reader may be closed or collected without closing the caller's stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        block = self._stream.read(len(view))
        view[: len(block)] = block
        return len(block)


class Lines:
    """The physical lines of a sheet with their line ends (LF, CRLF or CR), to be iterated once.

    ``pending``: characters handed out since the reader last set it to 0, which it does at the end
    of each record. Raises ``UnreadableError`` for a record without end and for NUL characters.
    """

    def __init__(self, stream: BinaryIO, encoding: str, *, bom: bool) -> None:
        source = io.BufferedReader(_Source(stream), _BLOCK)
        # An empty newline splits at all three line ends and changes none.
        self._text = io.TextIOWrapper(source, encoding, errors="strict", newline="")
        self.pending = 0
        if bom:
            self._text.read(1)

    def __iter__(self) -> Iterator[str]:
        for line in iter(partial(self._text.readline, MAX_RECORD + 1), ""):
            self.pending += len(line)
            if self.pending > MAX_RECORD:
                raise UnreadableError(
                    "record_too_long",
                    f"This row is longer than {MAX_RECORD} characters. "
                    "A double quote may be missing.",
                )
            if "\0" in line:
                raise UnreadableError(
                    "nul_character",
                    "The file contains a NUL character. Save the sheet again as CSV UTF-8.",
                )
            yield line


def csv_reader(lines: Iterable[str], delimiter: str) -> Reader:
    """The csv module in strict mode: broken quoting is an error, never a guess."""
    return csv.reader(lines, delimiter=delimiter, strict=True)


def unreadable(error: UnreadableError | csv.Error | UnicodeError) -> UnreadableError:
    """What the csv module or the decoder raised, as one of this room's own."""
    if isinstance(error, UnreadableError):
        return error
    if isinstance(error, UnicodeError):
        return UnreadableError(
            "encoding_unknown",
            "From about this line on, the file is not text in UTF-8, UTF-16 or Windows-1252. "
            "Save the sheet as CSV UTF-8.",
        )
    if "field limit" in str(error):
        return UnreadableError(
            "cell_too_long",
            f"A cell is longer than {csv.field_size_limit()} characters. "
            "A double quote may be missing.",
        )
    return UnreadableError(
        "quoting_broken",
        "The double quotes in this row do not pair up. "
        "Put the cell in double quotes and double each quote inside it.",
    )
