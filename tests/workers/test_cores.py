"""How many workers a host starts, and what they do to the others."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import Mock

import pytest

from config import cores
from imageproc.workers.priority import set_cpu_priority


def test_a_sandbox_that_forbids_the_call_is_no_reason_to_die(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nice = Mock()
    monkeypatch.setattr(os, "nice", nice)
    monkeypatch.setattr(os, "sched_setscheduler", Mock(side_effect=PermissionError))
    set_cpu_priority()
    nice.assert_called_once_with(10)


@pytest.mark.parametrize(
    ("quota", "workers"),
    [("max 100000", 4), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("", 4)],
)
def test_a_container_gets_workers_by_its_quota(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 6, 7})
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    if quota:
        cores.QUOTA.write_text(f"{quota}\n")
    assert cores.cores() == workers
