"""Hosts as they are: what browsers show is fetched."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest

from imageproc.faults import IMAGE_CORRUPT, IMAGE_TRUNCATED, TOO_SLOW, Fault
from imageproc.images.fetch import Limits, Policy
from imageproc.images.fetch.download import Body, fetch
from tests.support.origin import PICTURE, Origin

SIZE = len(PICTURE)
LENGTH = b"Content-Length: %d\r\n" % SIZE


def answer(*lines: bytes, body: bytes = PICTURE, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"".join([status, b"\r\n", *(line + b"\r\n" for line in lines), b"\r\n", body])


Fetch = Callable[..., Body | Fault]


@pytest.fixture
def raw(origin: Origin, policy: Policy) -> Fetch:
    """Fetch what the origin answers with these very bytes, whatever was asked."""

    def run(*answers: bytes, path: str = "/raw", closes: bool = False) -> Body | Fault:
        origin.raw(path.partition("?")[0], *answers, closes=closes)
        return fetch(origin.url + path, Limits(max_bytes=100_000, seconds=1.5), policy)

    return run


@pytest.mark.parametrize(
    "head",
    [
        [b"X-Powered-By : PHP", b"Content-Length : %d" % SIZE],
        [b"Server Name: x", LENGTH.strip()],
        [b"no colon at all", LENGTH.strip()],
        [b": no name", b"\x85\x1c: odd", LENGTH.strip()],
        [b" folded before any field", LENGTH.strip()],
        [b"X-Folded: a\r\n b", LENGTH.strip()],
        [b"X-Control: a\rb\0c\x85", LENGTH.strip()],
        [b"Content-Length: %d, %d" % (SIZE, SIZE)],
        [b"Content-Length: %d" % SIZE, b"Content-Length: 0%d" % SIZE],
        [b'Content-Disposition: inline; filename="ksi\xc4\x85\xc5\xbcka.gif"', LENGTH.strip()],
        [b"Transfer-Encoding: identity", LENGTH.strip()],
        [b"Content-Encoding: aws-chunked", LENGTH.strip()],
        [b"Content-Encoding: UTF-8, none", LENGTH.strip()],
        [b"Content-Encoding: ", LENGTH.strip()],
    ],
)
def test_odd_heads(head: list[bytes], raw: Fetch) -> None:
    """At once: the connection stays open, so a length that is not understood meets the deadline."""
    body = raw(answer(*head))
    assert isinstance(body, Body), body
    assert (body.data, body.length_confirmed) == (PICTURE, True)


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (b"HTTP/1.1 200", 1),
        (b"HTTP/1.1  200 OK", 1),
        (b"HTTP/1.0 200 OK", 3),
        (b"HTTP/1.1 200", 99),
    ],
)
def test_interim_answers(status: bytes, codes: int, raw: Fetch) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    body = raw(interim * codes + answer(LENGTH.strip(), status=status))
    assert isinstance(body, Body), body
    assert body.data == PICTURE


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 101, "host_error"),
        (answer(b"Content-Length: 42", b"Content-Length: 43"), "host_error"),
        (answer(b"Content-Length: 42, 43"), "host_error"),
        (answer(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), "host_error"),
        (answer(status=b"HTTP/1.1 101 Switching Protocols"), "host_error"),
        (answer(status=b"HTTP/2 200"), "host_error"),
        (answer(b"Transfer-Encoding: chunked", body=b"-5\r\n" + PICTURE), "fetch_interrupted"),
        (answer(b"Transfer-Encoding: chunked", body=b"-1\r\n" + PICTURE), "fetch_interrupted"),
        (answer(b"Transfer-Encoding: chunked", body=b"0x5\r\nabcde\r\n"), "fetch_interrupted"),
        (answer(b"Transfer-Encoding: chunked", body=b"2\r\nabcde\r\n"), "fetch_interrupted"),
        (answer(b"Transfer-Encoding: chunked", body=b"f" * 99 + b"\r\n"), "fetch_interrupted"),
        (answer(b"Content-Encoding: gzip", LENGTH.strip()), "host_error"),
        (b"SSH-2.0-OpenSSH\r\n", "host_error"),
    ],
)
def test_answers_without_sense(data: bytes, code: str, raw: Fetch) -> None:
    """Named at once, though the host leaves the connection open."""
    fault = raw(data)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == (code, False)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("br", brotli.compress(PICTURE)),
        ("deflate", zlib.compress(PICTURE)),
        ("aws-chunked, BR", brotli.compress(PICTURE)),
    ],
)
def test_encodings_that_nobody_asked_for(encoding: str, data: bytes, raw: Fetch) -> None:
    head = [b"Content-Encoding: " + encoding.encode(), b"Content-Length: %d" % len(data)]
    body = raw(answer(*head, body=data))
    assert isinstance(body, Body), body
    assert body.data == PICTURE


# --- Links ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("link", "sent"),
    [
        ("/%e2%82%ac~a%7eb?sig=a%2fb%2bc%3d&x=%c3%bc", None),
        ("/a//b/../c;d=1,2?x=(1)&y='*'!$@:", None),
        ("/a?", None),
        ("/50%.gif?y=100%&z=%4", "/50%25.gif?y=100%25&z=%254"),
        ("/ü|{}?ü", "/%C3%BC%7C%7B%7D?%C3%BC"),
        ("/a#fragment", "/a"),
    ],
)
def test_links_are_sent_byte_for_byte(
    link: str, sent: str | None, origin: Origin, policy: Policy, limits: Limits
) -> None:
    fetch(origin.url + link, limits, policy)
    assert origin.asked[-1].target == (sent or link)


@pytest.mark.parametrize(
    ("location", "sent"),
    [
        (b"/caf\xe9.gif", "/caf%E9.gif"),
        (b"/caf\xc3\xa9 x.gif", "/caf%C3%A9%20x.gif"),
        (b"\\pics\\a.gif?b\\c", "/pics/a.gif?b%5Cc"),
        (b"/lower/%e2%2f?sig=%2f", "/lower/%e2%2f?sig=%2f"),
        (b"b/../c.gif#x", "/from/c.gif"),
        (b"?q=1", "/from/here?q=1"),
        (b"/100%.gif", "/100%25.gif"),
        (b'/a?n="x"&m={1}', "/a?n=%22x%22&m=%7B1%7D"),
    ],
)
def test_locations(location: bytes, sent: str, raw: Fetch, origin: Origin) -> None:
    redirect = answer(b"Location: " + location, b"Content-Length: 0", status=b"HTTP/1.1 302 Go")
    raw(redirect.removesuffix(PICTURE), path="/from/here")
    assert origin.asked[-1].target == sent


def test_a_redirect_that_wants_its_cookie_back(origin: Origin, policy: Policy) -> None:
    origin.serve("/gate", status=302, headers={"Location": "/ok", "Set-Cookie": "pass=1; Path=/"})
    origin.serve("/ok")
    for _ in range(2):
        assert isinstance(fetch(f"{origin.url}/gate", Limits(), policy), Body)
    assert [asked.headers.get("cookie") for asked in origin.asked] == [None, "pass=1"] * 2


# --- Not now --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "wait", "expected"),
    [
        (202, "7", ("not_ready", False, 7.0)),
        (423, "2", ("not_ready", False, 2.0)),
        (403, "2", ("host_busy", False, 2.0)),
        (403, "soon", ("access_denied", True, None)),
        (503, "Mon, 01 Jan 9999999999 00:00:00 GMT", ("host_busy", False, None)),
        (503, "Mon, 99 Jan 2026 99:99:99 +9999999999", ("host_busy", False, None)),
    ],
)
def test_not_now(
    status: int, wait: str, expected: object, origin: Origin, policy: Policy, limits: Limits
) -> None:
    url = origin.serve("/later", status=status, headers={"Retry-After": wait})
    fault = fetch(url, limits, policy)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent, fault.retry_after) == expected


def test_an_empty_answer_is_asked_for_once_more(origin: Origin, policy: Policy) -> None:
    fault = fetch(f"{origin.url}/empty", Limits(), policy)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent, origin.hits["/empty"]) == ("empty_body", True, 2)
    origin.raw("/once", answer(b"Content-Length: 0", body=b""), answer(LENGTH.strip()))
    assert isinstance(fetch(f"{origin.url}/once", Limits(), policy), Body)


# --- Cut off --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "confirmed"),
    [
        (answer(LENGTH.strip()), True),
        (answer(b"Transfer-Encoding: chunked", body=b"3\r\nGIF\r\n0\r\n\r\n"), True),
        (answer(b"Connection: close"), False),
        (answer(status=b"HTTP/1.0 200 OK"), False),
        (answer(b"Content-Length: many"), False),
        (answer(LENGTH.strip(), status=b"HTTP/1.1 206 Partial Content"), False),
        (answer(b"Content-Length: 9"), False),  # the rest of the picture came along
    ],
)
def test_a_body_may_have_been_cut_off(data: bytes, confirmed: bool, raw: Fetch) -> None:
    body = raw(data, closes=True)
    assert isinstance(body, Body), body
    assert body.length_confirmed is confirmed
    for verdict in (IMAGE_TRUNCATED, IMAGE_CORRUPT):
        assert body.review(verdict).permanent is confirmed
    assert body.review(TOO_SLOW).permanent
