"""A list of what is wrong with a file, as a CSV of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from imageproc.sheet.dialect import SheetFormat
from imageproc.sheet.write import write

ERROR_COLUMNS = ("row", "line", "column", "value", "code", "message")
_FORMAT = SheetFormat(
    encoding="utf-8",
    bom=True,  # Excel takes a CSV without one for the code page of its machine
    delimiter=",",
    lineterminator="\r\n",
    sep_line=False,
    head_lines=1,
    header=ERROR_COLUMNS,
    images=(0,),
    serial=None,
    name=None,
)


def write_errors(errors: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """``errors``: values in the order of ``ERROR_COLUMNS``."""
    return write(_FORMAT, ERROR_COLUMNS, ([str(value) for value in error] for error in errors))
