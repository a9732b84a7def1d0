"""An Excel workbook (.xlsx, .xlsm), read as lines of CSV: one a row, so that all behind reads both.

openpyxl reads the cells. What a hostile file may cost is bounded before it does: the size of what
is packed in it, the columns of a row, and document types, which no workbook has and which could
name entities (OWASP, "XML External Entity").
"""

from __future__ import annotations

import csv
import io
import re
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import IO, BinaryIO, cast
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from imageproc.sheet.encoding import Encoding
from imageproc.sheet.errors import UnreadableError
from imageproc.sheet.shown import shown
from imageproc.sheet.text import MAX_RECORD, too_long

# How the lines below are made, and so how a workbook is written as CSV.
ENCODING = Encoding("utf-8", bom=True)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS = 1_048_576  # Excel's own limit
MAX_COLUMNS = 4096
MAX_CELLS = 20_000_000
MAX_PARTS = 10_000
# Bytes of everything packed in a workbook, and of the texts that are held in memory.
MAX_UNPACKED = 1 << 30
MAX_TEXTS = 256 << 20
# XML shrinks to a tenth; what shrinks to less than a hundredth is nothing but repetition.
REPETITIVE = 100
REPETITIVE_FROM = 32 << 20

_ARCHIVE = b"PK\x03\x04"
_BLANK = "\r\n"
_IN_MEMORY = 8 << 20
_BLOCK = 1 << 20
_ROW = re.compile(rb"<(?:\w+:)?row\b")
_CELL = re.compile(rb"<(?:\w+:)?c\b")
_DAMAGED = (
    *(BadZipFile, zlib.error, struct.error, NotImplementedError),
    *(ParseError, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError),
)
_REMEDY = "Open it and save it as an Excel workbook (.xlsx) or as CSV UTF-8."


def is_archive(stream: BinaryIO) -> bool:
    """Whether the file is packed as a workbook is. Leaves ``stream`` at its start."""
    stream.seek(0)
    head = stream.read(len(_ARCHIVE))
    stream.seek(0)
    return head == _ARCHIVE


class WorkbookLines:
    """The rows of one worksheet as lines of CSV, to be iterated once; like ``text.Lines``.

    ``worksheet``: its name, or "" for the first one that is not hidden. ``name``: the name of the
    one that is read. ``checked``: the file was accepted before. Raises ``UnreadableError``.
    """

    def __init__(self, stream: BinaryIO, worksheet: str = "", *, checked: bool = False) -> None:
        from openpyxl import load_workbook  # 0.3 s, which most processes never need

        self.pending = 0  # what readers of ``text.Lines`` set
        self._stream = seekable(stream)
        with _no_damage():
            if not checked:
                _check(self._stream)
            self._book = load_workbook(self._stream, read_only=True, data_only=True)
        visible = [one.title for one in self._book.worksheets if one.sheet_state == "visible"]
        names = [one.title for one in self._book.worksheets]
        self.name = worksheet or next(iter(visible or names), "")
        if self.name not in names:
            raise UnreadableError(
                "worksheet_missing",
                f"The workbook has no worksheet with this name. It has: {', '.join(names)}.",
                value=worksheet,
            )

    def __iter__(self) -> Iterator[str]:
        sheet = self._book[self.name]
        sheet.reset_dimensions()  # a file may claim any
        line = io.StringIO(newline="")
        writer = csv.writer(line)
        rows = sheet.iter_rows()
        number = blank = cells = 0
        while True:
            with _no_damage(number + 1):
                row = next(rows, None)
            if row is None:
                return  # LibreOffice likes to end a worksheet with row 1,048,576, which is empty
            number += 1
            # openpyxl fills a row up to its last cell, and the rows up to the last one.
            cells += len(row)
            if len(row) > MAX_COLUMNS or cells > MAX_CELLS:
                raise _too_wide().at(number)
            if number > MAX_ROWS:
                message = f"No worksheet has more than {MAX_ROWS:,} rows."
                raise UnreadableError("too_many_rows", message)
            texts = [_text(cell) for cell in row]
            while texts and not texts[-1]:
                texts.pop()
            if not texts:
                blank += 1
                continue
            yield from repeat(_BLANK, blank)
            blank = 0
            writer.writerow(texts)
            text = line.getvalue()
            line.seek(0)
            line.truncate()
            if len(text) > MAX_RECORD:
                raise too_long().at(number)
            yield text


def _text(cell: object) -> str:
    value = getattr(cell, "value", None)
    if value is None or isinstance(value, str):
        return value or ""
    return shown(value, getattr(cell, "number_format", None) or "General")


def seekable(stream: BinaryIO) -> BinaryIO:
    """The stream, or a copy of it where it cannot be read from anywhere."""
    if stream.seekable():
        return stream
    copy = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
    while block := stream.read(_BLOCK):
        copy.write(block)
    copy.seek(0)
    return cast("BinaryIO", copy)


@contextmanager
def _no_damage(row: int = 1) -> Iterator[None]:
    """What the libraries raise on a damaged file, as this room's own error."""
    try:
        yield
    except _DAMAGED as error:
        damaged = UnreadableError("workbook_damaged", f"The workbook cannot be read. {_REMEDY}")
        raise damaged.at(row) from error


def _check(stream: BinaryIO) -> None:
    """Raises ``UnreadableError`` for what is no workbook, or one that would cost too much."""
    with ZipFile(stream) as archive:
        parts = archive.infolist()
        names = {part.filename for part in parts}
        if "[Content_Types].xml" not in names or "xl/workbook.xml" not in names:
            raise _another_archive(archive, names)
        unpacked = sum(part.file_size for part in parts)
        texts = sum(part.file_size for part in parts if "sharedStrings" in part.filename)
        repetitive = any(
            part.file_size > REPETITIVE_FROM
            and part.file_size > REPETITIVE * max(part.compress_size, 1)
            for part in parts
        )
        if len(parts) > MAX_PARTS or unpacked > MAX_UNPACKED or texts > MAX_TEXTS or repetitive:
            raise UnreadableError(
                "workbook_too_large",
                "The workbook unpacks to far more than a product list holds. Copy the products "
                "into a new workbook, or save the sheet as CSV UTF-8.",
            )
        for part in parts:
            if part.filename.endswith((".xml", ".rels")):
                with archive.open(part) as file:
                    _check_part(file)


def _check_part(file: IO[bytes]) -> None:
    cells = total = 0
    end = b""
    while block := file.read(_BLOCK):
        # What stands across two blocks is seen in the second one.
        text = end + block
        cut = max(text.rfind(b"<"), len(text) - 100)
        text, end = text[:cut], text[cut:]
        if b"<!DOCTYPE" in text or b"\0" in text:
            raise UnreadableError(
                "workbook_unsafe",
                f"The workbook holds a document type, which Excel never writes. {_REMEDY}",
            )
        for n, row in enumerate(_ROW.split(text)):
            found = len(_CELL.findall(row))
            cells = found if n else cells + found
            total += found
            if cells > MAX_COLUMNS or total > MAX_CELLS:
                raise _too_wide()


def _too_wide() -> UnreadableError:
    return UnreadableError(
        "too_many_columns",
        f"A row has more than {MAX_COLUMNS} columns, or the worksheet more than {MAX_CELLS:,}"
        " cells. Delete the empty columns and rows behind the products.",
    )


def _another_archive(archive: ZipFile, names: set[str]) -> UnreadableError:
    """What a ZIP file is that is no workbook."""
    kind = archive.read("mimetype")[:80] if "mimetype" in names else b""
    if b"opendocument.spreadsheet" in kind:
        return UnreadableError(
            "file_is_ods",
            "The file is an OpenDocument spreadsheet (.ods). "
            "Save it as an Excel workbook (.xlsx) or as CSV UTF-8.",
        )
    if "xl/workbook.bin" in names:
        return UnreadableError(
            "file_is_xlsb",
            "The file is a binary Excel workbook (.xlsb). "
            "Save it as an Excel workbook (.xlsx) or as CSV UTF-8.",
        )
    return UnreadableError(
        "file_is_archive",
        "The file is a ZIP archive, not a spreadsheet. "
        "Unpack it and upload the workbook (.xlsx) or CSV inside.",
    )
