"""Short forms for the tests of the sheet."""

from __future__ import annotations

import io
from collections.abc import Sequence

from imageproc.sheet import LineError, Row, Sheet, SheetFormat, SheetLimits, UrlPolicy, read, write

HEADER = ("S. No.", "Product Name", "Input Image Urls")
URL = "https://cdn.example.com/a.jpg"


def opened(
    content: bytes, limits: SheetLimits | None = None, judge: UrlPolicy | None = None
) -> Sheet:
    return read(io.BytesIO(content), limits, judge)


def good(content: bytes) -> list[Row]:
    """All rows of a file that must have no errors."""
    found = list(opened(content))
    assert [item for item in found if isinstance(item, LineError)] == []
    return [item for item in found if isinstance(item, Row)]


def errors(
    content: bytes, limits: SheetLimits | None = None, judge: UrlPolicy | None = None
) -> list[LineError]:
    """Without the spreadsheet's row, which has a test of its own."""
    found = [item for item in opened(content, limits, judge) if isinstance(item, LineError)]
    return [item._replace(row=0) for item in found]


def error(
    content: bytes, limits: SheetLimits | None = None, judge: UrlPolicy | None = None
) -> LineError:
    """The one error of a file that must have exactly one."""
    (only,) = errors(content, limits, judge)
    return only


def sheet_of(body: str, header: str = "S. No.,Product Name,Input Image Urls\n") -> bytes:
    return (header + body).encode()


def cell_errors(cell: str) -> list[tuple[str, str]]:
    """(value, code) of what is wrong with a cell of URLs."""
    quoted = cell.replace('"', '""')
    return [(e.value, e.code) for e in errors(sheet_of(f'1,Pen,"{quoted}"\n'))]


def a_format(
    encoding: str = "utf-8",
    delimiter: str = ",",
    end: str = "\n",
    *,
    bom: bool = False,
    header: Sequence[str] = HEADER,
) -> SheetFormat:
    return SheetFormat(
        encoding=encoding,
        bom=bom,
        assumed=encoding == "cp1252",
        delimiter=delimiter,
        lineterminator=end,
        sep_line=False,
        head_lines=1,
        header=tuple(header),
        images=(2,),
        serial=0,
        name=1,
        strict=len(header) == 3,
    )


def written(sheet: SheetFormat, rows: Sequence[Sequence[str]]) -> bytes:
    return b"".join(write(sheet, sheet.header, rows))
