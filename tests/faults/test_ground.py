"""The ground under the service: a disk that is full or read-only, a clock that jumps."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.faults.conftest import Ledger
from tests.faults.ground import Ground
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.timeout(900)
LONG = pytest.mark.faults
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for what is stored: 24 MB of tmpfs."""
    if os.geteuid() != 0:
        missing("only root can mount a tmpfs")
    folder = tmp_path / "data"
    (folder / "files").mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder / "files"))
    yield folder
    subprocess.run(["umount", "-l", str(folder / "files")], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


def _mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


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
                _fill(ballast)
        else:
            _mount("-o", "remount,ro", str(disk / "files"))
        sql = "SELECT count(*) FROM imageproc_productimage WHERE error_code = 'storage_failed'"
        ground.until(lambda: ground.query(sql)[0][0] > 0 or ground.done(request_id) == images)
        ballast.unlink() if how == "full" else _mount("-o", "remount,rw", str(disk / "files"))
        ledger.close(ground.finish(400), images=images)
    finally:
        ground.close()


@LONG
@pytest.mark.parametrize("jump", ["+1d", "-1d"])
@pytest.mark.parametrize("images", [400])
def test_the_clock_jumps(
    postgres: Postgres, ledger: Ledger, tmp_path: Path, jump: str, images: int
) -> None:
    """The service's clock, not the database's, whose clock is the one that counts."""
    if not Path(FAKETIME).exists():
        missing("libfaketime is not installed: run tests/servers/install-system-packages")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    ground = Ground(
        postgres,
        None,
        LD_PRELOAD=FAKETIME,
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_CACHE_DURATION="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        # Or gunicorn's own futimens(2) fails.
        NO_FAKE_STAT="1",
        FAKE_UTIME="0",
        MAX_ATTEMPTS="3",
    )
    try:
        ground.service.start()
        retried = {f"{ground.origin.url}/retry-after/3?n={n}": "FAILED" for n in range(2)}
        request_id = ground.upload({**ground.good(images), **retried})
        ground.until(lambda: ground.done(request_id) > 0)
        clock.write_text(jump)
        verdict = ground.finish(400)
        # Three attempts, with 3 and then at least 4 seconds between them.
        sql = (
            "SELECT count(*) FROM imageproc_productimage i JOIN imageproc_processingrequest r"
            " ON r.id = i.request_id WHERE i.error_code = 'host_busy'"
            " AND i.finished_at - r.started_at < interval '7 seconds'"
        )
        early = ground.query(sql)[0][0]
        ledger.close(verdict, jump=jump, early=early)
        assert early == 0
    finally:
        ground.close()
