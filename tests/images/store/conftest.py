"""The three kinds of storage, each as the service's own default storage."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from django.test import override_settings

from imageproc.images import store
from tests.support.servers.process import HOST
from tests.support.servers.rclone import Rclone
from tests.support.servers.s3 import Bucket
from tests.support.servers.seaweed import Seaweed


def s3_storages(bucket: Bucket, **options: Any) -> dict[str, Any]:
    """STORAGES as config/settings.py makes it, with quick time-outs."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=1,
        read_timeout=5,
        retries={"total_max_attempts": 1},
        max_pool_connections=64,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    defaults = {
        "bucket_name": bucket.name,
        "endpoint_url": bucket.endpoint,
        "region_name": "us-east-1",
        "access_key": bucket.access_key,
        "secret_key": bucket.secret_key,
        "client_config": config,
    }
    return {"default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": defaults | options}}


def file_storages(folder: Path) -> dict[str, Any]:
    backend = "imageproc.images.store.AtomicFileStorage"
    return {"default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}}


@dataclass(frozen=True)
class Answer:
    """What the stub answers to one request. ``status`` 0 breaks the connection."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class StubS3:
    """An endpoint that answers as it is told, for what no server at hand ever says, and keeps
    nothing but the requests. Where nothing is planned it answers 404."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, str], bytes]] = []
        self._answers: dict[str, deque[Answer]] = defaultdict(deque)
        self._server = ThreadingHTTPServer((HOST, 0), partial(_StubHandler, self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def bucket(self) -> Bucket:
        return Bucket("b", f"http://{HOST}:{self._server.server_port}")

    @property
    def puts(self) -> list[tuple[str, dict[str, str], bytes]]:
        return [call[1:] for call in self.calls if call[0] == "PUT"]

    @property
    def methods(self) -> list[str]:
        return [method for method, *_ in self.calls]

    def will(self, status: int, kept: bytes, **headers: str) -> None:
        """Answer the next PUT so, as if ``kept`` had been stored."""
        etag = f'"{hashlib.md5(kept, usedforsecurity=False).hexdigest()}"'
        self.plan("PUT", Answer(status, {"ETag": etag, **headers}))

    def plan(self, method: str, *answers: Answer) -> None:
        self._answers[method].extend(answers)

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        headers = dict(handler.headers.items())
        self.calls.append((handler.command, handler.path, headers, body))
        planned = self._answers[handler.command]
        answer = planned.popleft() if planned else Answer(404)
        if not answer.status:
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(answer.body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _StubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, stub: StubS3, *args: Any) -> None:
        self.stub = stub
        super().__init__(*args)

    def take(self) -> None:
        self.stub.take(self)

    def log_message(self, *_: Any) -> None:
        pass


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(_StubHandler, f"do_{_method}", _StubHandler.take)


@pytest.fixture
def stub() -> Iterator[StubS3]:
    server = StubS3()
    with override_settings(STORAGES=s3_storages(server.bucket)):
        yield server
    server.close()


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    """The store on files; the folder it uses."""
    with override_settings(STORAGES=file_storages(tmp_path / "files")):
        store.prepare(create=True)
        yield tmp_path / "files"


@pytest.fixture
def on_seaweed(bucket: Bucket) -> Iterator[Bucket]:
    with override_settings(STORAGES=s3_storages(bucket)):
        yield bucket


@pytest.fixture
def on_rclone(rclone: Rclone) -> Iterator[Rclone]:
    bucket = rclone.new_bucket()
    with override_settings(STORAGES=s3_storages(bucket)):
        yield rclone


@pytest.fixture(params=["files", "seaweed", "rclone"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The store on each kind of storage in turn."""
    kind: str = request.param
    if kind == "files":
        storages = file_storages(tmp_path / "files")
    else:
        server: Seaweed | Rclone = request.getfixturevalue(kind)
        storages = s3_storages(server.new_bucket())
    with override_settings(STORAGES=storages):
        store.prepare(create=True)
        yield kind
