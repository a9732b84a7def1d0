"""Small disks that can be filled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A tmpfs of that size on the folder; only root can."""
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def mount(*options: str, busy_is_fine: bool = False) -> bool:
    """False where it is busy: nothing becomes read-only while a file is open for writing."""
    code = subprocess.run(["mount", *options], check=not busy_is_fine).returncode
    return code == 0


def fill(path: Path) -> None:
    """Write until the disk takes no more; raises the OSError."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))
