"""The main process of one cluster: it forks the guard, and keeps what the guard must not touch."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import (
    Error,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
)
from django.utils.module_loading import import_string
from django_q.conf import Conf

from imageproc.models import ClusterHeartbeat
from imageproc.models.heartbeat import ALIVE_SECONDS
from imageproc.scrape import serve
from imageproc.scrape.processes import fold
from imageproc.workers import board as boards
from imageproc.workers.board import Board
from imageproc.workers.broker import overdue, renew
from imageproc.workers.guard import ACKNOWLEDGE_SECONDS, Guard, fork
from imageproc.workers.lifeline import set_process_name

logger = logging.getLogger(__name__)
# So often are the metrics of dead processes folded, whether or not anybody scrapes.
FOLD_SECONDS = 600


class Cluster:
    """The cluster ``name`` in the foreground. ``run`` returns the exit code of the process.

    Crash-only: when the guard dies, or the watchdog finds the cluster stuck, everything ends with
    exit code 1, and who started it (the supervisor, a container's restart policy) starts it anew.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.board = Board(Conf.WORKERS)
        self.host = socket.gethostname()
        self.stuck = ""

    def run(self) -> int:
        boards.join(self.board)
        set_process_name(f"{self.name}.main")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.board.ask_to_stop())
        connections.close_all()  # a connection must not be shared by two processes
        gc.collect()
        gc.freeze()  # a collection in a child would copy the pages it shares with this process
        self.guard = fork(f"{self.name}.guard", Guard(self.name, self.board).run, daemon=False)
        self._start_threads()  # after the fork: threads are not copied, their locks would be
        while self.guard.is_alive():
            self.guard.join(0.5)
            self._watch_guard()
        self._leave()
        return 0 if self.board.stopping and not self.stuck else 1

    def _start_threads(self) -> None:
        if settings.METRICS_PORT:
            serve(settings.METRICS_PORT)
        _every(FOLD_SECONDS, f"{self.name} metrics", fold)
        keep_seconds = min(settings.LEASE_SECONDS, ALIVE_SECONDS) / 3
        _every(keep_seconds, f"{self.name} keeper", self._keep)
        if self.name == "control":
            _every(settings.TICK_SECONDS, "tick", lambda: import_string(settings.CLUSTER_TICK)())

    def _keep(self) -> None:
        renew(self.board.in_hand())
        ClusterHeartbeat.objects.beat(
            name=self.name,
            host=self.host,
            pid=os.getpid(),
            workers=len(self.board.slots),
            stopping=self.board.stopping,
        )
        self._watch_backlog()

    def _watch_backlog(self) -> None:
        """Stuck: a task has been due, and no task was taken, for WATCHDOG_SECONDS, though a worker
        waits. Long tasks in every worker are no reason: their time limit ends them."""
        limit = settings.WATCHDOG_SECONDS
        still = time.monotonic() - self.board.signals.taken_at > limit
        if still and self.board.waiting() and overdue(self.name, limit):
            self.stuck = f"tasks are due and none was taken for {limit} s"

    def _watch_guard(self) -> None:
        if time.monotonic() - self.board.signals.pulse > settings.WATCHDOG_SECONDS:
            self.stuck = self.stuck or "the guard stands still"
        if self.board.stopping:
            late = self.board.stopping_for() > settings.DRAIN_SECONDS + ACKNOWLEDGE_SECONDS + 2
            self.stuck = "the stop takes too long" if late else ""
        if self.stuck and self.guard.is_alive():
            logger.error("The cluster %s is killed: %s.", self.name, self.stuck)
            self.guard.kill()  # and everything below it with it

    def _leave(self) -> None:
        """Best effort: a heartbeat that stays is old in half a minute."""
        try:
            ClusterHeartbeat.objects.leave(name=self.name, host=self.host, pid=os.getpid())
        except Error as error:
            logger.warning("The heartbeat of %s could not be removed: %s", self.name, error)


def _every(seconds: float, name: str, call: Callable[[], object]) -> None:
    """Call again and again in a thread with a database connection of its own, whatever it raises.

    After failures it waits longer, up to a minute.
    """

    def loop() -> None:
        failures = 0
        while True:
            try:
                close_old_connections()
                call()
                failures = 0
            except Exception as error:  # noqa: BLE001
                failures += 1
                away = isinstance(error, (OperationalError, InterfaceError))
                tell = logger.warning if away else logger.exception
                tell("%s failed %s times in a row: %s", name, failures, error)
                connection.close()
            time.sleep(min(60.0, seconds * 2 ** min(failures, 6)) if failures else seconds)

    threading.Thread(target=loop, name=name, daemon=True).start()
