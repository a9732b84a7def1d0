"""Which workers are bound to a core; that they really are: test_faults.py."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import Mock

import pytest
from pytest_django import Settings

from config import cores as machine
from imageproc.workers import cores


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Mock:
    """The call that binds, of a process that may run on four cores."""
    call = Mock()
    settings.WORKERS_PINNED = True
    monkeypatch.setattr(os, "nice", lambda _: None)
    monkeypatch.setattr(os, "sched_setscheduler", Mock(side_effect=PermissionError))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 6, 7})
    monkeypatch.setattr(os, "sched_setaffinity", call)
    return call


@pytest.mark.parametrize(("place", "core"), [(0, 2), (3, 7), (4, 2), (6, 6)])
def test_each_place_has_its_core(bound: Mock, place: int, core: int) -> None:
    cores.settle(place, workers=7)
    bound.assert_called_once_with(0, {core})


def test_fewer_workers_than_cores_go_where_there_is_room(bound: Mock) -> None:
    cores.settle(0, workers=3)
    bound.assert_not_called()


def test_nobody_is_bound_unless_the_operator_says_so(bound: Mock, settings: Settings) -> None:
    settings.WORKERS_PINNED = False  # as it is by default
    cores.settle(0, workers=4)
    bound.assert_not_called()


def test_a_sandbox_without_the_call_is_no_reason_to_die(bound: Mock) -> None:
    bound.side_effect = PermissionError
    cores.settle(0, workers=4)
    bound.assert_called_once_with(0, {2})


@pytest.mark.parametrize(
    ("quota", "workers"),
    [("max 100000", 4), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("", 4)],
)
def test_a_container_gets_workers_by_its_quota(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 6, 7})
    monkeypatch.setattr(machine, "QUOTA", tmp_path / "cpu.max")
    if quota:
        machine.QUOTA.write_text(f"{quota}\n")
    assert machine.cores() == workers
