"""Rows back to CSV: the dialect, encoding and columns that came in.

Every cell is neutralised (``formula``), and reading what was written gives the same cells for any
text; the bytes of the input's cells come back as they came. What an assumed encoding cannot hold of
our own text is written as ``?``.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from imageproc.sheet.dialect import SheetFormat
from imageproc.sheet.formula import SUSPECT, neutralise
from imageproc.sheet.text import ESCAPED_QUOTE

_BLOCK = 1 << 16
_BOM = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


def write(
    sheet: SheetFormat, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> Iterator[bytes]:
    """The CSV file in blocks of about 64 KiB."""
    if sheet.bom:
        yield _BOM[sheet.encoding]
    buffer = _Buffer(sheet.lineterminator)
    if sheet.sep_line:
        buffer.write(f"sep={sheet.delimiter}\r\n")
    buffer.write_as_is(sheet.preamble)
    # The csv module quotes a cell only for the characters of its own line end: CRLF covers both.
    quoting: Any = csv.QUOTE_ALL if sheet.backslash else csv.QUOTE_MINIMAL
    writer = csv.writer(buffer, delimiter=sheet.delimiter, lineterminator="\r\n", quoting=quoting)
    for row in chain([header], rows):
        # The test is neutralise()'s own, before the call of it: a third of the time of an output.
        safe = [neutralise(cell) if cell[:1] in SUSPECT else cell for cell in row]
        if sheet.backslash:
            safe = [cell.replace('\\"', ESCAPED_QUOTE) for cell in safe]
        writer.writerow(safe)
        if buffer.size >= _BLOCK:
            yield _encoded(buffer.take(), sheet)
    yield _encoded(buffer.take(), sheet)


def _encoded(text: str, sheet: SheetFormat) -> bytes:
    if sheet.backslash:
        text = text.replace(ESCAPED_QUOTE, '\\"')
    try:
        return text.encode(
            sheet.encoding, "surrogateescape" if sheet.encoding == "utf-8" else "strict"
        )
    except UnicodeEncodeError:
        return text.encode(sheet.encoding, "replace")


class _Buffer:
    """Where the csv writer writes: one call a row, ending in CRLF."""

    def __init__(self, lineterminator: str) -> None:
        self._end = lineterminator
        self._rows: list[str] = []
        self.size = 0

    def write(self, row: str) -> int:
        self._rows.append(row if self._end == "\r\n" else row[:-2] + self._end)
        self.size += len(row)
        return len(row)

    def write_as_is(self, text: str) -> None:
        self._rows.append(text)
        self.size += len(text)

    def take(self) -> str:
        text = "".join(self._rows)
        self._rows.clear()
        self.size = 0
        return text
