"""A cell of links: split, and joined again."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A separator is a run of these that is followed by a scheme, so that a comma inside a URL is none.
# The look-behind lets a run be tried only once: linear on a cell of 100,000 commas.
_SEPARATOR = re.compile(r"(?<![\s,;|])([\s,;|]++)(?=[a-z][a-z0-9+.\-]{0,20}://)", re.IGNORECASE)
_AROUND = " \t\r\n\v\f\u00a0,;|"


def split_cell(cell: str) -> list[str]:
    """The pieces of a cell, in order, duplicates kept; separators around them are dropped."""
    inner = cell.strip(_AROUND)
    return _SEPARATOR.split(inner)[::2] if inner else []


def separator_of(cell: str) -> str:
    """How a cell separates its URLs: ``, ; |``, a newline or a space; a comma if it has one URL."""
    found = _SEPARATOR.search(cell.strip(_AROUND))
    if not found:
        return ","
    for mark in (",", ";", "|", "\n"):
        if mark in found[1]:
            return mark
    return "\n" if "\r" in found[1] else " "


def join_urls(cell: str, urls: Sequence[str]) -> str:
    """URLs in the way ``cell`` separates its own: one separator character between each two.

    "" is an empty slot: it stands for an image without output, so that the n-th slot belongs to
    the n-th input URL (``a,,c``). Where the cell separates by white space, which cannot show an
    empty slot, a list with one is joined by commas.
    """
    if len(urls) < 2:
        return "".join(urls)
    mark = separator_of(cell)
    if mark.isspace() and not all(urls):
        mark = ","
    return mark.join(urls)
