"""The counters of many processes as one: files that outlive their process, summed at a scrape.

prometheus_client writes each process's numbers into memory-mapped files named after its pid
(https://prometheus.github.io/client_python/multiprocess/). Those of dead processes must go on
counting, or every sum would fall; they are folded into the files of pid 0, so that a worker that
dies every second does not leave a file a second.
"""

# prometheus_client has no annotations here.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector

from imageproc.metrics.disk import reserve_sum

log = logging.getLogger(__name__)
FOLDED = 0
_FILE = re.compile(r"(counter|histogram)_(\d+)\.db")


class Processes:
    """A collector over every process of this host that shares the folder, dead ones included."""

    def collect(self) -> Iterator[Metric]:
        with _locked():
            fold_dead()
            yield from MultiProcessCollector(CollectorRegistry(), str(folder())).collect()


def folder() -> Path:
    """Set by config/settings.py before anything imports prometheus_client."""
    return Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])


def fold() -> None:
    """What a scrape does besides, for hosts that nobody scrapes."""
    with _locked():
        fold_dead()


def fold_dead() -> int:
    """Add up the files of dead processes. Files folded. Call with the folder locked."""
    folded = 0
    for path in sorted(folder().glob("*.db")):
        match = _FILE.fullmatch(path.name)
        if match and not _alive(int(match[2])):
            target = path.with_name(f"{match[1]}_{FOLDED}.db")
            try:
                reserve_sum(path, target)
            except OSError as error:
                log.warning("metrics of dead processes are left where they are: %s", error)
                break
            _add(path, target)
            path.unlink()
            folded += 1
    return folded


def _add(source: Path, target: Path) -> None:
    sums = MmapedDict(str(target))
    try:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(source)):
            sums.write_value(key, sums.read_value(key)[0] + value, 0.0)
    finally:
        sums.close()


def _alive(pid: int) -> bool:
    if pid == FOLDED:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _locked() -> Iterator[None]:
    """One scrape at a time: none sees a file both folded and there."""
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
