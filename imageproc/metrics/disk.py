"""Metrics files that a full disk cannot turn against their process.

prometheus_client maps sparse files into memory. Writing to a page for which the disk has no block
left is no error that could be caught: the kernel kills the process (SIGBUS, mmap(2)). So blocks are
reserved before they are written (posix_fallocate(3)), and where there are none the process counts
in memory, for nobody, until it ends.
"""

# prometheus_client has no annotations here.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import logging
import os
import struct
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

log = logging.getLogger(__name__)
# Room for some hundred series; doubled when it is used up.
FIRST_SIZE = 1 << 14


class Reserved(MmapedDict):
    """On the disk, every page of it; in memory from when the disk has no room."""

    def __init__(self, filename: str) -> None:
        super().__init__(_room(filename, FIRST_SIZE))

    def _init_value(self, key: str) -> None:
        entry = len(key.encode()) + 32  # its length, padding, value and time
        if self._used + entry > self._capacity:
            self._go_on_in(_room(self._fname, 2 * self._capacity))
        super()._init_value(key)

    def _go_on_in(self, filename: str) -> None:
        if filename != self._fname:
            Path(filename).write_bytes(self._m[:])
            reserve(filename, 2 * self._capacity)
        self.close()
        super().__init__(filename)


def reserve(filename: str | Path, size: int) -> None:
    """Have the disk keep ``size`` bytes for the file; OSError where it cannot."""
    path = Path(filename)
    try:
        with path.open("ab") as file:
            if os.fstat(file.fileno()).st_size < size:
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError:
        if path.exists() and not path.stat().st_size:
            path.unlink()  # an empty one cannot be read at a scrape
        raise


def reserve_sum(source: Path, target: Path) -> None:
    """Room in ``target`` for what stands in both."""
    reserve(target, max(FIRST_SIZE, _used(source) + _used(target)))


def _used(path: Path) -> int:
    """The files' first word: bytes in use."""
    head = path.read_bytes()[:4] if path.exists() else b""
    return int(struct.unpack("i", head)[0]) if head else 0


def _room(filename: str, size: int) -> str:
    """The file, with ``size`` bytes of room; or else one in memory."""
    try:
        reserve(filename, size)
    except OSError as error:
        log.warning("metrics of this process are not kept: %s", error)
        memory = os.memfd_create("metrics")
        os.truncate(memory, size)
        return f"/proc/self/fd/{memory}"
    return filename


# For every metric made from now on, in this process and its children.
values.MmapedDict = Reserved  # type: ignore[attr-defined,assignment]
