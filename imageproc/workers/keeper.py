"""The process of a cluster that talks to the database: it writes the heartbeat, watches the queue
and runs periodic work.

It is not the main process, because that one forks, and a fork must not copy a thread's locks or a
connection's socket.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess

from django.conf import settings
from django.db import Error
from django_q.conf import Conf

from imageproc.models import ClusterHeartbeat
from imageproc.models.heartbeat import ALIVE_SECONDS
from imageproc.workers import board, queue
from imageproc.workers.lifeline import die_with_parent, set_process_name
from imageproc.workers.periodic import every

logger = logging.getLogger(__name__)


def fork_keeper(cluster: str, start_chores: Callable[[], object]) -> ForkProcess:
    """``start_chores`` may start threads."""
    keeper = multiprocessing.get_context("fork").Process(
        target=_keep, args=(cluster, os.getpid(), start_chores)
    )
    keeper.start()
    return keeper


def leave(cluster: str) -> None:
    """Remove the heartbeat of this main process; if it stays, it counts as dead in half a
    minute."""
    try:
        ClusterHeartbeat.objects.leave(name=cluster, host=socket.gethostname(), pid=os.getpid())
    except Error as error:
        logger.warning("The heartbeat of %s could not be removed: %s", cluster, error)


def _keep(cluster: str, main: int, start_chores: Callable[[], object]) -> None:
    die_with_parent(main)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    set_process_name(f"{cluster}.keeper")

    def beat() -> None:
        ClusterHeartbeat.objects.beat(
            name=cluster,
            host=socket.gethostname(),
            pid=main,
            workers=Conf.WORKERS,
            stopping=board.stop_requested(),
        )

    every(ALIVE_SECONDS / 3, f"{cluster} heartbeat", beat)
    every(settings.WATCHDOG_SECONDS / 3, f"{cluster} watchdog", Watchdog(cluster).look)
    start_chores()
    threading.Event().wait()


class Watchdog:
    """Says that the cluster is stuck when, for WATCHDOG_SECONDS, the same task has been the oldest
    though a worker is free. Workers that all run long tasks are not stuck: q2's time limit ends
    those."""

    def __init__(self, cluster: str) -> None:
        self.cluster = cluster
        self.oldest: int | None = None
        self.since = 0.0

    def look(self) -> None:
        tasks = queue.waiting_tasks(self.cluster).order_by("id")
        oldest, now = tasks.values_list("id", flat=True).first(), time.monotonic()
        if oldest is None or oldest != self.oldest or board.all_busy():
            self.oldest, self.since = oldest, now
        elif now - self.since > settings.WATCHDOG_SECONDS:
            logger.error("%s: task %s is not taken", self.cluster, oldest)
            self.since = now
            board.show_stuck(True)
