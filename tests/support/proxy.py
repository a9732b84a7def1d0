"""A network between the service and its S3 that can be told to misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from tests.support.servers.process import HOST

MODES = ("pass", "busy", "slow", "reset", "forbidden", "missing", "down")
BUSY = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
FORBIDDEN = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
MISSING = b"<Error><Code>NoSuchBucket</Code><Message>No such bucket</Message></Error>"
REFUSALS = {"busy": (503, BUSY), "forbidden": (403, FORBIDDEN), "missing": (404, MISSING)}


class Proxy:
    """Forwards whole HTTP messages. ``mode`` applies to each request as it arrives:

    ``busy`` answers 503, ``slow`` waits ``delay`` seconds, ``reset`` breaks the connection after
    the server has taken a PUT, ``forbidden`` answers 403, ``missing`` answers as if there were no
    such bucket, ``down`` breaks it at once.
    """

    def __init__(self, endpoint: str, delay: float = 2.0) -> None:
        self.mode, self.delay = "pass", delay
        self.hit = 0  # requests that a fault was done to
        self.passed = 0
        self._backend = (urlsplit(endpoint).hostname, urlsplit(endpoint).port)
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        threading.Thread(target=self._run, args=[ready], daemon=True).start()
        assert ready.wait(10)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, ready: threading.Event) -> None:
        server = self._loop.run_until_complete(
            asyncio.start_server(self._converse, HOST, 0, backlog=512, limit=1 << 20)
        )
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if not await self._exchange(head, reader, writer):
                    break
        writer.close()

    async def _exchange(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection may go on."""
        mode = self.mode
        self.hit += mode != "pass"
        self.passed += mode == "pass"
        if mode == "down":
            return _break(writer)
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:-2])
        if b"expect" in fields:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
        if mode in REFUSALS:
            status, text = REFUSALS[mode]
            length = f"HTTP/1.1 {status} Fault\r\nContent-Length: {len(text)}\r\n\r\n".encode()
            writer.write(length + (b"" if head.startswith(b"HEAD") else text))
            await writer.drain()
            return True
        if mode == "slow":
            await asyncio.sleep(self.delay)
        answer = await self._forward(head, body)
        if mode == "reset" and head.startswith(b"PUT"):
            return _break(writer)
        writer.write(answer)
        await writer.drain()
        return False

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        """One connection an exchange, so that its end is the end of the answer."""
        kept = [
            line
            for line in head[:-4].split(b"\r\n")
            if not line.lower().startswith((b"expect:", b"connection:"))
        ]
        reader, writer = await asyncio.open_connection(*self._backend)
        writer.write(b"\r\n".join([*kept, b"Connection: close", b"", b""]) + body)
        await writer.drain()
        answer = await reader.read(-1)
        writer.close()
        return answer


def _break(writer: asyncio.StreamWriter) -> bool:
    """A TCP reset instead of an answer."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False
