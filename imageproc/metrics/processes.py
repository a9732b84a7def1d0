"""Adds up what the processes of this host have counted.

prometheus_client's own multiprocess mode: every process keeps its counts in files named after its
pid, and a scrape adds them up (https://prometheus.github.io/client_python/multiprocess/).
"""

# prometheus_client has no annotations here.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import os
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

# Files of dead processes that are kept. A process has two, of some 10 kB.
MAX_DEAD_FILES = 1000


def registry() -> CollectorRegistry:
    """The sums over all processes of this host, living and dead."""
    found = CollectorRegistry()
    MultiProcessCollector(found)
    return found


def forget_dead() -> None:
    """Delete the files of dead processes once there are more than MAX_DEAD_FILES.

    Called every few minutes, because each worker that dies leaves its files in memory. The sums
    drop when the files go, as after a restart of the host; Prometheus's ``rate`` allows for that.
    """
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    dead = [path for path in folder.glob("*.db") if not psutil.pid_exists(_pid(path))]
    if len(dead) > MAX_DEAD_FILES:
        for path in dead:
            path.unlink(missing_ok=True)


def _pid(path: Path) -> int:
    """123 for ``counter_123.db``."""
    return int(path.stem.rpartition("_")[2])
