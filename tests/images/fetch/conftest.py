"""A network that ends on this machine: names are made up, and every dial is recorded."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from imageproc.images.fetch import Limits, Policy, client, connections
from imageproc.images.fetch.connections import tls_context
from tests.images.fetch.hostile import PUBLIC_NAMES, PUBLIC_V4, RESOLVES
from tests.support.origin import Origin, origin, origin_server

__all__ = ["origin", "origin_server"]
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _no_old_connections() -> Iterator[None]:
    client.forget()
    yield
    client.forget()


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection serves the next image at once, if nothing came."""
    monkeypatch.setattr(connections, "REST", 0.0)
    monkeypatch.setattr(connections, "WATCH", 0.0)


@pytest.fixture
def policy(origin: Origin) -> Policy:
    """Opened for the origin."""
    return Policy.of(["127.0.0.0/8"], [origin.port])


@pytest.fixture
def limits() -> Limits:
    return Limits(max_bytes=1_000_000, seconds=5)


@dataclass
class Wire:
    """``names`` answers look-ups; ``dialled`` is every address and port that was connected to."""

    server: Origin  # what answers, whatever was dialled
    names: dict[str, list[str] | Callable[[], list[str]]] = field(default_factory=dict)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    peers: WeakKeyDictionary[socket.socket, tuple[str, int]] = field(
        default_factory=WeakKeyDictionary
    )

    def getaddrinfo(self, host: str, *args: Any, **kwargs: Any) -> list[Any]:
        answer = self.names.get(host)
        if answer is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [self._info(text) for text in (answer() if callable(answer) else answer)]

    @staticmethod
    def _info(text: str) -> tuple[Any, ...]:
        if ":" in text:
            return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (text, 0, 0, 0))
        return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 0))


@pytest.fixture
def wire(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Whatever is dialled, the origin answers; the peer looks like what was dialled."""
    wire = Wire(origin, {**RESOLVES, **PUBLIC_NAMES})
    real_connect, real_peer = socket.socket.connect, socket.socket.getpeername

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        wire.dialled.append(address[:2])
        if address == (origin.host, origin.port):
            real_connect(self, address)
            return
        stand_in = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        real_connect(stand_in, (wire.server.host, wire.server.port))
        os.dup2(stand_in.fileno(), self.fileno())  # an IPv6 socket, too, becomes this one
        stand_in.close()
        wire.peers[self] = address[:2]

    def getpeername(self: socket.socket) -> Any:
        return wire.peers.get(self) or real_peer(self)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket.socket, "getpeername", getpeername)
    monkeypatch.setattr(socket, "getaddrinfo", wire.getaddrinfo)
    return wire


@pytest.fixture
def tls_origin(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    """An origin with the certificate of tls.example, which this process trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(HERE / "tls-cert.pem", HERE / "tls-key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(HERE / "tls-cert.pem"))
    tls_context.cache_clear()
    wire.server = Origin(tls=context)
    wire.names["tls.example"] = wire.names["other.example"] = [PUBLIC_V4]
    wire.server.start()
    yield wire.server
    wire.server.stop()
    tls_context.cache_clear()
