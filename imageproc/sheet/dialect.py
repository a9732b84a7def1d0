"""How a sheet is written: encoding, delimiter, line end, header."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from imageproc.sheet.errors import UnreadableError
from imageproc.sheet.formula import restore
from imageproc.sheet.text import csv_reader, unreadable

DELIMITERS = (",", ";", "\t")
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
_SEP_LINE = re.compile(r'"?sep=[,;\t]"?[\r\n]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SheetFormat:
    """All that is needed to read a sheet again and to write another that looks the same.

    ``encoding``: utf-8, utf-16-le, utf-16-be or cp1252. ``head_lines``: physical lines up to the
    end of the header. ``sep_line``: the file starts with Excel's ``sep=`` line. ``serial``,
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


def detect(lines: Iterator[str], encoding: str, *, bom: bool) -> tuple[SheetFormat, Iterator[str]]:
    """The format, and the lines after the header. Raises ``UnreadableError``."""
    skipped, sep_line, first = _preamble(lines)
    tape = _Tape(first, lines)
    try:
        header, delimiter, used = _best_header(tape)
        cells = tuple(restore(cell) for cell in header)
        serial, name, urls = _find_columns(cells)
    except (UnreadableError, UnicodeError) as error:
        raise unreadable(error).at(skipped + 1) from error
    found = SheetFormat(
        encoding=encoding,
        bom=bom,
        delimiter=delimiter,
        lineterminator=_line_end(tape.seen[used - 1]),
        sep_line=sep_line,
        head_lines=skipped + used,
        header=cells,
        serial=serial,
        name=name,
        urls=urls,
    )
    return found, chain(tape.seen[used:], lines)


def _preamble(lines: Iterator[str]) -> tuple[int, bool, str]:
    """(lines before the header, whether one is a ``sep=`` line, the header's first line)

    What the ``sep=`` line says is not needed: the header itself shows the delimiter.
    """
    sep_line = False
    for skipped, line in enumerate(lines):
        if not sep_line and _SEP_LINE.fullmatch(line):
            sep_line = True
        elif line.strip(" \t\r\n,;"):
            return skipped, sep_line, line
    raise UnreadableError("empty_file", "The file holds no text.")


class _Tape:
    """Lines that can be replayed from the header on, for one try per delimiter."""

    def __init__(self, first: str, live: Iterator[str]) -> None:
        self.seen = [first]
        self._live = live

    def replay(self) -> Iterator[str]:
        at = 0
        while True:
            if at == len(self.seen):
                line = next(self._live, None)
                if line is None:
                    return
                self.seen.append(line)
            yield self.seen[at]
            at += 1


def _best_header(tape: _Tape) -> tuple[list[str], str, int]:
    """(cells, delimiter, lines used): the delimiter that shows most of our columns."""
    tries: list[tuple[int, int, list[str], str, int]] = []
    for delimiter in DELIMITERS:
        reader = csv_reader(tape.replay(), delimiter)
        try:
            cells = next(reader)
        except csv.Error:
            continue
        roles = {_ROLE[plain(cell)] for cell in cells if plain(cell) in _ROLE}
        tries.append((len(roles), len(cells), cells, delimiter, reader.line_num))
    if not tries:
        raise UnreadableError("quoting_broken", "The double quotes in the header do not pair up.")
    _, _, cells, delimiter, used = max(tries, key=lambda found: found[:2])
    return cells, delimiter, used


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


def _line_end(line: str) -> str:
    for end in ("\r\n", "\n", "\r"):
        if line.endswith(end):
            return end
    return "\r\n"  # RFC 4180, for a header without rows
