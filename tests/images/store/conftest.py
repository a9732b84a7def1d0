"""The three kinds of storage, each as the service's own default storage."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from django.test import override_settings

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


class StubS3:
    """An endpoint that answers PUTs as it is told, and keeps nothing but what it was sent."""

    def __init__(self) -> None:
        self.puts: list[tuple[str, dict[str, str], bytes]] = []
        self._answers: deque[tuple[int, bytes]] = deque()
        self._server = ThreadingHTTPServer((HOST, 0), partial(_StubHandler, self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def bucket(self) -> Bucket:
        return Bucket("b", f"http://{HOST}:{self._server.server_port}")

    def will(self, status: int, kept: bytes) -> None:
        """Answer the next PUT so, as if ``kept`` had been stored; 0 breaks the connection."""
        self._answers.append((status, kept))

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.puts.append((handler.path, dict(handler.headers.items()), body))
        status, kept = self._answers.popleft()
        if not status:
            handler.close_connection = True
            return
        handler.send_response(status)
        handler.send_header("ETag", f'"{hashlib.md5(kept, usedforsecurity=False).hexdigest()}"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _StubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, stub: StubS3, *args: Any) -> None:
        self.stub = stub
        super().__init__(*args)

    def do_PUT(self) -> None:
        self.stub.take(self)

    def log_message(self, *_: Any) -> None:
        pass


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
        yield kind
