"""The main process of one cluster: runs django-q2's cluster, and starts it again when it is stuck.

It has no threads and no database connection, because it forks.
"""

from __future__ import annotations

import gc
import logging
import signal
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import connections
from django_q import cluster as django_q
from django_q.conf import Conf
from django_q.signals import post_execute_in_worker, post_spawn, pre_execute

from imageproc.workers import board, queue
from imageproc.workers.keeper import fork_keeper, leave
from imageproc.workers.lifeline import set_process_name
from imageproc.workers.priority import set_cpu_priority
from imageproc.workers.processes import Processes

logger = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
# After the drain, for q2 to end its helpers.
WIND_DOWN_SECONDS = 3.0


class Cluster:
    """The cluster ``name`` in the foreground. ``run`` returns the exit code of the process.

    q2's processes are killed, all of them, and forked again when a death may have cost one of q2's
    locks or when waiting tasks are not taken. The keeper calls ``start_chores`` once.
    """

    def __init__(self, name: str, start_chores: Callable[[], object]) -> None:
        self.name = name
        self.start_chores = start_chores

    def run(self) -> int:
        set_process_name(f"{self.name}.main")
        _hear_signals()
        connections.close_all()  # a connection must not be shared by two processes
        gc.collect()
        gc.freeze()  # a collection in a child would copy the pages it shares with this process
        self.keeper = fork_keeper(self.name, self.start_chores)
        self.processes = Processes(self.name, Conf.WORKERS)
        post_spawn.connect(self._prepare_worker)
        pre_execute.connect(_start_task)
        post_execute_in_worker.connect(_end_task)
        try:
            while self._should_run():
                self._run_q2()
        finally:
            self.keeper.kill()
            leave(self.name)
        return 0 if board.stop_requested() else 1

    def _should_run(self) -> bool:
        return self.keeper.is_alive() and not board.stop_requested()

    def _run_q2(self) -> None:
        """Run q2 until it is stuck, or until a stop was requested and the tasks in hand have
        ended."""
        q2 = django_q.Cluster()
        _hear_signals()  # q2 would handle them itself
        problem = ""
        try:
            q2.start()
            while self._should_run() and not (problem := self._problem()):
                time.sleep(LOOK_SECONDS)
            if board.stop_requested():
                self._drain(q2)
            elif problem:
                logger.error("The cluster %s is started again: %s.", self.name, problem)
        except RuntimeError as error:
            logger.error("The cluster %s is started again: %s", self.name, error)  # noqa: TRY400
            time.sleep(LOOK_SECONDS)
        finally:
            q2.sentinel.kill()  # and with it everything below it
            q2.sentinel.join()
            self.processes.forget()
            board.show_stuck(False)

    def _problem(self) -> str:
        return self.processes.problem() or ("tasks wait and are not taken" if board.stuck() else "")

    def _drain(self, q2: django_q.Cluster) -> None:
        """Let the tasks in hand end within DRAIN_SECONDS.

        The event is set in a thread, because that waits for ever if the sentinel was killed while
        it waited for the event.
        """
        threading.Thread(target=q2.stop_event.set, daemon=True).start()
        deadline = time.monotonic() + settings.DRAIN_SECONDS + WIND_DOWN_SECONDS
        while q2.sentinel.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        if q2.sentinel.is_alive():
            logger.error("%s: tasks are killed after %s s", self.name, settings.DRAIN_SECONDS)

    def _prepare_worker(self, **_: object) -> None:
        set_process_name(f"{self.name}.worker")
        if self.name == queue.IMAGES:
            set_cpu_priority()


def _hear_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: board.request_stop())


def _start_task(**_: object) -> None:
    board.start_task()


def _end_task(**_: object) -> None:
    board.end_task()
