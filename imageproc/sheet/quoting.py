"""Quotes inside a cell: doubled, as RFC 4180 has them, or with a backslash, as PHP writes them.

PHP's fputcsv (WooCommerce, Akeneo, Magento) leaves a quote alone that has a backslash before it:
``"[row style=\\"wide\\"]"``. That reading is taken only where RFC 4180's breaks and this one gives
every record of the file the header's width.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import BinaryIO

from imageproc.sheet.dialect import SheetFormat
from imageproc.sheet.errors import UnreadableError
from imageproc.sheet.text import ESCAPED_QUOTE, Lines, csv_reader

_BLOCK = 1 << 18


def backslash_quotes(stream: BinaryIO, sheet: SheetFormat) -> bool:
    """Whether backslashes stand before the quotes of this file. Leaves ``stream`` where it was."""
    place = stream.tell()
    try:
        return (
            _holds(stream, b'\\"')
            and not _holds(stream, ESCAPED_QUOTE.encode())
            and not _pairs_up(stream, sheet, backslash="")
            and _pairs_up(stream, sheet, backslash=sheet.delimiter)
        )
    finally:
        stream.seek(place)


def _holds(stream: BinaryIO, needle: bytes) -> bool:
    stream.seek(0)
    end = b""
    for block in iter(partial(stream.read, _BLOCK), b""):
        if needle in end + block:
            return True
        end = block[1 - len(needle) :]
    return False


def _pairs_up(stream: BinaryIO, sheet: SheetFormat, *, backslash: str) -> bool:
    """Whether the file can be read to its end; with backslashes, in records of one width."""
    stream.seek(0)
    width = len(sheet.header)
    lines = Lines(stream, sheet.encoding, backslash=backslash)
    try:
        for cells in csv_reader(_bounded(lines, sheet.head_lines), sheet.delimiter):
            lines.pending = 0
            if backslash and cells and len(cells) != width:
                return False
    except (csv.Error, UnicodeError, UnreadableError):
        return False
    return True


def _bounded(lines: Lines, head_lines: int) -> Iterator[str]:
    return islice(lines, head_lines, None)
