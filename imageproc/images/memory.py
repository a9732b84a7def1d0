"""How much memory this worker process may use."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from django.conf import settings

_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")
_LONGEST = 200  # bytes of that file: seven numbers
# Above the watched limit: thread stacks and the allocator's reserve, which cost no memory.
RESERVE = 3_000_000_000


def share() -> float:
    """Resident memory over what is allowed: above 0.5, begin nothing; above 1, end something.

    Linux only (proc(5)); elsewhere 0.0.
    """
    try:
        with _STATM.open("rb", buffering=0) as file:  # a fifth of what read_text takes
            pages = int(file.read(_LONGEST).split()[1])
    except OSError:
        return 0.0
    return pages * _PAGE / settings.MAX_WORKER_BYTES


def limit() -> None:
    """The backstop for memory that grows faster than the pump looks: the kernel refuses more
    (setrlimit(2)). Python raises MemoryError then, and C code ends the process.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = settings.MAX_WORKER_BYTES + RESERVE
    if hard == resource.RLIM_INFINITY or wanted < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
