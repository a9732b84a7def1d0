"""A real HTTP/1.1 origin on loopback that can be slow, wrong and hostile.

In tests: the fixture ``origin`` (one for the whole session; it forgets everything between tests).
For worker clusters and benchmarks, a process of its own that prints its port as a line of JSON::

    python -m tests.support.origin --port 0 --folder photos --latency-ms 250

``Origin.raw`` registers an answer of any bytes.

Behaviours by path (``/behaviour/argument?option=value``); all of them keep connections alive
unless breaking is the point:

==================  ============================================================================
/status/404         that status, with a short text body
/redirect/N         N redirects to a picture; /redirect-to?url=…&status=302: one, to anywhere
/slow-headers       the header section, a byte each ?ms=100;  /slow-body: the same for the body
/hang               reads the request, never answers;         /close: hangs up instead
/endless            a body without end;                       /big/N: N bytes
/reset              half a body, then a TCP reset
/short, /long       a Content-Length larger, smaller than the body
/chunked            a correct chunked body;                   /chunked-broken: a malformed chunk
/gzip               a picture in gzip;                        /gzip-bomb/N: N MB of zeros in gzip
/encoded            a picture in an encoding nobody asked for
/header-flood       10,000 headers;                           /header-long: one of 1 MB
/continue-flood     "100 Continue" for ever;                  /garbage: not HTTP at all
/retry-after/VALUE  ?status=503 with Retry-After: VALUE
/flaky/N[/name]     fails N times (?status=503; 0 hangs up), then a picture
/html, /empty       an HTML page with 200;                    200 without a body
/echo               the request itself, as JSON
/_stats             {"hits", "connections", "open", "peak"}
==================  ============================================================================
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import mimetypes
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

# The smallest GIF: one pixel.
PICTURE = bytes.fromhex(
    "47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b"
)


@dataclass(frozen=True)
class Reply:
    """What a path answers: registered by a test, or read from the folder."""

    data: bytes
    content_type: str = "image/gif"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_ms: float = 0
    declared: int | None = None  # a Content-Length that is not the body's

    def unless_unchanged(self, asked: Asked) -> Reply:
        """304 where the request names this reply's ETag."""
        etag = self.headers.get("ETag")
        if etag and asked.headers.get("if-none-match") == etag:
            return Reply(b"", "", 304, {"ETag": etag})
        return self

    def encode(self) -> bytes:
        """The whole message, as sent."""
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        kind = f"Content-Type: {self.content_type}\r\n" if self.content_type else ""
        length = len(self.data) if self.declared is None else self.declared
        head = f"HTTP/1.1 {self.status} Reply\r\nContent-Length: {length}\r\n{kind}{extra}"
        return f"{head}\r\n".encode("latin-1") + self.data


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def argument(self) -> str:
        return unquote(self.path.split("/")[2]) if self.path.count("/") > 1 else ""

    def option(self, name: str, default: str) -> str:
        return parse_qs(urlsplit(self.target).query).get(name, [default])[0]


Behaviour = Callable[["Origin", Asked, asyncio.StreamWriter], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {}


class Origin:
    """The server. ``hits`` counts requests by path, and by path with query where there is one."""

    def __init__(
        self, folder: Path | None = None, latency_ms: float = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.folder, self.latency_ms, self.tls = folder, latency_ms, tls
        self.host, self.port = "127.0.0.1", 0
        self._open: set[asyncio.StreamWriter] = set()
        self.forget()

    def forget(self) -> None:
        """Back to the start: no replies, no counts."""
        self.replies: dict[str, Reply] = {}
        self.raws: dict[str, tuple[list[bytes], bool]] = {}
        self.hits: Counter[str] = Counter()
        self.asked: list[Asked] = []
        self.connections = 0
        self.peak = len(self._open)
        self.waits: dict[str, float] = {}  # ms by name (numbered.py)
        self.closes_when_asked = True  # a client's "Connection: close" is heard

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def open(self) -> int:
        """Connections open now."""
        return len(self._open)

    def serve(
        self,
        path: str,
        data: bytes = PICTURE,
        *,
        content_type: str = "image/gif",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        delay_ms: float = 0,
    ) -> str:
        """Answer ``path`` with this; returns its URL."""
        self.replies[path] = Reply(data, content_type, status, headers or {}, delay_ms)
        return self.url + path

    def raw(self, path: str, *answers: bytes, closes: bool = False) -> None:
        """Answer ``path`` with these very bytes, one after the other, the last of them for ever."""
        self.raws[path] = list(answers), closes

    # --- life -------------------------------------------------------------------------------
    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[asyncio.Server]:
        server = await asyncio.start_server(
            self._converse, self.host, port, ssl=self.tls, backlog=1024, limit=1 << 20
        )
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield server

    def start(self, port: int = 0) -> None:
        """Serve from a thread of this process until :meth:`stop`."""
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        serving = self._until_stopped(ready, port)
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=[serving], daemon=True
        )
        self._thread.start()
        assert ready.wait(10), "the origin did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        self._loop.close()

    async def _until_stopped(self, ready: threading.Event, port: int) -> None:
        self._stopping = asyncio.Event()
        async with self.listening(port):
            ready.set()
            await self._stopping.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- one connection -----------------------------------------------------------------------
    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        self.peak = max(self.peak, len(self._open))
        try:
            while (asked := await _read_request(reader)) is not None:
                await self._answer(asked, writer)
                last = self.closes_when_asked and asked.headers.get("connection") == "close"
                if writer.is_closing() or last:
                    break
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.path != "/_stats":
            self.hits.update({asked.path, asked.target})
            self.asked.append(asked)
            del self.asked[:-1000]
        if asked.path in self.raws:
            answers, closes = self.raws[asked.path]
            writer.write(answers.pop(0) if len(answers) > 1 else answers[0])
            if closes:
                writer.close()
        elif reply := self._reply(asked.path):
            if delay := reply.delay_ms + self.latency_ms:
                await asyncio.sleep(delay / 1000)
            writer.write(reply.unless_unchanged(asked).encode())
        elif behaviour := BEHAVIOURS.get(asked.path.split("/")[1]):
            await behaviour(self, asked, writer)
        else:
            writer.write(Reply(b"no such path\n", "text/plain", 404).encode())
        await writer.drain()

    def _reply(self, path: str) -> Reply | None:
        if path in self.replies or self.folder is None:
            return self.replies.get(path)
        file = (self.folder / unquote(path).lstrip("/")).resolve()
        if not (file.is_relative_to(self.folder.resolve()) and file.is_file()):
            return None
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        data = file.read_bytes()
        tag = {"ETag": f'"{hashlib.sha256(data).hexdigest()[:16]}"'}
        self.replies[path] = Reply(data, kind, headers=tag)
        return self.replies[path]


async def _read_request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


# --- behaviours ---------------------------------------------------------------------------------
def behaviour(name: str) -> Callable[[Behaviour], Behaviour]:
    def register(function: Behaviour) -> Behaviour:
        BEHAVIOURS[name] = function
        return function

    return register


@behaviour("status")
async def _status(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Reply(b"as you asked\n", "text/plain", int(asked.argument)).encode())


@behaviour("redirect")
async def _redirect(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    left = int(asked.argument)
    to = {"Location": f"/redirect/{left - 1}"}
    writer.write((Reply(b"", status=302, headers=to) if left else Reply(PICTURE)).encode())


@behaviour("redirect-to")
async def _redirect_to(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    to = {"Location": asked.option("url", "/").encode().decode("latin-1")}
    status = int(asked.option("status", "302"))
    writer.write(Reply(b"moved\n", "text/plain", status, to).encode())


async def _drip(data: bytes, asked: Asked, writer: asyncio.StreamWriter) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(float(asked.option("ms", "100")) / 1000)


@behaviour("slow-headers")
async def _slow_headers(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    await _drip(Reply(PICTURE).encode(), asked, writer)


@behaviour("slow-body")
async def _slow_body(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    status = int(asked.option("status", "200"))
    writer.write(Reply(b"", status=status, declared=len(PICTURE) * 20).encode())
    await _drip(PICTURE * 20, asked, writer)


@behaviour("hang")
async def _hang(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


@behaviour("close")
async def _close(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.close()


@behaviour("endless")
async def _endless(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nConnection: close\r\n\r\n")
    while not writer.is_closing():
        writer.write(PICTURE * 200)
        await writer.drain()


@behaviour("big")
async def _big(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Reply(PICTURE.ljust(int(asked.argument), b"\0")).encode())


@behaviour("reset")
async def _reset(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    whole = Reply(PICTURE * 100).encode()
    writer.write(whole[: len(whole) // 2])
    await writer.drain()
    await asyncio.sleep(0.05)
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@behaviour("short")
async def _short(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Reply(PICTURE * 2).encode()[: -len(PICTURE)])
    await writer.drain()
    writer.close()


@behaviour("long")
async def _long(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Reply(PICTURE).encode() + b"HTTP/1.1 200 Smuggled\r\nContent-Length: 0\r\n\r\n")


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nTransfer-Encoding: chunked\r\n\r\n"


@behaviour("chunked")
async def _chunked(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    parts = (PICTURE[i : i + 10] for i in range(0, len(PICTURE), 10))
    writer.write(CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n")


@behaviour("chunked-broken")
async def _chunked_broken(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(CHUNKED + b"a\r\n" + PICTURE[:10] + b"\r\nnot-a-size\r\n")
    await writer.drain()
    writer.close()


@behaviour("gzip")
async def _gzip(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Reply(gzip.compress(PICTURE), headers={"Content-Encoding": "gzip"}).encode())


@behaviour("gzip-bomb")
async def _gzip_bomb(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    bomb = gzip.compress(bytes(int(asked.argument or "100") * 1_000_000), compresslevel=1)
    writer.write(Reply(bomb, headers={"Content-Encoding": "gzip"}).encode())


@behaviour("encoded")
async def _encoded(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Reply(PICTURE, headers={"Content-Encoding": "exotic"}).encode())


@behaviour("header-flood")
async def _header_flood(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    flood = {f"X-{number}": "x" for number in range(10_000)}
    writer.write(Reply(PICTURE, headers=flood).encode())


@behaviour("header-long")
async def _header_long(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    long = {f"X-{number}": "x" * 60_000 for number in range(17)}
    writer.write(Reply(PICTURE, headers=long).encode())


@behaviour("continue-flood")
async def _continue_flood(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()


@behaviour("garbage")
async def _garbage(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await writer.drain()
    writer.close()


@behaviour("retry-after")
async def _retry_after(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    wait = {"Retry-After": asked.argument}
    writer.write(Reply(b"", "", int(asked.option("status", "503")), wait).encode())


@behaviour("flaky")
async def _flaky(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    failing = origin.hits[asked.path] <= int(asked.argument)
    status = int(asked.option("status", "503")) if failing else 200
    if status:
        writer.write(Reply(PICTURE, status=status).encode())
    else:
        writer.close()


@behaviour("html")
async def _html(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(
        Reply(b"<!DOCTYPE html>\n<html><p>Please sign in</p></html>", "text/html").encode()
    )


@behaviour("empty")
async def _empty(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Reply(b"").encode())


@behaviour("echo")
async def _echo(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    seen = {"method": asked.method, "target": asked.target, "headers": dict(asked.headers)}
    text = json.dumps(seen | {"body": asked.body.decode("latin-1")})
    writer.write(Reply(text.encode(), "application/json").encode())


@behaviour("_stats")
async def _stats(origin: Origin, asked: Asked, writer: asyncio.StreamWriter) -> None:
    names = ("hits", "connections", "open", "peak")
    text = json.dumps({name: getattr(origin, name) for name in names})
    writer.write(Reply(text.encode(), "application/json").encode())


# --- as a fixture, as a process -------------------------------------------------------------------
@pytest.fixture(scope="session")
def origin_server() -> Iterator[Origin]:
    server = Origin()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def origin(origin_server: Origin) -> Origin:
    """The session's origin, with nothing registered and nothing counted."""
    origin_server.forget()
    return origin_server


async def _main(port: int, server: Origin) -> None:
    async with server.listening(port) as listening:
        print(json.dumps({"port": server.port, "url": server.url}), flush=True)
        await listening.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A hostile HTTP origin on loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    asyncio.run(_main(options.port, Origin(options.folder, options.latency_ms)))
