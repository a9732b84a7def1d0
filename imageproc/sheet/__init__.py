"""CSV bytes to rows or line-numbered errors, and rows back to CSV. Pure: no Django, no network.

``read`` validates a new file, ``rows`` and ``cells`` read an accepted one again, ``write_output``
and ``write_rows`` write it with results, or a part of it.
"""

from imageproc.sheet.cell import join_urls, split_cell
from imageproc.sheet.dialect import SheetFormat
from imageproc.sheet.errors import LineError, SheetChangedError
from imageproc.sheet.hosts import Problem
from imageproc.sheet.links import Policy
from imageproc.sheet.read import Limits, Row, Sheet, cells, read, rows
from imageproc.sheet.summary import Summary
from imageproc.sheet.urls import MAX_URL, Url, check_url, host_of
from imageproc.sheet.write import OUTPUT_COLUMNS, Outcome, write, write_output, write_rows

__all__ = [
    "MAX_URL",
    "OUTPUT_COLUMNS",
    "Limits",
    "LineError",
    "Outcome",
    "Policy",
    "Problem",
    "Row",
    "Sheet",
    "SheetChangedError",
    "SheetFormat",
    "Summary",
    "Url",
    "cells",
    "check_url",
    "host_of",
    "join_urls",
    "read",
    "rows",
    "split_cell",
    "write",
    "write_output",
    "write_rows",
]
