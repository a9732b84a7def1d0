"""URL -> the bytes of a file that may be an image, or the Fault that says why not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imageproc.faults import (
    ACCESS_DENIED,
    EMPTY_BODY,
    HOST_BUSY,
    HOST_ERROR,
    HTML_NOT_IMAGE,
    HTTP_REFUSED,
    NOT_FOUND,
    Fault,
)
from imageproc.images import fetch as outbound
from imageproc.images.fetch import Answer, Limits, Policy

__all__ = ["Body", "Limits", "Policy", "fetch"]


@dataclass(frozen=True, slots=True)
class Body:
    """What was fetched. ``content_type`` is the host's claim, lower case without parameters;
    ``host`` is the one that answered, after redirects."""

    data: bytes
    content_type: str
    status: int
    host: str
    milliseconds: int


def fetch(url: str, limits: Limits, policy: Policy) -> Body | Fault:
    """The body of a 2xx answer, whole and decoded, within ``limits``."""
    answer = outbound.get(url, limits, policy)
    if isinstance(answer, Fault):
        return answer
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    fault = _refusal(answer) if not 200 <= answer.status < 300 else _not_a_file(answer.body, kind)
    return fault or Body(answer.body, kind, answer.status, answer.host, answer.milliseconds)


# --- The answer's status ----------------------------------------------------------------------
_BY_STATUS = {
    401: ACCESS_DENIED,
    403: ACCESS_DENIED,
    404: NOT_FOUND,
    408: HOST_BUSY,
    410: NOT_FOUND,
    425: HOST_BUSY,
    429: HOST_BUSY,
    503: HOST_BUSY,
}


def _refusal(answer: Answer) -> Fault:
    other = HOST_ERROR if answer.status >= 500 else HTTP_REFUSED
    fault = _BY_STATUS.get(answer.status, other)
    wait = None if fault.permanent else answer.retry_after
    return fault.because(f"HTTP {answer.status}", retry_after=wait)


# --- The answer's content -----------------------------------------------------------------------
# Blanks, a byte order mark and comments may come before it. Atomic, so a page of many comments is
# read once and not in every way that they could be split.
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf|\s|(?><!--.*?-->))*+<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})
_MAGIC = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|II\*\0|MM\0\*|II\+\0|MM\0\+|BM|....ftyp"
    rb"|\0\0\0\x0cJXL |\xff\x0a",
    re.S,
)


def _not_a_file(data: bytes, content_type: str) -> Fault | None:
    """Error pages come with status 200, and pictures with the type text/html."""
    if not data:
        return EMPTY_BODY
    if _HTML.match(data[:1024]) or (content_type in _HTML_TYPES and not _MAGIC.match(data)):
        return HTML_NOT_IMAGE.because(content_type)
    return None
