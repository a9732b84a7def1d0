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
from collections import deque
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO, NamedTuple

from imageproc.sheet.dialect import SheetFormat, Wanted, detect
from imageproc.sheet.encoding import STRAY, detect_encoding, stray_byte
from imageproc.sheet.errors import LineError, SheetChangedError, UnreadableError, line_error
from imageproc.sheet.formula import restore
from imageproc.sheet.links import RefusedLink, UrlPolicy, UrlReader
from imageproc.sheet.quoting import backslash_quotes
from imageproc.sheet.summary import SheetSummary, Skipped
from imageproc.sheet.text import ESCAPED_QUOTE, Lines, csv_reader, unreadable

# (physical line of its start, cells, how many it had less than the header); see ``_fitted``.
_Record = tuple[int, list[str], int]


# Rows kept to be shown, and among how many they are looked for.
PREVIEW = 3
HEAD = 100


@dataclass(frozen=True, slots=True)
class SheetLimits:
    """What one file may hold. ``max_serial`` and ``max_name`` in characters."""

    max_rows: int = 2_000_000
    max_images: int = 2_000_000
    max_errors: int = 100
    max_serial: int = 255
    max_name: int = 1000


class Row(NamedTuple):
    """One product.

    ``line``: the physical line, from 1, where the record starts. ``serial_number`` and
    ``product_name``: text without the white space around it, "" where there is none. ``urls``: what
    to fetch, in order, ASCII. ``cells``: the whole record as it came, one per column of the header.
    ``places``: where there are several columns of links, which of ``urls`` each of them names, and
    each URL stands once; None where there is one, whose duplicates are kept.
    """

    line: int
    serial_number: str
    product_name: str
    urls: tuple[str, ...]
    cells: list[str]
    places: tuple[tuple[int, ...], ...] | None = None


class Sheet:
    """A sheet being read, once.

    ``format`` is None when not even the header could be read. ``preview``: its first rows.
    ``seen_header``, ``seen_rows``: what was read where the columns are not known.
    """

    def __init__(
        self, stream: BinaryIO, limits: SheetLimits, policy: UrlPolicy | None, wanted: Wanted
    ) -> None:
        self.format: SheetFormat | None = None
        self.preview: list[Row] = []
        self.seen_header: tuple[str, ...] = ()
        self.seen_rows: list[list[str]] = []
        self._limits = limits
        self._wanted = wanted
        self._urls = UrlReader(policy)
        self.summary = SheetSummary(self._urls, limits.max_errors)
        self._records: Iterator[_Record] = iter(())
        self._strays = False
        self._refusal: LineError | None = None
        try:
            self._open(stream)
        except (UnreadableError, UnicodeError) as error:
            broken = unreadable(error)
            self._refusal = broken.error
            self.seen_header, self.seen_rows = broken.header, broken.rows

    def _open(self, stream: BinaryIO) -> None:
        encoding = detect_encoding(stream)
        lines = Lines(stream, encoding.name)
        form, rest = detect(iter(lines), encoding, self._wanted)
        self._strays = encoding.strays
        self._urls.ascii_only = encoding.assumed
        self._urls.paths, self._urls.base = form.paths, form.base
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
            self.summary.readable = False
            self.summary.add_errors([refusal])
            yield refusal

    def validate(self) -> SheetSummary:
        """Read to the end and keep only the summary and the preview."""
        items = iter(self)
        self.preview = [item for item in islice(items, HEAD) if isinstance(item, Row)][:PREVIEW]
        deque(items, maxlen=0)
        return self.summary

    def _read(self) -> Iterator[Row | LineError]:
        summary, limits = self.summary, self._limits
        for record in self._records:
            found = self._row(record)
            if isinstance(found, Row):
                summary.rows += 1
                summary.images += len(found.urls)
                yield found
            else:
                summary.bad_rows += 1
                summary.add_errors(found)
                yield from found
            if summary.rows + summary.bad_rows > limits.max_rows:
                raise _too_many(record[0], "rows", limits.max_rows)
            if summary.images > limits.max_images:
                raise _too_many(record[0], "images", limits.max_images)
        if not summary.images and not summary.error_count:
            raise _nothing_to_do(summary)

    def _row(self, record: _Record) -> Row | list[LineError]:
        """The row, or its errors."""
        line, cells, missing = record
        sheet = self.format
        assert sheet is not None
        if missing or self._strays:
            errors = _unfit(record, sheet)
            if errors:
                return self._placed(errors)
        serial = "" if sheet.serial is None else cells[sheet.serial].strip()
        name = "" if sheet.name is None else cells[sheet.name].strip()
        images, places = sheet.images, None
        problems: list[tuple[int, RefusedLink]] = []
        if len(images) == 1:
            urls, refused = self._urls.read(cells[images[0]])
            if refused:
                problems = [(0, problem) for problem in refused]
        else:
            urls, problems, places = self._urls.read_all([cells[index] for index in images])
        limits = self._limits
        if (
            problems
            or not (urls and 0 < len(serial) <= limits.max_serial)
            or not 0 < len(name) <= limits.max_name
        ):
            errors = self._row_errors(line, serial, name, bool(urls or problems), sheet)
            for index, (value, problem) in problems:
                errors.append(line_error(line, sheet.header[images[index]], value, *problem))
            if errors:
                return self._placed(errors)
            self.summary.imageless_rows += not urls
        return Row(line, serial, name, urls, cells, places)

    def _placed(self, errors: list[LineError]) -> list[LineError]:
        """The errors of the present record with the row that a spreadsheet shows: it counts
        records, where a file has lines."""
        sheet, summary = self.format, self.summary
        assert sheet is not None
        above = sheet.head_rows + summary.rows + summary.bad_rows
        row = above + summary.blank_rows + summary.headers + 1
        return [error._replace(row=row) for error in errors]

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
            if index is None:
                continue
            if len(text) > most:
                message = f"The {what} is longer than {most} characters."
                errors.append(line_error(line, header[index], text, "cell_too_long", message))
            elif not text and sheet.strict:
                errors.append(line_error(line, header[index], "", code, f"The {what} is missing."))
        if not has_urls and sheet.strict:
            column = header[sheet.images[0]]
            errors.append(line_error(line, column, "", "url_missing", "There is no image link."))
        return errors


def read(
    stream: BinaryIO,
    limits: SheetLimits | None = None,
    judge: UrlPolicy | None = None,
    wanted: Wanted | None = None,
) -> Sheet:
    """Open a sheet for validation. Reads ``stream`` (seekable) once to find its encoding.

    ``judge``: says of a URL why its host or port may not be fetched from, or None; asked once for
    each host and port. Nothing about the content raises: what is wrong comes out as ``LineError``.
    """
    return Sheet(stream, limits or SheetLimits(), judge, wanted or Wanted())


def rows(
    stream: BinaryIO, sheet: SheetFormat, skip: int = 0, bad_lines: Container[int] = ()
) -> Iterator[Row]:
    """The rows of a sheet that was accepted, without those already taken and without the bad ones.

    ``stream``: at its start; need not be seekable. ``bad_lines``: where the rows begin that were
    not accepted. Raises ``SheetChangedError`` where the file is not the one that was accepted.
    """
    good = (one for one in _accepted(stream, sheet, bad_lines) if one[0] not in bad_lines)
    read_links = links_of(sheet)
    for line, cells, _ in islice(good if bad_lines else _accepted(stream, sheet), skip, None):
        urls, places = read_links(line, cells)
        serial = "" if sheet.serial is None else cells[sheet.serial].strip()
        name = "" if sheet.name is None else cells[sheet.name].strip()
        yield Row(line, serial, name, urls, cells, places)


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

    def read_links(
        line: int, cells: list[str]
    ) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...] | None]:
        refused: Sequence[object]
        if len(images) == 1:
            urls, refused = reader.read(cells[images[0]])
            places = None
        else:
            urls, refused, places = reader.read_all([cells[index] for index in images])
        if refused:
            raise SheetChangedError(f"Line {line} has a link that was not accepted.")
        return urls, places

    return read_links


def _accepted(
    stream: BinaryIO, sheet: SheetFormat, bad_lines: Container[int] = ()
) -> Iterator[_Record]:
    """Every row, the bad ones as they are."""
    lines, rest = _body(stream, sheet)
    try:
        for record in _records(lines, rest, sheet, Skipped()):
            unfit = record[2] and (record[2] < 0 or _too_short(record, sheet))
            if unfit and record[0] not in bad_lines:
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
    width, urls = len(sheet.header), sheet.images[0]
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
    return missing > 0 and len(cells) - missing < sheet.needed


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


def _nothing_to_do(summary: SheetSummary) -> UnreadableError:
    if summary.rows:
        return UnreadableError("no_images", "None of the rows has an image link.")
    return UnreadableError("no_rows", "The file has no product rows.")


def _too_many(line: int, what: str, most: int) -> UnreadableError:
    message = f"The file has more than {most} {what}. Split it into several files."
    return UnreadableError(f"too_many_{what}", message).at(line)
