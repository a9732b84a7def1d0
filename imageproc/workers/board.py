"""What the processes of one cluster tell each other: shared memory without a lock.

Each byte has one writer, so a process cannot be killed with a byte half written. Byte N says what
the process with the id N is doing; those from MAX_PID + 1 on are the cluster's flags.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MAX_PID = 2**22  # Linux allows no higher process id (proc(5), pid_max)
STOP, ALL_BUSY, STUCK = range(MAX_PID + 1, MAX_PID + 4)
# Everything else that q2's processes do may hold one of its locks.
RUNNING_A_TASK, POLLING = 1, 2

# The children that a process forks share it; 4 MB of addresses, of which a few pages are used.
_memory = mmap.mmap(-1, MAX_PID + 4)


def request_stop() -> None:
    _memory[STOP] = 1


def stop_requested() -> bool:
    """Whether the task in hand should come to an end. Always False outside a cluster.

    It has DRAIN_SECONDS from then; after that its process is killed.
    """
    return bool(_memory[STOP])


# --- What a process is doing ----------------------------------------------------------------------
def start_task() -> None:
    _memory[os.getpid()] = RUNNING_A_TASK


def end_task() -> None:
    _memory[os.getpid()] = 0


@contextmanager
def polling() -> Iterator[None]:
    """The calling process looks for tasks, and holds none of q2's locks meanwhile."""
    _memory[os.getpid()] = POLLING
    try:
        yield
    finally:
        _memory[os.getpid()] = 0


def held_no_lock(pid: int) -> bool:
    """Whether this process, which is dead now, was doing something that needs no lock of q2's."""
    return bool(_memory[pid])


def running_tasks(pids: Iterable[int]) -> int:
    """How many of these processes are running a task."""
    return sum(_memory[pid] == RUNNING_A_TASK for pid in pids)


def clear(pid: int) -> None:
    """Forget a process that is gone: another may get its id."""
    _memory[pid] = 0


# --- Between the main process and the keeper ------------------------------------------------------
def show_all_busy(busy: bool) -> None:
    _memory[ALL_BUSY] = busy


def all_busy() -> bool:
    """Whether every worker is running a task."""
    return bool(_memory[ALL_BUSY])


def show_stuck(stuck: bool) -> None:
    _memory[STUCK] = stuck


def stuck() -> bool:
    """Whether the keeper has seen that waiting tasks are not taken."""
    return bool(_memory[STUCK])
