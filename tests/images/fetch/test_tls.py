"""Pinned addresses change nothing for TLS: the certificate must be the host name's."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest

from imageproc.faults import Fault
from imageproc.images.fetch import Answer, Limits, Policy, post
from imageproc.images.fetch.connections import tls_context
from imageproc.images.fetch.download import Body, fetch
from tests.images.fetch.conftest import Wire
from tests.images.fetch.hostile import PUBLIC_V4
from tests.support.origin import PICTURE, Origin

CLOSED = Policy()


@pytest.mark.usefixtures("no_rest")
def test_a_valid_certificate(tls_origin: Origin, wire: Wire, limits: Limits) -> None:
    names: list[str | None] = []
    assert tls_origin.tls is not None
    tls_origin.tls.sni_callback = lambda sock, name, context: names.append(name)
    tls_origin.serve("/ok")
    for _ in range(3):
        body = fetch("https://tls.example/ok", limits, CLOSED)
        assert isinstance(body, Body), body
        assert body.data == PICTURE
    assert names == ["tls.example"]
    assert wire.dialled == [(PUBLIC_V4, 443)]
    answer = post("https://tls.example/ok", b"{}", {}, 5, CLOSED)
    assert isinstance(answer, Answer)
    assert answer.status == 200


def test_a_large_body(tls_origin: Origin, limits: Limits) -> None:
    body = fetch("https://tls.example/big/1000000", limits, CLOSED)
    assert isinstance(body, Body), body
    assert len(body.data) == 1_000_000


def test_the_certificate_of_another_host(tls_origin: Origin, limits: Limits) -> None:
    fault = fetch("https://other.example/ok", limits, CLOSED)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("tls_failed", True)
    assert "Hostname mismatch" in fault.detail
    assert tls_origin.hits.total() == 0


def test_a_certificate_nobody_vouches_for(
    tls_origin: Origin, limits: Limits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    tls_context.cache_clear()
    for sent in (
        fetch("https://tls.example/ok", limits, CLOSED),
        post("https://tls.example/ok", b"{}", {}, 5, CLOSED),
    ):
        assert isinstance(sent, Fault)
        assert (sent.code, sent.detail) == ("tls_failed", "self-signed certificate")
    assert tls_origin.hits.total() == 0


def test_not_tls_at_all(limits: Limits) -> None:
    """What a plain HTTP server makes of a TLS greeting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _ = server.accept()
            with connection, suppress(ConnectionError):
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                while connection.recv(10_000):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        fault = fetch(f"https://127.0.0.1:{port}/", limits, Policy.of(["127.0.0.0/8"], [port]))
        thread.join(10)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("connect_failed", False)
    assert fault.detail == "TLS: WRONG_VERSION_NUMBER"


def test_a_redirect_to_plain_http(
    tls_origin: Origin, origin: Origin, wire: Wire, limits: Limits
) -> None:
    """Followed; and its address is judged like any other."""
    tls_origin.serve("/down", status=302, headers={"Location": "http://10.0.0.1/ok"})
    fault = fetch("https://tls.example/down", limits, CLOSED)
    assert isinstance(fault, Fault)
    assert fault.code == "address_forbidden"
    assert wire.dialled == [(PUBLIC_V4, 443)]
    here = Policy.of(["127.0.0.0/8"], [443, origin.port])
    tls_origin.serve("/down", status=302, headers={"Location": origin.serve("/ok")})
    assert isinstance(fetch("https://tls.example/down", limits, here), Body)
