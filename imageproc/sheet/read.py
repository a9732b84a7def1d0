"""A CSV file to rows, or to everything that must be corrected in it.

What is accepted: UTF-8 with or without byte order mark, UTF-16 with one, Windows-1252; comma,
semicolon or tab; LF, CRLF or CR; quoted line breaks; extra columns; Excel's ``sep=`` line. Rows
whose cells are all empty are skipped, counted, and not written again.

Every record becomes exactly one of: a ``Row``, one or more ``LineError``, or a counted blank. An
error after which the records cannot be told apart any more (broken quoting) ends the reading, and
is the last error: the file is refused then, never read in part.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, NamedTuple

from imageproc.sheet.dialect import SheetFormat, detect
from imageproc.sheet.errors import LineError, SheetChangedError, UnreadableError, line_error
from imageproc.sheet.formula import restore
from imageproc.sheet.links import Policy, UrlReader
from imageproc.sheet.summary import Summary
from imageproc.sheet.text import Lines, csv_reader, detect_encoding, unreadable


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
        self._records: Iterator[tuple[int, list[str]]] = iter(())
        self._refusal: LineError | None = None
        try:
            self._open(stream)
        except (UnreadableError, UnicodeError) as error:
            self._refusal = unreadable(error).error

    def _open(self, stream: BinaryIO) -> None:
        encoding, bom = detect_encoding(stream)
        lines = Lines(stream, encoding, bom=bom)
        self.format, rest = detect(iter(lines), encoding, bom=bom)
        self._records = _records(lines, rest, self.format)

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
        line = 0
        for line, cells in self._records:
            found = self._row(line, cells)
            if isinstance(found, Row):
                summary.rows += 1
                yield found
            elif found:
                summary.bad_rows += 1
                for error in found:
                    summary.add_error(error)
                    yield error
            else:
                summary.blank_rows += 1
            if summary.rows + summary.bad_rows > limits.max_rows:
                raise _too_many(line, "rows", limits.max_rows)
            if self._urls.images > limits.max_images:
                raise _too_many(line, "images", limits.max_images)
        if not summary.rows and not summary.error_count:
            raise UnreadableError("no_rows", "The file has no product rows.")

    def _row(self, line: int, cells: list[str]) -> Row | list[LineError]:
        """The row, or its errors; an empty list for a blank one."""
        sheet = self.format
        assert sheet is not None
        if len(cells) != len(sheet.header):
            return [] if _is_blank(cells) else [_wrong_width(line, cells, len(sheet.header))]
        if "'" in "".join(cells):
            cells = [restore(cell) for cell in cells]
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
            return [] if _is_blank(cells) else errors
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
    for line, cells in islice(_accepted(stream, sheet), skip, None):
        fetched, refused = urls.read(cells[sheet.urls])
        if refused:
            raise SheetChangedError(f"Line {line} has a link that was not accepted.")
        yield Row(line, cells[sheet.serial].strip(), cells[sheet.name].strip(), fetched, cells)


def cells(stream: BinaryIO, sheet: SheetFormat) -> Iterator[list[str]]:
    """The cells alone of what ``rows`` gives, for those who have read the URLs already."""
    return (found for _, found in _accepted(stream, sheet))


def _accepted(stream: BinaryIO, sheet: SheetFormat) -> Iterator[tuple[int, list[str]]]:
    """(physical line of its start, cells) of every row that is not blank."""
    lines = Lines(stream, sheet.encoding, bom=sheet.bom)
    rest = iter(lines)
    width = len(sheet.header)
    try:
        deque(islice(rest, sheet.head_lines), maxlen=0)
        for line, cells in _records(lines, rest, sheet):
            text = "".join(cells)
            if not text or text.isspace():
                continue
            if len(cells) != width:
                raise SheetChangedError(f"Line {line} has {len(cells)} cells.")
            yield line, [restore(cell) for cell in cells] if "'" in text else cells
    except (UnreadableError, UnicodeError) as error:
        raise SheetChangedError(unreadable(error).message) from error


def _records(
    lines: Lines, rest: Iterator[str], sheet: SheetFormat
) -> Iterator[tuple[int, list[str]]]:
    """(physical line of its start, cells) of every record after the header."""
    reader = csv_reader(rest, sheet.delimiter)
    line = sheet.head_lines
    lines.pending = 0
    try:
        for cells in reader:
            yield line + 1, cells
            line = sheet.head_lines + reader.line_num
            lines.pending = 0
    except (UnreadableError, csv.Error, UnicodeError) as error:
        raise unreadable(error).at(line + 1) from error


def _is_blank(cells: list[str]) -> bool:
    return not "".join(cells).strip()


def _wrong_width(line: int, cells: list[str], width: int) -> LineError:
    code = "too_many_cells" if len(cells) > width else "too_few_cells"
    message = f"This row has {len(cells)} cells, the header has {width}."
    if len(cells) > width:
        message += " Put a cell that contains the delimiter in double quotes."
    return line_error(line, "", ", ".join(cells[:50]), code, message)


def _too_many(line: int, what: str, most: int) -> UnreadableError:
    message = f"The file has more than {most} {what}. Split it into several files."
    return UnreadableError(f"too_many_{what}", message).at(line)
