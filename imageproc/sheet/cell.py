"""A cell of links: split, checked for what could not be split, and joined again.

People separate links by what their keyboard has: comma, semicolon, bar, white space, full-width and
ideographic commas, ``<br>``. A run of these separates where a scheme follows, so that a comma
inside a link does not. A piece that seems to hold more than one link is refused, never fetched as
one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from imageproc.sheet.hosts import UrlProblem

_COMMAS = ",;|\uff0c\uff1b\uff5c\u3001"
# Quotation marks and invisible characters that come along when a link is copied.
_PASTED = '"\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a'
_UNSEEN = (
    "\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\ufeff"
)
_SPACES = " \t\r\n\v\f\u00a0\u3000"
_EDGE = _SPACES + _COMMAS + _PASTED + _UNSEEN
_RUN = rf"[\s{_COMMAS}{_PASTED}{_UNSEEN}]"
# The look-behind lets a run be tried only once: linear on a cell of 100,000 commas. It follows the
# first character, so that the search skips what cannot begin a run.
_SEPARATOR = re.compile(
    rf"({_RUN}(?<!{_RUN}{_RUN}){_RUN}*+)"
    # a scheme, or a host behind two slashes
    rf"(?=[a-zA-Z][a-zA-Z0-9+.\-]{{0,20}}://|//(?:[a-zA-Z0-9\-]++\.)+[a-zA-Z]{{2,}}[/:])"
)
_OPENING = re.compile(rf"[{_EDGE}<]*<(?=https?://)", re.IGNORECASE)
_BETWEEN_PATHS = re.compile(rf"(\s*[{_COMMAS}\r\n]\s*)")
_NO_PATH = "no_selection"  # Magento's word for no picture
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

_PICTURE = r"\.(?:jpe?g|png|gif|webp|avif|bmp|tiff?|heic)"
_PATH = r"[a-z]+://[^?#]*?"
_TWO_LINKS = re.compile(
    # A second scheme is meant as part of a path or as a parameter only: "/fetch/https://…".
    r".+?(?<![/=?&:(@#])(?<!%2f)(?<!%3d)https?://"
    # A second link without its scheme.
    rf"|{_PATH}[{_COMMAS}]+(?://)?(?:[a-z0-9\-]++\.)+[a-z]{{2,}}/"
    rf"|{_PATH}{_PICTURE}(?:\?[^\s{_COMMAS}]*+)?[{_COMMAS}]+(?://|(?:[a-z0-9\-]++\.)+[a-z]{{2,}}/)"
    rf"|{_PATH}{_PICTURE}[^a-z0-9=?]*https?://"
    # A second file name.
    rf"|{_PATH}{_PICTURE}[{_COMMAS}]+[^\s?#]*{_PICTURE}(?:[?#]|\Z)",
    re.IGNORECASE,
)
_LABEL = re.compile(rf"{_PATH}[|\uff5c]", re.IGNORECASE)
_LEFT_OVER = re.compile(f"[{_PASTED}\u00ad]")
# "&" as HTML writes it, in a query. No server has a parameter named "amp;w".
_AMPERSAND = re.compile(r"&(?:amp|#0*38|#x0*26);", re.IGNORECASE)

TWO_LINKS = UrlProblem(
    "url_joined",
    "This looks like two links in one. Put a comma between full http:// or https:// links.",
)
LABEL = UrlProblem(
    "url_label",
    "There is a | inside the link. Put only links into the cell, and write a | in a link as %7C.",
)
LEFT_OVER = UrlProblem(
    "url_pasted",
    "A quotation mark or a soft hyphen stands inside the link, left over from copying. Remove it.",
)


def split_cell(cell: str, *, paths: bool = False) -> list[str]:
    """The pieces of a cell, in order, duplicates kept; separators around them are dropped.

    ``paths``: it may hold paths, which have no scheme to be told by: every comma separates them.
    """
    inner = _inner(cell)
    if not inner or (paths and inner == _NO_PATH):
        return []
    return _pattern(inner, paths).split(inner)[::2]


def replace_in_cell(cell: str, urls: Sequence[str], *, paths: bool = False) -> str:
    """The cell with another link in each place; where that is "", the old one stays."""
    inner = _inner(cell)
    parts = _pattern(inner, paths).split(inner)
    parts[::2] = [new or old for old, new in zip(parts[::2], urls, strict=True)]
    before, found, after = cell.partition(inner)
    return f"{before}{''.join(parts)}{after}" if found else "".join(parts)


def _pattern(inner: str, paths: bool) -> re.Pattern[str]:
    return _BETWEEN_PATHS if paths and "://" not in inner else _SEPARATOR


def separator_of(cell: str, *, paths: bool = False) -> str:
    """How a cell separates its links: ``, ; |``, a newline or a space; a comma if it has one."""
    inner = _inner(cell)
    found = _pattern(inner, paths).search(inner)
    if not found:
        return ","
    for mark in (",", ";", "|", "\n"):
        if mark in found[1]:
            return mark
    if not found[1].isspace():
        return ","
    return "\n" if "\r" in found[1] else " "


def join_urls(cell: str, urls: Sequence[str], *, paths: bool = False) -> str:
    """URLs in the way ``cell`` separates its own: one separator character between each two.

    "" is an empty slot: it stands for an image without output, so that the n-th slot belongs to
    the n-th input URL (``a,,c``). Where the cell separates by white space, which cannot show an
    empty slot, a list with one is joined by commas.
    """
    if len(urls) < 2:
        return "".join(urls)
    mark = separator_of(cell, paths=paths)
    if mark.isspace() and not all(urls):
        mark = ","
    return mark.join(urls)


def problem_of(piece: str) -> UrlProblem | None:
    """What shows that a piece is not one link, as far as a cell can tell."""
    if _LEFT_OVER.search(piece):
        return LEFT_OVER
    if _TWO_LINKS.match(piece):
        return TWO_LINKS
    return LABEL if _LABEL.match(piece) else None


def without_entities(link: str) -> str:
    """The link with HTML's ``&amp;`` in its query read as ``&``."""
    path, mark, query = link.partition("?")
    return path + mark + _AMPERSAND.sub("&", query) if mark else link


def _inner(cell: str) -> str:
    """The cell without what stands around its links, a JSON list's brackets among it."""
    if cell[:2] == '["' and cell[-2:] == '"]':
        cell = cell[1:-1]
    if "<" in cell:
        cell = _LINE_BREAK.sub("\n", cell)
    inner = cell.strip(_EDGE)
    if inner[:1] == "<" and (opening := _OPENING.match(inner)):
        inner = inner[opening.end() :]
    return inner.rstrip(_EDGE + ">") if inner[-1:] == ">" else inner
