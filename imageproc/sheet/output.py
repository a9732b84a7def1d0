"""A sheet with its results: in columns of their own, or in the place of the input links.

Appended to a sheet with one column of links are ``OUTPUT_COLUMNS``. Beside each of several columns
of links there is an ``Output`` column of its own, and the state at the end. A sheet that was an
output before has these columns already: they are filled again, not doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from imageproc.sheet.cell import join_urls, replace_in_cell
from imageproc.sheet.columns import plain
from imageproc.sheet.dialect import SheetFormat
from imageproc.sheet.write import write

if TYPE_CHECKING:
    from imageproc.sheet.workbook_output import Changes

OUTPUT_COLUMNS = ("Output Image Urls", "Status", "Error")
CHANGE_COLUMN = "Change"
# Of the source cells that a layout copies: the output of the first column of links, of the second.
_OUTPUTS = -1


class RowResult(NamedTuple):
    """What became of a row.

    ``urls``: one per URL of the row, in order, "" where there is no output; none for a row without
    links. ``places``: which of them each column of links names; None where there is one column.
    ``change``: how it compares with before.
    """

    urls: Sequence[str]
    status: str
    error: str = ""
    places: Sequence[Sequence[int]] | None = None
    change: str = ""


_Row = Callable[[Sequence[str], RowResult], list[str]]


def write_output(
    sheet: SheetFormat,
    rows: Iterable[tuple[Sequence[str], RowResult]],
    *,
    replace: bool = False,
    status: bool = True,
    change: bool = False,
) -> Iterator[bytes]:
    """The sheet with its results, from each row's cells and what became of it.

    ``replace``: output links in the place of input links, which stay where there is no output;
    then ``status`` says whether the columns ``Status`` and ``Error`` are added.
    ``change`` adds ``Change`` after them.
    """
    if replace:
        header, row = _replaced(sheet, status=status)
    elif len(sheet.images) == 1:
        header, row = _appended(sheet)
    else:
        header, row = _beside(sheet)
    if change:
        header, row = _with_change(header, row)
    return write(sheet, header, (row(cells, outcome) for cells, outcome in rows))


def write_workbook_output(
    stream: BinaryIO,
    sheet: SheetFormat,
    rows: Iterable[tuple[int, Sequence[str], RowResult]],
    *,
    replace: bool = False,
    status: bool = True,
) -> Iterator[bytes]:
    """The uploaded workbook with its results. ``rows``: with the row of the worksheet first.

    All new columns stand behind the last one: formulas and merged cells name columns by their
    place. A row that goes on behind the header's last column is left as it is.
    """
    header, row = _replaced(sheet, status=status) if replace else _appended(sheet)
    own = len(sheet.header)

    from imageproc.sheet.workbook_output import write_workbook  # with openpyxl, which takes 0.3 s

    def changes() -> Iterator[Changes]:
        yield sheet.head_lines, dict(enumerate(header[own:], own))
        for line, cells, outcome in rows:
            if len(cells) == own:
                new = enumerate(row(cells, outcome))
                yield line, {n: text for n, text in new if n >= own or text != cells[n]}

    return write_workbook(stream, sheet.worksheet, sheet.head_lines, changes())


def _with_change(header: list[str], row: _Row) -> tuple[list[str], _Row]:
    """One more column, before surplus cells of the row."""

    def with_change(cells: Sequence[str], outcome: RowResult) -> list[str]:
        filled = row(cells, outcome)
        filled.insert(len(header), outcome.change)
        return filled

    return [*header, CHANGE_COLUMN], with_change


def write_rows(
    sheet: SheetFormat, rows: Iterable[tuple[Sequence[str], Sequence[Sequence[str]] | None]]
) -> Iterator[bytes]:
    """The sheet with some rows only: it can be uploaded as it is.

    ``rows``: (cells, the URLs that replace those in each column of links; None: the row as it is).
    """
    return write(sheet, sheet.header, (_with_urls(sheet, *row) for row in rows))


def _appended(sheet: SheetFormat) -> tuple[list[str], _Row]:
    """A ``Status`` or ``Error`` is taken for ours only to the right of our first column; without
    one it is the catalogue's own and is left alone."""
    header = list(sheet.header)
    outputs = [_place(header, title, 0) for title in _titles(sheet)]
    status = _place(header, OUTPUT_COLUMNS[1], outputs[0])
    error = _place(header, OUTPUT_COLUMNS[2], outputs[0])
    own, blank = len(sheet.header), [""] * (len(header) - len(sheet.header))

    def row(cells: Sequence[str], outcome: RowResult) -> list[str]:
        filled = [*cells, *blank] if len(cells) == own else [*cells[:own], *blank, *cells[own:]]
        columns = zip(outputs, sheet.images, _by_column(sheet, outcome), strict=True)
        for output, image, urls in columns:
            filled[output] = join_urls(cells[image], urls, paths=sheet.paths)
        filled[status], filled[error] = outcome.status, outcome.error
        return filled

    return header, row


def _titles(sheet: SheetFormat) -> list[str]:
    if len(sheet.images) == 1:
        return [OUTPUT_COLUMNS[0]]
    return [f"Output {sheet.header[image].strip()}" for image in sheet.images]


def _place(header: list[str], title: str, start: int) -> int:
    """Where a column of ours is from ``start`` on; it is added where there is none."""
    for place in range(start, len(header)):
        if plain(header[place]) == plain(title):
            return place
    header.append(title)
    return len(header) - 1


def _beside(sheet: SheetFormat) -> tuple[list[str], _Row]:
    own = len(sheet.header)
    header: list[str] = []
    sources: list[int] = []  # indices of cells; _OUTPUTS and less: outputs
    names = [plain(cell) for cell in sheet.header]
    index = 0
    while index < own:
        header.append(sheet.header[index])
        sources.append(index)
        if index in sheet.images:
            column = f"Output {sheet.header[index].strip()}"
            header.append(column)
            sources.append(_OUTPUTS - sheet.images.index(index))
            if index + 1 < own and names[index + 1] == plain(column):
                index += 1
        index += 1
    header, sources = _without_state(header, sources)

    def row(cells: Sequence[str], outcome: RowResult) -> list[str]:
        found = [
            join_urls(cells[image], urls, paths=sheet.paths)
            for image, urls in zip(sheet.images, _by_column(sheet, outcome), strict=True)
        ]
        filled = [cells[n] if n >= 0 else found[_OUTPUTS - n] for n in sources]
        return [*filled, outcome.status, outcome.error, *cells[own:]]

    return [*header, *OUTPUT_COLUMNS[1:]], row


def _replaced(sheet: SheetFormat, *, status: bool) -> tuple[list[str], _Row]:
    own = len(sheet.header)
    header, sources = _without_state(list(sheet.header), list(range(own)), needed=status)

    def row(cells: Sequence[str], outcome: RowResult) -> list[str]:
        filled = list(cells)
        for image, urls in zip(sheet.images, _by_column(sheet, outcome), strict=True):
            if any(urls):
                filled[image] = replace_in_cell(filled[image], urls, paths=sheet.paths)
        if not status:
            return filled
        return [*(filled[n] for n in sources), outcome.status, outcome.error, *filled[own:]]

    return [*header, *OUTPUT_COLUMNS[1:]] if status else header, row


def _without_state(
    header: list[str], sources: list[int], *, needed: bool = True
) -> tuple[list[str], list[int]]:
    """The columns without a state that we wrote at their end before."""
    ours = [plain(column) for column in OUTPUT_COLUMNS[1:]]
    if needed and [plain(cell) for cell in header[-2:]] == ours:
        return header[:-2], sources[:-2]
    return header, sources


def _by_column(sheet: SheetFormat, outcome: RowResult) -> list[Sequence[str]]:
    """The output URLs of each column of links."""
    if outcome.places is None:
        return [outcome.urls, *([()] * (len(sheet.images) - 1))]
    return [[outcome.urls[n] for n in places] for places in outcome.places]


def _with_urls(
    sheet: SheetFormat, cells: Sequence[str], columns: Sequence[Sequence[str]] | None
) -> list[str]:
    row = list(cells)
    for image, urls in zip(sheet.images, columns or [], strict=False):
        row[image] = join_urls(cells[image], urls, paths=sheet.paths)
    return row
