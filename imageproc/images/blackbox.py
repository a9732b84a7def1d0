"""What a worker had in hand when it died, for those who clean up after it.

A killed process cannot say which image it died of. So each pump keeps a small file beside its work,
in DATA_DIR/blackbox, locked while its process lives. The kernel releases the lock at its death
(flock(2)): no process id is compared and no clock is read. Then the images of its leases are free
at once, long before those run out, and only the one that was in the codec is suspect.

Layout: 16 bytes for the image in the codec (zeros: none), then 16 bytes for each lease.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings

log = logging.getLogger(__name__)
NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Record:
    """What is written in a box. ``image_id``: the image in the codec, or None."""

    leases: frozenset[UUID]
    image_id: UUID | None


class BlackBox:
    """The box of one pump. Where the disk takes no file there is none, and the leases run out."""

    def __init__(self) -> None:
        self._file: int | None = None
        # The codec's thread may outlive the pump; its file number may be another file's by then.
        self._lock = threading.Lock()
        self._path = folder() / secrets.token_hex(8)
        try:
            self._open()
        except OSError as error:
            log.warning("no black box: %s", error)

    def _open(self) -> None:
        """Locked before it has the name by which others find it."""
        folder().mkdir(parents=True, exist_ok=True)
        unnamed = self._path.with_name(f".{self._path.name}")
        self._file = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.write(self._file, NOBODY.bytes)
        unnamed.rename(self._path)

    def lease(self, lease_id: UUID) -> None:
        """Note a lease that this pump has taken."""
        if self._file is not None:
            with suppress(OSError):
                os.pwrite(self._file, lease_id.bytes, os.fstat(self._file).st_size)

    @contextmanager
    def in_codec(self, image_id: UUID) -> Iterator[None]:
        """While this lasts, a death of the process is blamed on the image. One at a time."""
        self._point_at(image_id)
        try:
            yield
        finally:
            self._point_at(NOBODY)

    def _point_at(self, image_id: UUID) -> None:
        with self._lock, suppress(OSError):
            if self._file is not None:
                os.pwrite(self._file, image_id.bytes, 0)

    def close(self, *, nothing_left: bool) -> None:
        """``nothing_left`` in hand: remove it. Otherwise leave it to be found like a dead one's."""
        with self._lock:
            if self._file is None:
                return
            if nothing_left:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None


def wrecks() -> Iterator[Record]:
    """The boxes of dead processes of this host; each is removed once the caller is done with it."""
    for path in _boxes():
        with _opened(path) as file:
            if file is not None and _lock(file):
                yield _read(file)
                path.unlink(missing_ok=True)


def held() -> frozenset[UUID]:
    """The leases of all boxes of this host, of the living too."""
    leases: set[UUID] = set()
    for path in _boxes():
        with _opened(path) as file:
            if file is not None:
                leases |= _read(file).leases
    return frozenset(leases)


def folder() -> Path:
    return Path(settings.DATA_DIR) / "blackbox"


def _boxes() -> list[Path]:
    try:
        return [path for path in folder().iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # another cleaned it up
        yield None
        return
    try:
        yield file
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    """Its owner is dead, and nobody else is cleaning up after it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(file).st_nlink > 0


def _read(file: int) -> Record:
    data = os.pread(file, os.fstat(file).st_size, 0)
    ids = [UUID(bytes=data[at : at + 16]) for at in range(0, len(data) - 15, 16)]
    return Record(frozenset(ids[1:]), ids[0] if ids and ids[0] != NOBODY else None)
