"""The faults of stock q2 that imageproc.workers exists for: when one of these fails, read the
release notes of django-q2, and take the workaround out."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.workers.harness import KILL, TERM, Tree, lines, wait_for, wait_for_lines

Make = Callable[..., Tree]
PROCESSES = 6  # main, sentinel, pusher, monitor and two workers


@pytest.fixture
def stock(tree: Make) -> Tree:
    return started(tree)


def started(tree: Make) -> Tree:
    cluster = tree("qcluster", Q_CLUSTER_NAME="images").start()
    wait_for(lambda: len(cluster.processes()) == PROCESSES, 30)
    cluster.runs_a_task()
    return cluster


def workers(cluster: Tree) -> list[psutil.Process]:
    """The first two that the sentinel forked."""
    [sentinel] = psutil.Process(cluster.process.pid).children()
    return sorted(sentinel.children(), key=lambda process: process.pid)[:2]


def test_killed_idle_workers_wedge_it(stock: Tree, tmp_path: Path) -> None:
    for worker in workers(stock):
        worker.kill()
    wait_for(lambda: len(stock.processes()) == PROCESSES)  # it did replace them
    stock.enqueue("touch", tmp_path / "ran")
    time.sleep(3)
    assert not (tmp_path / "ran").exists()


def test_its_workers_outlive_it(stock: Tree) -> None:
    stock.signal(KILL)
    stock.wait()
    time.sleep(1)
    assert len(stock.processes()) == PROCESSES - 1


def test_a_stop_of_the_whole_group_kills_the_task_in_hand(stock: Tree, tmp_path: Path) -> None:
    stock.enqueue("nap", tmp_path / "log", 1.0)
    wait_for_lines(tmp_path / "log")
    stock.signal_everyone(TERM)
    time.sleep(2)
    assert lines(tmp_path / "log") == ["begin"]


def test_a_stop_of_the_whole_group_hangs_it(tree: Make) -> None:
    """The sentinel dies of the signal while it waits for the stop event; setting the event then
    waits for ever for the dead waiter. Now and then it is not waiting just then: three tries."""
    assert any(_hangs(started(tree)) for _ in range(3))


def _hangs(cluster: Tree) -> bool:
    os.killpg(cluster.process.pid, TERM)
    try:
        cluster.wait(5)
    except subprocess.TimeoutExpired:
        left = [process.pid for process in cluster.processes()]
        cluster.end()
        return left == [cluster.process.pid]
    return False


def test_it_never_gives_up_a_task_that_kills_its_process(stock: Tree, tmp_path: Path) -> None:
    """Three attempts are allowed; the fourth is the test's own doing, as ``retry`` is minutes."""
    stock.enqueue("die", tmp_path / "deaths")
    for count in range(1, 5):
        wait_for_lines(tmp_path / "deaths", *["x"] * count)
        stock.query("UPDATE django_q_ormq SET lock = %s", "2000-01-01 00:00:00")
