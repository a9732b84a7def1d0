"""What the processes of one cluster tell each other: shared memory without a single lock.

Every field has one writer, and a machine word is read and written whole, so that no process can
leave it half-changed or locked when it is killed. ``time.monotonic`` is one clock for all of them.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from ctypes import Structure, c_double, c_int64
from multiprocessing.sharedctypes import RawArray
from typing import Any


class Slot(Structure):
    """One worker's place, written by the worker; the guard resets it before a new one moves in.

    To q2's worker loop this is its ``timer``: seconds left for the task in hand, 0 when they are
    over, -1 for none, -2 for "recycled". Kept as a deadline, so that nobody has to count it down.
    """

    _fields_ = (("task", c_int64), ("waiting", c_int64), ("deadline", c_double))
    task: int  # the OrmQ row in hand, 0 for none
    waiting: int  # 1 while the worker waits for a task
    deadline: float

    @property
    def value(self) -> float:
        return max(0.0, self.deadline - time.monotonic()) if self.deadline > 0 else self.deadline

    @value.setter
    def value(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds if seconds > 0 else seconds

    def get_lock(self) -> nullcontext[None]:
        return nullcontext()

    def reset(self) -> None:
        self.task, self.waiting, self.deadline = 0, 0, -1.0


class _Signals(Structure):
    _fields_ = (("stop_at", c_double), ("pulse", c_double), ("taken_at", c_double))
    stop_at: float  # when a stop was asked; 0 for never
    pulse: float  # when the guard last looked at its processes
    taken_at: float  # when the pusher last took a task


class Board:
    """The slots of ``workers`` workers and the cluster's signals. Make it before forking."""

    def __init__(self, workers: int) -> None:
        self.slots: Any = RawArray(Slot, workers)
        for slot in self.slots:
            slot.reset()
        self.signals: Any = RawArray(_Signals, 1)[0]
        self.signals.pulse = self.signals.taken_at = time.monotonic()

    def ask_to_stop(self) -> None:
        self.signals.stop_at = self.signals.stop_at or time.monotonic()

    @property
    def stopping(self) -> bool:
        return bool(self.signals.stop_at)

    def stopping_for(self) -> float:
        """Seconds since the stop was asked."""
        return time.monotonic() - self.signals.stop_at if self.stopping else 0.0

    def is_set(self) -> bool:
        """To q2's pusher loop this is the event that ends it."""
        return self.stopping

    def waiting(self) -> int:
        return sum(1 for slot in self.slots if slot.waiting)

    def in_hand(self) -> list[int]:
        """The OrmQ rows that workers are running now."""
        return [slot.task for slot in self.slots if slot.task]


class _Here:
    """What this process knows of its cluster."""

    board: Board | None = None
    leaving = False


def join(board: Board) -> None:
    """Make ``board`` the one that ``stop_requested`` reads in this process and its children."""
    _Here.board = board


def leave() -> None:
    """Only this worker was asked to stop (a SIGTERM of its own)."""
    _Here.leaving = True


def stop_requested() -> bool:
    """Should the task in hand come to an end? True from the stop of the cluster or of this worker.

    A task has DRAIN_SECONDS from then; one that still runs is killed and runs again elsewhere when
    its lease is over. Outside a cluster: False.
    """
    return _Here.leaving or (_Here.board is not None and _Here.board.stopping)
