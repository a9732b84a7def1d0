"""A sheet that was accepted, read again: its rows for the ingest, its cells for the output."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice
from typing import BinaryIO

from imageproc.sheet.dialect import SheetFormat
from imageproc.sheet.errors import SheetChangedError, UnreadableError
from imageproc.sheet.links import UrlReader
from imageproc.sheet.read import Row, new_row
from imageproc.sheet.records import Record, body, records, too_short
from imageproc.sheet.summary import Skipped
from imageproc.sheet.text import unreadable


def rows(
    stream: BinaryIO, sheet: SheetFormat, skip: int = 0, bad_lines: Container[int] = ()
) -> Iterator[Row]:
    """The rows of a sheet that was accepted, without those already taken and without the bad ones.

    ``stream``: at its start; need not be seekable. ``bad_lines``: where the rows begin that were
    not accepted. Raises ``SheetChangedError`` where the file is not the one that was accepted.
    """
    read_links, serial_at, name_at = links_of(sheet), sheet.serial, sheet.name
    accepted = _accepted(stream, sheet, bad_lines)
    good = (one for one in accepted if one[0] not in bad_lines) if bad_lines else accepted
    for line, cells, _ in islice(good, skip, None):
        urls, places = read_links(line, cells)
        serial = "" if serial_at is None else cells[serial_at].strip()
        name = "" if name_at is None else cells[name_at].strip()
        yield new_row((line, serial, name, urls, cells, places))


def cells(
    stream: BinaryIO, sheet: SheetFormat, bad_lines: Container[int] = ()
) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of every row, the bad ones among them, for those who have read the URLs."""
    return ((line, cells) for line, cells, _ in _accepted(stream, sheet, bad_lines))


def links_of(
    sheet: SheetFormat,
) -> Callable[[int, list[str]], tuple[tuple[str, ...], tuple[tuple[int, ...], ...] | None]]:
    """How to read the links of an accepted row: (urls, places) of (line, cells)."""
    reader = UrlReader(None, max_tracked=0)
    reader.paths, reader.base = sheet.paths, sheet.base
    images = sheet.images
    only = images[0] if len(images) == 1 else None

    def read_links(
        line: int, cells: list[str]
    ) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...] | None]:
        refused: Sequence[object]
        places = None
        if only is None:
            urls, refused, places = reader.read_all([cells[index] for index in images])
        else:
            urls, refused = reader.read(cells[only])
        if refused:
            raise SheetChangedError(f"Line {line} has a link that was not accepted.")
        return urls, places

    return read_links


def _accepted(
    stream: BinaryIO, sheet: SheetFormat, bad_lines: Container[int] = ()
) -> Iterator[Record]:
    """Every row, the bad ones as they are."""
    lines, rest = body(stream, sheet)
    try:
        for record in records(lines, rest, sheet, Skipped()):
            if record[2] and _is_unfit(record, sheet) and record[0] not in bad_lines:
                raise SheetChangedError(f"Line {record[0]} has too many or too few cells.")
            yield record
    except (UnreadableError, UnicodeError) as error:
        raise SheetChangedError(unreadable(error).message) from error


def _is_unfit(record: Record, sheet: SheetFormat) -> bool:
    return record[2] < 0 or too_short(record, sheet)
