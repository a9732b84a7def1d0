"""Reads cells of links: every link judged, every host asked about once, all of it counted."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from imageproc.sheet.cell import problem_of, split_cell, without_entities
from imageproc.sheet.hosts import Authority, UrlProblem
from imageproc.sheet.shares import direct, may_be_share
from imageproc.sheet.urls import MAX_URL, Url, check_url

# (code, message) of a host that may not be fetched from, or None.
UrlPolicy = Callable[[str], tuple[str, str] | None]

# The common URL, told apart in one step; group 1 is scheme and authority. Without what may separate
# two: comma, semicolon and, for a second scheme, colon.
_ORDINARY = re.compile(
    r"(https?://[a-z0-9.\-]++(?::[0-9]++)?)[/?]"
    r"(?:[!#-$&-+\-./0-9=?@A-Z_a-z~]++|%[0-9a-fA-F]{2})*+",
)
# A link as pages of https write it.
_NO_SCHEME = re.compile(r"//(?:[a-z0-9\-]++\.)+[a-z]{2,}[/:?]", re.IGNORECASE)
NOT_ASCII = UrlProblem(
    "url_encoding",
    "The link has letters outside ASCII, and the file does not say how they are encoded. "
    "Save the sheet as CSV UTF-8.",
)
RELATIVE = UrlProblem(
    "url_relative",
    "This is a path in the shop, not a link. Say where its pictures are: the base address that "
    "comes before such paths.",
)


class RefusedLink(NamedTuple):
    """A piece of a cell that is no URL we fetch."""

    value: str
    problem: UrlProblem


class _Host:
    """What is remembered of one scheme and authority."""

    __slots__ = ("authority", "images", "odd", "problem")

    def __init__(self, authority: Authority, problem: UrlProblem | None) -> None:
        self.authority = authority
        self.problem = problem
        # Its links are not taken as they are without a closer look.
        self.odd = problem is not None or may_be_share(authority.host)
        self.images = 0


class UrlReader:
    """Reads cells of URLs; judges each host once, counts images by host and duplicates.

    Memory is bounded whatever the file: hosts beyond ``max_hosts`` are judged anew each time and
    counted together, URLs beyond ``max_tracked`` are not looked at for duplicates.

    ``ascii_only``: the file's encoding is only assumed, so that links must be ASCII. ``unescaped``:
    links in which HTML's ``&amp;`` was read as ``&``. ``shared``: share links whose file is
    fetched. ``paths``: cells may hold paths, below the address ``base``.
    """

    def __init__(
        self,
        policy: UrlPolicy | None,
        *,
        max_hosts: int = 10_000,
        max_tracked: int = 2_000_000,
    ) -> None:
        self.images = 0
        self.unescaped = 0
        self.shared = 0
        self.ascii_only = False
        self.paths = False
        self.base = ""
        self._seen: set[str] | None = None
        self.images_elsewhere = 0
        self._policy = policy
        self._max_hosts = max_hosts
        self._max_tracked = max_tracked
        self._hosts: dict[str, _Host] = {}
        self._verdicts: dict[tuple[str, int], UrlProblem | None] = {}
        # 8 bytes a URL, in parts so that finding duplicates needs a set of only one part at a time.
        self._hashes = [array("q") for _ in range(64)]

    def read(self, cell: str) -> tuple[tuple[str, ...], list[RefusedLink]]:
        """(the URLs to fetch, the pieces refused)."""
        if self._ordinary(cell):
            return (cell,), []
        urls: list[str] = []
        refused: list[RefusedLink] = []
        for piece in split_cell(cell, paths=self.paths):
            if self._ordinary(piece):
                urls.append(piece)
                continue
            url = self._odd(piece)
            if isinstance(url, UrlProblem):
                refused.append(RefusedLink(piece, url))
            else:
                urls.append(url)
        return tuple(urls), refused

    def read_all(
        self, cells: Sequence[str]
    ) -> tuple[tuple[str, ...], list[tuple[int, RefusedLink]], tuple[tuple[int, ...], ...]]:
        """(the URLs of all cells, each once; (cell, piece refused); for each cell, which of the
        URLs it names). The same picture in two columns of a row is one image."""
        index: dict[str, int] = {}
        refused: list[tuple[int, RefusedLink]] = []
        places: list[tuple[int, ...]] = []
        self._seen = set()
        for number, cell in enumerate(cells):
            urls, problems = self.read(cell)
            places.append(tuple(index.setdefault(url, len(index)) for url in urls))
            refused += [(number, problem) for problem in problems]
        self._seen = None
        return tuple(index), refused, tuple(places)

    def _ordinary(self, text: str) -> bool:
        """Whether it is one link and needs no change; it is counted then."""
        match = _ORDINARY.fullmatch(text)
        if match is None or len(text) > MAX_URL:
            return False
        host = self._hosts.get(match[1])
        if host is None or host.odd:
            return False
        self._count(text, host)
        return True

    def _odd(self, text: str) -> str | UrlProblem:
        problem = NOT_ASCII if self.ascii_only and not text.isascii() else problem_of(text)
        if problem:
            return problem
        link = without_entities(text)
        url = self._url(link)
        if isinstance(url, UrlProblem):
            return url
        file = direct(url)
        found = check_url(file) if isinstance(file, str) else file or url
        if isinstance(found, UrlProblem):
            return found
        host = self._host(found)
        if host.problem:
            return host.problem
        self._count(found.text, host)
        self.unescaped += link != text
        self.shared += file is not None
        return found.text

    def _url(self, link: str) -> Url | UrlProblem:
        if _NO_SCHEME.match(link):
            return check_url(f"https:{link}")
        if self.paths and "://" not in link and not link.startswith("//"):
            if not self.base:
                return RELATIVE
            return check_url(f"{self.base.rstrip('/')}/{link.lstrip('/')}")
        return check_url(link)

    def _host(self, url: Url) -> _Host:
        key = f"{url.scheme}://{url.authority.text}"
        host = self._hosts.get(key)
        if host is None:
            host = _Host(url.authority, self._judge(url))
            if len(self._hosts) < self._max_hosts:
                self._hosts[key] = host
            elif not host.problem:
                self.images_elsewhere += 1
        return host

    def _judge(self, url: Url) -> UrlProblem | None:
        if self._policy is None:
            return None
        key = url.authority.host, url.authority.port
        if key not in self._verdicts:
            verdict = self._policy(url.text)
            problem = UrlProblem(*verdict) if verdict else None
            if len(self._verdicts) >= self._max_hosts:
                return problem
            self._verdicts[key] = problem
        return self._verdicts[key]

    def _seen_before(self, url: str) -> bool:
        """Whether a cell of the same row has named it."""
        assert self._seen is not None
        if url in self._seen:
            return True
        self._seen.add(url)
        return False

    def _count(self, url: str, host: _Host) -> None:
        if self._seen is not None and self._seen_before(url):
            return
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
