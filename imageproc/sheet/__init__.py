"""A CSV or workbook to rows or line-numbered errors, and back. Pure: no Django, no network.

``read`` validates a new file, ``rows`` and ``cells`` read an accepted one again, ``write_output``
and ``write_rows`` write it with results, or a part of it.
"""

from imageproc.sheet.cell import join_urls, split_cell
from imageproc.sheet.columns import Choice, Columns, plain
from imageproc.sheet.dialect import SheetFormat, Wanted
from imageproc.sheet.errors import LineError, SheetChangedError
from imageproc.sheet.hosts import UrlProblem
from imageproc.sheet.links import UrlPolicy
from imageproc.sheet.output import (
    OUTPUT_COLUMNS,
    RowResult,
    write_output,
    write_rows,
    write_workbook_output,
)
from imageproc.sheet.read import Row, Sheet, SheetLimits, read
from imageproc.sheet.report import ERROR_COLUMNS, write_errors
from imageproc.sheet.reread import cells, links_of, rows
from imageproc.sheet.summary import SheetSummary
from imageproc.sheet.urls import MAX_URL, Url, check_url, host_of
from imageproc.sheet.workbook import XLSX
from imageproc.sheet.write import write

__all__ = [
    "ERROR_COLUMNS",
    "MAX_URL",
    "OUTPUT_COLUMNS",
    "XLSX",
    "Choice",
    "Columns",
    "LineError",
    "Row",
    "RowResult",
    "Sheet",
    "SheetChangedError",
    "SheetFormat",
    "SheetLimits",
    "SheetSummary",
    "Url",
    "UrlPolicy",
    "UrlProblem",
    "Wanted",
    "cells",
    "check_url",
    "host_of",
    "join_urls",
    "links_of",
    "plain",
    "read",
    "rows",
    "split_cell",
    "write",
    "write_errors",
    "write_output",
    "write_rows",
    "write_workbook_output",
]
