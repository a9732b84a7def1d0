"""Workers on machines of their own, as docker compose has them: they share no folder."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.ground import Ground, kill
from tests.faults.ledger import SEED, Ledger
from tests.faults.trees import Web
from tests.support.servers.postgres import Postgres
from tests.support.servers.rclone import Rclone

pytestmark = pytest.mark.timeout(3000)
LONG = pytest.mark.faults


@pytest.fixture
def machines(_postgres: Postgres, _rclone: Rclone, tmp_path: Path) -> Iterator[Ground]:
    """Two, with the product's own times."""
    _postgres.start()
    _rclone.start()
    ground = Ground(_postgres, _rclone, kind=Web, LEASE_SECONDS="10", TICK_SECONDS="5")
    try:
        ground.service.start()
        key = Path(ground.service.env["DATA_DIR"], "secret-key").read_text()
        for name in ("first", "second"):
            # As SECRET_KEY does in production: tasks are signed.
            (tmp_path / name).mkdir()
            (tmp_path / name / "secret-key").write_text(key)
            ground.workers(DATA_DIR=str(tmp_path / name))
        yield ground
    finally:
        ground.close()


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=LONG)], ids=["short", "long"])
def test_a_killed_worker_s_images_run_elsewhere_and_none_is_blamed(
    machines: Ground, ledger: Ledger, kills: int
) -> None:
    dice, recovery = random.Random(SEED), []
    machines.origin.waits["slow"] = 1000  # so that much is in hand
    for _ in range(kills):
        request_id = machines.upload(machines.good(160, wait="slow"))
        machines.until(lambda: len(machines.in_hand()) >= 40)
        lost = machines.in_hand()
        kill(dice.choice(machines.processes("images.worker")))
        recovery.append(machines.recovery(lost))
        machines.until(lambda r=request_id: machines.done(r) == 160)  # type: ignore[misc]
    verdict = machines.finish()
    [(blamed,)] = machines.query("SELECT count(*) FROM imageproc_productimage WHERE lost_count > 0")
    ledger.close(verdict, recovery, kills=kills, blamed=blamed)
    # By chance one was in the codec while it was watched; never the dozens that were not.
    assert blamed <= kills // 10
    assert max(recovery) < 60
