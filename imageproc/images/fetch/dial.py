"""Connects to allowed addresses only.

A name is resolved for every connection, on a separate thread, because ``getaddrinfo`` cannot be
interrupted. **Every** address of the name must be allowed, the connection goes to the address that
was checked, and the peer is checked once more. So DNS rebinding gains an attacker nothing.
"""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import Future
from ipaddress import ip_address

from imageproc.faults import (
    ADDRESS_FORBIDDEN,
    CONNECT_FAILED,
    DNS_FAILED,
    FETCH_TIMEOUT,
)
from imageproc.images.fetch.addresses import Address, Policy, allowed
from imageproc.images.fetch.errors import FetchError
from imageproc.images.fetch.sockets import BoundedSocket
from imageproc.images.fetch.target import literal

CONNECT_SECONDS = 10.0  # for all addresses of a host: a dead host must not use up the deadline
RESOLVER_THREADS = 32


# --- Names ----------------------------------------------------------------------------------------
class Resolver:
    """``getaddrinfo`` with a timeout. A name is looked up once at a time, however many wait for it,
    and at most RESOLVER_THREADS names at once, so that dead name servers cannot pile up threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(RESOLVER_THREADS)
        self._asking: dict[str, Future[list[Address]]] = {}

    def resolve(self, host: str, seconds: float) -> list[Address]:
        """Every address of ``host``, in the order of the system (RFC 6724).

        Raises OSError, UnicodeError or TimeoutError.
        """
        started = time.monotonic()
        with self._lock:
            answer = self._asking.get(host)
        if answer is None:
            if not self._free.acquire(timeout=max(0.0, seconds)):
                raise TimeoutError("too many name look-ups are waiting")
            answer = self._ask(host)
        return answer.result(seconds - (time.monotonic() - started))

    def _ask(self, host: str) -> Future[list[Address]]:
        answer: Future[list[Address]] = Future()
        with self._lock:
            self._asking[host] = answer
        look_up = threading.Thread(
            target=self._look_up, args=(host, answer), name=f"resolve {host}", daemon=True
        )
        try:
            look_up.start()
        except RuntimeError:  # no thread to be had
            answer.set_exception(OSError("out of threads"))
            self._done(host, answer)
        return answer

    def _look_up(self, host: str, answer: Future[list[Address]]) -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            # A scope id ("fe80::1%eth0") stays in the text and is refused by the table.
            answer.set_result(list(dict.fromkeys(ip_address(info[4][0]) for info in found)))
        except (OSError, ValueError) as error:
            answer.set_exception(error)
        finally:
            self._done(host, answer)

    def _done(self, host: str, answer: Future[list[Address]]) -> None:
        with self._lock:
            if self._asking.get(host) is answer:
                del self._asking[host]
        self._free.release()


# --- Dialling -------------------------------------------------------------------------------------
class Dialler:
    """Opens sockets to allowed addresses; the only place that connects."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.resolver = Resolver()

    def dial(self, host: str, port: int, seconds: float) -> BoundedSocket:
        """A connected socket; raises FetchError. ``host``: as in ``Authority``."""
        expires_at = time.monotonic() + seconds
        addresses = self._checked(host, seconds)
        give_up_at = min(expires_at, time.monotonic() + CONNECT_SECONDS)
        failure = "no address"
        for position, address in enumerate(addresses):
            left = give_up_at - time.monotonic()
            if left <= 0:
                break
            try:
                return self._connected(address, port, left / (len(addresses) - position))
            except OSError as error:
                failure = error.strerror or str(error)
        late = time.monotonic() >= expires_at
        raise FetchError((FETCH_TIMEOUT if late else CONNECT_FAILED).because(f"connect: {failure}"))

    def _checked(self, host: str, seconds: float) -> list[Address]:
        address = literal(host)
        addresses = self._resolved(host, seconds) if address is None else [address]
        for address in addresses:
            self._require_allowed(address)
        return addresses

    def _resolved(self, host: str, seconds: float) -> list[Address]:
        try:
            return self.resolver.resolve(host, seconds)
        except TimeoutError:
            raise FetchError(FETCH_TIMEOUT.because("name look-up")) from None
        except (OSError, ValueError) as error:
            detail = getattr(error, "strerror", None) or type(error).__name__
            raise FetchError(DNS_FAILED.because(detail)) from None

    def _connected(self, address: Address, port: int, seconds: float) -> BoundedSocket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = BoundedSocket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(seconds)
            sock.connect((str(address), port))
            self._require_allowed(ip_address(sock.getpeername()[0]))
        except BaseException:
            sock.close()
            raise
        return sock

    def _require_allowed(self, address: Address) -> None:
        if not allowed(address, self.policy):
            raise FetchError(ADDRESS_FORBIDDEN.because(str(address)))
