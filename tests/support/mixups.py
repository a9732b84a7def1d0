"""An origin that sends too much, too little or too late, in pictures that hold their own number.

Each way of misbehaving is a host of its own: 127.0.1.1, 127.0.1.2 …, in the order of ``WAYS``.
``/7`` answers picture 7; ``number_in`` reads the number back out of its pixels.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from PIL import Image

_SIDE, _CELL = 4, 16  # 16 bits in a square, each of 16 × 16 pixels
LATE = 0.4  # seconds
Steps = Iterable[float | bytes]  # seconds to wait, bytes to send


def picture(number: int) -> bytes:
    bits = bytes(255 * (number >> bit & 1) for bit in range(_SIDE * _SIDE))
    image = Image.frombytes("L", (_SIDE, _SIDE), bits).convert("RGB")
    file = io.BytesIO()
    image.resize((_SIDE * _CELL,) * 2, Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def number_in(data: bytes) -> int:
    """The number of a picture, also after JPEG at low quality."""
    cells = Image.open(io.BytesIO(data)).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return sum((value > 127) << bit for bit, value in enumerate(cells.tobytes()))


# --- Answers --------------------------------------------------------------------------------------
def whole(data: bytes, head: bytes = b"HTTP/1.1 200 OK", length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return b"%b\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%b" % (head, size, data)


def _interim(*codes: int, late: float = 0) -> Callable[[bytes], Steps]:
    before = b"".join(b"HTTP/1.1 %d Wait\r\nLink: </a.css>\r\n\r\n" % code for code in codes)
    return lambda data: [before, late, whole(data)] if late else [before + whole(data)]


def _surplus(after: float) -> Callable[[bytes], Steps]:
    return lambda data: [whole(data), after, whole(data)] if after else [whole(data) * 2]


def _nothing(status: bytes, after: float = LATE) -> Callable[[bytes], Steps]:
    """An answer without a body, and then one."""
    return lambda data: [b"HTTP/1.1 %b\r\n\r\n" % status, after, whole(data)]


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)


_BOTH = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n"
_KEEP = b"HTTP/1.0 200 OK\r\nConnection: keep-alive"

# What an answer is made of, given its picture.
WAYS: dict[str, Callable[[bytes], Steps]] = {
    "102": _interim(102),
    "103": _interim(103),
    "110": _interim(110),
    "103 twice": _interim(103, 103),
    "102 late": _interim(102, late=LATE),
    "103 late": _interim(103, late=LATE),
    "110 late": _interim(110, late=LATE),
    "103 twice late": _interim(103, 103, late=LATE),
    "surplus at once": _surplus(0),
    "surplus after 30 ms": _surplus(0.03),
    "surplus after 300 ms": _surplus(0.3),
    "204": _nothing(b"204 No Content"),
    "304": _nothing(b"304 Not Modified"),
    "404": _nothing(b"404 Not Found\r\nContent-Length: 0"),
    "404 soon": _nothing(b"404 Not Found\r\nContent-Length: 0", 0.03),
    "length and chunks": lambda data: [_BOTH % 10 + _chunked(data)],
    "length of another": lambda data: [_BOTH % (len(data) + 500) + _chunked(data)],
    "shorter than told": lambda data: [whole(data, length=len(data) + 1)],
    "longer than told": lambda data: [whole(data, length=len(data) - 40)],
    "longer by an answer": lambda data: [whole(data) + whole(data)[:-7], 0.02, data[-7:]],
    "1.0 keep-alive": lambda data: [whole(data, _KEEP)],
    "1.0 keep-alive surplus": lambda data: [whole(data, _KEEP), 0.03, whole(data, _KEEP)],
}
# No picture of these can be had.
FAILING = {"204", "304", "404", "404 soon", "shorter than told", "longer than told"}


class MixupOrigin:
    """A thread a connection; requests of one connection are answered one after the other."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self._ways = list(WAYS.values())
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, way: str, number: int) -> str:
        return f"http://127.0.1.{1 + list(WAYS).index(way)}:{self.port}/{number}"

    def stop(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        way = self._ways[int(connection.getsockname()[0].rpartition(".")[2]) - 1]
        connection.settimeout(30)
        with connection, connection.makefile("rb") as requests, suppress(OSError):
            while line := requests.readline():
                while requests.readline() not in (b"\r\n", b""):
                    pass
                for step in way(picture(int(line.split()[1][1:]))):
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    else:
                        time.sleep(step)
