"""How a sheet is written: encoding, delimiter, line end, header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, NamedTuple

from imageproc.sheet.encoding import STRAY, Encoding, stray_byte
from imageproc.sheet.errors import UnreadableError
from imageproc.sheet.formula import restore
from imageproc.sheet.text import csv_reader, unreadable

DELIMITERS = (",", ";", "\t", "|")
# Lines among which the header is looked for: price lists begin with a title.
TITLE_LINES = 20
MAX_TITLE = 20_000
# What the columns are called, after ``plain``: case, spaces, dots, underscores and dashes gone.
COLUMNS: Mapping[str, frozenset[str]] = {
    "S. No.": frozenset(
        {"sno", "srno", "slno", "snumber", "serial", "serialno", "serialnum", "serialnumber"}
    ),
    "Product Name": frozenset({"product", "productname"}),
    "Input Image Urls": frozenset(
        {"inputimageurls", "inputimageurl", "inputimages", "inputimage"}
        | {"inputurls", "inputurl", "imageurls", "imageurl"}
    ),
}
_ROLE = {alias: column for column, aliases in COLUMNS.items() for alias in aliases}
_IGNORED = re.compile(r"[\s._\-\ufeff]+")
# Excel's own first line that names the delimiter.
_SEP_LINE = re.compile(r'"?sep=[,;\t|]"?[\r\n]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SheetFormat:
    """All that is needed to read a sheet again and to write another that looks the same.

    ``encoding``: Python's name; ``assumed``: the bytes do not tell. ``lineterminator``: what is
    written. ``sep_line``: the file starts with Excel's ``sep=`` line. ``head_lines``: physical
    lines up to the end of the header. ``preamble``: title lines above the header, as they are.
    ``backslash``: quotes inside a cell have a backslash before them (PHP's fputcsv). ``serial``,
    ``name``, ``urls``: indices into ``header``.
    """

    encoding: str
    bom: bool
    delimiter: str
    lineterminator: str
    sep_line: bool
    head_lines: int
    header: tuple[str, ...]
    serial: int
    name: int
    urls: int
    assumed: bool = False
    backslash: bool = False
    preamble: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "header": list(self.header)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> SheetFormat:
        """The inverse of ``to_dict``, also after a trip through JSON."""
        return cls(**{**stored, "header": tuple(stored["header"])})


def plain(name: str) -> str:
    """A column's name without what people write differently."""
    return _IGNORED.sub("", name).casefold()


def detect(lines: Iterator[str], encoding: Encoding) -> tuple[SheetFormat, Iterator[str]]:
    """The format, and the lines after the header. Raises ``UnreadableError``."""
    tape = _Tape(lines)
    found = _find_header(tape)
    try:
        serial, name, urls = _find_columns(found.cells)
    except UnreadableError as error:
        raise error.at(found.line + 1) from error
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
        serial=serial,
        name=name,
        urls=urls,
        assumed=encoding.assumed,
        preamble="".join(titles) if any(map(_has_text, titles)) else "",
    )
    return form, tape.rest(found.end)


class _Tape:
    """Lines that can be replayed from anywhere, to try each delimiter on each of them.

    What the lines raise is kept for ``rest``: until then it is their end.
    """

    def __init__(self, live: Iterator[str]) -> None:
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
    """``line``: where it begins, from 0. ``end``: the line behind it. ``roles``: our columns."""

    line: int
    end: int
    cells: tuple[str, ...]
    delimiter: str
    roles: int


def _has_text(line: str) -> bool:
    return bool(line.strip(" \t\r\n,;|"))


def _find_header(tape: _Tape) -> _Header:
    """The first of the upper lines that names all of our columns, else the one that names most."""
    best: _Header | None = None
    broken: UnreadableError | None = None
    for line in _upper_lines(tape):
        try:
            found = _header_at(tape, line)
        except UnreadableError as error:
            broken = broken or error.at(line + 1)
            continue
        if best is None or found.roles > best.roles:
            best = found
        if best.roles == len(COLUMNS):
            return best
    if best is None or (broken and not best.roles):
        missing = UnreadableError("empty_file", "The file holds no text.")
        raise tape.error or broken or missing
    return best


def _upper_lines(tape: _Tape) -> Iterator[int]:
    """The numbers, from 0, of the lines on which a header may begin."""
    at = held = size = 0
    while (line := tape.line(at)) and held < TITLE_LINES and size < MAX_TITLE:
        if _has_text(line) and not _SEP_LINE.fullmatch(line):
            yield at
            held += 1
            size += len(line)
        at += 1


def _header_at(tape: _Tape, line: int) -> _Header:
    """Read with the delimiter that shows most of our columns."""
    tries: list[_Header] = []
    for delimiter in DELIMITERS:
        reader = csv_reader(tape.replay(line), delimiter)
        try:
            cells = tuple(restore(cell.lstrip("\ufeff")) for cell in next(reader))
        except csv.Error:
            continue
        roles = len({_ROLE[plain(cell)] for cell in cells if plain(cell) in _ROLE})
        tries.append(_Header(line, line + reader.line_num, cells, delimiter, roles))
    if not tries:
        raise UnreadableError("quoting_broken", "The double quotes in the header do not pair up.")
    found = max(tries, key=lambda header: (header.roles, len(header.cells)))
    if any(map(STRAY.search, tape.seen[: found.end])):
        raise stray_byte("".join(tape.seen[: found.end]))
    return found


def _find_columns(header: tuple[str, ...]) -> list[int]:
    """Indices of the three columns, in the order of ``COLUMNS``."""
    roles = [_ROLE.get(plain(cell)) for cell in header]
    counts = Counter(roles)
    seen = ", ".join(header)
    missing = [column for column in COLUMNS if not counts[column]]
    if missing:
        raise UnreadableError(
            "column_missing",
            f"The header lacks the column {' and the column '.join(missing)}. "
            "Needed: S. No., Product Name, Input Image Urls.",
            column=", ".join(missing),
            value=seen,
        )
    doubled = [column for column in COLUMNS if counts[column] > 1]
    if doubled:
        raise UnreadableError(
            "column_duplicate",
            f"The header names the column {' and the column '.join(doubled)} more than once. "
            "Keep one of them.",
            column=", ".join(doubled),
            value=seen,
        )
    return [roles.index(column) for column in COLUMNS]


def _line_end(line: str, following: str) -> str:
    for end in ("\r\n", "\n", "\r"):
        if line.endswith(end):
            # CR CR LF is what Python's text mode makes of CR LF on Windows.
            return "\r\n" if following == "\r\n" and end == "\r" else end
    return "\r\n"  # RFC 4180, for a header without rows
