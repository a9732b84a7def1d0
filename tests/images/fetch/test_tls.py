"""Pinned addresses change nothing for TLS: the certificate must be the host name's."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from imageproc.faults import Fault
from imageproc.images.fetch import Answer, Limits, Policy, post
from imageproc.images.fetch.connections import tls_context
from imageproc.images.fetch.download import Body, fetch
from imageproc.images.fetch.errors import fault_of
from tests.images.fetch.conftest import HERE, Wire
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


@pytest.mark.parametrize("options", ["-tls1", "-tls1_1", "-tls1_2 -cipher AES128-SHA"])
def test_encryption_that_is_too_old(options: str, limits: Limits) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    files = ["-cert", str(HERE / "tls-cert.pem"), "-key", str(HERE / "tls-key.pem"), "-www"]
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", *files, *options.split()]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as host:
        assert host.stdout is not None
        while b"ACCEPT" not in host.stdout.readline():
            pass
        fault = fetch(f"https://127.0.0.1:{port}/", limits, Policy.of(["127.0.0.0/8"], [port]))
        host.terminate()
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("tls_too_old", True)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("DH_KEY_TOO_SMALL", "tls_too_old"),
        ("UNSAFE_LEGACY_RENEGOTIATION_DISABLED", "tls_too_old"),
        ("UNSUPPORTED_PROTOCOL", "tls_too_old"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "tls_too_old"),
        ("TLSV1_ALERT_INTERNAL_ERROR", "connect_failed"),
    ],
)
def test_reasons_of_openssl(reason: str, code: str) -> None:
    error = ssl.SSLError(1, "of OpenSSL")
    error.reason = reason
    assert fault_of(error).code == code


def test_a_missing_intermediate_is_named(
    tls_origin: Origin, tmp_path: Path, limits: Limits, wire: Wire
) -> None:
    """The host sends its own certificate alone, and its issuer is not among the roots."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_leaf_of_an_intermediate(tmp_path))
    wire.server = server = Origin(tls=context)
    server.start()
    fault = fetch("https://tls.example/ok", limits, CLOSED)
    server.stop()
    wire.server = tls_origin
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("tls_failed", True)
    assert "intermediate" in fault.message


def _leaf_of_an_intermediate(folder: Path) -> tuple[Path, Path]:
    """Certificate and key, made by the openssl command."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Middle"],
        ["req", *key, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=tls.example"],
        [
            "x509",
            "-req",
            "-in",
            "leaf.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-out",
            "leaf.pem",
        ],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder / "leaf.pem", folder / "leaf.key"


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
