"""Objects under keys, whole or not at all: on S3 through django-storages, or in files.

Writers answer with `Stored` or a `Fault`, because an image's retry is decided by the fault. Every
storage failure is transient, a missing bucket, mount or permission too: an operator can mend those
while the rows wait, and nothing should be lost to a mistyped setting. Readers, deleters and
listings raise `StoreError`; a key that is not in a storage that answers, `FileNotFoundError`.

Keys are relative paths of plain segments, "a/b/c.jpg". Everything here may be called from any
thread of any process, also after a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage, Storage, storages

from imageproc.faults import Fault
from imageproc.images.store.files import AtomicFileStorage, FileObjects
from imageproc.images.store.stored import (
    STORE_ERRORS,
    Stored,
    StoreError,
    as_fault,
    checked_key,
    raising_store_errors,
)

__all__ = [
    "IMMUTABLE",
    "PRIVATE",
    "AtomicFileStorage",
    "StoreError",
    "Stored",
    "delete_many",
    "delete_prefix",
    "exists",
    "is_folder",
    "list_keys",
    "open_read",
    "prepare",
    "probe",
    "public_url",
    "put",
    "put_stream",
    "read_range",
    "size",
    "sweep_leftovers",
]

# A rendition's key changes with its content (RFC 8246).
IMMUTABLE = "public, max-age=31536000, immutable"
PRIVATE = "private, no-cache"


class Objects(Protocol):
    """What a kind of storage must offer. Keys are checked already; errors are raised raw."""

    @property
    def storage(self) -> Storage: ...

    def put(self, key: str, data: bytes, content_type: str, cache_control: str) -> Stored: ...
    def put_stream(
        self, key: str, chunks: Iterable[bytes], content_type: str, cache_control: str
    ) -> Stored: ...
    def open_read(self, key: str) -> BinaryIO: ...
    def read_range(self, key: str, start: int, length: int) -> bytes: ...
    def size(self, key: str) -> int | None: ...
    def delete_many(self, keys: Iterable[str]) -> None: ...
    def list_keys(self, prefix: str) -> Iterator[tuple[str, int]]: ...
    def public_url(self, key: str) -> str | None: ...
    def probe(self) -> None: ...
    def prepare(self, *, create: bool) -> bool: ...
    def sweep_leftovers(self, older_than: float) -> int: ...


_current: Objects | None = None
_lock = threading.Lock()


def _forget() -> None:
    """A forked child makes its own client: sockets must not be shared between processes."""
    global _current, _lock
    _current, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _objects() -> Objects:
    """The storage of the settings; made once a process, shared by its threads.

    Django makes a storage for every thread that asks while there is none, and each would get a
    client of its own: 16 MB and 0.2 s of CPU. So the first is asked for under the lock.
    """
    global _current
    found = _current
    if found is None or found.storage is not storages["default"]:
        with _lock:
            storage, found = storages["default"], _current
            if found is None or found.storage is not storage:
                found = _current = _make(storage)
    return found


def _make(storage: Storage) -> Objects:
    from storages.backends.s3 import S3Storage

    from imageproc.images.store.s3 import S3Objects

    if isinstance(storage, S3Storage):
        return S3Objects(storage)
    if isinstance(storage, FileSystemStorage):
        return FileObjects(storage)
    raise ImproperlyConfigured("The default storage must be S3Storage or AtomicFileStorage.")


def put(
    key: str, data: bytes, content_type: str, *, cache_control: str = IMMUTABLE
) -> Stored | Fault:
    """Store ``data`` under ``key``, over whatever was there; durable when this returns."""
    try:
        return _objects().put(checked_key(key), data, content_type, cache_control)
    except STORE_ERRORS as error:
        return as_fault(error)


def put_stream(
    key: str, chunks: Iterable[bytes], content_type: str, *, cache_control: str = PRIVATE
) -> Stored | Fault:
    """Store a body of any length in constant memory; nothing is visible before all of it is.

    A StoreError or OSError of ``chunks`` itself becomes the fault too; any other error of theirs
    passes through. Neither leaves anything behind.
    """
    try:
        return _objects().put_stream(checked_key(key), chunks, content_type, cache_control)
    except STORE_ERRORS as error:
        return as_fault(error)


def open_read(key: str) -> BinaryIO:
    """A buffered binary stream over the object, in constant memory. The caller closes it."""
    with raising_store_errors():
        return _objects().open_read(checked_key(key))


def read_range(key: str, start: int, length: int) -> bytes:
    """At most ``length`` bytes from offset ``start``; fewer where the object ends."""
    with raising_store_errors():
        return _objects().read_range(checked_key(key), start, length)


def size(key: str) -> int | None:
    """Bytes of the object, or None where there is none."""
    with raising_store_errors():
        return _objects().size(checked_key(key))


def exists(key: str) -> bool:
    return size(key) is not None


def delete_many(keys: Iterable[str]) -> None:
    """Delete objects; those that are gone already are no error."""
    with raising_store_errors():
        _objects().delete_many(checked_key(key) for key in keys)


def list_keys(prefix: str) -> Iterator[tuple[str, int]]:
    """Every (key, size in bytes) whose key starts with ``prefix``."""
    with raising_store_errors():
        yield from _objects().list_keys(prefix)


def delete_prefix(prefix: str) -> None:
    """Delete every object whose key starts with ``prefix``, which must not be empty."""
    if not prefix.strip("/"):
        raise ValueError("an empty prefix would delete everything")
    delete_many(key for key, _ in list_keys(prefix))


def public_url(key: str) -> str | None:
    """The object's address on the CDN of S3_CUSTOM_DOMAIN, or None where there is none."""
    return _objects().public_url(checked_key(key))


def probe() -> Fault | None:
    """Whether the storage can be reached and written to, as far as that can be seen cheaply."""
    try:
        _objects().probe()
    except STORE_ERRORS as error:
        return as_fault(error)
    return None


def prepare(*, create: bool) -> bool:
    """Make the bucket or the folder where it is missing. Whether it was made now.

    ``create`` False: objects were stored before, so that a bucket or a mount that is missing is an
    outage, and a new one in its place would make a loss of it. Raises StoreError then.
    """
    with raising_store_errors():
        return _objects().prepare(create=create)


def is_folder() -> bool:
    """Whether objects are files; makes no client of S3."""
    return isinstance(storages["default"], FileSystemStorage)


def sweep_leftovers(older_than: float = 24 * 3600) -> int:
    """Remove what writes that were killed ``older_than`` seconds ago left behind; how many."""
    with raising_store_errors():
        return _objects().sweep_leftovers(older_than)
