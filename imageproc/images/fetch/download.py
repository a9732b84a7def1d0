"""Downloads a file that may be an image, or returns the Fault that says why not."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from imageproc.faults import (
    ACCESS_DENIED,
    EMPTY_BODY,
    HOST_BUSY,
    HOST_ERROR,
    HTML_NOT_IMAGE,
    HTTP_REFUSED,
    IMAGE_CORRUPT,
    IMAGE_TRUNCATED,
    NOT_FOUND,
    NOT_READY,
    Fault,
)
from imageproc.images import fetch as outbound
from imageproc.images.fetch import Answer, Limits, Policy
from imageproc.images.fetch.client import NO_FIELDS

__all__ = [
    "Body",
    "Limits",
    "NotModified",
    "Policy",
    "Validators",
    "fetch",
    "fetch_unless_unchanged",
]


@dataclass(frozen=True, slots=True)
class Validators:
    """By which a host can say later that a source is unchanged (RFC 9110, 8.8); "" without one."""

    etag: str = ""
    last_modified: str = ""

    @classmethod
    def of(cls, answer: Answer) -> Validators:
        """Those of an answer that can be sent back as they are."""
        found = [answer.headers.get(name, "").strip() for name in ("etag", "last-modified")]
        return cls(*(text if _VALIDATOR.fullmatch(text) else "" for text in found))


_VALIDATOR = re.compile(r"[ -~]{1,250}")


@dataclass(frozen=True, slots=True)
class NotModified:
    """The host says that the source is what it was (304)."""

    validators: Validators


@dataclass(frozen=True, slots=True)
class Body:
    """What was fetched. ``content_type`` is the host's claim, lower case without parameters;
    ``host`` is the one that answered, after redirects. ``length_confirmed``: the host stated the
    length and sent that much; otherwise the file may have been cut off on the way."""

    data: bytes
    content_type: str
    status: int
    host: str
    milliseconds: int
    length_confirmed: bool = True
    validators: Validators = Validators()

    def review(self, verdict: Fault) -> Fault:
        """The codec's verdict on this body: "cut off" may heal where the length is unconfirmed."""
        if self.length_confirmed or verdict.code not in _CUT:
            return verdict
        return replace(verdict, permanent=False)


_CUT = frozenset({IMAGE_TRUNCATED.code, IMAGE_CORRUPT.code})
_EMPTY = EMPTY_BODY.because("HTTP 200")
_NEEDLESS_304 = HTTP_REFUSED.because("HTTP 304")


def fetch(
    url: str, limits: Limits, policy: Policy, access: Mapping[str, str] = NO_FIELDS
) -> Body | Fault:
    """The body of a 2xx answer, whole and decoded, within ``limits``. What cannot be right is asked
    for once more: an empty body, as an origin sends it that was just writing the file, and a 304,
    which nobody asked for. ``access``: as for ``get``."""
    started = time.monotonic()
    body = _body_of(outbound.get(url, limits, policy, access))
    if body not in (_EMPTY, _NEEDLESS_304):
        return body
    left = limits.seconds - (time.monotonic() - started)
    return _body_of(outbound.get(url, replace(limits, seconds=left), policy, access, _UNCACHED))


def fetch_unless_unchanged(
    url: str,
    limits: Limits,
    policy: Policy,
    access: Mapping[str, str],
    conditions: Mapping[str, str],
) -> Body | NotModified | Fault:
    """The same with a conditional request. ``conditions``: If-None-Match, If-Modified-Since."""
    answer = outbound.get(url, limits, policy, access, conditions)
    if isinstance(answer, outbound.Answer) and answer.status == 304:
        return NotModified(Validators.of(answer))
    body = _body_of(answer)
    return fetch(url, limits, policy, access) if body == _EMPTY else body


def _body_of(answer: Answer | Fault) -> Body | Fault:
    if isinstance(answer, Fault):
        return answer
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    picture = 200 <= answer.status < 300 and answer.status != 202
    fault = _not_a_file(answer, kind) if picture else _refusal(answer)
    confirmed = answer.length_confirmed and answer.status != 206
    return fault or Body(
        answer.body,
        kind,
        answer.status,
        answer.host,
        answer.milliseconds,
        confirmed,
        # What may have been cut off must not be taken for the whole later.
        Validators.of(answer) if confirmed else Validators(),
    )


_UNCACHED = {"Cache-Control": "no-cache"}


# --- The answer's status ----------------------------------------------------------------------
_BY_STATUS = {
    202: NOT_READY,
    401: ACCESS_DENIED,
    403: ACCESS_DENIED,
    404: NOT_FOUND,
    408: HOST_BUSY,
    410: NOT_FOUND,
    423: NOT_READY,
    425: HOST_BUSY,
    429: HOST_BUSY,
    503: HOST_BUSY,
}


def _refusal(answer: Answer) -> Fault:
    unheard_of = answer.status >= 500 or answer.status < 200
    fault = _BY_STATUS.get(answer.status, HOST_ERROR if unheard_of else HTTP_REFUSED)
    if fault is ACCESS_DENIED and answer.retry_after is not None:
        fault = HOST_BUSY  # how some hosts say that they were asked too often
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


def _not_a_file(answer: Answer, content_type: str) -> Fault | None:
    """Error pages come with status 200, and pictures with the type text/html."""
    data = answer.body
    if not data:
        return EMPTY_BODY.because(f"HTTP {answer.status}")
    if _HTML.match(data[:1024]) or (content_type in _HTML_TYPES and not _MAGIC.match(data)):
        return HTML_NOT_IMAGE.because(content_type)
    return None
