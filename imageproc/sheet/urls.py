"""One URL: judged by its syntax, and made ASCII."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from imageproc.sheet.hosts import Authority, Problem, parse_authority

MAX_URL = 2048
_HOST = re.compile(r"https?://(\[[^\]]*\]|[^/?#:]*)")
# ASCII: "ſ" is no s.
_PARTS = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
# C0, DEL, C1, and the invisible ones that come along when a link is copied.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_SPACE = re.compile(r"\s")
# Reserved and unreserved characters of RFC 3986, and the escapes that are there already.
_KEPT = "%/:?#[]@!$&'()*+,;=~-._"

TOO_LONG = Problem("url_too_long", f"The link is longer than {MAX_URL} characters.")
NOT_HTTP = Problem("url_scheme", "This is not a full http:// or https:// link.")
SPACE = Problem(
    "url_space",
    "There is a space, or something that is not a link, inside or after the link. "
    "Write a space in a link as %20, and put full links between the separators.",
)
INVISIBLE = Problem("url_control", "The link contains a control or invisible character.")
BACKSLASH = Problem("url_backslash", "The link contains a backslash. Use forward slashes.")


class Url(NamedTuple):
    """``text``: what is fetched, ASCII only."""

    text: str
    authority: Authority


def check_url(text: str) -> Url | Problem:
    """Judge one URL by its syntax and make it ASCII (IDNA 2008 host, percent-encoded path)."""
    problem = _spoilt(text)
    if problem:
        return problem
    parts = _PARTS.fullmatch(text)
    if not parts:
        return NOT_HTTP
    scheme = parts[1].lower()
    authority = parse_authority(parts[2], scheme)
    if isinstance(authority, Problem):
        return authority
    url = f"{scheme}://{authority.text}{quote(parts[3], safe=_KEPT, errors='replace')}"
    return Url(url, authority) if len(url) <= MAX_URL else TOO_LONG


def _spoilt(text: str) -> Problem | None:
    if len(text) > MAX_URL:
        return TOO_LONG
    if _SPACE.search(text):  # before control characters: a newline is white space first
        return SPACE
    if _INVISIBLE.search(text):
        return INVISIBLE
    return BACKSLASH if "\\" in text else None


def host_of(url: str) -> str:
    """The host of a URL that ``read`` or ``check_url`` gave out: lower case, ASCII."""
    match = _HOST.match(url)
    return match[1] if match else ""
