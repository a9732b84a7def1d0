"""CPU and memory of process trees while something runs.

On a shared machine CPU time is steadier than wall time: it hardly depends on what else runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple

import psutil

EVERY_SECONDS = 0.2


class Seen(NamedTuple):
    """What was last seen of one process. CPU in seconds of user and system time, memory in
    bytes."""

    group: str
    name: str
    cpu: float
    peak_rss: int


class Usage:
    """What the trees under ``roots`` (name → process id) use between entering and leaving.

    A process that ends is counted up to the last look before, EVERY_SECONDS at the most.
    """

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in roots.items()}
        self._before: dict[tuple[int, float], float] = {}
        self._seen: dict[tuple[int, float], Seen] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seconds = 0.0

    def __enter__(self) -> Usage:
        self._started = time.monotonic()
        self._look()
        self._before = {key: seen.cpu for key, seen in self._seen.items()}
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._look()
        self.seconds = time.monotonic() - self._started

    def cpu(self, group: str | None = None, name: str | None = None) -> float:
        """CPU seconds of one root's tree, or of all; of the processes called ``name`` there."""
        return sum(
            seen.cpu - self._before.get(key, 0.0)
            for key, seen in self._seen.items()
            if group in (None, seen.group) and name in (None, seen.name)
        )

    def peak_rss_mb(self, name: str | None = None) -> float:
        """The largest resident set of any one process, or of those of this name, in MB."""
        peaks = [seen.peak_rss for seen in self._seen.values() if name in (None, seen.name)]
        return max(peaks, default=0) / 1e6

    def _watch(self) -> None:
        while not self._ending.wait(EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        for group, root in self._roots.items():
            try:
                tree = [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for process in tree:
                self._look_at(group, process)

    def _look_at(self, group: str, process: psutil.Process) -> None:
        try:
            with process.oneshot():
                key = (process.pid, process.create_time())
                times, rss = process.cpu_times(), process.memory_info().rss
                earlier = self._seen.get(key)
                peak = max(rss, earlier.peak_rss if earlier else 0)
                self._seen[key] = Seen(group, process.name(), times.user + times.system, peak)
        except psutil.NoSuchProcess:
            pass
