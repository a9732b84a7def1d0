"""A SIGKILL before and after each step: nothing is lost by it, and nothing done twice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.ledger import Ledger
from tests.support.crash import POINTS
from tests.support.servers.postgres import Postgres
from tests.support.servers.rclone import Rclone

pytestmark = pytest.mark.timeout(900)
# These run in the long form only: a sender that dies is waited for a minute, a request releases its
# lease only once, and an ingest or a completion that has died five times ends the request with a
# reason. When a process dies in one task, its neighbours may lose theirs, which counts, too.
ALONE = {
    *("send:before", "send:after", "release:after", "webhook:before", "webhook:after"),
    *("cursor:before", "rows:before"),
}


def crash_at(
    points: Iterable[str], images: int, postgres: Postgres, rclone: Rclone, ledger: Ledger
) -> None:
    """Run a request through a service that is killed once at each of ``points``."""
    expected = set(points)
    postgres.start()
    rclone.start()
    armed = ",".join(f"{point}=1" for point in expected)
    ground = Ground(
        postgres,
        rclone,
        DJANGO_SETTINGS_MODULE="tests.support.crash_settings",
        CRASH_AT=armed,
        LEASE_SECONDS="4",
    )
    try:
        ground.service.start()
        ground.upload(ground.good(images))
        verdict = ground.finish(400)
        folder = Path(ground.service.env["DATA_DIR"]) / "crashed"
        fired = {path.name for path in folder.iterdir()} if folder.exists() else set()
        ledger.close(verdict, points=f"{len(fired)} of {len(expected)}")
        assert fired == expected
    finally:
        ground.close()


def test_every_point_in_one_run(postgres: Postgres, rclone: Rclone, ledger: Ledger) -> None:
    crash_at(set(POINTS) - ALONE, 80, postgres, rclone, ledger)


@pytest.mark.faults
@pytest.mark.parametrize("point", POINTS)
def test_each_point_alone(postgres: Postgres, rclone: Rclone, ledger: Ledger, point: str) -> None:
    # Nothing is returned before something has died.
    crash_at(
        {point} | ({"claim:after"} if point == "return:after" else set()),
        60,
        postgres,
        rclone,
        ledger,
    )
