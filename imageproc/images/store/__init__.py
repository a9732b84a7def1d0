"""Stores objects under keys, whole or not at all: on S3 through django-storages, or in files.

`put` and `put_stream` return `Stored` or a `Fault`, because the fault decides whether an image is
retried. Every storage failure is transient, even a missing bucket, mount or permission: an operator
can fix those while the rows wait, and nothing should be lost to a mistyped setting. All other
functions raise `StoreError`, or `FileNotFoundError` for a missing key in a storage that works.

Keys are relative paths of plain segments, "a/b/c.jpg". Everything here may be called from any
thread of any process, also after a fork.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

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

if TYPE_CHECKING:  # boto3 is imported only where there is a bucket
    from imageproc.images.store.s3 import S3Objects

__all__ = [
    "IMMUTABLE",
    "PRIVATE",
    "AtomicFileStorage",
    "StoreError",
    "Stored",
    "delete_many",
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


# A kind of storage: keys are checked before its methods are called, and what it raises becomes a
# StoreError or a Fault here.
Objects: TypeAlias = "S3Objects | FileObjects"
_current: Objects | None = None
_lock = threading.Lock()


def _forget() -> None:
    """Make a forked child create its own client: processes must not share sockets."""
    global _current, _lock
    _current, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def _objects() -> Objects:
    """The storage of the settings, created once per process and shared by its threads.

    Without the lock, Django would create one for every thread that asks at the same time, each with
    a client of its own: 16 MB and 0.2 s of CPU.
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
    """Store ``data`` under ``key``, replacing what was there. It is durable when this returns."""
    try:
        return _objects().put(checked_key(key), data, content_type, cache_control)
    except STORE_ERRORS as error:
        return as_fault(error)


def put_stream(
    key: str, chunks: Iterable[bytes], content_type: str, *, cache_control: str = PRIVATE
) -> Stored | Fault:
    """Store a body of any length in constant memory. It becomes visible only as a whole.

    A StoreError or OSError raised by ``chunks`` is returned as a fault too; any other error of
    theirs passes through. In both cases nothing is left behind.
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
    """At most ``length`` bytes from offset ``start``; fewer at the end of the object."""
    with raising_store_errors():
        return _objects().read_range(checked_key(key), start, length)


def size(key: str) -> int | None:
    """The object's size in bytes, or None if there is none."""
    with raising_store_errors():
        return _objects().size(checked_key(key))


def delete_many(keys: Iterable[str]) -> None:
    """Delete objects. A missing object is no error."""
    with raising_store_errors():
        _objects().delete_many(checked_key(key) for key in keys)


def list_keys(prefix: str) -> Iterator[tuple[str, int]]:
    """Every (key, size in bytes) whose key starts with ``prefix``."""
    with raising_store_errors():
        yield from _objects().list_keys(prefix)


def public_url(key: str) -> str | None:
    """The object's URL on the CDN of S3_CUSTOM_DOMAIN, or None if that is not set."""
    return _objects().public_url(checked_key(key))


def probe() -> Fault | None:
    """A cheap check of the storage. None if it works, as far as can be seen, else the fault."""
    try:
        _objects().probe()
    except STORE_ERRORS as error:
        return as_fault(error)
    return None


def prepare(*, create: bool) -> bool:
    """Create the bucket or folder if it is missing. Returns whether it was created now.

    With ``create`` False objects were stored before, so a missing bucket or mount is an outage, and
    an empty one in its place would turn that into a loss. Raises StoreError then.
    """
    with raising_store_errors():
        return _objects().prepare(create=create)


def is_folder() -> bool:
    """Whether objects are stored as files. Creates no S3 client."""
    return isinstance(storages["default"], FileSystemStorage)


def sweep_leftovers(older_than: float = 24 * 3600) -> int:
    """Remove what writes that were killed more than ``older_than`` seconds ago left behind. Returns
    how many."""
    with raising_store_errors():
        return _objects().sweep_leftovers(older_than)
