"""An answer read as browsers read it, for urllib3's connections (``response_class``).

``http.client`` takes every interim answer but 100 for the answer, so that the real one is still to
come when the connection serves the next image; stops at the first malformed header line and forgets
those that follow; takes ``Content-Length: 35, 35`` for no length; and reads a chunk of -1 bytes to
the end, whatever its size. So it is given a head that leaves no doubt, and a body without chunks.
"""

from __future__ import annotations

import re
from contextlib import suppress
from http.client import (
    BadStatusLine,
    HTTPException,
    HTTPResponse,
    IncompleteRead,
    RemoteDisconnected,
)
from io import BytesIO
from typing import Any, BinaryIO

from imageproc.images.fetch.sockets import MAX_HEADER_BYTES, Bounded

MAX_INTERIM = 100  # answers before the answer
_MAX_CHUNK_LINE = 4096
_INTERIM = re.compile(rb"HTTP/1\.\d[ \t]+1(?!01)\d\d(?!\d)")
# RFC 9110, 5.1, and RFC 9112, 5.1: blanks before the colon are taken away, other lines skipped.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)", re.DOTALL)
_NO_TEXT = bytes.maketrans(b"\0\r", b"  ")  # RFC 9110, 5.5
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n")
_FRAMING = (b"connection", b"transfer-encoding", b"content-length")

Fields = list[tuple[bytes, bytes]]


class Response(HTTPResponse):
    """As http.client's own, but for what is said above."""

    fp: Any

    def __init__(self, sock: Bounded, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)  # type: ignore[arg-type]
        self.sock = sock

    def begin(self) -> None:
        """Read the head; raises HTTPException, OSError or FetchError."""
        stream = self.fp
        self.fp = BytesIO(_clear_head(*_read_head(stream)))
        try:
            super().begin()
        finally:
            body = _Chunks if self.chunked is True else _Body
            self.fp = body(stream, self.sock)
        self.chunked = False  # _Chunks has taken that over


# --- The head -------------------------------------------------------------------------------------
def _read_head(stream: BinaryIO) -> tuple[bytes, Fields]:
    """The status line and the header fields of the first answer that is not an interim one."""
    for _ in range(MAX_INTERIM + 1):
        status = stream.readline(MAX_HEADER_BYTES)
        if not status:
            raise RemoteDisconnected("no answer")
        if not status.startswith(b"HTTP/"):
            raise BadStatusLine("not HTTP")
        fields = _read_fields(stream)
        if not _INTERIM.match(status):
            return status, fields
    raise HTTPException(f"more than {MAX_INTERIM} interim answers")


def _read_fields(stream: BinaryIO) -> Fields:
    fields: Fields = []
    while (line := stream.readline(MAX_HEADER_BYTES)) not in (b"\r\n", b"\n"):
        if not line.endswith(b"\n"):
            raise IncompleteRead(line)
        text = line.rstrip(b"\r\n").translate(_NO_TEXT)
        if line[0] in b" \t" and fields:  # a folded line, RFC 9112, 5.2
            name, value = fields[-1]
            fields[-1] = name, b"%b %b" % (value, text.strip())
        elif match := _FIELD.fullmatch(text):
            fields.append((match[1], match[2].strip()))
    return fields


def _clear_head(status: bytes, fields: Fields) -> bytes:
    """The head again, with one unmistakable statement of where the body ends (RFC 9112, 6.3)."""
    framing: dict[bytes, list[bytes]] = {name: [] for name in _FRAMING}
    lines = [status.rstrip()]
    for name, value in fields:
        if (tokens := framing.get(name.lower())) is None:
            lines.append(b"%b: %b" % (name, value))
        else:
            tokens += filter(None, map(bytes.strip, value.lower().split(b",")))
    connection, codings, lengths = framing.values()
    if codings and (lengths or status.startswith(b"HTTP/1.0")):
        connection = [b"close"]  # one of the two is wrong
    if connection:
        lines.append(b"Connection: " + b", ".join(connection))
    return b"\r\n".join([*lines, *_framing(codings, lengths), b"", b""])


def _framing(codings: list[bytes], lengths: list[bytes]) -> list[bytes]:
    if set(codings) - {b"identity", b"chunked"}:
        raise HTTPException("a transfer coding that was not asked for")
    if b"chunked" in codings:
        return [b"Transfer-Encoding: chunked"]
    if not all(map(bytes.isdigit, lengths)):
        return []  # as browsers do: until the connection ends
    if len({length.lstrip(b"0") for length in lengths}) > 1:
        raise HTTPException("lengths that contradict each other")
    return [b"Content-Length: " + length[-18:] for length in lengths[:1]]


# --- The body -------------------------------------------------------------------------------------
class _Body:
    """The stream of a response's body; http.client counts its bytes where a length was given."""

    def __init__(self, stream: BinaryIO, sock: Bounded) -> None:
        self.stream, self.sock = stream, sock

    def read(self, size: int) -> bytes:
        return self.stream.read(size)

    def read1(self, size: int) -> bytes:
        return self.stream.read1(size)  # type: ignore[attr-defined, no-any-return]

    def flush(self) -> None:
        """Part of the interface; there is nothing to write."""

    def close(self) -> None:
        """Note what was received beyond the body: it is still in the stream."""
        self.sock.expires_at = 0.0  # look at what is here, and wait for nothing
        with suppress(OSError):
            self.sock.surplus = bool(self.stream.peek(1))  # type: ignore[attr-defined]
        self.stream.close()


class _Chunks(_Body):
    """The stream of a chunked body (RFC 9112, 7.1), as the body itself."""

    left = 0  # bytes of the chunk at hand
    ended = False

    def read(self, size: int) -> bytes:
        pieces = []
        while size > 0 and self._open():
            pieces.append(self._taken(self.stream.read(min(size, self.left))))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def read1(self, size: int) -> bytes:
        return self._taken(super().read1(min(size, self.left))) if self._open() else b""

    def _taken(self, data: bytes) -> bytes:
        if not data:
            raise IncompleteRead(data)
        self.left -= len(data)
        if not self.left and self.stream.readline(3) not in (b"\r\n", b"\n"):
            raise IncompleteRead(data)
        return data

    def _open(self) -> bool:
        """Whether there is more; begins the next chunk where one is due."""
        if not self.left and not self.ended:
            match = _CHUNK_SIZE.fullmatch(self.stream.readline(_MAX_CHUNK_LINE))
            if match is None:
                raise IncompleteRead(b"")
            self.left = int(match[1], 16)
            if not self.left:
                _read_fields(self.stream)  # the trailer
                self.ended = True
        return not self.ended
