"""One deadline for the whole exchange, whatever the host does with its time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from imageproc.faults import Fault
from imageproc.images.fetch import Answer, Limits, Policy, dial, post
from imageproc.images.fetch.dial import RESOLVER_THREADS, Resolver
from imageproc.images.fetch.download import Body, fetch
from tests.images.fetch.conftest import Wire
from tests.support.origin import PICTURE, Origin

SECONDS = 0.6
# Far below what any of these would take without a deadline, far above the machine's noise.
AT_MOST = 3.0


def _timed_out(url: str, policy: Policy, max_bytes: int = 10**12) -> None:
    started = time.monotonic()
    fault = fetch(url, Limits(max_bytes, SECONDS), policy)
    elapsed = time.monotonic() - started
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("fetch_timeout", False)
    assert SECONDS * 0.9 < elapsed < AT_MOST


@pytest.mark.parametrize("path", ["/hang", "/slow-headers", "/slow-headers?ms=10", "/slow-body"])
def test_slow_answers(path: str, origin: Origin, policy: Policy) -> None:
    _timed_out(origin.url + path, policy)


def test_an_endless_body_that_is_never_too_large(
    origin: Origin, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here every read succeeds at once; only the clock can end it."""
    monkeypatch.setattr("imageproc.images.fetch.client._READ", 1000)
    _timed_out(origin.url + "/endless", policy)


@pytest.mark.usefixtures("no_rest")
def test_slow_on_a_kept_alive_connection(origin: Origin, policy: Policy) -> None:
    assert isinstance(fetch(origin.serve("/ok"), Limits(seconds=5), policy), Body)
    _timed_out(origin.url + "/slow-headers", policy)
    assert origin.connections == 1


def test_a_slow_error_page_is_not_waited_for(origin: Origin, policy: Policy) -> None:
    started = time.monotonic()
    fault = fetch(f"{origin.url}/slow-body?status=404", Limits(seconds=20), policy)
    assert isinstance(fault, Fault)
    assert fault.code == "not_found"
    assert time.monotonic() - started < AT_MOST


def test_redirects_share_the_deadline(origin: Origin, policy: Policy) -> None:
    """Each one is quick enough; together they are not."""
    for number in range(3):
        to = {"Location": f"/r{number + 1}"}
        origin.serve(f"/r{number}", b"", status=302, headers=to, delay_ms=SECONDS * 400)
    _timed_out(origin.url + "/r0", policy)


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_mute_server(scheme: str, mute: int) -> None:
    """With https the handshake itself is what hangs."""
    _timed_out(f"{scheme}://127.0.0.1:{mute}/", Policy.of(["127.0.0.0/8"], [mute]))


def test_slow_names(wire: Wire) -> None:
    done = threading.Event()

    def slow() -> list[str]:
        done.wait(20)
        return []

    wire.names["slow.example"] = slow
    _timed_out("http://slow.example/", Policy())
    done.set()
    assert wire.dialled == []


def test_slow_names_cannot_pile_up_threads(wire: Wire) -> None:
    done = threading.Event()

    def slow() -> list[str]:
        done.wait(20)
        return ["8.8.8.8"]

    names = [f"piled{number}.example" for number in range(RESOLVER_THREADS + 8)]
    wire.names.update(dict.fromkeys([*names, "same.example"], slow))
    resolver = Resolver()
    for name in [*names, *["same.example"] * 50]:
        with pytest.raises(TimeoutError):
            resolver.resolve(name, 0.01)
    threads = [thread.name for thread in threading.enumerate()]
    assert sum(name.startswith("resolve piled") for name in threads) == RESOLVER_THREADS
    assert "resolve same.example" not in threads
    done.set()
    assert [str(a) for a in resolver.resolve("same.example", 5)] == ["8.8.8.8"]


def test_one_look_up_a_name_at_a_time(wire: Wire) -> None:
    asked, done = [], threading.Event()

    def slow() -> list[str]:
        asked.append(1)
        done.wait(20)
        return ["8.8.8.8"]

    wire.names["slow.example"] = slow
    resolver = Resolver()
    for _ in range(5):
        with pytest.raises(TimeoutError):
            resolver.resolve("slow.example", 0.01)
    assert len(asked) == 1
    done.set()
    resolver.resolve("slow.example", 5)


def test_a_dead_host_costs_less_than_the_deadline(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(self: socket.socket, address: tuple[str, int]) -> None:
        threading.Event().wait(self.gettimeout())
        raise TimeoutError

    monkeypatch.setattr(socket.socket, "connect", dead)
    monkeypatch.setattr(dial, "CONNECT_SECONDS", 0.3)
    started = time.monotonic()
    fault = fetch("http://both.example/", Limits(seconds=20), Policy())
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("connect_failed", False)
    assert 0.25 < time.monotonic() - started < AT_MOST


def test_nobody_listens(policy: Policy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    fault = fetch(f"http://127.0.0.1:{port}/", Limits(), Policy.of(["127.0.0.0/8"], [port]))
    assert isinstance(fault, Fault)
    assert (fault.code, fault.detail) == ("connect_failed", "connect: Connection refused")


# --- Webhooks ---------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/hang", "/slow-headers"])
def test_a_slow_receiver(path: str, origin: Origin, policy: Policy) -> None:
    started = time.monotonic()
    fault = post(origin.url + path, b"{}", {}, SECONDS, policy)
    assert isinstance(fault, Fault)
    assert fault.code == "fetch_timeout"
    assert time.monotonic() - started < AT_MOST


def test_a_receiver_that_dawdles_after_its_status(origin: Origin, policy: Policy) -> None:
    """It has the message: what counts is the status."""
    answer = post(origin.url + "/slow-body", b"{}", {}, SECONDS, policy)
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert PICTURE.startswith(answer.body)
    assert 1 <= len(answer.body) < 20


def test_a_receiver_that_does_not_read(policy: Policy) -> None:
    """A body larger than the socket's buffers, and nobody who takes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        opened = Policy.of(["127.0.0.0/8"], [port])
        fault = post(f"http://127.0.0.1:{port}/", bytes(30_000_000), {}, SECONDS, opened)
    assert isinstance(fault, Fault)
    assert fault.code == "fetch_timeout"
    assert time.monotonic() - started < AT_MOST


def test_slow_over_tls(tls_origin: Origin, wire: Wire) -> None:
    """The deadline is in both kinds of socket."""
    for path in ("/slow-headers", "/slow-body", "/hang"):
        _timed_out(f"https://tls.example{path}", Policy())
