"""How many cores this machine, or this container, has for us."""

import math
import os
from contextlib import suppress
from pathlib import Path

# What a container sees of its own limit: "max 100000", or "150000 100000" for one and a half cores
# (https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files).
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """Those that this process may run on, or fewer where a quota allows no more, rounded up.

    A container of two cores on a host of 64 would start 64 workers otherwise, without the memory
    for them, and all of them paused for most of the time.
    """
    allowed = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # no container, or an older kind: "max" is no number either
        quota, period = map(int, QUOTA.read_text().split())
        return min(allowed, math.ceil(quota / period))
    return allowed
