"""Cells that a spreadsheet would run as a formula, made harmless in a way that can be undone.

OWASP, "CSV Injection": a cell that starts with ``= + - @``, tab, CR, LF or one of their full-width
forms gets a leading apostrophe. So that reading can take away exactly what writing added, writing
also adds one to a cell that starts with apostrophes *followed by* such a character:

    written = "'" + cell    if cell is  '*  then one of the characters
    read    = cell[1:]      if cell is  '+  then one of the characters

The two are inverse on all text: ``=x`` ↔ ``'=x``, ``'=x`` ↔ ``''=x``; ``'tis`` stays ``'tis``.
"""

from __future__ import annotations

import re

_DANGEROUS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
_NEEDS_APOSTROPHE = re.compile(f"'*[{_DANGEROUS}]")
_HAS_APOSTROPHE = re.compile(f"'+[{_DANGEROUS}]")
_SUSPECT = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'")


def neutralise(cell: str) -> str:
    """The cell as it is written."""
    if cell[:1] in _SUSPECT and _NEEDS_APOSTROPHE.match(cell):
        return "'" + cell
    return cell


def restore(cell: str) -> str:
    """The cell as it was before ``neutralise``."""
    return cell[1:] if _HAS_APOSTROPHE.match(cell) else cell
