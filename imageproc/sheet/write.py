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
from typing import Any, NamedTuple

from imageproc.sheet.cell import join_urls
from imageproc.sheet.dialect import SheetFormat, plain
from imageproc.sheet.formula import SUSPECT, neutralise
from imageproc.sheet.text import ESCAPED_QUOTE

OUTPUT_COLUMNS = ("Output Image Urls", "Status", "Error")
_BLOCK = 1 << 16
_BOM = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
}


class Outcome(NamedTuple):
    """What became of a row. ``urls``: one per input URL, in order, "" where there is no output."""

    urls: Sequence[str]
    status: str
    error: str = ""


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


def write_output(
    sheet: SheetFormat, rows: Iterable[tuple[Sequence[str], Outcome]]
) -> Iterator[bytes]:
    """The sheet with ``OUTPUT_COLUMNS``, from each row's cells and what became of it."""
    header, places = _output_header(sheet)
    return write(sheet, header, (_completed(sheet, len(header), places, *row) for row in rows))


def write_rows(
    sheet: SheetFormat, rows: Iterable[tuple[Sequence[str], Sequence[str]]]
) -> Iterator[bytes]:
    """The sheet with some rows only, each with some URLs only: it can be uploaded as it is.

    ``rows``: (cells, the URLs that replace those in the URL column).
    """
    return write(sheet, sheet.header, (_with_urls(sheet, *row) for row in rows))


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


def _output_header(sheet: SheetFormat) -> tuple[list[str], list[int]]:
    """(header, where the three output columns are in it).

    A sheet that was an output before has them already: they are filled again, not doubled. A
    ``Status`` or ``Error`` is taken for ours only to the right of ``Output Image Urls``; without
    one it is the catalogue's own column and is left alone.
    """
    header = list(sheet.header)
    names = [plain(cell) for cell in header]
    places: list[int] = []
    for column in OUTPUT_COLUMNS:
        candidates = range(places[0] if places else 0, len(names))
        known = (place for place in candidates if names[place] == plain(column))
        places.append(next(known, len(header)))
        if places[-1] == len(header):
            header.append(column)
    return header, places


def _completed(
    sheet: SheetFormat, width: int, places: list[int], cells: Sequence[str], outcome: Outcome
) -> list[str]:
    row = [*cells, *[""] * (width - len(cells))]
    urls, status, error = places
    row[urls] = join_urls(cells[sheet.urls], outcome.urls)
    row[status], row[error] = outcome.status, outcome.error
    return row


def _with_urls(sheet: SheetFormat, cells: Sequence[str], urls: Sequence[str]) -> list[str]:
    row = list(cells)
    row[sheet.urls] = join_urls(cells[sheet.urls], urls)
    return row
