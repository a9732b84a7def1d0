"""The web server's worker: a thread is given only to a request that has arrived.

gunicorn's threaded worker reads the headers in the thread that will answer. A client that sends
half a header then holds that thread for as long as it likes (the "Slowloris" attack), and as many
such clients as there are threads stop the server. Half of a small body, such as a sign-in form,
would do the same. Only a large body is read by the thread, as it comes.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from functools import partial
from selectors import EVENT_READ

from gunicorn.workers.gthread import TConn, ThreadWorker

# The header, and a body that is small enough to be waited for, must arrive within so many seconds,
# counted from the connection, or from the first byte of the next request on one kept alive.
ARRIVAL_SECONDS = 5.0
# Longer headers are refused (gunicorn itself accepts 100 fields of up to 8,190 bytes). A request
# that is longer with its body gets a thread when its header is there.
MAX_WAITING_BYTES = 65_536
TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"
# A body that stalls for so long is given up, and its connection closed.
STALL_SECONDS = 20
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.I)
_EXPECT = re.compile(rb"\r\nexpect:", re.I)


def _is_complete(request: bytes) -> bool:
    """Whether the header is there, and with it a body of a known small length.

    A client that expects "100 Continue" sends no body before it is asked to.
    """
    header, end, body = request.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not end:
        return False
    length = _LENGTH.search(header + b"\r\n")
    expected = int(length[1]) if length and not _EXPECT.search(header) else 0
    return len(body) >= expected or len(header) + expected > MAX_WAITING_BYTES - 100


class RequestDeadlineWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's ``gthread`` worker, which lets a connection wait until its request is there."""

    def enqueue_req(self, conn: TConn) -> None:
        """Called in the main loop for a new connection, and when a waiting one has more data."""
        buffered = conn.parser.unreader.buf.getvalue() if conn.parser else b""
        try:
            conn.sock.setblocking(False)
            arrived = conn.sock.recv(MAX_WAITING_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            self._wait_for_more(conn, arrived=0)
            return
        except OSError:
            self._hang_up(conn)
            return
        if _is_complete(buffered + arrived):
            self._give_to_thread(conn)
        elif len(arrived) <= getattr(conn, "arrived", 0):  # readable without more data: closed
            self._hang_up(conn)
        elif len(arrived) == MAX_WAITING_BYTES:
            conn.sock.send(TOO_LONG)
            self._hang_up(conn)
        else:
            self._wait_for_more(conn, len(arrived))

    def _give_to_thread(self, conn: TConn) -> None:
        conn.arrived, conn.due = 0, None
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        stall = struct.pack("ll", STALL_SECONDS, 0)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, stall)
        super().enqueue_req(conn)

    def _wait_for_more(self, conn: TConn, arrived: int) -> None:
        """Park the connection in gunicorn's own list of those that wait for data.

        SO_RCVLOWAT (socket(7)) keeps the socket from being readable before more than ``arrived``
        bytes are there: they are only looked at, not read.
        """
        conn.arrived = arrived
        conn.due = getattr(conn, "due", None) or time.monotonic() + ARRIVAL_SECONDS
        conn.timeout = conn.due
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, arrived + 1)
        self.pending_conns.append(conn)
        when_readable = partial(self.on_pending_socket_readable, conn)
        self.poller.register(conn.sock, EVENT_READ, when_readable)

    def murder_pending(self) -> None:
        """gunicorn closes overdue connections from the front of the list on; keep it sorted."""
        by_deadline = sorted(self.pending_conns, key=lambda conn: conn.timeout)
        self.pending_conns.clear()
        self.pending_conns.extend(by_deadline)
        super().murder_pending()

    def _hang_up(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()
