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

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from imageproc.sheet import workbook
from imageproc.sheet.dialect import SheetFormat, Wanted, detect
from imageproc.sheet.encoding import STRAY, detect_encoding, stray_byte
from imageproc.sheet.errors import LineError, UnreadableError, line_error
from imageproc.sheet.links import RefusedLink, UrlPolicy, UrlReader
from imageproc.sheet.quoting import backslash_quotes
from imageproc.sheet.records import Record, body, records, too_short
from imageproc.sheet.summary import SheetSummary
from imageproc.sheet.text import Lines, unreadable

# Rows kept to be shown, and among how many they are looked for.
PREVIEW = 3
HEAD = 100


_NONE: list[tuple[int, RefusedLink]] = []
# Passes on what it is given: rows and errors.
Watch = Callable[[Iterator[Any]], Iterator[Any]]


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


# A row from a tuple of its fields, without the detour through the class's own constructor, which is
# a Python function: a million rows.
new_row: Callable[[tuple[Any, ...]], Row] = partial(tuple.__new__, Row)


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
        self._records: Iterator[Record] = iter(())
        self._strays = False
        self._refusal: LineError | None = None
        try:
            self._open(stream)
        except (UnreadableError, UnicodeError) as error:
            broken = unreadable(error)
            self._refusal = broken.error
            self.seen_header, self.seen_rows = broken.header, broken.rows

    def _open(self, stream: BinaryIO) -> None:
        if workbook.is_archive(stream):
            self._open_workbook(stream)
            return
        encoding = detect_encoding(stream)
        lines = Lines(stream, encoding.name)
        form, rest = detect(iter(lines), encoding, self._wanted)
        self._strays = encoding.strays
        self._urls.ascii_only = encoding.assumed
        self._urls.paths, self._urls.base = form.paths, form.base
        if backslash_quotes(stream, form):
            form = replace(form, backslash=True)
            stream.seek(0)
            again, rest = body(stream, form)
            self._records = records(again, rest, form, self.summary)
        else:
            self._records = records(lines, rest, form, self.summary)
        self.format = form

    def _open_workbook(self, stream: BinaryIO) -> None:
        lines = workbook.WorkbookLines(stream, self._wanted.worksheet)
        form, rest = detect(iter(lines), workbook.ENCODING, self._wanted, delimiters=",")
        self.format = form = replace(form, worksheet=lines.name)
        self._urls.paths, self._urls.base = form.paths, form.base
        self._records = records(lines, rest, form, self.summary)

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

    @property
    def row_number(self) -> int:
        """Of the record read last, as a spreadsheet shows it: it counts records, where a file has
        lines."""
        found, above = self.summary, self.format.head_rows if self.format else 0
        return above + found.rows + found.bad_rows + found.blank_rows + found.headers

    def validate(self, watch: Watch = iter) -> SheetSummary:
        """Read to the end and keep only the summary and the preview. ``watch`` sees every item."""
        items = watch(iter(self))
        self.preview = [item for item in islice(items, HEAD) if isinstance(item, Row)][:PREVIEW]
        deque(items, maxlen=0)
        return self.summary

    def _read(self) -> Iterator[Row | LineError]:
        summary, row_of = self.summary, self._row
        max_rows, max_images = self._limits.max_rows, self._limits.max_images
        for count, record in enumerate(self._records, 1):
            found = row_of(record)
            if isinstance(found, Row):
                summary.rows += 1
                summary.images += len(found.urls)
                yield found
            else:
                summary.bad_rows += 1
                summary.add_errors(found)
                yield from found
            if count > max_rows:
                raise _too_many(record[0], "rows", max_rows)
            if summary.images > max_images:
                raise _too_many(record[0], "images", max_images)
        if not summary.images and not summary.error_count:
            raise _nothing_to_do(summary)

    def _row(self, record: Record) -> Row | list[LineError]:
        """The row, or its errors."""
        line, cells, missing = record
        sheet = self.format
        assert sheet is not None
        if missing or self._strays:
            errors = _unfit(record, sheet)
            if errors:
                return self._placed(errors)
        serial_at, name_at, images, limits = sheet.serial, sheet.name, sheet.images, self._limits
        serial = "" if serial_at is None else cells[serial_at].strip()
        name = "" if name_at is None else cells[name_at].strip()
        places: tuple[tuple[int, ...], ...] | None = None
        problems: list[tuple[int, RefusedLink]]
        if len(images) == 1:
            urls, refused = self._urls.read(cells[images[0]])
            problems = [(0, problem) for problem in refused] if refused else _NONE
        else:
            urls, problems, places = self._urls.read_all([cells[index] for index in images])
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
        return new_row((line, serial, name, urls, cells, places))

    def _placed(self, errors: list[LineError]) -> list[LineError]:
        """The errors of the present record, which is not counted yet, with its row."""
        row = self.row_number + 1
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


def _unfit(record: Record, sheet: SheetFormat) -> list[LineError]:
    """What is wrong with a row as a whole."""
    line, cells, missing = record
    width = len(sheet.header)
    if len(cells) > width:
        message = f"This row has {len(cells)} cells, the header has {width}. "
        message += (
            "Give each column with text a title."
            if sheet.worksheet
            else "Put a cell that contains the delimiter in double quotes."
        )
        return [line_error(line, "", ", ".join(cells[:50]), "too_many_cells", message)]
    if too_short(record, sheet):
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
