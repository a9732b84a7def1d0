"""Faults of django-q2's own cluster that imageproc.workers guards against: when one of these tests
fails, read the release notes of django-q2, and take the guard out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.workers.harness import KILL, Tree, wait_for

Make = Callable[..., Tree]
PROCESSES = 6  # main, sentinel, pusher, monitor and two workers
STOCK = "from django_q.cluster import Cluster; Cluster().start()"


@pytest.fixture
def stock(tree: Make) -> Tree:
    cluster = tree("shell", "-v0", "-c", STOCK, Q_CLUSTER_NAME="images").start()
    wait_for(lambda: len(cluster.processes()) == PROCESSES, 60)
    cluster.runs_a_task()
    return cluster


def workers(cluster: Tree) -> list[psutil.Process]:
    """The first two that the sentinel forked."""
    [sentinel] = psutil.Process(cluster.process.pid).children()
    return sorted(sentinel.children(), key=lambda process: process.pid)[:2]


def test_killed_idle_workers_block_it(stock: Tree, tmp_path: Path) -> None:
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
