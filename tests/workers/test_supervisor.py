"""What keeps the processes running, without processes: restarts, repeated calls, the watchdog."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from imageproc.workers import board, keeper, periodic, queue, supervisor
from imageproc.workers.supervisor import Program, Supervisor
from tests.workers.harness import wait_for


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The supervisor answers SIGTERM and SIGINT; afterwards pytest does again."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
        signal.signal(number, handler)


def test_a_program_that_keeps_failing_is_started_less_and_less_often() -> None:
    program = Program("one", ["true"])
    waits = []
    for lived in (0, 0, 0, 0, 0, 60, 0, 0):
        program.started_at = time.monotonic() - lived
        waits.append(program.backoff())
    assert waits == [1, 2, 4, 8, 16, 0, 2, 4]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137), ("sys.exit(0)", 1)],
)
def test_a_program_that_never_starts_ends_all_with_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, code: str, exit_code: int
) -> None:
    monkeypatch.setattr(supervisor, "GIVE_UP", 1)
    monkeypatch.setattr(supervisor, "set_process_name", lambda _: None)
    other = Program("other", ["sleep", "60"])
    failing = Program("failing", [sys.executable, "-S", "-c", f"import os, sys; {code}"])
    stopped: list[bool] = []
    whole = Supervisor([other, failing], grace=10, on_stop=lambda: stopped.append(other.running()))
    assert whole.run() == exit_code
    assert stopped == [True]
    assert other.process is not None
    assert other.process.wait(0) == -signal.SIGTERM


def test_a_repeated_call_that_fails_waits_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a minute, and as before once it succeeds. Each call is made in one thread."""
    waits: list[float] = []
    errors: list[Exception | None] = [
        *(OperationalError("away"), ValueError("a bug"), OperationalError("away")),
        *[OperationalError("away")] * 4,
        None,
        OperationalError("away"),
    ]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            threading.Event().wait()  # for good: its thread ends with this process

    def call() -> None:
        if error := errors[len(waits)]:
            raise error

    monkeypatch.setattr(periodic, "time", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(periodic, "close_old_connections", lambda: None)
    monkeypatch.setattr(periodic, "connection", SimpleNamespace(close=lambda: None))
    periodic.every(2, "test", call)
    wait_for(lambda: len(waits) == 9)
    assert waits == [4, 8, 16, 32, 60, 60, 60, 2, 4]


@pytest.fixture
def stuck() -> Iterator[None]:
    yield
    board.show_stuck(False)
    board.show_all_busy(False)


@pytest.mark.django_db
@pytest.mark.usefixtures("stuck")
def test_a_task_that_no_free_worker_takes_shows_that_the_cluster_is_stuck(settings: Any) -> None:
    """Not one that waits for a busy worker, not a queue that moves, not another cluster's task."""
    settings.WATCHDOG_SECONDS = 0
    dog = keeper.Watchdog(queue.IMAGES)
    queue.waiting_tasks(queue.IMAGES).create(key=queue.CONTROL, payload="x")
    for _ in range(2):
        dog.look()
    queue.enqueue_pump()
    dog.look()
    board.show_all_busy(True)
    for _ in range(2):
        dog.look()
    assert not board.stuck()
    board.show_all_busy(False)
    queue.waiting_tasks(queue.IMAGES).delete()
    queue.enqueue_pump()
    dog.look()
    assert not board.stuck()
    dog.look()
    assert board.stuck()
