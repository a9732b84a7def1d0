"""Stored objects ⇄ files of an archive, several at a time."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from imageproc.archive.lines import read_lines, write_lines
from imageproc.archive.manifest import ArchiveError
from imageproc.faults import Fault
from imageproc.images import names, store
from imageproc.images.store.files import write_whole

THREADS = 8
# Results that wait for their turn, in memory.
AHEAD = 4 * THREADS
BLOCK = 1024 * 1024

# (key, size in bytes, SHA-256 in hex; None where the object was not read)
Entry = tuple[str, int, str | None]
T = TypeVar("T")
R = TypeVar("R")


def stored_keys() -> Iterator[tuple[str, int]]:
    """The key and size of each stored object, but for what health checks write."""
    probes = names.probe_key("")
    return (found for found in store.list_keys("") if not found[0].startswith(probes))


def write_objects(folder: Path, *, contents: bool) -> tuple[int, int]:
    """Write the list of all objects, and with ``contents`` each object. (objects, bytes)

    An object that is deleted meanwhile is left out: its request was removed.
    """
    count = total = 0

    def lines() -> Iterator[Entry]:
        nonlocal count, total
        unread: Iterator[Entry] = ((key, size, None) for key, size in stored_keys())
        for entry in _in_parallel(partial(_fetch, folder), unread) if contents else unread:
            if entry:
                count, total = count + 1, total + entry[1]
                yield entry

    write_lines(_list(folder), lines())
    return count, total


def _fetch(folder: Path, entry: Entry) -> Entry | None:
    key = entry[0]
    try:
        with store.open_read(key) as source:
            blocks = iter(partial(source.read, BLOCK), b"")
            return key, *write_whole(file_of(folder, key), blocks)
    except FileNotFoundError:
        return None


def read_objects(folder: Path) -> None:
    """Store every object of an archive. Raises ArchiveError at the first that is damaged or that
    the storage does not take."""
    for _ in _in_parallel(partial(_send, folder), read_lines(_list(folder))):
        pass


def _send(folder: Path, entry: Entry) -> None:
    key = entry[0]
    sheet = key.endswith(".csv")
    stored = store.put_stream(
        key,
        _checked_blocks(file_of(folder, key), entry),
        names.content_type(key),
        cache_control=store.PRIVATE if sheet else store.IMMUTABLE,
    )
    if isinstance(stored, Fault):
        raise ArchiveError(f"{key} cannot be stored: {stored.message} {stored.detail}".strip())


def _checked_blocks(path: Path, entry: Entry) -> Iterator[bytes]:
    """The file's bytes. Raises at their end if they are not what was exported, and then the storage
    keeps nothing of them."""
    _, size, sha256 = entry
    digest, count = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                count += len(block)
                yield block
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror}.") from error
    if (count, digest.hexdigest()) != (size, sha256):
        raise ArchiveError(f"{path} is damaged: it is not what was exported.")


def missing_objects(folder: Path) -> Iterator[str]:
    """The keys of a list that the storage does not hold, or holds with another size."""
    return (key for key in _in_parallel(_missing, read_lines(_list(folder))) if key)


def _missing(entry: Entry) -> str | None:
    key, size, _ = entry
    return None if store.size(key) == size else key


def file_of(folder: Path, key: str) -> Path:
    return folder / "objects" / key


def _list(folder: Path) -> Path:
    return folder / "objects.jsonl.gz"


def _in_parallel(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """``map`` on THREADS threads. Takes no more of ``items`` than AHEAD of its results."""
    with ThreadPoolExecutor(THREADS) as pool:
        pending: deque[Future[R]] = deque()
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
