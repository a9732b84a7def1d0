"""Objects as files: written beside their place, made durable, and renamed into it."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.core.files import File
from django.core.files.storage import FileSystemStorage
from django.utils.deconstruct import deconstructible

from imageproc.faults import STORAGE_FAILED
from imageproc.images.store.stored import PARTIAL, Stored, StoreError

# In the folder of the objects, from its first day: where it is missing, so is the mount.
MARK = f"{PARTIAL}mark"


@deconstructible(path="imageproc.images.store.AtomicFileStorage")
class AtomicFileStorage(FileSystemStorage):
    """Django's file storage, where a name holds its old content or its whole new content."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        return name  # a second save replaces the first, as on S3

    def _save(self, name: str, content: File[Any]) -> str:
        write_whole(Path(self.path(name)), content.chunks())
        return name


def write_whole(path: Path, chunks: Iterable[bytes]) -> tuple[int, str]:
    """Replace ``path`` by the joined chunks; (bytes, SHA-256 in hex) once a power cut is harmless.

    fsync before the rename, or some file systems show an empty file after a crash; fsync of the
    folder after it, or the rename itself may be lost (rename(2), fsync(2)).
    """
    partial, file = _open_partial(path)
    try:
        with file:
            size, digest = 0, hashlib.sha256()
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)
    return size, digest.hexdigest()


def _open_partial(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside ``path``; again if a delete prunes the folder in between."""
    partial = path.with_name(f"{PARTIAL}{secrets.token_hex(8)}")
    for _ in range(10):
        with suppress(FileNotFoundError):
            _make_folder(path.parent)
            return partial, open(partial, "xb", opener=_for_the_owner)
    raise FileNotFoundError(partial)


def _for_the_owner(path: str, flags: int) -> int:
    """Open a file that only its owner may read: catalogues and pictures of others."""
    return os.open(path, flags, mode=0o600)


def _make_folder(folder: Path) -> None:
    """Like mkdir(parents=True), with each new folder's name made durable."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileNotFoundError):
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # deleted meanwhile, and the file with it
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FileObjects:
    """The object store over a folder. File names hold neither content type nor cache headers.

    The folder is marked when it is made. An unmounted volume leaves an empty folder in its place,
    or none: that is an outage. Only a marked folder can have lost a key, or takes new ones.
    """

    def __init__(self, storage: FileSystemStorage) -> None:
        self.storage = storage
        self.root = Path(storage.location)

    def put(self, key: str, data: bytes, content_type: str, cache_control: str) -> Stored:
        return self.put_stream(key, (data,), content_type, cache_control)

    def put_stream(
        self, key: str, chunks: Iterable[bytes], content_type: str, cache_control: str
    ) -> Stored:
        self._require_mark()
        return Stored(key, *write_whole(self.root / key, chunks))

    def open_read(self, key: str) -> BinaryIO:
        try:
            return (self.root / key).open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            self._require_mark()
            raise FileNotFoundError(key) from error

    def read_range(self, key: str, start: int, length: int) -> bytes:
        with self.open_read(key) as file:
            file.seek(start)
            return file.read(length)

    def size(self, key: str) -> int | None:
        try:
            return (self.root / key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            self._require_mark()
            return None

    def delete_many(self, keys: Iterable[str]) -> None:
        self._require_mark()
        for key in keys:
            path = self.root / key
            with suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
                self._prune(path.parent)

    def _prune(self, folder: Path) -> None:
        with suppress(OSError):  # not empty: the usual end
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent

    def list_keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        self._require_mark()
        for path in self._walk(self.root / prefix.rpartition("/")[0]):
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and not path.name.startswith(PARTIAL):
                with suppress(FileNotFoundError):
                    yield key, path.stat().st_size

    def _walk(self, folder: Path) -> Iterator[Path]:
        """Every file below ``folder``; raises where a folder cannot be read."""
        for base, folders, names in os.walk(folder, onerror=_raise_unless_gone):
            folders.sort()
            for name in sorted(names):
                yield Path(base, name)

    def public_url(self, key: str) -> None:
        return None

    def _require_mark(self) -> None:
        if not (self.root / MARK).exists():
            detail = "the storage folder is missing or not mounted"
            raise StoreError(STORAGE_FAILED.because(detail))

    def prepare(self, *, create: bool) -> bool:
        if (self.root / MARK).exists():
            return False
        # A folder with objects but without a mark is from before there were marks.
        new = not self.root.exists() or not any(self.root.iterdir())
        if new and not create:
            self._require_mark()
        _make_folder(self.root)
        (self.root / MARK).touch()
        _sync_folder(self.root)
        return new

    def probe(self) -> None:
        self._require_mark()
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable", str(self.root))

    def sweep_leftovers(self, older_than: float) -> int:
        self._require_mark()
        swept = 0
        for path in self._walk(self.root):
            if path.name.startswith(PARTIAL) and path.name != MARK:
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime <= time.time() - older_than:
                        path.unlink()
                        swept += 1
        return swept


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
