"""The machine, or the container, that answers the scrape: its disk and its memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
from django.conf import settings
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

CGROUP = Path("/sys/fs/cgroup")


class Host:
    """A collector."""

    def collect(self) -> Iterator[Metric]:
        disk = shutil.disk_usage(settings.DATA_DIR)
        limit, available = _memory()
        for name, text, value in (
            ("disk_size_bytes", "Size of the disk under DATA_DIR.", disk.total),
            ("disk_free_bytes", "Bytes free on the disk under DATA_DIR.", disk.free),
            ("memory_limit_bytes", "Memory of the machine or the container.", limit),
            ("memory_available_bytes", "Memory that can still be had.", available),
        ):
            yield GaugeMetricFamily(f"imageproc_{name}", text, value=value)


def _memory() -> tuple[int, int]:
    """(limit, available). A container's limit counts where it has one; its page cache is free
    to have (https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files)."""
    machine = psutil.virtual_memory()
    limit = _number(CGROUP / "memory.max")
    used = _number(CGROUP / "memory.current")
    if limit is None or used is None or limit >= machine.total:
        return machine.total, machine.available
    return limit, min(machine.available, limit - used + _page_cache())


def _page_cache() -> int:
    for line in (CGROUP / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    """None where there is no such file, or no limit ("max")."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
