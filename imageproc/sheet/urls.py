"""One URL: judged by its syntax, and made ASCII."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from imageproc.sheet.hosts import Authority, UrlProblem, parse_authority

MAX_URL = 8000  # characters; what RFC 9110, 4.1 asks everybody to support
_HOST = re.compile(r"https?://(\[[^\]]*\]|[^/?#:]*)")
# Scheme, authority, path with query, fragment. ASCII: "ſ" is no s.
_PARTS = re.compile(r"(https?)://([^/?#]*)([^#]*)(.*)", re.IGNORECASE | re.DOTALL | re.ASCII)
# C0, DEL, C1, the soft hyphen, lone surrogates, and the invisible ones that come along when a link
# is copied. The joiners U+200C and U+200D belong to the spelling of words and emoji, and stay.
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
_SPACE = re.compile(r"\s")
# Reserved and unreserved characters of RFC 3986, and the escapes that are there already.
_KEPT = "%/:?#[]@!$&'()*+,;=~-._"
_LONE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")  # "50%.jpg"

TOO_LONG = UrlProblem("url_too_long", f"The link is longer than {MAX_URL} characters.")
NOT_HTTP = UrlProblem("url_scheme", "This is not a full http:// or https:// link.")
SPACE = UrlProblem(
    "url_space",
    "There is a space, or something that is not a link, inside or after the link. "
    "Write a space in a link as %20, and put full links between the separators.",
)
INVISIBLE = UrlProblem("url_control", "The link contains a control or invisible character.")
LOCAL_FILE = UrlProblem(
    "url_local_file",
    "This is a file on your computer, which we cannot reach. Put it on the web and use its link.",
)
# "C:\\a.jpg", "\\\\server\\a.jpg", "file:///a.jpg", "/Users/me/a.jpg", "~/a.jpg"
_LOCAL_FILE = re.compile(r"[A-Za-z]:[\\/]|\\\\|file:|/(Users|home|Volumes)/|~/", re.IGNORECASE)
BACKSLASH = UrlProblem("url_backslash", "The link contains a backslash. Use forward slashes.")


class Url(NamedTuple):
    """A URL as it is fetched, ASCII only. ``target``: its path and query, as they are sent."""

    text: str
    scheme: str
    authority: Authority
    target: str


def check_url(text: str) -> Url | UrlProblem:
    """Judge one URL by its syntax and take it apart: the only URL parser of the product, so that
    no second reading of the same text can lead elsewhere.

    Every byte of path and query stays as it is written, but for characters that RFC 3986 forbids
    there (among them blanks and all that is not ASCII) and a "%" that starts no escape.
    """
    problem = _spoilt(text)
    if problem:
        return problem
    parts = _PARTS.fullmatch(text)
    if not parts:
        return NOT_HTTP
    scheme = parts[1].lower()
    authority = parse_authority(parts[2], scheme)
    if isinstance(authority, UrlProblem):
        return authority
    target, fragment = _escaped(parts[3]), _escaped(parts[4])
    url = f"{scheme}://{authority.text}{target}{fragment}"
    if len(url) > MAX_URL:
        return TOO_LONG
    return Url(url, scheme, authority, target if target.startswith("/") else f"/{target}")


def _escaped(text: str) -> str:
    return _LONE_PERCENT.sub("%25", quote(text, safe=_KEPT))


def _spoilt(text: str) -> UrlProblem | None:
    if len(text) > MAX_URL:
        return TOO_LONG
    if _LOCAL_FILE.match(text):
        return LOCAL_FILE
    if _SPACE.search(text):  # before control characters: a newline is white space first
        return SPACE
    if _INVISIBLE.search(text):
        return INVISIBLE
    return BACKSLASH if "\\" in text else None


def host_of(url: str) -> str:
    """The host of a URL that ``read`` or ``check_url`` gave out: lower case, ASCII."""
    match = _HOST.match(url)
    return match[1] if match else ""
