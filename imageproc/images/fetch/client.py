"""The only HTTP client of the product: images and webhooks.

``get`` and ``post`` return an Answer or a Fault and raise nothing. One deadline bounds the whole
exchange: name look-up, connecting, TLS, redirects, headers and body. Every URL is judged, those of
redirects too (``target``), and every address that is dialled (``addresses``, ``dial``). Nothing is
taken from the environment: no proxies, no netrc, no cookies.

A redirect from https to http is followed: nothing secret was sent with the first request, a plain
http link is accepted in a catalogue as well, and the second host is judged like the first.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead
from urllib.parse import urljoin

from django.conf import settings
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from imageproc.faults import (
    CONNECT_FAILED,
    FETCH_INTERRUPTED,
    FETCH_TIMEOUT,
    HOST_ERROR,
    HTTP_REFUSED,
    TLS_FAILED,
    TOO_LARGE,
    TOO_MANY_REDIRECTS,
    Fault,
)
from imageproc.images.fetch.addresses import Policy
from imageproc.images.fetch.dial import Bounded, RefusedError
from imageproc.images.fetch.target import Target, parse
from imageproc.images.fetch.transport import StaleConnectionError, Transport

USER_AGENT = "imageproc/0.1 (downloads catalogue images)"
MAX_RETRY_AFTER = 3600.0  # seconds
ANSWER_BYTES = 1024  # what is kept of a webhook receiver's answer
_READ = 256 * 1024
_DRAIN = 16 * 1024  # bytes: a body nobody wants is read up to here, to keep its connection
_DRAIN_SECONDS = 0.5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_bytes`` of the decoded body; ``seconds`` for the whole exchange; redirects followed."""

    max_bytes: int = 50_000_000
    seconds: float = 30.0
    redirects: int = 3

    @classmethod
    def from_settings(cls) -> Limits:
        """MAX_IMAGE_BYTES and FETCH_DEADLINE."""
        return cls(settings.MAX_IMAGE_BYTES, settings.FETCH_DEADLINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered; ``body`` is decoded, and empty for a GET that was not a 2xx.

    ``headers`` have lower-case names. ``host`` is the one that answered, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    host: str
    milliseconds: int

    @property
    def retry_after(self) -> float | None:
        """Seconds, from seconds or an HTTP date (RFC 9110, 10.2.3); at most an hour."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), MAX_RETRY_AFTER)
        try:
            left = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # TypeError: a date without a zone
            return None
        return min(max(left, 0.0), MAX_RETRY_AFTER)


def get(url: str, limits: Limits, policy: Policy) -> Answer | Fault:
    """GET, redirects followed, body whole or a Fault."""
    clock = _Clock(limits.seconds)
    return _caught(lambda: _followed(url, limits, policy, clock), clock)


def post(
    url: str, body: bytes, headers: Mapping[str, str], deadline: float, policy: Policy
) -> Answer | Fault:
    """POST within ``deadline`` seconds; a 3xx is the caller's to judge.

    The first ANSWER_BYTES of the answer are kept. Once a status has come there is an Answer,
    whatever happens to the rest: the receiver has seen the message. A connection of its own, so a
    message never meets a kept-alive connection that is being closed.
    """
    clock = _Clock(deadline)
    sent = {"User-Agent": USER_AGENT, **headers, "Connection": "close"}
    return _caught(lambda: _posted(url, body, sent, policy, clock), clock)


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


# --- Exchanges ------------------------------------------------------------------------------------
def _followed(url: str, limits: Limits, policy: Policy, clock: _Clock) -> Answer:
    for _ in range(limits.redirects + 1):
        target = _judged(url, policy)
        response = _asked(target, policy, clock)
        location = response.headers.get("location")
        if response.status not in _REDIRECTS or location is None:
            good = 200 <= response.status < 300
            body = _body(response, limits.max_bytes) if good else _dropped(response)
            return _answer(response, body, target, clock)
        _dropped(response)
        url = _joined(target, location)
    raise RefusedError(TOO_MANY_REDIRECTS.because(f"more than {limits.redirects}"))


def _posted(
    url: str, body: bytes, headers: dict[str, str], policy: Policy, clock: _Clock
) -> Answer:
    target = _judged(url, policy)
    response = _transport(policy, keep_alive=False).open("POST", target, headers, clock.left, body)
    start = b""
    with suppress(HTTPError):
        while piece := response.read1(ANSWER_BYTES - len(start), decode_content=False):
            start += piece
    response.close()
    return _answer(response, start, target, clock)


def _judged(url: str, policy: Policy) -> Target:
    target = parse(url, policy)
    if isinstance(target, Fault):
        raise RefusedError(target)
    return target


_GET_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",
}


def _asked(target: Target, policy: Policy, clock: _Clock) -> HTTPResponse:
    """A GET may be sent again when a kept-alive connection was being closed (RFC 9112, 9.3.1)."""
    transport = _transport(policy, keep_alive=True)
    for _ in range(2):
        with suppress(StaleConnectionError):
            return transport.open("GET", target, _GET_HEADERS, clock.left)
    raise RefusedError(FETCH_INTERRUPTED.because("the host closes its connections"))


def _joined(target: Target, location: str) -> str:
    """The URL a redirect leads to; raw UTF-8 and blanks in it are what browsers accept, too."""
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(target.url, location.strip().replace(" ", "%20"))
    except ValueError:
        return ""  # judged as no URL at all


def _body(response: HTTPResponse, max_bytes: int) -> bytes:
    """The decoded body; raises TOO_LARGE at the first byte above the cap."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        response.close()
        raise RefusedError(
            HTTP_REFUSED.because(f"content encoding {encoding[:40]!r} was not asked for")
        )
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
    response.close()
    raise RefusedError(TOO_LARGE.because(f"more than {max_bytes} bytes"))


def _dropped(response: HTTPResponse) -> bytes:
    """Nothing: what is left of the answer is read when it is small and quick, so that its
    connection lives; otherwise the connection is closed."""
    declared = response.length_remaining
    sock = response.connection and response.connection.sock
    if declared is not None and declared <= _DRAIN and isinstance(sock, Bounded):
        sock.hurry(_DRAIN_SECONDS)
        with suppress(HTTPError):
            response.read(_DRAIN, decode_content=False)
    response.close()
    return b""


def _answer(response: HTTPResponse, body: bytes, target: Target, clock: _Clock) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, body, target.host, clock.milliseconds)


# --- What went wrong ------------------------------------------------------------------------------
def _caught(exchange: Callable[[], Answer], clock: _Clock) -> Answer | Fault:
    try:
        return exchange()
    except RefusedError as refused:
        return refused.fault
    except (HTTPError, OSError) as error:
        return FETCH_TIMEOUT.because("deadline") if clock.left <= 0 else _fault(_root(error))


def _root(error: BaseException) -> BaseException:
    """What urllib3 wrapped."""
    inner = next((arg for arg in error.args if isinstance(arg, BaseException)), error.__cause__)
    return _root(inner) if inner is not None and isinstance(error, HTTPError) else error


def _fault(error: BaseException) -> Fault:
    """By the kind of the error. Its text is left out: it may hold the URL with its query."""
    kind = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return TLS_FAILED.because(error.verify_message)
    if isinstance(error, ssl.SSLError):
        return CONNECT_FAILED.because(f"TLS: {error.reason or kind}")
    if isinstance(error, TimeoutError):
        return FETCH_TIMEOUT.because(kind)
    if isinstance(error, OSError | IncompleteRead):
        return FETCH_INTERRUPTED.because(kind)
    return HOST_ERROR.because(f"not a valid HTTP answer: {kind}")


# --- One set of connections a process -------------------------------------------------------------
# Sockets and locks must not be shared with a forked child, so a child starts with none.
_lock = threading.Lock()
_transports: dict[tuple[Policy, bool], Transport] = {}


def _transport(policy: Policy, *, keep_alive: bool) -> Transport:
    key = policy, keep_alive
    if (transport := _transports.get(key)) is not None:
        return transport
    with _lock:
        return _transports.setdefault(key, Transport(policy, keep_alive=keep_alive))


def _forget() -> None:
    global _lock
    _lock = threading.Lock()
    _transports.clear()


os.register_at_fork(after_in_child=_forget)
