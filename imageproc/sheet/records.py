"""The records of a sheet behind its header: blank ones left out, each as wide as the header.

Validation, ingest and output all read by this, so that what is blank for one is blank for all.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

from imageproc.sheet.dialect import SheetFormat
from imageproc.sheet.errors import UnreadableError
from imageproc.sheet.formula import restore
from imageproc.sheet.summary import Skipped
from imageproc.sheet.text import ESCAPED_QUOTE, Lines, csv_reader, unreadable
from imageproc.sheet.workbook import WorkbookLines

# (physical line of its start, cells, how many it had less than the header); see ``_fitted``.
Record = tuple[int, list[str], int]


def body(stream: BinaryIO, sheet: SheetFormat) -> tuple[Lines | WorkbookLines, Iterator[str]]:
    """The lines of an accepted file behind its header."""
    lines: Lines | WorkbookLines
    if sheet.worksheet:
        lines = WorkbookLines(stream, sheet.worksheet, checked=True)
    else:
        lines = Lines(stream, sheet.encoding, backslash=sheet.delimiter if sheet.backslash else "")
    return lines, islice(lines, sheet.head_lines, None)


def records(
    lines: Lines | WorkbookLines, rest: Iterator[str], sheet: SheetFormat, skipped: Skipped
) -> Iterator[Record]:
    """Every record but blank ones and repeated headers, which ``skipped`` counts.

    Each value that is used for every record is in a variable of its own: a million records.
    """
    reader = csv_reader(rest, sheet.delimiter)
    above = line = sheet.head_lines
    width, urls, backslash = len(sheet.header), sheet.images[0], sheet.backslash
    title = sheet.header[urls]
    lines.pending = 0
    try:
        for cells in reader:
            text = "".join(cells)
            if not text or text.isspace():
                skipped.blank_rows += 1
            else:
                if backslash or "'" in text:
                    cells = _unescaped(cells, sheet)
                missing = width - len(cells)
                if missing:
                    cells, missing = _fitted(cells, missing)
                if cells[urls] == title and _is_header(cells, sheet):
                    skipped.headers += 1
                else:
                    yield line + 1, cells, missing
            line = above + reader.line_num
            lines.pending = 0
    except (UnreadableError, csv.Error, UnicodeError) as error:
        raise unreadable(error).at(line + 1) from error


def _unescaped(cells: list[str], sheet: SheetFormat) -> list[str]:
    if sheet.backslash:
        cells = [cell.replace(ESCAPED_QUOTE, '\\"') for cell in cells]
    return [restore(cell) for cell in cells]


def _fitted(cells: list[str], missing: int) -> tuple[list[str], int]:
    """(cells as many as the header's, those that were missing); negative where surplus ones stay
    because they hold text."""
    if missing > 0:
        return cells + [""] * missing, missing
    if any(cell.strip() for cell in cells[missing:]):
        return cells, missing
    return cells[:missing], 0


def _is_header(cells: list[str], sheet: SheetFormat) -> bool:
    """Also with the byte order mark of the second of two joined files."""
    first = cells[0].lstrip("\ufeff").strip('"')
    return (first, *cells[1:]) == sheet.header


def too_short(record: Record, sheet: SheetFormat) -> bool:
    """Whether a cell that must be there is not."""
    _, cells, missing = record
    return missing > 0 and len(cells) - missing < sheet.needed
