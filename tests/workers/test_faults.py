"""Any process may be killed: work goes on, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.workers.harness import INT, KILL, MANAGE, TERM, Tree, lines, wait_for, wait_for_lines

Make = Callable[..., Tree]
ONE = 7  # processes of `worker --only images`: main, keeper, guard, two helpers and two workers
BOTH = 14


def one(tree: Make, **env: object) -> Tree:
    return tree("worker", "--only", "images", Q_CLUSTER_NAME="images", **env).start(ONE)


class TestKilledWorkers:
    def test_one_in_the_middle_of_a_task_is_replaced(self, tree: Make, tmp_path: Path) -> None:
        """Without harm to the others: the same cluster goes on, and so do their tasks."""
        cluster = one(tree)
        guard = cluster.pids("images.guard")
        cluster.enqueue("work_until_stopped", tmp_path / "other")
        wait_for_lines(tmp_path / "other")
        for task in ("die", "leave"):
            before = cluster.pids("images.worker")
            cluster.enqueue(task, tmp_path / task)
            cluster.wait_for_new("images.worker", before)
        cluster.runs_a_task()
        assert lines(tmp_path / "other") == ["begin"]
        assert cluster.pids("images.guard") == guard
        cluster.signal(TERM)
        assert cluster.wait() == 0
        assert lines(tmp_path / "other") == ["begin", "asked", "end"]

    def test_idle_workers_cost_a_restart(self, tree: Make) -> None:
        """One of them held the lock of q2's task queue, and nobody knows which."""
        cluster = one(tree)
        for _ in range(4):
            before = cluster.pids("images.guard")
            cluster.kill("images.worker")
            cluster.wait_for_new("images.guard", before)
            cluster.runs_a_task()

    def test_a_long_task_runs_once(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        cluster.enqueue("nap", tmp_path / "log", 3.0)
        wait_for_lines(tmp_path / "log", "begin", "end")
        assert cluster.queued() == 0

    @pytest.mark.faults
    def test_a_task_deaf_to_its_time_limit_is_killed(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        before = cluster.pids("images.worker")
        cluster.enqueue("deafen", tmp_path / "log", timeout=1)
        wait_for(lambda: not before & cluster.pids("images.worker"), 60)
        cluster.runs_a_task()
        assert lines(tmp_path / "log") == ["x"]


def test_the_dead_leave_few_files_where_nobody_scrapes(tree: Make, tmp_path: Path) -> None:
    cluster = tree("worker", "--only", "images", Q_CLUSTER_NAME="images")
    count = "import django; django.setup(); from imageproc.metrics import CLAIMED; CLAIMED.inc()"
    dead = subprocess.Popen([sys.executable, "-c", count], env=cluster.env, cwd=MANAGE.parent)
    assert dead.wait(30) == 0
    folder = tmp_path / "metrics"
    left = folder / f"counter_{dead.pid}.db"
    assert left.exists()
    for n in range(1000):
        (folder / f"counter{n}_{dead.pid}.db").touch()
    cluster.start()
    wait_for(lambda: not left.exists())


class TestKilledHelpers:
    @pytest.mark.parametrize("role", ["helper", "guard"])
    def test_work_goes_on(self, tree: Make, role: str) -> None:
        cluster = one(tree)
        for _ in range(3):
            before = cluster.pids(f"images.{role}")
            cluster.kill(f"images.{role}")
            cluster.wait_for_new(f"images.{role}", before)
            cluster.runs_a_task()
        assert len(cluster.processes()) == ONE

    @pytest.mark.parametrize("role", ["main", "keeper"])
    def test_the_cluster_ends_whole(self, tree: Make, role: str) -> None:
        cluster = one(tree)
        cluster.kill(f"images.{role}")
        assert cluster.wait() == (-KILL if role == "main" else 1)
        wait_for(lambda: not cluster.processes(), 2)

    def test_the_supervisor_starts_it_again_and_dies_with_its_tree(self, tree: Make) -> None:
        both = tree("worker").start(BOTH)
        both.kill("images.main")
        both.runs_a_task()
        both.runs_a_task(cluster="control")
        both.signal(KILL)
        wait_for(lambda: not both.processes(), 2)

    def test_helpers_that_stand_still_are_noticed(self, tree: Make) -> None:
        cluster = one(tree, WATCHDOG_SECONDS=1)
        cluster.enqueue("touch", "/nowhere", cluster="control")  # another cluster's
        cluster.runs_a_task()
        for helper in cluster.named("images.helper"):
            helper.suspend()
        cluster.runs_a_task()
        assert "tasks wait and are not taken" in cluster.log.read_text()

    def test_a_guard_that_stands_still_is_noticed(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        wait_for(lambda: len(cluster.named("images.guard")) == 1)  # a fork has its name at first
        cluster.named("images.guard")[0].suspend()
        for _ in range(2):
            cluster.enqueue("die", tmp_path / "log")
        cluster.runs_a_task()
        assert "q2 has not replaced a process" in cluster.log.read_text()


def test_only_the_image_workers_yield(tree: Make) -> None:
    """Of the tree under the supervisor, which itself may have been started with any niceness."""
    own = os.nice(0)
    both = tree("worker", WORKERS_NICE=3).start(BOTH)
    wait_for(lambda: _standing(both.named("images.worker")) == {(own + 3, os.SCHED_BATCH)})
    others = [one for one in both.named() if one not in both.named("images.worker")]
    assert _standing(others) == {(own, os.SCHED_OTHER)}


def _standing(processes: list[psutil.Process]) -> set[tuple[int, int]]:
    """Niceness and scheduling class."""
    return {(one.nice(), os.sched_getscheduler(one.pid)) for one in processes}


class TestStop:
    @pytest.mark.parametrize(("number", "whom"), [(TERM, "main"), (INT, "everyone")])
    def test_the_task_in_hand_finishes(
        self, tree: Make, tmp_path: Path, number: int, whom: str
    ) -> None:
        cluster = one(tree)
        cluster.enqueue("work_until_stopped", tmp_path / "log")
        wait_for_lines(tmp_path / "log")
        (cluster.signal if whom == "main" else cluster.signal_everyone)(number)
        assert cluster.wait() == 0
        assert lines(tmp_path / "log") == ["begin", "asked", "end"]
        assert cluster.queued() == 0
        assert cluster.processes() == []

    def test_a_deaf_task_is_killed_at_the_deadline(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree, DRAIN_SECONDS=1)
        cluster.enqueue("nap", tmp_path / "log", 60.0)
        wait_for_lines(tmp_path / "log")
        cluster.signal_everyone(TERM)
        assert cluster.wait(10) == 0
        assert lines(tmp_path / "log") == ["begin"]
        assert cluster.processes() == []

    def test_the_supervisor_passes_it_on(self, tree: Make, tmp_path: Path) -> None:
        both = tree("worker").start(BOTH)
        for name in ("images", "control"):
            both.enqueue("work_until_stopped", tmp_path / name, cluster=name)
            wait_for_lines(tmp_path / name)
        both.signal_everyone(TERM)
        assert both.wait() == 0
        for name in ("images", "control"):
            assert lines(tmp_path / name) == ["begin", "asked", "end"]
        assert both.processes() == []
        assert both.query("SELECT count(*) FROM imageproc_clusterheartbeat") == [(0,)]


class TestWork:
    def test_messages_of_any_size_and_failures(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        cluster.enqueue("big", tmp_path / "big", b"x" * 2_000_000)
        cluster.enqueue("fail", tmp_path / "fail")
        wait_for_lines(tmp_path / "big", "2000000")
        sql = "SELECT result FROM django_q_task WHERE success = %s"
        [(result,)] = wait_for(lambda: cluster.query(sql, False))
        assert result
        assert lines(tmp_path / "fail") == ["x"]
        assert cluster.queued() == 0

    def test_heartbeat_and_tick(self, tree: Make, tmp_path: Path) -> None:
        env = {"Q_CLUSTER_NAME": "control", "TICK_FILE": str(tmp_path / "ticks")}
        tree("worker", "--only", "control", **env).start()
        wait_for(lambda: len(lines(tmp_path / "ticks")) >= 3)  # the first one failed
        sql = "SELECT name, workers FROM imageproc_clusterheartbeat"
        assert tree().query(sql) == [("control", 2)]

    def test_two_clusters_on_one_queue_run_each_task_once(self, tree: Make, tmp_path: Path) -> None:
        first, second = tree("worker", "--only", "images"), tree("worker", "--only", "images")
        for number in range(60):
            first.enqueue("note", tmp_path / "log", str(number))
        first.start()
        second.start()
        wait_for(lambda: len(lines(tmp_path / "log")) == 60)
        assert sorted(lines(tmp_path / "log"), key=int) == [str(n) for n in range(60)]
