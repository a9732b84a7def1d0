"""A cell of URLs: split it, judge each URL, and join again."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from imageproc.sheet.hosts import Authority, Problem, parse_authority

MAX_URL = 2048
# (code, message) of a host that may not be fetched from, or None.
Policy = Callable[[str], tuple[str, str] | None]

# A separator is a run of these that is followed by a scheme, so that a comma inside a URL is none.
# The look-behind lets a run be tried only once: linear on a cell of 100,000 commas.
_SEPARATOR = re.compile(r"(?<![\s,;|])([\s,;|]++)(?=[a-z][a-z0-9+.\-]{0,20}://)", re.IGNORECASE)
_AROUND = " \t\r\n\v\f\u00a0,;|"
# The common URL, told apart in one step; group 1 is scheme and authority.
_ORDINARY = re.compile(
    r"(https?://[a-z0-9.\-]+(?::[0-9]+)?)[/?][a-zA-Z0-9\-._~:/?#@!$&'()*+,;=%]*",
)
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


class Refused(NamedTuple):
    """A piece of a cell that is no URL we fetch."""

    value: str
    problem: Problem


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


class _Host:
    """What is remembered of one scheme and authority."""

    __slots__ = ("authority", "images", "problem")

    def __init__(self, authority: Authority, problem: Problem | None) -> None:
        self.authority = authority
        self.problem = problem
        self.images = 0


class UrlReader:
    """Reads cells of URLs; judges each host once, counts images by host and duplicates.

    Memory is bounded whatever the file: hosts beyond ``max_hosts`` are judged anew each time and
    counted together, URLs beyond ``max_tracked`` are not looked at for duplicates.
    """

    def __init__(
        self, policy: Policy | None, *, max_hosts: int = 10_000, max_tracked: int = 2_000_000
    ) -> None:
        self.images = 0
        self.images_elsewhere = 0
        self._policy = policy
        self._max_hosts = max_hosts
        self._max_tracked = max_tracked
        self._hosts: dict[str, _Host] = {}
        self._verdicts: dict[tuple[str, int], Problem | None] = {}
        # 8 bytes a URL, in parts so that finding duplicates needs a set of only one part at a time.
        self._hashes = [array("q") for _ in range(64)]

    def read(self, cell: str) -> tuple[tuple[str, ...], list[Refused]]:
        """(the URLs to fetch, the pieces refused)."""
        if "," not in cell and ";" not in cell and self._ordinary(cell):
            return (cell,), []
        urls: list[str] = []
        refused: list[Refused] = []
        for piece in split_cell(cell):
            if self._ordinary(piece):
                urls.append(piece)
                continue
            url = self._odd(piece)
            if isinstance(url, Problem):
                refused.append(Refused(piece, url))
            else:
                urls.append(url)
        return tuple(urls), refused

    def _ordinary(self, text: str) -> bool:
        match = _ORDINARY.fullmatch(text)
        if match is None or len(text) > MAX_URL:
            return False
        host = self._hosts.get(match[1])
        if host is None or host.problem:
            return False
        self._count(text, host)
        return True

    def _odd(self, text: str) -> str | Problem:
        url = check_url(text)
        if isinstance(url, Problem):
            return url
        host = self._host(url)
        if host.problem:
            return host.problem
        self._count(url.text, host)
        return url.text

    def _host(self, url: Url) -> _Host:
        scheme = url.text.partition("://")[0]
        key = f"{scheme}://{url.authority.text}"
        host = self._hosts.get(key)
        if host is None:
            host = _Host(url.authority, self._judge(url))
            if len(self._hosts) < self._max_hosts:
                self._hosts[key] = host
            elif not host.problem:
                self.images_elsewhere += 1
        return host

    def _judge(self, url: Url) -> Problem | None:
        if self._policy is None:
            return None
        key = url.authority.host, url.authority.port
        if key not in self._verdicts:
            verdict = self._policy(url.text)
            problem = Problem(*verdict) if verdict else None
            if len(self._verdicts) >= self._max_hosts:
                return problem
            self._verdicts[key] = problem
        return self._verdicts[key]

    def _count(self, url: str, host: _Host) -> None:
        # The hash is keyed per process (PEP 456): nobody can craft URLs that collide.
        host.images += 1
        self.images += 1
        if self.images <= self._max_tracked:
            digest = hash(url)
            self._hashes[digest & 63].append(digest)

    @property
    def hosts(self) -> Counter[str]:
        """Images by host, for the first ``max_hosts`` hosts."""
        counts: Counter[str] = Counter()
        for host in self._hosts.values():
            if host.images:
                counts[host.authority.host] += host.images
        return counts

    @property
    def duplicate_urls(self) -> int:
        """Images whose URL came before, among the first ``max_tracked``."""
        return sum(len(part) - len(set(part)) for part in self._hashes)

    @property
    def duplicates_exact(self) -> bool:
        """Whether ``duplicate_urls`` is the number; otherwise it is "at least" that."""
        return self.images <= self._max_tracked
