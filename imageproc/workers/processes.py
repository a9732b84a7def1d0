"""The processes that q2 forks for a cluster: which are alive, and whether a dead one held a
lock."""

from __future__ import annotations

import logging
import os
import signal
import struct
import time
from contextlib import suppress

import psutil

from imageproc.metrics import WORKER_DEATHS
from imageproc.workers import board
from imageproc.workers.lifeline import bind_forks, set_process_name

logger = logging.getLogger(__name__)
# q2 replaces a dead process within its guard cycle of half a second, unless it waits for a lock.
REPLACE_SECONDS = 5.0
_PID = struct.Struct("i")


class Processes:
    """Follows every fork from now on, in this process and below it.

    Each forked process dies with its parent. A stop, which is often sent to a whole process group,
    reaches the main process alone, which drains the others.
    """

    def __init__(self, cluster: str, workers: int) -> None:
        self.cluster, self.workers = cluster, workers
        self._living: dict[int, psutil.Process] = {}
        self._complete_at = time.monotonic()
        self._births, announce = os.pipe()
        os.set_blocking(self._births, False)
        names = iter(("guard",))  # the first process below the main one; then all below that

        def start() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            set_process_name(f"{cluster}.{next(names, 'helper')}")
            os.write(announce, _PID.pack(os.getpid()))

        bind_forks()
        os.register_at_fork(after_in_child=start)

    def problem(self) -> str:
        """Why q2 cannot go on, or ""."""
        dead = self._deaths()
        WORKER_DEATHS.labels(self.cluster).inc(len(dead))
        if harmful := [pid for pid in dead if not board.held_no_lock(pid)]:
            return f"process {harmful[0]} died and may have held a lock"
        for pid in dead:
            logger.error("%s: process %s died, q2 replaces it", self.cluster, pid)
            board.clear(pid)
        if self._incomplete():
            return f"q2 has not replaced a process for {REPLACE_SECONDS:g} s"
        board.show_all_busy(board.running_tasks(self._living) >= self.workers)
        return ""

    def forget(self) -> None:
        """Forget all processes, once q2's sentinel is dead and all others with it."""
        self._note_births()
        for pid in self._living:
            board.clear(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)  # in a container, orphans become children of the first process
        self._living.clear()
        self._complete_at = time.monotonic()

    def _deaths(self) -> list[int]:
        self._note_births()
        dead = [pid for pid, process in self._living.items() if not _is_alive(process)]
        for pid in dead:
            del self._living[pid]
        return dead

    def _incomplete(self) -> bool:
        """Whether there has been one too few or too many for longer than q2 needs to replace it."""
        now = time.monotonic()
        if len(self._living) == self.workers + 3:  # with sentinel, pusher and monitor
            self._complete_at = now
        return now - self._complete_at > REPLACE_SECONDS

    def _note_births(self) -> None:
        with suppress(BlockingIOError):
            for (pid,) in _PID.iter_unpack(os.read(self._births, 4096)):
                with suppress(psutil.NoSuchProcess):
                    self._living[pid] = psutil.Process(pid)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
