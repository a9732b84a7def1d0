"""What a sheet holds, counted while it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from imageproc.sheet.errors import LineError
from imageproc.sheet.links import UrlReader


class Skipped:
    """Records that are no rows of the catalogue: blank ones and repeated headers."""

    def __init__(self) -> None:
        self.blank_rows = 0
        self.headers = 0


class SheetSummary(Skipped):
    """Counters of one reading; complete when the sheet has been read to its end.

    ``rows`` + ``bad_rows`` + ``blank_rows`` + ``headers`` = the records read. ``errors``: the first
    ones; ``error_count``: all of them, ``kinds``: by code. ``images``: the URLs of good rows;
    ``imageless_rows``: good rows without one. ``readable``: its end was reached. The file is
    accepted if ``ok``, and without its bad rows if ``usable``.
    """

    def __init__(self, urls: UrlReader, max_errors: int) -> None:
        super().__init__()
        self.rows = 0
        self.imageless_rows = 0
        self.images = 0
        self.bad_rows = 0
        self.readable = True
        self.kinds: Counter[str] = Counter()
        self.errors: list[LineError] = []
        self.error_count = 0
        self._max_errors = max_errors
        self._urls = urls

    def add_errors(self, errors: Sequence[LineError]) -> None:
        self.error_count += len(errors)
        self.kinds.update(error.code for error in errors)
        self.errors += errors[: max(0, self._max_errors - len(self.errors))]

    @property
    def ok(self) -> bool:
        return not self.error_count

    @property
    def usable(self) -> bool:
        return self.readable and self.images > 0

    @property
    def unescaped(self) -> int:
        """URLs in which HTML's ``&amp;`` was read as ``&``."""
        return self._urls.unescaped

    @property
    def shared(self) -> int:
        """Share links whose file is fetched instead of their page."""
        return self._urls.shared

    @property
    def hosts(self) -> Counter[str]:
        """Valid URLs by host: exact for the first 10,000 hosts."""
        return self._urls.hosts

    @property
    def images_elsewhere(self) -> int:
        """Valid URLs on hosts that ``hosts`` does not list."""
        return self._urls.images_elsewhere

    @property
    def duplicate_urls(self) -> int:
        """Valid URLs that came before in the file; "at least" unless ``duplicates_exact``."""
        return self._urls.duplicate_urls

    @property
    def duplicates_exact(self) -> bool:
        return self._urls.duplicates_exact
