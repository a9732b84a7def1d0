"""urllib3's pools under a requests adapter, with judged connections (``dial``).

TLS still verifies the host's name, not the address. ``outbound`` makes one ``Transport`` a process
and policy, so a kept-alive connection always leads to a peer that this policy allowed.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections import OrderedDict
from functools import cache, partial
from typing import Any

import certifi
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse
from urllib3.util import Timeout
from urllib3.util.connection import is_connection_dropped

from imageproc.images.fetch.addresses import Policy
from imageproc.images.fetch.dial import BoundedSocket, BoundedTLSSocket, Dialler
from imageproc.images.fetch.target import Target

MAX_POOLS = 1000  # hosts remembered in a process
MAX_IDLE = 256  # connections that a transport keeps alive, of all hosts
IDLE_SECONDS = 30.0

# urllib3 logs the URL of an answer with odd headers, query and all; queries carry signatures.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


class StaleConnectionError(Exception):
    """A kept-alive connection turned out to be closed; nothing of the answer was received."""


# --- urllib3's connections ------------------------------------------------------------------------
class _Judged:
    """What both kinds of connection add: ``timeout`` is the time left for the whole exchange."""

    sock: Any
    timeout: Any
    port: int
    dialler: Dialler
    _dns_host: str
    fresh = True  # no answer came over this connection yet

    def _new_conn(self) -> BoundedSocket:
        started, self.fresh = time.monotonic(), True
        sock = self.dialler.dial(self._dns_host, self.port, self.timeout)
        left = self.timeout - (time.monotonic() - started)
        sock.begin(left)
        sock.settimeout(max(left, 0.001))  # the TLS handshake's total
        return sock

    def connect(self) -> None:
        started = time.monotonic()
        super().connect()  # type: ignore[misc]
        self.sock.begin(self.timeout - (time.monotonic() - started))

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            self.sock.begin(self.timeout)
        super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:
        sock = self.sock
        try:
            response = super().getresponse()  # type: ignore[misc]
        except ConnectionError as error:  # http.client.RemoteDisconnected is one
            if self.fresh or sock.answering:
                raise
            raise StaleConnectionError from error
        self.fresh = False
        sock.headers_done()
        return response


class JudgedConnection(_Judged, HTTPConnection):
    def __init__(self, *args: Any, dialler: Dialler, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dialler = dialler


class JudgedTLSConnection(_Judged, HTTPSConnection):
    def __init__(self, *args: Any, dialler: Dialler, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dialler = dialler


# --- Idle connections -----------------------------------------------------------------------------
class Idle:
    """The kept-alive connections of a transport: at most ``most``, none older than IDLE_SECONDS,
    the oldest closed first. A pool takes its youngest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._since: OrderedDict[Any, tuple[Any, float]] = OrderedDict()
        self._of: dict[Any, list[Any]] = {}

    def take(self, pool: Any) -> Any | None:
        with self._lock:
            mine = self._of.get(pool)
            if not mine:
                return None
            connection = mine[-1]
            self._remove(connection)
            return connection

    def keep(self, pool: Any, connection: Any) -> None:
        now = time.monotonic()
        with self._lock:
            self._since[connection] = pool, now
            self._of.setdefault(pool, []).append(connection)
            surplus = self._surplus(now)
        for old in surplus:
            old.close()

    def _surplus(self, now: float) -> list[Any]:
        surplus = []
        while self._since:
            connection, (_, since) = next(iter(self._since.items()))
            if len(self._since) <= self._most and now - since <= IDLE_SECONDS:
                break
            self._remove(connection)
            surplus.append(connection)
        return surplus

    def _remove(self, connection: Any) -> None:
        pool, _ = self._since.pop(connection)
        self._of[pool].remove(connection)
        if not self._of[pool]:
            del self._of[pool]


class _SharedIdle:
    """The two methods by which urllib3's pools borrow and return a connection."""

    def __init__(self, *args: Any, idle: Idle, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.idle = idle

    def _get_conn(self, timeout: float | None = None) -> Any:
        while (connection := self.idle.take(self)) is not None:
            if not is_connection_dropped(connection):
                return connection
            connection.close()
        return self._new_conn()  # type: ignore[attr-defined]

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and not conn.is_closed:
            self.idle.keep(self, conn)


class JudgedPool(_SharedIdle, HTTPConnectionPool):
    ConnectionCls: Any = JudgedConnection


class JudgedTLSPool(_SharedIdle, HTTPSConnectionPool):
    ConnectionCls: Any = JudgedTLSConnection


# --- The adapter ----------------------------------------------------------------------------------
class Transport(HTTPAdapter):
    """The pools of one process and policy.

    ``open`` goes to the pool directly: for 10 kB over a kept-alive connection a bare pool took
    0.37 ms of CPU, with the adapter's ``send`` 0.64, with a ``Session`` 0.88. What they add (hooks,
    cookies, proxies, netrc, redirects that nobody judged) must not happen here anyway.
    ``keep_alive``: False closes each connection after its answer. To ask the server for that is not
    enough: one that does not say "Connection: close" itself leaves it to us, and its end may come
    when the next request is under way.
    """

    def __init__(self, policy: Policy, *, keep_alive: bool) -> None:
        self.dialler, self.idle = Dialler(policy), Idle(MAX_IDLE if keep_alive else 0)
        super().__init__(pool_connections=MAX_POOLS, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        own: dict[str, Any] = {"dialler": self.dialler, "idle": self.idle}
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(JudgedPool, **own),
            "https": partial(JudgedTLSPool, **own, ssl_context=tls_context()),
        }

    def open(
        self,
        method: str,
        target: Target,
        headers: dict[str, str],
        seconds: float,
        body: bytes | None = None,
    ) -> HTTPResponse:
        """The answer's headers, its body still to be read; all of it within ``seconds``.

        Raises RefusedError, StaleConnectionError and urllib3's HTTPError.
        """
        pool = self.poolmanager.connection_from_host(target.host, target.port, target.scheme)
        response = pool.urlopen(
            method,
            target.path,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=Timeout(total=max(seconds, 0.001)),
            preload_content=False,
        )
        assert isinstance(response, HTTPResponse)
        return response


@cache
def tls_context() -> ssl.SSLContext:
    """Verifying; trusts certifi's roots and the system's (SSL_CERT_FILE adds a private one).

    Made once: reading the roots takes 20 ms.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    context.sslsocket_class = BoundedTLSSocket
    return context
