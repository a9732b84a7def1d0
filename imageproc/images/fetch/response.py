"""Reads responses as browsers do, for urllib3's connections (``response_class``).

``http.client`` takes every interim answer but 100 for the answer, so that the real one is still to
come when the connection serves the next image; stops at the first malformed header line and forgets
those that follow; takes ``Content-Length: 35, 35`` for no length; and reads a chunk of -1 bytes to
the end, whatever its size. So the head is read here, and the body comes without its chunks.
"""

from __future__ import annotations

import re
from contextlib import suppress
from http.client import (
    BadStatusLine,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
    IncompleteRead,
    RemoteDisconnected,
)
from typing import Any, BinaryIO

from imageproc.images.fetch.sockets import MAX_HEADER_BYTES, Bounded

MAX_INTERIM = 100  # interim (1xx) responses before the final one
MAX_FIELDS = 500
_MAX_CHUNK_LINE = 4096
_STATUS = re.compile(rb"HTTP/1\.(\d)[ \t]+(\d{3})(?!\d)[ \t]*([^\r\n]*)\r?\n")
# RFC 9110, 5.1, and RFC 9112, 5.1: blanks before the colon are taken away, other lines skipped.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)", re.DOTALL)
_NO_TEXT = bytes.maketrans(b"\0\r", b"  ")  # RFC 9110, 5.5
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\r?\n")

Fields = list[tuple[bytes, bytes]]


class Response(HTTPResponse):
    """http.client's response with these differences."""

    fp: Any

    def __init__(self, sock: Bounded, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)  # type: ignore[arg-type]
        self.sock = sock

    def begin(self) -> None:
        """Read the head; raises HTTPException, OSError or FetchError."""
        self.version, self.status, self.reason, fields = _read_head(self.fp)
        self.code = self.status
        self.headers = self.msg = HTTPMessage()
        framing: dict[bytes, list[bytes]] = {name: [] for name in _FRAMING}
        for name, value in fields:
            if (tokens := framing.get(name.lower())) is None:
                self.msg[name.decode("ascii")] = value.decode("latin-1")
            else:
                tokens += filter(None, map(bytes.strip, value.lower().split(b",")))
        self._frame(*framing.values())

    def _frame(self, connection: list[bytes], codings: list[bytes], lengths: list[bytes]) -> None:
        """Where the body ends (RFC 9112, 6.3), and whether the connection ends with it (9.3)."""
        if set(codings) - {b"identity", b"chunked"}:
            raise HTTPException("a transfer coding that was not asked for")
        self.length = _length(lengths)
        self.will_close = b"close" in connection
        if self.version == 10:
            self.will_close = b"keep-alive" not in connection or bool(codings)
        if b"chunked" in codings:
            self.will_close |= bool(lengths)  # one of the two is wrong
            self.length = None
            self.msg["Transfer-Encoding"] = "chunked"
            self.fp = _Chunks(self.fp, self.sock)
        else:
            self.will_close |= self.length is None
            self.fp = _Body(self.fp, self.sock)
        self.chunked = False  # for http.client: _Chunks has taken that over
        if self.length is not None:
            self.msg["Content-Length"] = str(self.length)
        if self.status in (204, 304) or self.status < 200:
            self.length = 0


_FRAMING = (b"connection", b"transfer-encoding", b"content-length")


# --- The head -------------------------------------------------------------------------------------
def _read_head(stream: BinaryIO) -> tuple[int, int, str, Fields]:
    """Version (10 or 11), status, reason and fields of the first answer that is not an interim
    one."""
    for _ in range(MAX_INTERIM + 1):
        line = stream.readline(MAX_HEADER_BYTES)
        if not line:
            raise RemoteDisconnected("no answer")
        match = _STATUS.fullmatch(line)
        if match is None:
            raise BadStatusLine("not HTTP/1")
        fields = _read_fields(stream)
        status = int(match[2])
        if not 100 <= status < 200 or status == 101:
            version = 10 if match[1] == b"0" else 11
            return version, status, match[3].decode("latin-1").strip(), fields
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
        if len(fields) > MAX_FIELDS:
            raise HTTPException(f"more than {MAX_FIELDS} header fields")
    return fields


def _length(lengths: list[bytes]) -> int | None:
    """None for no length, and for no number: then the body ends with the connection."""
    if not lengths or not all(map(bytes.isdigit, lengths)):
        return None
    if len({length.lstrip(b"0") for length in lengths}) > 1:
        raise HTTPException("lengths that contradict each other")
    return int(lengths[0][-18:])


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
