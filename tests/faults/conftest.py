"""The ground of the fault suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.ground import Ground
from tests.support.servers.postgres import Postgres
from tests.support.servers.rclone import Rclone

FETCH_DEADLINE = 5
HOST_PATIENCE = 20
# Budgets small enough that an image can exceed them within a test. What is written at the end of
# an image's file says what the codec does with it.
KILLERS: dict[str, Any] = {
    "DJANGO_SETTINGS_MODULE": "tests.support.crash_settings",
    "CRASH_AT": ",".join(f"compress:before@codec-{how}={how}" for how in ("kill", "eat", "spin")),
    "MAX_WORKER_BYTES": "500000000",
    "MAX_CODEC_CPU_SECONDS": "3",
    "FETCH_DEADLINE": str(FETCH_DEADLINE),
    "MAX_ATTEMPTS": "3",
    "HOST_PATIENCE": str(HOST_PATIENCE),
    "MAX_IMAGE_BYTES": "1000000",
}


@pytest.fixture(scope="session")
def _ground(_postgres: Postgres, _rclone: Rclone) -> Iterator[Ground]:
    _postgres.start()
    _rclone.start()
    made = Ground(_postgres, _rclone, **KILLERS)
    made.service.start()
    yield made
    made.close()


@pytest.fixture
def ground(_ground: Ground) -> Ground:
    """One service for all scenarios that it must survive: each adds its own requests."""
    _ground.postgres.start()
    assert _ground.proxy
    _ground.proxy.mode = "pass"
    _ground.service.start()
    return _ground
