"""What comes of each kind of answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from imageproc.faults import CATALOGUE, Fault
from imageproc.images.fetch import Answer, Limits, Policy, post
from imageproc.images.fetch.download import Body, fetch
from tests.support.origin import PICTURE, Origin, Reply

Fetched = Body | Fault


def _fault(fetched: Fetched) -> Fault:
    assert isinstance(fetched, Fault), fetched
    return fetched


def _body(fetched: Fetched) -> Body:
    assert isinstance(fetched, Body), fetched
    return fetched


def test_a_picture(origin: Origin, policy: Policy, limits: Limits) -> None:
    url = origin.serve("/a.gif", content_type="Image/GIF; charset=binary")
    body = _body(fetch(url, limits, policy))
    assert (body.data, body.content_type, body.status) == (PICTURE, "image/gif", 200)
    assert body.host == "127.0.0.1"
    assert 0 <= body.milliseconds < 5000


def test_what_is_sent(
    origin: Origin, policy: Policy, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing from the environment, and no cookie of an earlier answer."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    url = origin.serve("/a%20b.gif", headers={"Set-Cookie": "id=1"})
    for _ in range(2):
        _body(fetch(url + "?x=ü|%41&y=50%", limits, policy))
    asked = origin.asked[-1]
    assert asked.target == "/a%20b.gif?x=%C3%BC%7C%41&y=50%25"
    assert asked.headers == {
        "host": f"127.0.0.1:{origin.port}",
        "user-agent": "imageproc/0.1 (downloads catalogue images)",
        "accept": "image/*,*/*;q=0.5",
        "accept-encoding": "identity",
    }


@pytest.mark.parametrize(
    ("path", "code", "permanent"),
    [
        ("/status/400", "http_refused", True),
        ("/status/401", "access_denied", True),
        ("/status/403", "access_denied", True),
        ("/status/404", "not_found", True),
        ("/status/410", "not_found", True),
        ("/status/405", "http_refused", True),
        ("/status/451", "http_refused", True),
        ("/status/304", "http_refused", True),
        ("/status/302", "http_refused", True),  # without a Location
        ("/status/408", "host_busy", False),
        ("/status/425", "host_busy", False),
        ("/status/429", "host_busy", False),
        ("/status/503", "host_busy", False),
        ("/status/500", "host_error", False),
        ("/status/502", "host_error", False),
        ("/status/504", "host_error", False),
        ("/html", "html_not_image", True),
        ("/empty", "empty_body", True),
        ("/status/204", "empty_body", True),
        ("/short", "fetch_interrupted", False),
        ("/reset", "fetch_interrupted", False),
        ("/close", "fetch_interrupted", False),
        ("/chunked-broken", "fetch_interrupted", False),
        ("/header-flood", "host_error", False),
        ("/header-long", "host_error", False),
        ("/continue-flood", "host_error", False),
        ("/garbage", "host_error", False),
        ("/endless", "too_large", True),
        ("/gzip-bomb/50", "too_large", True),
        ("/big/1000001", "too_large", True),
        ("/redirect/11", "too_many_redirects", True),
    ],
)
def test_faults(
    path: str, code: str, permanent: bool, origin: Origin, policy: Policy, limits: Limits
) -> None:
    fault = _fault(fetch(origin.url + path, limits, policy))
    assert (fault.code, fault.permanent) == (code, permanent)
    assert fault.code in CATALOGUE


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/chunked", PICTURE),
        ("/gzip", PICTURE),
        ("/long", PICTURE),
        ("/redirect/10", PICTURE),
        ("/encoded", PICTURE),
        ("/big/1000000", PICTURE.ljust(1_000_000, b"\0")),
    ],
)
def test_bodies(path: str, data: bytes, origin: Origin, policy: Policy, limits: Limits) -> None:
    for _ in range(2):  # the second on what the first left of the connection
        assert _body(fetch(origin.url + path, limits, policy)).data == data


def test_a_declared_size_above_the_cap_is_not_read(origin: Origin, policy: Policy) -> None:
    """Refused by its header alone: nothing of the body is sent here, and no time passes."""
    origin.replies["/huge"] = Reply(b"", declared=99_999_999)
    fault = _fault(fetch(f"{origin.url}/huge", Limits(max_bytes=1000, seconds=20), policy))
    assert (fault.code, fault.detail) == ("too_large", "more than 1000 bytes")


@pytest.mark.parametrize(
    ("data", "content_type", "code"),
    [
        (b"  <!doctype HTML><p>no</p>", "image/jpeg", "html_not_image"),
        (b"\xef\xbb\xbf<!-- x --><html>", "", "html_not_image"),
        (b"just words", "text/html", "html_not_image"),
        (b"<!-- a -->" * 90 + b"x", "image/png", None),  # must not take years, either
        (b"<svg><html/></svg>", "image/svg+xml", None),
        (PICTURE, "text/html", None),
    ],
)
def test_html(
    data: bytes, content_type: str, code: str | None, origin: Origin, policy: Policy, limits: Limits
) -> None:
    fetched = fetch(origin.serve("/x", data, content_type=content_type), limits, policy)
    assert (fetched.code if isinstance(fetched, Fault) else None) == code


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (503, "7", 7.0),
        (429, "0", 0.0),
        (503, "99999", 3600.0),
        (503, "9" * 400, 3600.0),
        (429, "soon", None),
        (503, "-5", None),
        (500, "20", 20.0),
        (404, "7", None),
        (503, "Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
    ],
)
def test_retry_after(
    status: int, value: str, expected: float | None, origin: Origin, policy: Policy, limits: Limits
) -> None:
    url = f"{origin.url}/retry-after/{quote(value)}?status={status}"
    assert _fault(fetch(url, limits, policy)).retry_after == expected


def test_retry_after_a_date(origin: Origin, policy: Policy, limits: Limits) -> None:
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    wait = _fault(fetch(f"{origin.url}/retry-after/{quote(when)}", limits, policy)).retry_after
    assert wait is not None
    assert 90 < wait <= 100


# --- Redirects --------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(status: int, origin: Origin, policy: Policy, limits: Limits) -> None:
    origin.serve("/%C3%BC%20x.gif")
    url = f"{origin.url}/redirect-to?status={status}&url={quote('/ü x.gif#there')}"
    assert _body(fetch(url, limits, policy)).data == PICTURE


def test_the_limit_of_redirects(origin: Origin, policy: Policy) -> None:
    assert isinstance(fetch(f"{origin.url}/redirect/1", Limits(redirects=1), policy), Body)
    assert isinstance(fetch(f"{origin.url}/redirect/1", Limits(redirects=0), policy), Fault)
    assert origin.hits["/redirect/0"] == 1


# --- Connections ------------------------------------------------------------------------------
@pytest.mark.usefixtures("no_rest")
def test_connections_are_kept_alive(origin: Origin, policy: Policy, limits: Limits) -> None:
    paths = [origin.serve("/ok"), *(origin.url + path for path in ("/gzip", "/chunked", "/big/9"))]
    for number in range(40):
        _body(fetch(paths[number % len(paths)], limits, policy))
    assert origin.connections == 1
    assert origin.hits.total() == 40


@pytest.mark.usefixtures("no_rest")
@pytest.mark.parametrize(
    "path", ["/status/204", "/status/304", "/status/404", "/status/503", "/redirect/1", "/empty"]
)
def test_an_answer_without_a_picture_ends_its_connection(
    path: str, origin: Origin, policy: Policy, limits: Limits
) -> None:
    for _ in range(2):
        fetch(origin.url + path, limits, policy)
    assert origin.connections == origin.hits.total() - (1 if path == "/redirect/1" else 0)


@pytest.mark.usefixtures("no_rest")
def test_threads_share_connections(origin: Origin, policy: Policy, limits: Limits) -> None:
    url, failures = origin.serve("/ok", delay_ms=1), []

    def run() -> None:
        for _ in range(20):
            fetched = fetch(url, limits, policy)
            if not isinstance(fetched, Body) or fetched.data != PICTURE:
                failures.append(fetched)

    threads = [threading.Thread(target=run) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert origin.hits["/ok"] == 640
    assert origin.connections <= 32


@pytest.mark.usefixtures("no_rest")
def test_a_connection_that_was_being_closed(origin: Origin, policy: Policy, limits: Limits) -> None:
    """The host hangs up on a kept-alive connection instead of answering: asked again, once."""
    _body(fetch(origin.serve("/ok"), limits, policy))
    _body(fetch(f"{origin.url}/flaky/1?status=0", limits, policy))
    assert (origin.connections, origin.hits["/flaky/1"]) == (2, 2)
    # On a connection of its own that is no race but the host's doing.
    fault = _fault(fetch(f"{origin.url}/close", limits, policy))
    assert fault.code == "fetch_interrupted"
    assert origin.hits["/close"] == 2


@pytest.mark.usefixtures("no_rest")
def test_a_fork_shares_nothing(origin: Origin, policy: Policy, limits: Limits) -> None:
    url = origin.serve("/ok")
    _body(fetch(url, limits, policy))
    child = os.fork()
    if child == 0:
        os._exit(0 if isinstance(fetch(url, limits, policy), Body) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert origin.connections == 2
    _body(fetch(url, limits, policy))
    assert origin.connections == 2


# --- Secrets ----------------------------------------------------------------------------------
def test_queries_are_never_told(
    origin: Origin, policy: Policy, limits: Limits, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    origin.serve("/odd", headers={"no colon here\r\nX": "1"})
    paths = ["/status/404", "/reset", "/short", "/garbage", "/header-flood", "/redirect/11", "/odd"]
    for path in [
        *paths,
        "/chunked-broken",
        "/close",
        "/html",
        "/redirect-to?url=http://[x/",
        "/\\",
    ]:
        mark = "&" if "?" in path else "?"
        fetched = fetch(f"{origin.url}{path}{mark}signature=SECRET", limits, policy)
        assert "SECRET" not in repr(fetched)
    assert "SECRET" not in caplog.text


# --- Webhooks ---------------------------------------------------------------------------------
def test_post(origin: Origin, policy: Policy) -> None:
    headers = {"Content-Type": "application/json", "webhook-id": "msg_1"}
    answer = post(f"{origin.url}/hook", b'{"a":1}', headers, 5, policy)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (404, b"no such path\n")
    asked = origin.asked[-1]
    assert (asked.method, asked.target, asked.body) == ("POST", "/hook", b'{"a":1}')
    assert asked.headers["webhook-id"] == "msg_1"
    assert asked.headers["content-length"] == "7"
    assert asked.headers["connection"] == "close"


def test_post_follows_nothing(origin: Origin, policy: Policy) -> None:
    answer = post(f"{origin.url}/redirect/1", b"{}", {}, 5, policy)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["location"]) == (302, "/redirect/0")
    assert origin.hits["/redirect/0"] == 0


def test_post_keeps_the_start_of_the_answer(origin: Origin, policy: Policy) -> None:
    for path in ("/big/5000000", "/endless"):
        answer = post(origin.url + path, b"{}", {}, 5, policy)
        assert isinstance(answer, Answer)
        assert len(answer.body) == 1024
    busy = post(f"{origin.url}/retry-after/30?status=429", b"{}", {}, 5, policy)
    assert isinstance(busy, Answer)
    assert (busy.status, busy.retry_after) == (429, 30.0)


@pytest.mark.parametrize("closes", [True, False])
def test_post_never_meets_a_kept_alive_connection(
    origin: Origin, policy: Policy, limits: Limits, closes: bool
) -> None:
    """Neither one of a fetch, nor one of a post that the server leaves open."""
    origin.closes_when_asked = closes
    _body(fetch(origin.serve("/ok"), limits, policy))
    before = origin.connections
    for _ in range(2):
        assert isinstance(post(f"{origin.url}/ok", b"{}", {}, 5, policy), Answer)
    assert origin.connections == before + 2


# --- The origin as a process ----------------------------------------------------------------------
def test_the_origin_as_a_process(tmp_path: Path, limits: Limits) -> None:
    (tmp_path / "a.gif").write_bytes(PICTURE)
    (tmp_path.parent / "outside.gif").write_bytes(PICTURE)
    command = [sys.executable, "-m", "tests.support.origin", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        policy = Policy.of(["127.0.0.0/8"], [started["port"]])
        body = _body(fetch(f"{started['url']}/a.gif?n=1", limits, policy))
        assert (body.data, body.content_type) == (PICTURE, "image/gif")
        assert _fault(fetch(f"{started['url']}/../outside.gif", limits, policy)).code == "not_found"
        stats = json.loads(_body(fetch(f"{started['url']}/_stats", limits, policy)).data)
        assert stats["hits"]["/a.gif"] == stats["hits"]["/a.gif?n=1"] == 1
        process.terminate()
    assert stats["connections"] == 3
