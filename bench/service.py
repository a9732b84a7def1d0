"""The service itself: a CSV goes in, and the time runs until its output CSV is there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import requests

from bench import inputs
from bench.contestant import Lap
from bench.ground import Ground, OriginProcess

WORKER = "images.worker"


def lap(ground: Ground, origin: OriginProcess, names: list[str], count: int) -> Lap:
    """Process ``count`` images on the running service."""
    csv = inputs.sheet_of(inputs.urls(origin.url, names, count))
    with _write_commits(ground) as commits, ground.usage() as usage:
        started = datetime.now(UTC)
        request_id = ground.service.upload(csv)["requestId"]
        status = ground.service.finish(
            request_id, seconds=600, every=1.0
        )  # or asking costs 3 ms an image
        seconds = (datetime.fromisoformat(status["completedAt"]) - started).total_seconds()
    assert status["completedImages"] == count, status["errors"]
    return Lap(
        images=count,
        seconds=seconds,
        cpu_ms=usage.cpu() / count * 1000,
        worker_ms=usage.cpu("service", WORKER) / count * 1000,
        storage_ms=usage.cpu("storage") / count * 1000,
        bytes_out=status["bytesOut"],
        peak_mb=usage.peak_rss_mb(WORKER),
        commits_an_image=commits[0] / count,
    )


def idle(ground: Ground, seconds: float = 20.0) -> float:
    """CPU of the service with nothing to do, its database included, in percent of a core."""
    with ground.usage() as usage:
        time.sleep(seconds)
    return 100 * (usage.cpu("service") + usage.cpu("postgres")) / usage.seconds


def small_behind_large(ground: Ground, names: list[str], large: int) -> float:
    """Seconds from the upload of 5 images to their end, ``large`` images ahead of them."""
    service, base = ground.service, ground.near.url
    first = service.upload(inputs.sheet_of(inputs.urls(base, names, large)))["requestId"]
    while service.status(first, limit="1")["processedImages"] < 50:
        time.sleep(0.1)
    started = time.monotonic()
    second = service.upload(inputs.sheet_of(inputs.urls(base, names, 5)))["requestId"]
    service.finish(second)
    seconds = time.monotonic() - started
    cancel = f"{service.address}/api/requests/{first}/cancel"
    requests.post(cancel, headers=service.headers, timeout=30).raise_for_status()
    return seconds


@contextmanager
def _write_commits(ground: Ground) -> Iterator[list[int]]:
    """The number of transactions that wrote, once the block has ended: only these have an id
    (https://www.postgresql.org/docs/current/transaction-id.html). Reading one's own costs one."""
    count: list[int] = []
    with psycopg.connect(ground.service.env["DATABASE_URL"], autocommit=True) as connection:

        def newest() -> int:
            row = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
            assert row is not None
            return int(row[0])

        before = newest()
        yield count
        count.append(newest() - before - 1)
