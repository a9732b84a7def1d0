"""The real parts that a measurement runs on: PostgreSQL, an S3 server, an origin, the service."""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

from bench import inputs
from bench.usage import Usage
from tests.support.servers.postgres import Postgres
from tests.support.servers.process import HOST, Server, free_ports, leash
from tests.support.servers.seaweed import Seaweed
from tests.support.servers.service import Service

ROOT = Path(__file__).resolve().parents[1]
OPERATOR = "bench"
AnyServer = TypeVar("AnyServer", bound=Server)


class OriginProcess(Server):
    """``tests.support.origin`` in a process of its own: its CPU is not counted as theirs."""

    name = "origin"

    def __init__(self, pictures: Path, latency_ms: int) -> None:
        super().__init__()
        self.pictures, self.latency_ms = pictures, latency_ms
        [self.port] = free_ports(1)

    def command(self) -> list[str]:
        options = ["--port", str(self.port), "--folder", str(self.pictures)]
        latency = ["--latency-ms", str(self.latency_ms)]
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
        module = "tests.support.origin"
        start = f"{program}; import runpy; runpy.run_module({module!r}, run_name='__main__')"
        return [*leash(), sys.executable, "-c", start, *options, *latency]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/_stats", timeout=5).ok
        except requests.RequestException:
            return False


@dataclass(frozen=True)
class Ground:
    """``near`` answers at once, ``far`` after 250 ms."""

    postgres: Postgres
    seaweed: Seaweed
    near: OriginProcess
    far: OriginProcess
    service: Service
    password: str  # of OPERATOR, a superuser, who also owns the key that the calls send

    def usage(self) -> Usage:
        """Of the service and the servers that it uses, without the origins."""
        return Usage(
            {
                "service": self.service.pid,
                "postgres": self.postgres.pid,
                "storage": self.seaweed.pid,
            }
        )


@contextmanager
def ground(workers: int, *, far_ms: int = 250) -> Iterator[Ground]:
    """Everything started and empty; all of it ends with the block."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="imageproc-bench-")))
        inputs.write_to(folder, inputs.photographs() | inputs.small_pictures())
        (folder / "photographs").mkdir()
        inputs.write_to(folder / "photographs", inputs.photographs())
        near, far = (_started(stack, OriginProcess(folder, ms)) for ms in (0, far_ms))
        postgres, seaweed = _started(stack, Postgres(durable=True)), _started(stack, Seaweed())
        env = {"DATABASE_URL": postgres.migrated_database(), **seaweed.new_bucket().environ}
        service = _started(stack, Service(near.port, far.port, env=env | _production(workers)))
        password = secrets.token_urlsafe(12)
        create = ["createsuperuser", "--noinput", "--username", OPERATOR, "--email", "o@localhost"]
        service.manage(*create, DJANGO_SUPERUSER_PASSWORD=password)
        service.use_a_key(OPERATOR)
        yield Ground(postgres, seaweed, near, far, service, password)


def _production(workers: int) -> dict[str, str]:
    """With DEBUG on, Django would note every query."""
    return {
        **{"SECRET_KEY": secrets.token_urlsafe(50), "HTTPS": "false", "CALLS_PER_MINUTE_KEY": "0"},
        **{"WORKERS": str(workers), "LOG_LEVEL": "WARNING"},
    }


def _started(stack: ExitStack, server: AnyServer) -> AnyServer:
    stack.callback(server.close)
    server.start()
    return server
