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
ONE = 6  # processes of `worker --only images`: main, guard, pusher, monitor and two workers
BOTH = 12


def one(tree: Make, **env: object) -> Tree:
    return tree("worker", "--only", "images", Q_CLUSTER_NAME="images", **env).start(ONE)


class TestKilledWorkers:
    def test_an_idle_worker_killed_again_and_again(self, tree: Make) -> None:
        cluster = one(tree)
        for _ in range(8):
            cluster.kill("images.worker")
            cluster.runs_a_task()

    def test_one_in_the_middle_of_a_task(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        cluster.enqueue("die_once", tmp_path / "deaths")
        wait_for(lambda: len(lines(tmp_path / "deaths")) == 2)
        wait_for(lambda: cluster.queued() == 0)

    def test_a_task_that_kills_its_process_is_given_up(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        for task in ("die", "leave"):
            cluster.enqueue(task, tmp_path / task)
        cluster.runs_a_task()  # others do not wait for them
        wait_for(lambda: cluster.queued() == 0)
        assert lines(tmp_path / "die") == lines(tmp_path / "leave") == ["x"] * 3
        rows = cluster.query("SELECT success, name FROM django_q_task ORDER BY name")
        assert [(bool(success), name) for success, name in rows] == [
            (False, "die"),
            (False, "leave"),
        ]

    def test_a_long_task_keeps_its_lease(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        cluster.enqueue("nap", tmp_path / "log", 3.0)
        wait_for(lambda: lines(tmp_path / "log") and cluster.queued() == 0)
        assert lines(tmp_path / "log") == ["begin", "end"]

    @pytest.mark.faults
    def test_a_task_deaf_to_its_time_limit_is_killed(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        cluster.enqueue("deafen", tmp_path / "log", timeout=1)
        wait_for(lambda: cluster.queued() == 0, 60)
        assert lines(tmp_path / "log") == ["x"] * 3


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
    def test_they_are_replaced(self, tree: Make) -> None:
        cluster = one(tree)
        for role in ("images.pusher", "images.monitor") * 2:
            before = cluster.pids(role)
            cluster.kill(role)
            cluster.wait_for_new(role, before)
            cluster.runs_a_task()
        wait_for(lambda: cluster.queued() == 0)

    @pytest.mark.parametrize("role", ["main", "guard"])
    def test_the_cluster_ends_whole(self, tree: Make, role: str) -> None:
        cluster = one(tree)
        cluster.kill(f"images.{role}")
        assert cluster.wait() == (-KILL if role == "main" else 1)
        wait_for(lambda: not cluster.processes(), 2)

    def test_the_supervisor_starts_it_again_and_dies_with_its_tree(self, tree: Make) -> None:
        both = tree("worker").start(BOTH)
        both.kill("images.guard")
        both.runs_a_task()
        both.runs_a_task(cluster="control")
        both.signal(KILL)
        wait_for(lambda: not both.processes(), 2)

    @pytest.mark.parametrize("role", ["pusher", "guard"])
    def test_the_watchdog_ends_a_cluster_that_stands_still(self, tree: Make, role: str) -> None:
        cluster = one(tree, WATCHDOG_SECONDS=1)
        cluster.enqueue("touch", "/nowhere", cluster="control", age=60)  # another cluster's
        cluster.runs_a_task()
        [process] = cluster.named(f"images.{role}")
        process.suspend()
        cluster.enqueue("touch", "/nowhere")
        assert cluster.wait() == 1
        wait_for(lambda: not cluster.processes(), 2)


def test_only_the_image_workers_yield(tree: Make) -> None:
    """Of the tree under the supervisor, which itself may have been started with any niceness."""
    own = os.nice(0)
    both = tree("worker", WORKERS_NICE=3).start(BOTH)
    wait_for(lambda: _standing(both.named("images.worker")) == {(own + 3, os.SCHED_BATCH)})
    others = [one for one in both.named() if one not in both.named("images.worker")]
    assert _standing(others) == {(own, os.SCHED_OTHER)}


def test_a_core_for_each_image_worker(tree: Make) -> None:
    cores = sorted(os.sched_getaffinity(0))
    both = tree("worker", WORKERS=len(cores), WORKERS_PINNED="true").start(BOTH - 2 + len(cores))
    wait_for(lambda: _cores_of(both) == [[core] for core in cores])
    [victim] = [one for one in both.named("images.worker") if one.cpu_affinity() == cores[:1]]
    victim.kill()
    wait_for(lambda: victim not in both.named("images.worker"))
    wait_for(lambda: _cores_of(both) == [[core] for core in cores])
    assert all(one.cpu_affinity() == cores for one in both.named("control.worker"))


def _standing(processes: list[psutil.Process]) -> set[tuple[int, int]]:
    """Niceness and scheduling class."""
    return {(one.nice(), os.sched_getscheduler(one.pid)) for one in processes}


def _cores_of(cluster: Tree) -> list[list[int]]:
    return sorted(one.cpu_affinity() for one in cluster.named("images.worker"))


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

    def test_a_deaf_task_is_killed_at_the_deadline_and_kept(
        self, tree: Make, tmp_path: Path
    ) -> None:
        cluster = one(tree, DRAIN_SECONDS=1)
        cluster.enqueue("nap", tmp_path / "log", 60.0)
        wait_for_lines(tmp_path / "log")
        cluster.signal_everyone(TERM)
        assert cluster.wait() == 0
        assert cluster.queued() == 1
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

    def test_a_worker_asked_alone_is_replaced(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        before = cluster.pids("images.worker")
        cluster.enqueue("work_until_stopped", tmp_path / "log")
        wait_for_lines(tmp_path / "log")
        for worker in cluster.named("images.worker"):
            worker.terminate()
        wait_for_lines(tmp_path / "log", "begin", "asked", "end")
        cluster.wait_for_new("images.worker", before, 2)
        cluster.runs_a_task()


class TestWork:
    def test_messages_of_any_size_and_failures(self, tree: Make, tmp_path: Path) -> None:
        cluster = one(tree)
        cluster.enqueue("big", tmp_path / "big", b"x" * 2_000_000)
        cluster.enqueue("fail", tmp_path / "fail")
        wait_for(lambda: cluster.queued() == 0)
        assert lines(tmp_path / "big") == ["2000000"]
        assert lines(tmp_path / "fail") == ["x"]
        [(result,)] = cluster.query("SELECT result FROM django_q_task WHERE success = %s", False)
        assert result

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
        wait_for(lambda: first.queued() == 0)
        assert sorted(lines(tmp_path / "log"), key=int) == [str(n) for n in range(60)]
