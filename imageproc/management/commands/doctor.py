"""Says in one screen what is well and what is not."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.checks import run_checks
from django.core.management.base import BaseCommand
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from imageproc import checks, health
from imageproc.models import Switch
from imageproc.requests.report import fleet
from imageproc.workers import queue

OK, WARNING, BAD = "ok", "warning", "BAD"
CLOCK_SECONDS = 2.0
LONG_WAIT_SECONDS = 300
FEW_BYTES, FEW_SHARE = 1_000_000_000, 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """``remedy``: what to do, "" where all is well."""

    state: str
    text: str
    remedy: str = ""


class Command(BaseCommand):
    help = "Check database, storage, workers, queue, Redis, clock, disk and permissions."
    requires_system_checks: list[str] = []  # noqa: RUF012 -- they are one of the lines below

    def handle(self, *args: Any, **options: Any) -> None:
        states = []
        for name, check in CHECKS.items():
            for finding in _run(check):
                states.append(finding.state)
                self.stdout.write(f"{finding.state:8} {name:12} {finding.text}")
                if finding.remedy:
                    self.stdout.write(f"{'':22}{finding.remedy}")
        bad, doubts = states.count(BAD), states.count(WARNING)
        self.stdout.write(f"\n{bad} bad, {doubts} to look at, {states.count(OK)} well.")
        sys.exit(1 if bad else 0)


def _run(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; one that breaks is a finding, and the others go on."""
    try:
        yield from check()
    except Exception as error:  # noqa: BLE001 -- whatever broke is what is to be told
        reason = str(error).partition("\n")[0] or type(error).__name__
        yield Finding(BAD, reason, "See the lines above; the others may depend on them.")


def _settings() -> Iterator[Finding]:
    found = run_checks(tags=[checks.TAG])
    for one in found:
        yield Finding(BAD if one.is_serious() else WARNING, one.msg, one.hint or "")
    if not found:
        kind = "production" if settings.PRODUCTION else "a laptop's: open on loopback"
        yield Finding(OK, f"safe ({kind})")


def _database() -> Iterator[Finding]:
    started = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        reason = str(error).partition("\n")[0]
        yield Finding(BAD, f"does not answer: {reason}", "Start it, or set DATABASE_URL.")
        return
    ms = (time.perf_counter() - started) * 1000
    yield Finding(OK, f"{connection.vendor} answers in {ms:.0f} ms")
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        yield Finding(BAD, f"{len(missing)} migrations are missing", "Run manage.py prepare.")


def _clock() -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        yield Finding(OK, "the database's is this host's")
        return
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        there = float(cursor.fetchone()[0])
    apart = abs(there - before.timestamp())
    if apart > CLOCK_SECONDS:
        yield Finding(
            WARNING, f"{apart:.0f} s apart from the database's", "Run an NTP client on both hosts."
        )
    else:
        yield Finding(OK, f"{apart:.1f} s apart from the database's")


def _storage() -> Iterator[Finding]:
    where = f"bucket {settings.S3_BUCKET}" if settings.S3_BUCKET else "files on this host"
    if problem := health.check_storage():
        yield Finding(BAD, f"{where}: {problem}", "Check S3_…, or run manage.py prepare.")
    else:
        yield Finding(OK, f"{where}: written and read back")


def _workers() -> Iterator[Finding]:
    for name, slots in fleet.workers().items():
        if slots:
            yield Finding(OK, f"{slots} alive for {name}")
        else:
            yield Finding(BAD, f"none alive for {name}", "Start manage.py worker (or up).")
    for name, paused in fleet.paused().items():
        if paused:
            what = {Switch.INTAKE: "uploads", Switch.WORKERS: "workers"}[name]
            yield Finding(WARNING, f"{what} are paused", "Resume them in the admin, Switches.")


def _queue() -> Iterator[Finding]:
    waiting, oldest = sum(fleet.queue_depth().values()), max(fleet.oldest_wait().values())
    tasks = queue.waiting(queue.IMAGES) + queue.waiting(queue.CONTROL)
    text = f"{waiting:,} images and {tasks:,} tasks wait, the oldest image for {oldest:.0f} s"
    yield Finding(WARNING if oldest > LONG_WAIT_SECONDS else OK, text)


def _redis() -> Iterator[Finding]:
    if not settings.REDIS_URL:
        yield Finding(OK, "not used")
        return
    caches["default"].set("doctor", "well", 10)
    if caches["default"].get("doctor") == "well":
        yield Finding(OK, "written and read back")
    else:
        yield Finding(BAD, "what was written is not there", "Check REDIS_URL.")


def _disk() -> Iterator[Finding]:
    usage = shutil.disk_usage(settings.DATA_DIR)
    text = f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.0f} GB at {settings.DATA_DIR}"
    few = usage.free < max(FEW_BYTES, FEW_SHARE * usage.total)
    yield Finding(WARNING, text, "Free some space.") if few else Finding(OK, text)


def _permissions() -> Iterator[Finding]:
    folder = settings.DATA_DIR
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(BAD, f"this user cannot write to {folder}", "chown it to this user.")
    elif folder.stat().st_mode & 0o077:
        yield Finding(WARNING, f"other users can look into {folder}", f"chmod 700 {folder}")
    else:
        yield Finding(OK, f"{folder} is this user's alone")


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    "settings": _settings,
    "database": _database,
    "clock": _clock,
    "storage": _storage,
    "workers": _workers,
    "queue": _queue,
    "Redis": _redis,
    "disk": _disk,
    "permissions": _permissions,
}
