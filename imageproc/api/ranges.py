"""One byte range of a representation (RFC 9110, 14)."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Span(NamedTuple):
    """``length`` bytes from ``start`` on; 0 bytes: the range cannot be satisfied."""

    start: int
    length: int

    def header(self, size: int) -> str:
        """The Content-Range of the answer."""
        if not self.length:
            return f"bytes */{size}"
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def span_of(header: str | None, size: int) -> Span | None:
    """What a Range header asks of ``size`` bytes; None: send everything.

    Several ranges, other units and malformed headers are answered with everything, as 14.2 allows.
    """
    found = _RANGE.fullmatch((header or "").replace(" ", ""))
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        length = min(int(last), size)
        return Span(size - length, length)
    start = int(first)
    if last and int(last) < start:
        return None
    end = min(int(last), size - 1) if last else size - 1
    return Span(start, max(0, end - start + 1))
