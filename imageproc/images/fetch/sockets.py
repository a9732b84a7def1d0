"""Sockets with a deadline for the whole exchange.

Each read and write gets only the time that is left. A timeout per read would not stop a host that
sends one byte a second in its headers or body. This needs no watchdog thread and no lock.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
from typing import Any

from urllib3.util import wait_for_read

from imageproc.faults import HOST_ERROR
from imageproc.images.fetch.errors import FetchError

MAX_HEADER_BYTES = 64 * 1024


class Bounded:
    """Mixed into both kinds of socket. CPython's own loops (handshake, sendall) take the timeout
    as a total; reads come one by one through ``recv_into``."""

    expires_at: float = math.inf  # time.monotonic()
    budget: float = math.inf  # bytes that may still be received
    surplus = False  # more than the response was received

    def begin(self, seconds: float) -> None:
        """Start an exchange: the time for all of it, and the budget of its headers."""
        self.expires_at = time.monotonic() + seconds
        self.budget, self.surplus = MAX_HEADER_BYTES, False

    @property
    def answering(self) -> bool:
        """Whether any byte of the response has arrived."""
        return self.budget < MAX_HEADER_BYTES

    def headers_done(self) -> None:
        self.budget = math.inf

    def remaining(self) -> float:
        """Seconds; raises TimeoutError when none are left."""
        left = self.expires_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    def spend(self, received: int) -> int:
        self.budget -= received
        if self.budget < 0:
            raise FetchError(HOST_ERROR.because(f"headers of more than {MAX_HEADER_BYTES} bytes"))
        return received

    def unasked(self: Any) -> bytes | None:
        """A byte that arrived without a request, b"" if the host closed the connection, or None.

        TLS session tickets, which are no data, are taken in on the way.
        """
        if not (wait_for_read(self, 0) or (isinstance(self, ssl.SSLSocket) and self.pending())):
            return None
        self.settimeout(0)
        try:
            return bytes(self.recv(1))
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError:
            return b""


class BoundedSocket(Bounded, socket.socket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.remaining())
        return self.spend(super().recv_into(*args, **kwargs))

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(self.remaining())
        super().sendall(*args, **kwargs)


class BoundedTLSSocket(Bounded, ssl.SSLSocket):
    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(self.remaining())
        return self.spend(super().recv_into(*args, **kwargs))

    def send(self, *args: Any, **kwargs: Any) -> int:  # what its sendall calls in a loop
        self.settimeout(self.remaining())
        return super().send(*args, **kwargs)
