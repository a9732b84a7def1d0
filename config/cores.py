"""How many cores this machine or container offers."""

import math
import os
from contextlib import suppress
from pathlib import Path

# What a container sees of its own limit: "max 100000", or "150000 100000" for one and a half cores
# (https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files).
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """The cores that this process may use, or fewer if a container's quota is lower (rounded up).

    Otherwise a container of two cores on a host of 64 would start 64 workers, with too little
    memory and most of them paused at any time.
    """
    allowed = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # no container, or an older kind: "max" is no number either
        quota, period = map(int, QUOTA.read_text().split())
        return min(allowed, math.ceil(quota / period))
    return allowed
