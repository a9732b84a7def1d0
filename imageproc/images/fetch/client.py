"""Makes one exchange: ``get`` and ``post`` return an Answer or a Fault and raise nothing.

Inside, whatever goes wrong is raised (``errors``). One deadline bounds the whole exchange: name
look-up, connecting, TLS, redirects, headers and body. Every URL is checked, also those of redirects
(``target``), and every address before it is connected to (``dial``). Nothing is taken from the
environment: no proxies, no netrc.

A redirect from https to http is followed: nothing secret goes along (``Redirects``), a plain http
link is accepted in a catalogue as well, and the second host is checked like the first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from django.conf import settings
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from imageproc.faults import (
    FETCH_TIMEOUT,
    TOO_LARGE,
    TOO_MANY_REDIRECTS,
    Fault,
)
from imageproc.images.fetch.addresses import Policy
from imageproc.images.fetch.connections import (
    Connection,
    Connections,
    Origin,
    StaleConnectionError,
)
from imageproc.images.fetch.errors import ERRORS, FetchError, fault_of
from imageproc.images.fetch.redirects import Redirects
from imageproc.images.fetch.target import parse
from imageproc.sheet import Url

USER_AGENT = "imageproc/0.1 (downloads catalogue images)"
MAX_RETRY_AFTER = 3600.0  # seconds
ANSWER_BYTES = 1024  # what is kept of a webhook receiver's answer
_READ = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_bytes`` of the decoded body; ``seconds`` for the whole exchange; redirects followed."""

    max_bytes: int = 50_000_000
    seconds: float = 30.0
    redirects: int = 10

    @classmethod
    def from_settings(cls) -> Limits:
        """MAX_IMAGE_BYTES and FETCH_DEADLINE."""
        return cls(settings.MAX_IMAGE_BYTES, settings.FETCH_DEADLINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered; ``body`` is decoded, and empty for a GET that was not a 2xx.

    ``headers`` have lower-case names. ``host`` is the one that answered, after redirects.
    ``length_confirmed``: False for a body that just ended with the connection, so that it may have
    been cut off.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    host: str
    milliseconds: int
    length_confirmed: bool = True

    @property
    def retry_after(self) -> float | None:
        """Seconds, from seconds or an HTTP date (RFC 9110, 10.2.3); at most an hour."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), MAX_RETRY_AFTER)
        try:
            left = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):  # TypeError: a date without a zone
            return None
        return min(max(left, 0.0), MAX_RETRY_AFTER)


NO_FIELDS: Mapping[str, str] = {}


def get(
    url: str,
    limits: Limits,
    policy: Policy,
    access: Mapping[str, str] = NO_FIELDS,
    conditions: Mapping[str, str] = NO_FIELDS,
) -> Answer | Fault:
    """GET, following redirects. The body is whole, or a Fault is returned.

    ``access``: secret header fields, which only the origin of ``url`` may see. ``conditions``:
    fields of a conditional request, sent with each redirect, too: they belong to its last answer.
    """
    clock = _Clock(limits.seconds)
    try:
        return _follow(url, limits, policy, clock, Redirects(access), conditions)
    except ERRORS as error:
        return clock.fault_of(error)


def post(
    url: str, body: bytes, headers: Mapping[str, str], deadline: float, policy: Policy
) -> Answer | Fault:
    """POST within ``deadline`` seconds. A redirect is returned, not followed.

    The first ANSWER_BYTES of the body are kept. Once a status has arrived there is an Answer,
    whatever happens to the rest, because the receiver has the message. The connection is new: a
    kept-alive one may just be closing.
    """
    clock = _Clock(deadline)
    sent = {"User-Agent": USER_AGENT, **headers, "Connection": "close"}
    try:
        target = parse(url, policy)
        connection = connections_of(policy).new(Origin.of(target))
        response = connection.ask("POST", target, sent, clock.left, body)
    except ERRORS as error:
        return clock.fault_of(error)
    start = b""
    with suppress(HTTPError, ValueError):
        while piece := response.read1(ANSWER_BYTES - len(start), decode_content=False):
            start += piece
    response.close()
    connection.close()
    return _answer(response, start, target, clock)


class _Clock:
    """The time of one exchange."""

    def __init__(self, seconds: float) -> None:
        self._started, self._seconds = time.monotonic(), seconds

    @property
    def left(self) -> float:
        return self._seconds - (time.monotonic() - self._started)

    @property
    def milliseconds(self) -> int:
        return round((time.monotonic() - self._started) * 1000)

    def fault_of(self, error: Exception) -> Fault:
        late = self.left <= 0 and not isinstance(error, FetchError)
        return FETCH_TIMEOUT.because("deadline") if late else fault_of(error)


# --- GET ------------------------------------------------------------------------------------------
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",
}


def _follow(
    url: str,
    limits: Limits,
    policy: Policy,
    clock: _Clock,
    redirects: Redirects,
    conditions: Mapping[str, str],
) -> Answer:
    for _ in range(limits.redirects + 1):
        target = parse(url, policy)
        headers = {**_HEADERS, **conditions, **redirects.headers(target)}
        connection, response = _ask(target, headers, policy, clock)
        next_url = redirects.follow(response, target)
        if next_url is None:
            return _receive(connection, response, target, limits, clock)
        response.close()
        connection.close()
        url = next_url
    raise FetchError(TOO_MANY_REDIRECTS.because(f"more than {limits.redirects}"))


def _ask(
    target: Url, headers: dict[str, str], policy: Policy, clock: _Clock
) -> tuple[Connection, HTTPResponse]:
    """A GET may be sent again when a kept-alive connection was being closed (RFC 9112, 9.3.1)."""
    connections, origin = connections_of(policy), Origin.of(target)
    if (idle := connections.take(origin)) is not None:
        with suppress(StaleConnectionError):
            return idle, idle.ask("GET", target, headers, clock.left)
    fresh = connections.new(origin)
    return fresh, fresh.ask("GET", target, headers, clock.left)


def _receive(
    connection: Connection, response: HTTPResponse, target: Url, limits: Limits, clock: _Clock
) -> Answer:
    """The answer with its body. Only a connection that brought a whole one may be used again, or a
    304, which has none."""
    body = b""
    try:
        if 200 <= response.status < 300 and response.status != 202:
            body = _read_body(response, limits.max_bytes)
    finally:
        response.close()
        surplus = connection.surplus
        connection.release(reusable=bool(body) or response.status == 304)
    delimited = response.chunked or response.headers.get("content-length") is not None
    return _answer(response, body, target, clock, confirmed=delimited and not surplus)


def _read_body(response: HTTPResponse, max_bytes: int) -> bytes:
    """The decoded body; raises TOO_LARGE at the first byte above the cap."""
    _forget_unknown_encodings(response)
    declared = response.length_remaining
    pieces: list[bytes] = []
    size = 0
    while declared is None or declared <= max_bytes:
        piece = response.read(min(_READ, max_bytes + 1 - size), decode_content=True)
        if not piece:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
        if size > max_bytes:
            break
    raise FetchError(TOO_LARGE.because(f"more than {max_bytes} bytes"))


def _forget_unknown_encodings(response: HTTPResponse) -> None:
    """Names like "aws-chunked" or "UTF-8" mean nothing, as in browsers: the codec sees the bytes.
    (urllib3 takes an unknown name in a list for deflate.)"""
    names = response.headers.get("content-encoding", "").lower().split(",")
    known = [name.strip() for name in names if name.strip() in response.CONTENT_DECODERS]
    if len(known) < len(names):
        response.headers["content-encoding"] = ", ".join(known)


def _answer(
    response: HTTPResponse, body: bytes, target: Url, clock: _Clock, *, confirmed: bool = True
) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    host = target.authority.host
    return Answer(response.status, headers, body, host, clock.milliseconds, confirmed)


# --- One set of connections a process and policy --------------------------------------------------
# So a kept-alive connection always leads to a peer that this policy allowed. Sockets and locks must
# not be shared with a forked child, so a child starts with none.
_by_policy: dict[Policy, Connections] = {}
forget = _by_policy.clear
os.register_at_fork(after_in_child=forget)


def connections_of(policy: Policy) -> Connections:
    return _by_policy.get(policy) or _by_policy.setdefault(policy, Connections(policy))
