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
from tests.faults.disk import fill, mount, mounted
from tests.faults.ground import Ground
from tests.faults.ledger import Ledger
from tests.faults.trees import Web
from tests.support.servers.postgres import Postgres

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
@pytest.mark.parametrize("images", [200, pytest.param(400, marks=LONG)], ids=["short", "long"])
def test_a_disk_that_takes_nothing(
    postgres: Postgres, ledger: Ledger, disk: Path, how: str, images: int
) -> None:
    """Nothing is called done meanwhile; it goes on when there is space again."""
    ground = Ground(postgres, None, DATA_DIR=str(disk))
    ballast = disk / "files" / "ballast"
    try:
        ground.service.start()
        ground.upload(ground.good(images))
        ground.until(lambda: any((disk / "files").rglob("*.jpg")))
        if how == "full":
            with pytest.raises(OSError, match="No space"):
                fill(ballast)
        else:
            ground.until(lambda: mount("-o", "remount,ro", str(disk / "files"), busy_is_fine=True))
        ground.until(lambda: "the storage takes no results" in ground.service.log.read_text())
        ballast.unlink() if how == "full" else mount("-o", "remount,rw", str(disk / "files"))
        ledger.close(ground.finish(400), images=images)
    finally:
        ground.close()


# The service's clock by seconds of the run: a day ahead, a day behind, right again.
JUMPS = ("+1d", "-1d", "+0")


@pytest.mark.parametrize(
    ("images", "jumps"),
    [(160, JUMPS[:2]), pytest.param(1000, JUMPS, marks=LONG)],
    ids=["short", "long"],
)
def test_the_clock_jumps(
    postgres: Postgres, ledger: Ledger, tmp_path: Path, images: int, jumps: tuple[str, ...]
) -> None:
    """The workers' clock, not the database's, whose clock is the one that counts.

    The web server keeps the right time: gunicorn does not run under libfaketime, whose utime(2)
    fails with EINVAL.
    """
    clock, env = fake_clock(tmp_path)
    # Two images always get 429: their host is down for them once the others are done.
    ground = Ground(postgres, None, kind=Web, MAX_ATTEMPTS="3", HOST_PATIENCE="30")
    try:
        ground.service.start()
        ground.workers(**env)
        early = 0
        for jump in jumps:
            retried = {
                f"{ground.origin.url}/retry-after/3?n={n}&at={jump}": "FAILED" for n in range(2)
            }
            request_id = ground.upload({**ground.good(images), **retried})
            ground.until(lambda r=request_id: ground.done(r) > 0)  # type: ignore[misc]
            clock.write_text(jump)
            early += early_returns(ground)
        ledger.close(ground.finish(400), jumps=" ".join(jumps), early=early)
        assert early == 0
        assert early_retries(ground) == []
        assert clocks_seen(ground) >= {1, -1}, "the clock did not jump"
    finally:
        ground.close()


# libfaketime 0.9.10 answers EINVAL to the call behind time.sleep, clock_nanosleep(2) on the
# monotonic clock, which it is told not to touch.
SLEEP = """
import select, time

def sleep(seconds):
    select.select([], [], [], seconds)

time.sleep = sleep
"""


def fake_clock(folder: Path) -> tuple[Path, dict[str, str]]:
    """A file that says by how much the clock is off, and the environment that goes by it."""
    if not Path(FAKETIME).exists():
        missing("libfaketime is not installed: run tests/support/servers/install-system-packages")
    (folder / "sitecustomize.py").write_text(SLEEP)
    clock = folder / "clock"
    clock.write_text("+0")
    return clock, {
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


# Of images that succeed: what their holder records is their end, and never another try.
LEASES = (
    "SELECT id, lease_id, lease_until FROM imageproc_productimage"
    " WHERE lease_id IS NOT NULL AND strpos(input_url, 'retry-after') = 0"
)


def early_returns(ground: Ground) -> int:
    """Pause a worker past its lease. Images that were taken from it before the lease was over."""
    early = 0
    with ground.paused(ground.processes("images.worker")[:1]):
        held = {image: (lease, until) for image, lease, until in ground.query(LEASES)}
        while held:
            time.sleep(0.1)
            [(now,)] = ground.query("SELECT now()")
            kept = {image: (lease, until) for image, lease, until in ground.query(LEASES)}
            for image, (lease, until) in list(held.items()):
                if image in kept and kept[image][0] == lease:
                    held[image] = kept[image]  # renewed, or as it was
                    continue
                del held[image]
                early += now < until and not ended(ground, image)
    return early


def ended(ground: Ground, image: object) -> bool:
    """Its holder has recorded it: it was not taken away."""
    sql = "SELECT status FROM imageproc_productimage WHERE id=%s"
    return ground.query(sql, image)[0][0] in FINAL


def early_retries(ground: Ground) -> list[object]:
    """Attempts that came sooner than the host asked (3 s), or than the backoff (4 s)."""
    sql = "SELECT attempt_log FROM imageproc_productimage WHERE error_code = 'host_busy'"
    wrong: list[object] = []
    for (entries,) in ground.query(sql):
        at = [datetime.fromisoformat(entry["at"]) for entry in entries]
        gaps = [(b - a).total_seconds() for a, b in pairwise(at)]
        if any(gap < least for gap, least in zip(gaps, (3, 4), strict=False)):
            wrong.append(gaps)
    return wrong


def clocks_seen(ground: Ground) -> set[int]:
    """By how many days the workers' log is off, in its lines."""
    today = datetime.now(UTC).date()
    days = re.findall(r"(?m)^(\d{4}-\d\d-\d\d)T", ground.trees[0].log.read_text())
    return {(date.fromisoformat(day) - today).days for day in days}
