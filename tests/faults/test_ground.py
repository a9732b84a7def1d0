"""The ground under the service: a disk that is full or read-only, a clock that jumps."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.faults.checker import FINAL
from tests.faults.conftest import Ledger
from tests.faults.disk import fill, mount, mounted
from tests.faults.ground import Ground
from tests.faults.trees import Web
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.timeout(900)
LONG = pytest.mark.faults
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for what is stored: 24 MB of tmpfs."""
    if os.geteuid() != 0:
        missing("only root can mount a tmpfs")
    (tmp_path / "data" / "files").mkdir(parents=True)
    with mounted(tmp_path / "data" / "files", "24m"):
        yield tmp_path / "data"


@pytest.mark.parametrize("how", ["full", "read-only"])
@pytest.mark.parametrize("images", [60, pytest.param(400, marks=LONG)], ids=["short", "long"])
def test_a_disk_that_takes_nothing(
    postgres: Postgres, ledger: Ledger, disk: Path, how: str, images: int
) -> None:
    """Nothing is called done meanwhile; it goes on when there is space again."""
    ground = Ground(postgres, None, DATA_DIR=str(disk))
    ballast = disk / "files" / "ballast"
    try:
        ground.service.start()
        request_id = ground.upload(ground.good(images))
        ground.until(lambda: ground.done(request_id) > 0)
        if how == "full":
            with pytest.raises(OSError, match="No space"):
                fill(ballast)
        else:
            mount("-o", "remount,ro", str(disk / "files"))
        sql = "SELECT count(*) FROM imageproc_productimage WHERE error_code = 'storage_failed'"
        ground.until(lambda: ground.query(sql)[0][0] > 0 or ground.done(request_id) == images)
        ballast.unlink() if how == "full" else mount("-o", "remount,rw", str(disk / "files"))
        ledger.close(ground.finish(400), images=images)
    finally:
        ground.close()


# The service's clock by seconds of the run: a day ahead, a day behind, right again.
JUMPS = ("+1d", "-1d", "+0")


@pytest.mark.parametrize("images", [160, pytest.param(1000, marks=LONG)], ids=["short", "long"])
def test_the_clock_jumps(postgres: Postgres, ledger: Ledger, tmp_path: Path, images: int) -> None:
    """The workers' clock, not the database's, whose clock is the one that counts.

    The web server keeps the right time: gunicorn does not run under libfaketime, whose utime(2)
    fails with EINVAL.
    """
    if not Path(FAKETIME).exists():
        missing("libfaketime is not installed: run tests/servers/install-system-packages")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    ground = Ground(postgres, None, kind=Web, MAX_ATTEMPTS="3")
    try:
        ground.service.start()
        ground.workers(
            LD_PRELOAD=FAKETIME,
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        early = 0
        for jump in JUMPS:
            retried = {
                f"{ground.origin.url}/retry-after/3?n={n}&at={jump}": "FAILED" for n in range(2)
            }
            request_id = ground.upload({**ground.good(images), **retried})
            ground.until(lambda r=request_id: ground.done(r) > 0)  # type: ignore[misc]
            clock.write_text(jump)
            early += early_returns(ground)
        ledger.close(ground.finish(400), jumps=" ".join(JUMPS), early=early)
        assert early == 0
        assert early_retries(ground) == []
        assert clocks_seen(ground) >= {1, -1}, "the clock did not jump"
    finally:
        ground.close()


LEASES = "SELECT id, lease_id, lease_until, now() FROM imageproc_productimage WHERE lease_id"


def early_returns(ground: Ground) -> int:
    """Pause a worker past its lease. Images that were taken from it before the lease was over."""
    worker = ground.processes("images.worker")[0]
    with ground.paused([worker]):
        time.sleep(0.3)  # what the other worker holds is renewed; this one's leases stand still
        held = {row[0]: row for row in ground.query(f"{LEASES} IS NOT NULL")}
        early = 0
        while held:
            time.sleep(0.1)
            [(now,)] = ground.query("SELECT now()")
            kept = {row[0]: row for row in ground.query(f"{LEASES} IS NOT NULL")}
            for image, (_, lease, until, _) in list(held.items()):
                if image in kept and kept[image][1] == lease:
                    held[image] = kept[image]
                else:
                    early += self_ended(ground, image) is False and now < until
                    del held[image]
        return early


def self_ended(ground: Ground, image: object) -> bool:
    """Its holder recorded it; otherwise it was taken away."""
    sql = "SELECT status FROM imageproc_productimage WHERE id=%s"
    return bool(ground.query(sql, image)[0][0] in FINAL)


def early_retries(ground: Ground) -> list[object]:
    """Attempts that came sooner than the host asked (3 s), or than the backoff (4 s)."""
    sql = "SELECT attempt_log FROM imageproc_productimage WHERE error_code = 'host_busy'"
    wrong: list[object] = []
    for (entries,) in ground.query(sql):
        at = [datetime.fromisoformat(entry["at"]) for entry in entries]
        gaps = [(b - a).total_seconds() for a, b in pairwise(at)]
        if len(gaps) != 2 or gaps[0] < 3 or gaps[1] < 4:
            wrong.append(gaps)
    return wrong


def clocks_seen(ground: Ground) -> set[int]:
    """By how many days the workers' log is off, in its lines."""
    today = datetime.now(UTC).date()
    days = re.findall(r"(?m)^(\d{4}-\d\d-\d\d)T", ground.trees[0].log.read_text())
    return {(date.fromisoformat(day) - today).days for day in days}
