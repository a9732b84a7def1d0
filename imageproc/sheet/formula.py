"""Cells that a spreadsheet would run as a formula, made harmless in a way that can be undone.

OWASP, "CSV Injection": Excel, LibreOffice and Google Sheets may read a cell as a formula when it
starts with ``= + - @`` or a full-width form of these, also behind a tab or a line break. Such a
cell gets a leading apostrophe, unless nothing in it can be evaluated to more than a number:

* a sign with digits and their punctuation: ``-15``, ``-1,250.50``, ``-5%``, ``+49 30 1234567``;
* a number with an exponent or a unit: ``-1e-7``, ``-20 °C``;
* words after a bullet, or one handle: ``- black leather``, ``@shoes``. They hold no bracket, no
  quote, no ``|`` or ``!`` and nothing that looks like a cell's address, so they can name no
  function, no reference and no program;
* a text constant, by which Excel users keep leading zeros: ``="00123"``.

So that reading can take away exactly what writing added, writing also adds an apostrophe to a cell
that starts with apostrophes *followed by* a formula:

    written = "'" + cell    if cell is  '*  then a formula
    read    = cell[1:]      if cell is  '+  then a formula

The two are inverse on all text: ``=x`` ↔ ``'=x``, ``'=x`` ↔ ``''=x``; ``'tis`` and ``'-15`` stay.
"""

from __future__ import annotations

import re

# What a cell begins with that needs a second look.
SUSPECT = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20'")
_SIGN = "[+\\-\uff0b\uff0d]"
# Possessive throughout: linear on any cell. A word is no cell's address (A1, R1C1).
_WORD = r"(?![A-Za-z]{1,3}\d+\b)(?![Rr]\d*[Cc]\d*\b)[^\W\d_][\w'’]*+"
_HARMLESS = (
    rf"{_SIGN}[+\-\d\s.,%()/€£¥$]*+"
    rf"|{_SIGN}\d[\d.,]*+(?:[eE][+\-]?\d++|\s?°?[^\W\d_]{{1,4}}[²³]?)"
    rf"|{_SIGN}\s++(?:(?:{_WORD}|\d\w*+)(?:[\s.,;?%/\-]++|\Z))*+"
    rf"|@{_WORD}(?:[.\-]{_WORD})*+"
    r'|="(?:[^"]|"")*+"'
)
_FORMULA = rf"(?:[\t\r\n]\s*+)?(?!(?:{_HARMLESS})\Z)[=+\-@\uff1d\uff0b\uff0d\uff20]"
_NEEDS_APOSTROPHE = re.compile(f"'*+{_FORMULA}")
_HAS_APOSTROPHE = re.compile(f"'++{_FORMULA}")


def neutralise(cell: str) -> str:
    """The cell as it is written."""
    if cell[:1] in SUSPECT and _NEEDS_APOSTROPHE.match(cell):
        return "'" + cell
    return cell


def restore(cell: str) -> str:
    """The cell as it was before ``neutralise``."""
    return cell[1:] if _HAS_APOSTROPHE.match(cell) else cell
