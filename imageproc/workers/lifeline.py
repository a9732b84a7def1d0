"""No process outlives its parent (Linux only: ``prctl(2)``)."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent``, which just forked it, dies.

    The signal goes out when the *thread* that forked ends, so fork from the main thread only. It
    survives an exec. Elsewhere than on Linux this does nothing.
    """
    if _libc is None:
        return
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died between the fork and the call above
        os._exit(1)


def bind_forks() -> None:
    """From now on, every process that this one forks dies with its parent, and so on below it."""
    parent = 0

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=remember, after_in_child=lambda: die_with_parent(parent))


def set_process_name(name: str) -> None:
    """Name this process in ``ps``, ``top`` and ``/proc/PID/comm``; Linux keeps 15 characters."""
    if _libc is not None:
        _libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
