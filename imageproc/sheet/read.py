"""A CSV file to rows, or to everything that must be corrected in it.

What is accepted: UTF-8 with or without byte order mark, UTF-16 with one, and what ``encoding``
assumes; comma, semicolon, tab or bar; LF, CRLF or CR; quoted line breaks; extra columns; title
lines above the header; Excel's ``sep=`` line. Cells that are missing at the end of a row are empty,
surplus empty ones are dropped. Rows whose cells are all empty, and the header where it comes again
in joined files, are skipped, counted, and not written again.

Every record becomes exactly one of: a ``Row``, one or more ``LineError``, or a counted blank. An
error after which the records cannot be told apart any more (broken quoting) ends the reading, and
is the last error: the file is refused then, never read in part.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO, NamedTuple

from imageproc.sheet.dialect import SheetFormat, detect
from imageproc.sheet.encoding import STRAY, detect_encoding, stray_byte
from imageproc.sheet.errors import LineError, SheetChangedError, UnreadableError, line_error
from imageproc.sheet.formula import restore
from imageproc.sheet.links import Policy, UrlReader
from imageproc.sheet.quoting import backslash_quotes
from imageproc.sheet.summary import Skipped, Summary
from imageproc.sheet.text import ESCAPED_QUOTE, Lines, csv_reader, unreadable

# (physical line of its start, cells, how many it had less than the header); see ``_fitted``.
_Record = tuple[int, list[str], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may hold. ``max_serial`` and ``max_name`` in characters."""

    max_rows: int = 2_000_000
    max_images: int = 2_000_000
    max_errors: int = 100
    max_serial: int = 255
    max_name: int = 1000


class Row(NamedTuple):
    """One product.

    ``line``: the physical line, from 1, where the record starts. ``serial_number`` and
    ``product_name``: text without the white space around it. ``urls``: what to fetch, in order,
    duplicates kept, ASCII. ``cells``: the whole record as it came, one per column of the header.
    """

    line: int
    serial_number: str
    product_name: str
    urls: tuple[str, ...]
    cells: list[str]


class Sheet:
    """A sheet being read, once. ``format`` is None when not even the header could be read."""

    def __init__(self, stream: BinaryIO, limits: Limits, policy: Policy | None) -> None:
        self.format: SheetFormat | None = None
        self._limits = limits
        self._urls = UrlReader(policy)
        self.summary = Summary(self._urls, limits.max_errors)
        self._records: Iterator[_Record] = iter(())
        self._strays = False
        self._refusal: LineError | None = None
        try:
            self._open(stream)
        except (UnreadableError, UnicodeError) as error:
            self._refusal = unreadable(error).error

    def _open(self, stream: BinaryIO) -> None:
        encoding = detect_encoding(stream)
        lines = Lines(stream, encoding.name)
        form, rest = detect(iter(lines), encoding)
        self._strays = encoding.strays
        self._urls.ascii_only = encoding.assumed
        if backslash_quotes(stream, form):
            form = replace(form, backslash=True)
            stream.seek(0)
            lines, rest = _body(stream, form)
        self.format = form
        self._records = _records(lines, rest, form, self.summary)

    def __iter__(self) -> Iterator[Row | LineError]:
        """Rows and errors in the order of the file; ``summary`` counts along."""
        refusal = self._refusal
        if refusal is None:
            try:
                yield from self._read()
            except UnreadableError as error:
                refusal = error.error
        if refusal:
            self.summary.add_error(refusal)
            yield refusal

    def validate(self) -> Summary:
        """Read to the end and keep only the summary."""
        for _ in self:
            pass
        return self.summary

    def _read(self) -> Iterator[Row | LineError]:
        summary, limits = self.summary, self._limits
        for record in self._records:
            found = self._row(record)
            if isinstance(found, Row):
                summary.rows += 1
                yield found
            else:
                summary.bad_rows += 1
                for error in found:
                    summary.add_error(error)
                    yield error
            if summary.rows + summary.bad_rows > limits.max_rows:
                raise _too_many(record[0], "rows", limits.max_rows)
            if self._urls.images > limits.max_images:
                raise _too_many(record[0], "images", limits.max_images)
        if not summary.rows and not summary.error_count:
            raise UnreadableError("no_rows", "The file has no product rows.")

    def _row(self, record: _Record) -> Row | list[LineError]:
        """The row, or its errors."""
        line, cells, missing = record
        sheet = self.format
        assert sheet is not None
        if missing or self._strays:
            errors = _unfit(record, sheet)
            if errors:
                return errors
        serial = cells[sheet.serial].strip()
        name = cells[sheet.name].strip()
        urls, refused = self._urls.read(cells[sheet.urls])
        limits = self._limits
        if (
            refused
            or not (urls and 0 < len(serial) <= limits.max_serial)
            or not 0 < len(name) <= limits.max_name
        ):
            errors = self._row_errors(line, serial, name, bool(urls or refused), sheet)
            column = sheet.header[sheet.urls]
            errors += [line_error(line, column, value, *problem) for value, problem in refused]
            return errors
        return Row(line, serial, name, urls, cells)

    def _row_errors(
        self, line: int, serial: str, name: str, has_urls: bool, sheet: SheetFormat
    ) -> list[LineError]:
        errors = []
        header = sheet.header
        checks = (
            (sheet.serial, serial, self._limits.max_serial, "serial_missing", "serial number"),
            (sheet.name, name, self._limits.max_name, "name_missing", "product name"),
        )
        for index, text, most, code, what in checks:
            if not text:
                errors.append(line_error(line, header[index], "", code, f"The {what} is missing."))
            elif len(text) > most:
                message = f"The {what} is longer than {most} characters."
                errors.append(line_error(line, header[index], text, "cell_too_long", message))
        if not has_urls:
            column = header[sheet.urls]
            errors.append(line_error(line, column, "", "url_missing", "There is no image link."))
        return errors


def read(stream: BinaryIO, limits: Limits | None = None, judge: Policy | None = None) -> Sheet:
    """Open a sheet for validation. Reads ``stream`` (seekable) once to find its encoding.

    ``judge``: says of a URL why its host or port may not be fetched from, or None; asked once for
    each host and port. Nothing about the content raises: what is wrong comes out as ``LineError``.
    """
    return Sheet(stream, limits or Limits(), judge)


def rows(stream: BinaryIO, sheet: SheetFormat, skip: int = 0) -> Iterator[Row]:
    """The rows of a sheet that was accepted, without those already taken.

    ``stream``: at its start; need not be seekable. Raises ``SheetChangedError`` where the file is
    not the one that was accepted.
    """
    urls = UrlReader(None, max_tracked=0)
    for line, cells, _ in islice(_accepted(stream, sheet), skip, None):
        fetched, refused = urls.read(cells[sheet.urls])
        if refused:
            raise SheetChangedError(f"Line {line} has a link that was not accepted.")
        yield Row(line, cells[sheet.serial].strip(), cells[sheet.name].strip(), fetched, cells)


def cells(stream: BinaryIO, sheet: SheetFormat) -> Iterator[list[str]]:
    """The cells alone of what ``rows`` gives, for those who have read the URLs already."""
    return (cells for _, cells, _ in _accepted(stream, sheet))


def _accepted(stream: BinaryIO, sheet: SheetFormat) -> Iterator[_Record]:
    lines, rest = _body(stream, sheet)
    try:
        for record in _records(lines, rest, sheet, Skipped()):
            if record[2] and (record[2] < 0 or _too_short(record, sheet)):
                raise SheetChangedError(f"Line {record[0]} has too many or too few cells.")
            yield record
    except (UnreadableError, UnicodeError) as error:
        raise SheetChangedError(unreadable(error).message) from error


def _body(stream: BinaryIO, sheet: SheetFormat) -> tuple[Lines, Iterator[str]]:
    """The lines behind the header."""
    lines = Lines(stream, sheet.encoding, backslash=sheet.delimiter if sheet.backslash else "")
    return lines, islice(lines, sheet.head_lines, None)


def _records(
    lines: Lines, rest: Iterator[str], sheet: SheetFormat, skipped: Skipped
) -> Iterator[_Record]:
    """Every record that is a row of the catalogue: validation, ingest and output all read by this,
    so that what is blank for one is blank for all."""
    reader = csv_reader(rest, sheet.delimiter)
    line = sheet.head_lines
    width, urls = len(sheet.header), sheet.urls
    title = sheet.header[urls]
    lines.pending = 0
    try:
        for cells in reader:
            text = "".join(cells)
            if not text or text.isspace():
                skipped.blank_rows += 1
            else:
                if "'" in text or sheet.backslash:
                    cells = _unescaped(cells, sheet)
                missing = width - len(cells)
                if missing:
                    cells, missing = _fitted(cells, missing)
                if cells[urls] == title and _is_header(cells, sheet):
                    skipped.headers += 1
                else:
                    yield line + 1, cells, missing
            line = sheet.head_lines + reader.line_num
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


def _too_short(record: _Record, sheet: SheetFormat) -> bool:
    """Whether a cell that must be there is not."""
    _, cells, missing = record
    return missing > 0 and len(cells) - missing <= max(sheet.serial, sheet.name, sheet.urls)


def _unfit(record: _Record, sheet: SheetFormat) -> list[LineError]:
    """What is wrong with a row as a whole."""
    line, cells, missing = record
    width = len(sheet.header)
    if len(cells) > width:
        message = f"This row has {len(cells)} cells, the header has {width}. "
        message += "Put a cell that contains the delimiter in double quotes."
        return [line_error(line, "", ", ".join(cells[:50]), "too_many_cells", message)]
    if _too_short(record, sheet):
        kept = cells[: width - missing]
        message = f"This row has {len(kept)} cells, the header has {width}."
        return [line_error(line, "", ", ".join(kept[:50]), "too_few_cells", message)]
    strays = [(n, cell) for n, cell in enumerate(cells) if STRAY.search(cell)]
    return [
        line_error(line, sheet.header[n], cell, "stray_byte", stray_byte(cell).message)
        for n, cell in strays
    ]


def _too_many(line: int, what: str, most: int) -> UnreadableError:
    message = f"The file has more than {most} {what}. Split it into several files."
    return UnreadableError(f"too_many_{what}", message).at(line)
