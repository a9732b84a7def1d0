"""urllib3's connections over checked sockets, and which of them may serve another image.

HTTP/1.1 does not number its responses: whatever comes next over a connection counts as the response
to the last request. So a connection is closed if anything about it is wrong, and rests after each
image: surplus bytes of a faulty host then show before the next request (docs/adr/0003-outbound.md).
"""

from __future__ import annotations

import logging
import math
import ssl
import threading
import time
from collections import deque
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import certifi
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse

from imageproc.images.fetch.addresses import Policy
from imageproc.images.fetch.dial import Dialler
from imageproc.images.fetch.response import Response
from imageproc.images.fetch.sockets import BoundedTLSSocket
from imageproc.sheet import Url
from imageproc.sheet.hosts import DEFAULT_PORT

MAX_IDLE = 256  # connections kept alive, of all hosts
MAX_RESTING = 128  # of one host
MAX_WATCHED = 4  # of a host that is not known yet
MAX_HOSTS = 10_000  # remembered in a process
IDLE_SECONDS = 30.0
REST = 0.05  # seconds of silence before a connection serves another image
WATCH = 1.0  # the same, until one connection of the host has been silent for so long

# urllib3 logs the URL of an answer with odd headers, query and all; queries carry signatures.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class StaleConnectionError(Exception):
    """A kept-alive connection turned out to be closed; nothing of the answer was received."""


class Origin(NamedTuple):
    """What a connection leads to. ``host``: as in ``Authority``."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: Url) -> Origin:
        return cls(url.scheme, url.authority.host, url.authority.port)


class Connection(HTTPConnection):
    """One connection; its peer was checked, and its socket keeps the deadline."""

    response_class = Response  # what http.client makes of an answer

    def __init__(self, origin: Origin, connections: Connections) -> None:
        super().__init__(origin.host.strip("[]"), origin.port)
        self.default_port = DEFAULT_PORT[origin.scheme]  # type: ignore[misc]
        self.origin, self.connections = origin, connections
        self.deadline = 0.0  # time.monotonic()
        self.idle_since = 0.0

    def connect(self) -> None:
        sock: Any = self.connections.dialler.dial(self.origin.host, self.origin.port, self._left())
        if self.origin.scheme == "https":
            sock.settimeout(max(self._left(), 0.001))  # for the whole handshake
            sock = tls_context().wrap_socket(sock, server_hostname=self.host)
        self.sock = sock

    def ask(
        self,
        method: str,
        url: Url,
        headers: dict[str, str],
        seconds: float,
        body: bytes | None = None,
    ) -> HTTPResponse:
        """The head of the answer, its body still to be read; both within ``seconds``.

        Raises StaleConnectionError and ``errors.ERRORS``; the connection is closed then.
        """
        self.deadline = time.monotonic() + seconds
        used_before = self.sock is not None
        sock: Any = None
        try:
            if self.sock is None:
                self.connect()
            sock = self.sock
            sock.begin(self._left())
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered already
                self.request(method, url.target, body, headers, preload_content=False)
            response = self.getresponse()
        except BaseException as error:
            self.close()
            if used_before and isinstance(error, _HUNG_UP) and not sock.answering:
                raise StaleConnectionError from error
            raise
        sock.headers_done()
        return response

    @property
    def surplus(self) -> bool:
        """Whether more than the answer was received."""
        return getattr(self.sock, "surplus", False)

    def unasked(self) -> bytes | None:
        """What arrived after the response (``Bounded.unasked``)."""
        sock: Any = self.sock
        return b"" if sock is None else sock.unasked()

    def release(self, *, reusable: bool) -> None:
        """End the use for one request. ``reusable``: its response was read whole."""
        if reusable and self.surplus:
            self.connections.distrust(self.origin)
        elif reusable and not self.is_closed:
            self.connections.keep(self)
            return
        self.close()

    def _left(self) -> float:
        return self.deadline - time.monotonic()


_HUNG_UP = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Connections:
    """New connections, and idle ones for further images, the longest idle first.

    Before it is used again, a connection must have been silent for WATCH seconds, or for REST once
    another connection to the host was. A host that sent anything unasked gets a new connection for
    each image from then on.
    """

    def __init__(self, policy: Policy) -> None:
        self.dialler = Dialler(policy)
        self._lock = threading.Lock()
        self._idle: dict[Connection, None] = {}  # the oldest first
        self._of: dict[Origin, deque[Connection]] = {}
        self.silence: dict[Origin, float] = {}  # seconds, where it is not WATCH

    def new(self, origin: Origin) -> Connection:
        return Connection(origin, self)

    def take(self, origin: Origin) -> Connection | None:
        """An idle connection on which nothing has arrived since its last response."""
        while (connection := self._rested(origin)) is not None:
            arrived = self._probe(connection)
            if not arrived:
                with self._lock:
                    self.silence.setdefault(origin, REST)
            if arrived is None:
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Keep a connection whose response was read whole, with nothing left to read."""
        connection.idle_since, origin = time.monotonic(), connection.origin
        with self._lock:
            mine = self._of.setdefault(origin, deque())
            most = {None: MAX_WATCHED, math.inf: 0}.get(self.silence.get(origin), MAX_RESTING)
            surplus = [connection] if len(mine) >= most else self._add(mine, connection)
        for old in surplus:
            self._probe(old)
            old.close()

    def distrust(self, origin: Origin) -> None:
        """Use a new connection for each image of this host from now on."""
        with self._lock:
            if len(self.silence) >= MAX_HOSTS:
                self.silence.clear()
            self.silence[origin] = math.inf
            surplus = list(self._of.get(origin, ()))
            for connection in surplus:
                self._remove(connection)
        for connection in surplus:
            connection.close()

    def _probe(self, connection: Connection) -> bytes | None:
        arrived = connection.unasked()
        if arrived:
            self.distrust(connection.origin)
        return arrived

    def _rested(self, origin: Origin) -> Connection | None:
        with self._lock:
            mine = self._of.get(origin)
            silent_since = time.monotonic() - self.silence.get(origin, WATCH)
            if not mine or mine[0].idle_since > silent_since:
                return None
            return self._remove(mine[0])

    def _add(self, mine: deque[Connection], connection: Connection) -> list[Connection]:
        """Returns the connections that must be closed to make room."""
        mine.append(connection)
        self._idle[connection] = None
        surplus = []
        for oldest in list(self._idle):
            too_old = connection.idle_since - oldest.idle_since > IDLE_SECONDS
            if not too_old and len(self._idle) <= MAX_IDLE:
                break
            surplus.append(self._remove(oldest))
        return surplus

    def _remove(self, connection: Connection) -> Connection:
        del self._idle[connection]
        mine = self._of[connection.origin]
        mine.remove(connection)
        if not mine:
            del self._of[connection.origin]
        return connection


@cache
def tls_context() -> ssl.SSLContext:
    """Verifying; trusts certifi's roots and the system's (SSL_CERT_FILE adds a private one).

    Made once: reading the roots takes 20 ms.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = BoundedTLSSocket
    return context
