"""The grounds, and the table at the end: printed, and kept as JSON under var/."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.checker import Verdict
from tests.faults.ground import Ground
from tests.servers.postgres import Postgres
from tests.servers.rclone import Rclone

SEED = int(os.environ.get("FAULT_SEED", "20240617"))
RESULTS = Path(__file__).resolve().parents[2] / "var" / "faults.json"
_rows: list[dict[str, Any]] = []


class Ledger:
    """Takes the verdict of each scenario; any mismatch fails it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def close(self, verdict: Verdict, recovery: list[float] | None = None, **facts: Any) -> None:
        row: dict[str, Any] = {"scenario": self.name, "seed": SEED, **verdict.counts, **facts}
        if recovery:
            ordered = sorted(recovery)
            row["recovery_p95_s"] = round(ordered[int(0.95 * (len(ordered) - 1))], 1)
            row["recovery_max_s"] = round(ordered[-1], 1)
        _rows.append(row)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(_rows, indent=1))
        assert verdict.clean, "\n".join([str(row), *verdict.notes])


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    return Ledger(request.node.name)


FETCH_DEADLINE = 5
# Budgets small enough that an image can exceed them within a test; armed by the images' names.
KILLERS: dict[str, Any] = {
    "IMAGEPROC_CRASH_AT": ",".join(
        f"compress:before@/{how}.jpg={how}" for how in ("kill", "eat", "spin")
    ),
    "MAX_WORKER_BYTES": "500000000",
    "MAX_CODEC_CPU_SECONDS": "3",
    "FETCH_DEADLINE": str(FETCH_DEADLINE),
    "MAX_ATTEMPTS": "3",
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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not _rows:
        return
    terminalreporter.section(f"faults, seed {SEED}")
    for row in _rows:
        facts = "  ".join(f"{key} {value}" for key, value in row.items() if key != "scenario")
        terminalreporter.line(f"{row['scenario']}: {facts}")
