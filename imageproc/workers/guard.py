"""The process that forks the others of a cluster, and forks them again when they die.

It has one thread and opens no database connection, because it forks: a thread's locks and a
connection's socket must not be copied. It waits for no lock, because the others may be killed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkProcess
from queue import Empty
from typing import Any

from django.conf import settings
from django_q.conf import Conf
from django_q.monitor import monitor
from django_q.pusher import pusher
from django_q.worker import worker

from imageproc.metrics import WORKER_DEATHS
from imageproc.workers import board as boards
from imageproc.workers import cores
from imageproc.workers.board import Board, Slot, stop_requested
from imageproc.workers.broker import Broker
from imageproc.workers.channel import Channel
from imageproc.workers.lifeline import die_with_parent, set_process_name

logger = logging.getLogger(__name__)
CYCLE = 0.25  # seconds between two looks; also the pace at which a process that dies is replaced
ACKNOWLEDGE_SECONDS = 3  # for the monitor to finish, after the last worker
FORK = multiprocessing.get_context("fork")


def fork(name: str, target: Callable[..., Any], *args: Any, daemon: bool = True) -> ForkProcess:
    """Start ``target(*args)`` in a process that is called ``name`` and dies with this one."""
    process = FORK.Process(
        target=_child, args=(name, os.getpid(), target, args), name=name, daemon=daemon
    )
    process.start()
    return process


def _child(name: str, parent: int, target: Callable[..., Any], args: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(parent)
    set_process_name(name)
    target(*args)


class Inbox:
    """The task queue as one worker sees it: shows on the board what the worker is doing."""

    def __init__(self, tasks: Channel, slot: Slot) -> None:
        self._tasks = tasks
        self._slot = slot

    def get(self) -> Any:
        """The next task, or q2's "STOP"."""
        self._slot.task = 0
        while not stop_requested():
            self._slot.waiting = 1
            try:
                task = self._tasks.receive()
            except Empty:
                continue
            if task is not None:  # None only wakes
                self._slot.waiting, self._slot.task = 0, task["ack_id"]
                return task
        self._slot.waiting = 0
        return "STOP"


class Guard:
    """The processes of the cluster ``name``: a worker for each slot of the board, and two more."""

    def __init__(self, name: str, board: Board) -> None:
        self.name = name
        self.board = board
        self.tasks, self.results = Channel(), Channel()
        self.broker = Broker(name, board, self.tasks)
        self.workers: list[ForkProcess] = []

    def run(self) -> None:
        """Until a stop is asked; then until the workers are done, at most DRAIN_SECONDS."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.board.ask_to_stop())
        try:
            self._start()
            while not self.board.stopping:
                self._revive()
                time.sleep(CYCLE)
            self._drain()
        finally:
            for process in multiprocessing.active_children():
                process.kill()

    def _start(self) -> None:
        self.monitor = self._fork_monitor()
        self.pusher = self._fork_pusher()
        self.workers = [self._fork_worker(place) for place in range(len(self.board.slots))]

    def _revive(self) -> None:
        self.board.signals.pulse = time.monotonic()
        for place, process in enumerate(self.workers):
            slot = self.board.slots[place]
            if not process.is_alive() or slot.value == 0:
                self._bury(process, slot)
                self.workers[place] = self._fork_worker(place)
        if not self.monitor.is_alive():
            self._bury(self.monitor)
            self.monitor = self._fork_monitor()
        if not self.pusher.is_alive():
            self._bury(self.pusher)
            self.pusher = self._fork_pusher()

    def _bury(self, process: ForkProcess, slot: Slot | None = None) -> None:
        process.kill()  # a worker past its time may be alive, deaf to signals in C code
        process.join()
        WORKER_DEATHS.labels(self.name).inc()
        if process.exitcode:
            task = f", task {slot.task} in hand" if slot and slot.task else ""
            logger.error("%s died (exit code %s)%s", process.name, process.exitcode, task)

    def _fork_worker(self, place: int) -> ForkProcess:
        slot = self.board.slots[place]
        slot.reset()
        settle = partial(cores.settle, place, len(self.board.slots))
        first = settle if self.name == "images" else None
        return fork(f"{self.name}.worker", _work, self.tasks, self.results, slot, first)

    def _fork_monitor(self) -> ForkProcess:
        return fork(f"{self.name}.monitor", monitor, self.results, self.broker)

    def _fork_pusher(self) -> ForkProcess:
        return fork(f"{self.name}.pusher", pusher, self.tasks, self.board, self.broker)

    def _drain(self) -> None:
        """Let the tasks in hand finish and be acknowledged; what does not is killed."""
        for _ in self.workers:
            self.tasks.put(None)
        while any(process.is_alive() for process in self.workers):
            if self.board.stopping_for() > settings.DRAIN_SECONDS:
                logger.error("Killed after %s s: %s", settings.DRAIN_SECONDS, self.board.in_hand())
                break
            time.sleep(0.05)
        self.results.put("STOP")
        self.monitor.join(ACKNOWLEDGE_SECONDS)


def _work(tasks: Channel, results: Channel, slot: Slot, first: Callable[[], None] | None) -> None:
    """A worker. A SIGTERM of its own ends it after the task in hand; the guard replaces it."""
    if first:
        first()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: boards.leave())
    worker(Inbox(tasks, slot), results, slot, Conf.TIMEOUT)
