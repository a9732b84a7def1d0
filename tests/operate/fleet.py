"""Several worker hosts on one PostgreSQL and one bucket, and whoever looks at them from outside."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings

from tests.faults.checker import FINAL, Promise, Verdict, judge
from tests.faults.ground import webhooks_at
from tests.support import numbered
from tests.support.origin import Origin
from tests.support.servers.process import Server, free_ports, leash
from tests.support.servers.s3 import Bucket
from tests.support.sheet import sheet_of
from tests.workers.harness import run

ISLAND = Path(__file__).with_name("island.py")
# Leases of 3 s, so that a test need not wait half a minute for a host that is cut off.
LEASE_SECONDS = 3
UPLOAD = """
from django.contrib.auth.models import User
from imageproc.intake import Options, Upload, accept
owner, _ = User.objects.get_or_create(username="fleet")
options = Options(webhook_url={hook!r})
print(accept(Upload(owner.pk, open({sheet!r}, "rb"), "in.csv", "http://127.0.0.1", options)).id)
"""


class Host(Server):
    """A worker tree on an island: the signal that stops the island's process cuts its cables."""

    name = "host"

    def __init__(self, title: str, env: dict[str, str], origin_port: int) -> None:
        super().__init__()
        self.title = title
        database, storage = free_ports(2)
        self.env = env | {
            "DATA_DIR": str(self.folder / "data"),
            "DATABASE_URL": _moved(env["DATABASE_URL"], database) + f"?application_name={title}",
            "S3_ENDPOINT_URL": _moved(env["S3_ENDPOINT_URL"], storage),
        }
        self.cables = [
            f"{database}:{urlsplit(env['DATABASE_URL']).port}",
            f"{storage}:{urlsplit(env['S3_ENDPOINT_URL']).port}",
            f"{origin_port}:{origin_port}",  # its port stands in the CSV
        ]

    def command(self) -> list[str]:
        return [*leash(), sys.executable, str(ISLAND), self.title, *self.cables]

    def is_ready(self) -> bool:
        return True  # several start side by side: Fleet.wait_for_workers

    def cut(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def mend(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


class Fleet:
    def __init__(self, url: str, bucket: Bucket, origin: Origin, hosts: int = 3) -> None:
        self.url, self.bucket, self.origin = url, bucket, origin
        self.promises: list[Promise] = []
        self.env = os.environ | {
            "SECRET_KEY": settings.SECRET_KEY,
            "HTTPS": "false",
            "WORKERS": "1",
            "LEASE_SECONDS": str(LEASE_SECONDS),
            "TICK_SECONDS": "0.5",
            "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
            "OUTBOUND_ALLOW_PORTS": str(origin.port),
            "DATABASE_URL": url,
            **bucket.environ,
        }
        origin.latency_ms = 50
        origin.serve("/hook", b"ok", content_type="text/plain")
        self.hosts = [Host(f"host-{n}", self.env, origin.port) for n in range(hosts)]

    def start(self) -> None:
        for host in self.hosts:
            host.start()

    def close(self) -> None:
        for host in self.hosts:
            host.close()

    def upload(self, images: int) -> str:
        """A CSV of so many sound images, by the domain's own door; the request's id."""
        first = sum(len(promise.urls) for promise in self.promises)
        urls = [numbered.url_of(self.origin, n) for n in range(first, first + images)]
        sheet = self.hosts[0].folder / "in.csv"
        sheet.write_text(sheet_of([[str(n), f"Shoe {n}", url] for n, url in enumerate(urls)]))
        code = UPLOAD.format(hook=f"{self.origin.url}/hook", sheet=str(sheet))
        data = str(self.hosts[0].folder / "upload")
        done = run("shell", "-v0", "-c", code, env=self.env | {"DATA_DIR": data})
        assert done.returncode == 0, done.stderr
        request_id = done.stdout.split()[-1]
        self.promises.append(Promise(request_id, dict.fromkeys(urls, "COMPLETED")))
        return request_id

    # --- Looking in from outside ------------------------------------------------------------------
    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def until(self, what: Callable[[], Any], seconds: float = 120.0) -> Any:
        """The first truthy answer of ``what``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if answer := what():
                return answer
            time.sleep(0.05)
        logs = "\n".join(f"{host.title}:\n{host.log_tail()}" for host in self.hosts)
        raise AssertionError(f"nothing after {seconds} s\n{logs}")

    def wait_for_workers(self, *, of: list[Host], after: Any = None) -> None:
        """Until both clusters of these hosts have beaten their heart, after a moment if given."""
        sql = "SELECT count(*) FROM imageproc_clusterheartbeat WHERE host = ANY(%s)"
        sql += " AND beat_at > coalesce(%s::timestamptz, '-infinity')"
        names = [host.title for host in of]
        self.until(lambda: self.query(sql, names, after)[0][0] >= 2 * len(of), 180)

    def done(self, request_id: str) -> int:
        """Images in a final state, counted row by row."""
        sql = "SELECT count(*) FROM imageproc_productimage WHERE request_id=%s AND status = ANY(%s)"
        return int(self.query(sql, request_id, list(FINAL))[0][0])

    def images(self) -> list[tuple[Any, ...]]:
        """Every image row with all that is written when it ends."""
        return self.query("SELECT * FROM imageproc_productimage ORDER BY id")

    def finish(self) -> Verdict:
        """Wait until every promise and its webhook are kept, and judge."""

        def told() -> set[str]:
            return {message for message, _ in webhooks_at(self.origin)}

        self.until(lambda: len(told()) >= len(self.promises), 240)
        return judge(self.promises, self.url, self.bucket.objects(), webhooks_at(self.origin))


def _moved(url: str, port: int) -> str:
    """The same address at another port."""
    return url.replace(f":{urlsplit(url).port}", f":{port}", 1)
