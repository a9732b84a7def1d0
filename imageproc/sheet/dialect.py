"""How a sheet is written: encoding, delimiter, line end, header."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, NamedTuple

from imageproc.sheet.columns import (
    IMAGES,
    Choice,
    Columns,
    Saved,
    by_content,
    find,
    is_classic,
    missing,
    own_roles,
)
from imageproc.sheet.encoding import STRAY, Encoding, stray_byte
from imageproc.sheet.errors import UnreadableError
from imageproc.sheet.formula import restore
from imageproc.sheet.text import csv_reader, unreadable

DELIMITERS = (",", ";", "\t", "|")
# Lines among which the header is looked for: price lists begin with a title.
TITLE_LINES = 20
MAX_TITLE = 20_000
# Lines above the header, blank ones among them.
MAX_ABOVE = 1000
# Rows and characters looked at where only the cells can tell a column.
SAMPLE_ROWS = 50
SAMPLE_CHARACTERS = 200_000
# Rows shown with a header whose columns are not known.
SHOWN_ROWS = 3
# Excel's own first line that names the delimiter.
_SEP_LINE = re.compile(r'"?sep=[,;\t|]"?[\r\n]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SheetFormat:
    """All that is needed to read a sheet again and to write another that looks the same.

    ``encoding``: Python's name; ``assumed``: the bytes do not tell. ``lineterminator``: what is
    written. ``sep_line``: the file starts with Excel's ``sep=`` line. ``head_lines``: physical
    lines up to the end of the header; ``head_rows``: as a spreadsheet counts them. ``preamble``:
    title lines above the header, as they are. ``backslash``: quotes inside a cell have a backslash
    before them (PHP's fputcsv).

    ``images``: the columns of links, indices into ``header`` like ``serial`` and ``name``, which
    are None where no column has that role. ``found_by``, ``profile``: see ``columns.Columns``.
    ``strict``: the three-column sheet, whose rows must have all three. ``paths``: image cells may
    hold paths; ``base``: the address that they are below, "" where none is known. ``worksheet``:
    its name, where the file is a workbook: the other fields say how it is written as CSV then.
    """

    encoding: str
    bom: bool
    delimiter: str
    lineterminator: str
    sep_line: bool
    head_lines: int
    header: tuple[str, ...]
    images: tuple[int, ...]
    serial: int | None
    name: int | None
    assumed: bool = False
    backslash: bool = False
    preamble: str = ""
    found_by: str = "names"
    profile: str = ""
    strict: bool = True
    paths: bool = False
    base: str = ""
    head_rows: int = 1
    worksheet: str = ""

    @property
    def needed(self) -> int:
        """The cells that a row must have at least."""
        if not self.strict or self.serial is None or self.name is None:
            return 0
        return max(self.serial, self.name, *self.images) + 1

    def columns_of(self, images: int, places: Sequence[Sequence[int]] | None) -> list[str]:
        """The header of the column that each of a row's ``images`` stands in; the first one, where
        it stands in several. ``places``: see ``Row``."""
        found = [self.header[self.images[0]]] * images
        columns = zip(self.images, places or (), strict=False)
        for column, place in reversed(list(columns)):
            for at in place:
                found[at] = self.header[column]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "header": list(self.header), "images": list(self.images)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> SheetFormat:
        """The inverse of ``to_dict``, also after a trip through JSON, and of version 0.1's, which
        knew one column of links only."""
        fields = dict(stored)
        images = fields.pop("images", None) or [fields.pop("urls")]
        return cls(**{**fields, "header": tuple(stored["header"]), "images": tuple(images)})


class Wanted(NamedTuple):
    """What is known of the columns before the file is opened. ``saved``: the owner's choice for a
    header. ``base``: the address that paths are below. ``worksheet``: which one of a workbook."""

    caller: Choice | None = None
    saved: Saved | None = None
    base: str = ""
    worksheet: str = ""


def detect(
    lines: Iterator[str], encoding: Encoding, wanted: Wanted, delimiters: Sequence[str] = DELIMITERS
) -> tuple[SheetFormat, Iterator[str]]:
    """The format, and the lines after the header. Raises ``UnreadableError``."""
    tape = _Tape(lines, delimiters)
    found, columns = _find_header(tape, wanted)
    above, own = tape.seen[: found.line], tape.seen[found.line : found.end]
    titles = [line for line in above if not _SEP_LINE.fullmatch(line)]
    form = SheetFormat(
        encoding=encoding.name,
        bom=encoding.bom,
        delimiter=found.delimiter,
        lineterminator=_line_end(own[-1], tape.line(found.end)),
        sep_line=len(titles) < len(above),
        head_lines=found.end,
        header=found.cells,
        images=columns.images,
        serial=columns.serial,
        name=columns.name,
        assumed=encoding.assumed,
        preamble="".join(titles) if any(map(_has_text, titles)) else "",
        found_by=columns.found_by,
        profile=columns.profile,
        strict=is_classic(found.cells, columns),
        paths=columns.paths or bool(wanted.base),
        base=wanted.base,
        head_rows=len(titles) + 1,
    )
    return form, tape.rest(found.end)


class _Tape:
    """Lines that can be replayed from anywhere, to try each delimiter on each of them.

    What the lines raise is kept for ``rest``: until then it is their end.
    """

    def __init__(self, live: Iterator[str], delimiters: Sequence[str]) -> None:
        self.delimiters = delimiters
        self.seen: list[str] = []
        self.error: UnreadableError | None = None
        self._live = live

    def line(self, at: int) -> str:
        """ "" behind the last one."""
        while len(self.seen) <= at and self.error is None:
            try:
                line = next(self._live, None)
            except (UnreadableError, UnicodeError) as error:
                self.error = unreadable(error)
                line = None
            if line is None:
                break
            self.seen.append(line)
        return self.seen[at] if at < len(self.seen) else ""

    def replay(self, at: int) -> Iterator[str]:
        while line := self.line(at):
            yield line
            at += 1

    def rest(self, at: int) -> Iterator[str]:
        """The lines from there to the end of the file, which are kept no longer."""
        return chain(self.seen[at:], self._raised() if self.error else self._live)

    def _raised(self) -> Iterator[str]:
        assert self.error is not None
        raise self.error
        yield ""


class _Header(NamedTuple):
    """``line``: where it begins, from 0. ``end``: the line behind it. ``roles``: ours in it."""

    line: int
    end: int
    cells: tuple[str, ...]
    delimiter: str
    roles: int


def _has_text(line: str) -> bool:
    return bool(line.strip(" \t\r\n,;|"))


def _find_header(tape: _Tape, wanted: Wanted) -> tuple[_Header, Columns]:
    """The first of the upper lines whose names say which column holds the images, else the one
    below which there are links."""
    headers: list[_Header] = []
    broken: UnreadableError | None = None
    for line in _upper_lines(tape):
        try:
            found = _headers_at(tape, line)
            named = _by_names(found, wanted)
        except UnreadableError as error:
            broken = broken or error.at(line + 1)
            continue
        if named:
            return named
        headers += found
    for header in [] if wanted.caller else headers:
        columns = by_content(header.cells, _sample(tape, header))
        if columns:
            return header, columns
    if not headers or (broken and not max(header.roles for header in headers)):
        empty = UnreadableError("empty_file", "The file holds no text.")
        raise tape.error or broken or empty
    raise _no_images(tape, headers, wanted.caller)


def _by_names(headers: list[_Header], wanted: Wanted) -> tuple[_Header, Columns] | None:
    for header in headers:
        columns = find(header.cells, wanted.caller, wanted.saved)
        if columns:
            return header, columns
    return None


def _no_images(tape: _Tape, headers: list[_Header], caller: Choice | None) -> UnreadableError:
    if caller:
        best = min(headers, key=lambda header: len(missing(header.cells, caller)))
        lacking = missing(best.cells, caller)
        sentence = f"The header lacks the column {' and the column '.join(lacking)}."
    else:
        best = max(headers, key=lambda header: header.roles)
        lacking = [IMAGES]
        sentence = "No column of the header is known to hold image links. Say which one does."
    seen = ", ".join(best.cells)
    error = UnreadableError("column_missing", sentence, column=", ".join(lacking), value=seen)
    error.header, error.rows = best.cells, _sample(tape, best)[:SHOWN_ROWS]
    return error.at(best.line + 1)


def _sample(tape: _Tape, header: _Header) -> list[list[str]]:
    """Some rows below a header, for a look at what its columns hold."""
    rows: list[list[str]] = []
    size = 0
    try:
        for cells in csv_reader(tape.replay(header.end), header.delimiter):
            rows.append(cells)
            size += sum(map(len, cells))
            if len(rows) >= SAMPLE_ROWS or size >= SAMPLE_CHARACTERS:
                break
    except csv.Error:
        pass  # the reader of the rows names the line
    return rows


def _upper_lines(tape: _Tape) -> Iterator[int]:
    """The numbers, from 0, of the lines on which a header may begin."""
    at = held = size = 0
    while at < MAX_ABOVE and (line := tape.line(at)) and held < TITLE_LINES and size < MAX_TITLE:
        if _has_text(line) and not _SEP_LINE.fullmatch(line):
            yield at
            held += 1
            size += len(line)
        at += 1


def _headers_at(tape: _Tape, line: int) -> list[_Header]:
    """Read with each delimiter, the one first that shows most of our names, then most columns."""
    tries: list[_Header] = []
    for delimiter in tape.delimiters:
        reader = csv_reader(tape.replay(line), delimiter)
        try:
            cells = tuple(restore(cell.lstrip("\ufeff")) for cell in next(reader))
        except csv.Error:
            continue
        tries.append(_Header(line, line + reader.line_num, cells, delimiter, own_roles(cells)))
    if not tries:
        raise UnreadableError("quoting_broken", "The double quotes in the header do not pair up.")
    tries.sort(key=lambda header: (-header.roles, -len(header.cells)))
    if any(map(STRAY.search, tape.seen[: tries[0].end])):
        raise stray_byte("".join(tape.seen[: tries[0].end]))
    return tries


def _line_end(line: str, following: str) -> str:
    for end in ("\r\n", "\n", "\r"):
        if line.endswith(end):
            # CR CR LF is what Python's text mode makes of CR LF on Windows.
            return "\r\n" if following == "\r\n" and end == "\r" else end
    return "\r\n"  # RFC 4180, for a header without rows
