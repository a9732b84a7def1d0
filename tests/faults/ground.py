"""The whole service under test, and a client that keeps a log of what was acknowledged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.faults.checker import FINAL, Promise, Verdict, judge
from tests.faults.trees import Web, Workers, descendants
from tests.support import numbered
from tests.support.hostile import HostileOrigin
from tests.support.origin import Origin
from tests.support.proxy import Proxy
from tests.support.servers.postgres import Postgres
from tests.support.servers.rclone import Rclone
from tests.support.servers.service import Service
from tests.support.sheet import sheet_of

PER_PRODUCT = 4


class Ground:
    """Service on PostgreSQL and, through a proxy, S3; an origin and a webhook receiver beside it.

    ``s3`` None: files under the data folder. ``kind`` Web: no workers but those of ``workers()``.
    """

    def __init__(
        self, postgres: Postgres, s3: Rclone | None, *, kind: type[Service] = Service, **env: str
    ) -> None:
        self.postgres = postgres
        # Some latency, so that a batch lasts long enough to be disturbed.
        self.origin, self.receiver = Origin(latency_ms=100), Origin()
        self.origin.start()
        self.receiver.start()
        self.receiver.serve("/hook", b"ok", content_type="text/plain")
        self.database_url = postgres.migrated_database()
        self.bucket = s3.new_bucket() if s3 else None
        self.proxy = Proxy(s3.endpoint) if s3 else None
        stored = self.bucket.environ if self.bucket else {}
        if self.proxy:
            stored = {**stored, "S3_ENDPOINT_URL": self.proxy.endpoint}
        self.hostile = HostileOrigin("127.0.0.2")
        self.hostile.start()
        self.service = kind(
            *(self.origin.port, self.receiver.port, self.hostile.port),
            env={
                "DATABASE_URL": self.database_url,
                "LEASE_SECONDS": "6",
                "TICK_SECONDS": "0.5",
                **stored,
                **env,
            },
        )
        self.trees: list[Workers] = []
        self.promises: list[Promise] = []
        self.drawn = 0

    def close(self) -> None:
        for server in (*self.trees, self.service):
            server.stop()
            server.close()
        for origin in (self.origin, self.receiver, self.hostile):
            origin.stop()
        if self.proxy:
            self.proxy.close()

    def workers(self, **env: str) -> Workers:
        """A worker tree, started, beside the others."""
        assert isinstance(self.service, Web)
        self.trees.append(Workers(self.service, env))
        self.trees[-1].start()
        return self.trees[-1]

    # --- The client -------------------------------------------------------------------------------
    def good(self, count: int, wait: str = "") -> dict[str, str]:
        """URLs of ``count`` sound images, each of another picture. ``wait``: see numbered.py."""
        first, self.drawn = self.drawn, self.drawn + count
        urls = [numbered.url_of(self.origin, n, wait) for n in range(first, first + count)]
        return dict.fromkeys(urls, "COMPLETED")

    def upload(self, urls: Mapping[str, str]) -> str:
        """Upload a CSV of these; log what was acknowledged."""
        each = list(urls)
        rows = [
            [str(n), f"Product {n}", " ".join(each[n : n + PER_PRODUCT])]
            for n in range(0, len(each), PER_PRODUCT)
        ]
        answer = self.service.upload(sheet_of(rows), webhookUrl=f"{self.receiver.url}/hook")
        self.promises.append(Promise(answer["requestId"], dict(urls)))
        return str(answer["requestId"])

    def upload_again(self, urls: list[str]) -> str:
        """Upload these without a promise, so that the request may be removed."""
        rows = [[str(n), f"Product {n}", url] for n, url in enumerate(urls)]
        return str(self.service.upload(sheet_of(rows))["requestId"])

    def change(self, sql: str) -> None:
        with psycopg.connect(self.database_url) as connection:
            connection.execute(sql.encode())

    def unsettled(self) -> int:
        """Requests that have not ended."""
        sql = "SELECT count(*) FROM imageproc_processingrequest WHERE NOT status = ANY(%s)"
        return int(self.query(sql, list(FINAL))[0][0])

    def collected(self) -> bool:
        """Whether nothing is left of removed requests, nor of pictures that nobody names."""
        removed = "SELECT 1 FROM imageproc_processingrequest WHERE removed_at IS NOT NULL"
        doomed = "SELECT 1 FROM imageproc_picture WHERE released OR doomed_at IS NOT NULL"
        return not self.query(removed) and not self.query(doomed)

    # --- Looking in from outside ------------------------------------------------------------------
    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, connect_timeout=5) as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def done(self, request_id: str) -> int:
        """Images in a final state, counted row by row."""
        sql = "SELECT count(*) FROM imageproc_productimage WHERE request_id=%s AND status = ANY(%s)"
        return int(self.query(sql, request_id, list(FINAL))[0][0])

    def in_hand(self) -> set[tuple[str, str]]:
        """(image, lease) of all that is being processed."""
        sql = "SELECT id::text, lease_id::text FROM imageproc_productimage WHERE status=%s"
        return {(image, lease) for image, lease in self.query(sql, "PROCESSING")}

    def processes(self, role: str) -> list[psutil.Process]:
        """Those called ``images.worker``, ``control.main``, … of this service."""
        roots = [server for server in (self.service, *self.trees) if server.running]
        return [found for root in roots for found in descendants(root.pid, role)]

    def victims(self, role: str) -> list[psutil.Process]:
        """What of this role can be killed now; "supervisor": the root of the service's tree."""
        if role == "supervisor":
            return [psutil.Process(self.service.pid)] if self.service.running else []
        return self.processes(role)

    def until(self, what: Callable[[], Any], seconds: float = 120.0) -> float:
        """Wait until ``what`` answers true; the seconds it took."""
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            with suppress(psycopg.OperationalError):
                if what():
                    return time.monotonic() - started
            time.sleep(0.05)
        logs = "\n".join(server.log_tail() for server in (self.service, *self.trees))
        raise AssertionError(f"nothing after {seconds} s\n{logs}")

    def finish(self, seconds: float = 240.0) -> Verdict:
        """Wait for every promise to end, or for the time to be over, and judge."""
        with suppress(AssertionError):
            self.until(self._at_rest, seconds)
        return judge(self.promises, self.database_url, self.objects(), self.webhooks())

    def _at_rest(self) -> bool:
        sql = "SELECT count(*) FROM imageproc_processingrequest WHERE NOT status = ANY(%s)"
        owed = "SELECT count(*) FROM imageproc_webhookdelivery WHERE status <> %s"
        return (
            self.query(sql, list(FINAL))[0][0] == 0
            and self.query(owed, "DELIVERED")[0][0] == 0
            and len({message for message, _ in self.webhooks()}) >= len(self.promises)
        )

    def webhooks(self) -> list[tuple[str, dict[str, Any]]]:
        return webhooks_at(self.receiver)

    def objects(self) -> dict[str, bytes]:
        if self.bucket is None:
            root = Path(self.service.env["DATA_DIR"]) / "files"
            files = (path for path in root.rglob("*") if path.is_file())
            return {str(path.relative_to(root)): path.read_bytes() for path in files}
        return self.bucket.objects()

    def objects_of(self, request_ids: list[str]) -> dict[str, bytes]:
        """What these requests have made."""
        mine = self.objects().items()
        return {key: data for key, data in mine if key.partition("/")[0] in request_ids}

    def recovery(self, lost: set[tuple[str, str]], seconds: float = 120.0) -> float:
        """Seconds until none of these leases holds its image any more."""
        return self.until(lambda: not (lost & self.in_hand()), seconds)

    @contextmanager
    def paused(self, processes: list[psutil.Process]) -> Iterator[None]:
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()


def webhooks_at(receiver: Origin) -> list[tuple[str, dict[str, Any]]]:
    """(webhook-id, body) of every delivery that arrived there."""
    return [
        (asked.headers["webhook-id"], json.loads(asked.body))
        for asked in receiver.asked
        if asked.method == "POST"
    ]


def kill(process: psutil.Process) -> bool:
    """SIGKILL; False if the process had ended before."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True
