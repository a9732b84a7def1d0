"""What holds on files, on SeaweedFS and on rclone alike."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator

import psutil
import pytest

from imageproc.faults import INTERNAL, STORAGE_FAILED
from imageproc.images import store
from imageproc.images.store import Stored

pytestmark = pytest.mark.usefixtures("anywhere")
MB = 1024 * 1024


def read(key: str) -> bytes:
    with store.open_read(key) as file:
        return file.read()


def test_a_key_of_1024_bytes_is_the_longest() -> None:
    assert store.put("x" * 1025, b"1", "image/jpeg") == INTERNAL.because("bad storage key")
    assert store.put("a/.partial-1", b"1", "image/jpeg") == INTERNAL.because("bad storage key")
    longest = "/".join(["x" * 127] * 8) + "y"
    assert len(longest) == 1024
    assert store.size(longest) is None


@pytest.mark.parametrize("length", [0, 1, 20_000, 9 * MB])
def test_what_is_put_is_what_is_read(length: int) -> None:
    data = os.urandom(length)
    stored = store.put("r1/P001-chair-1.jpg", data, "image/jpeg")
    assert stored == Stored("r1/P001-chair-1.jpg", length, hashlib.sha256(data).hexdigest())
    assert read("r1/P001-chair-1.jpg") == data
    assert store.size("r1/P001-chair-1.jpg") == length


def test_a_put_replaces_the_object() -> None:
    store.put("r1/a.jpg", b"old and longer", "image/jpeg")
    stored = store.put("r1/a.jpg", b"new", "image/jpeg")
    assert isinstance(stored, Stored)
    assert read("r1/a.jpg") == b"new"
    assert list(store.list_keys("r1/")) == [("r1/a.jpg", 3)]


def test_keys_are_taken_as_they_are() -> None:
    keys = ["a", "r 1/x=y&z.jpg", "r1/ü-Stuhl 100%+#?.jpg"]
    for key in keys:
        stored = store.put(key, key.encode(), "image/jpeg")
        assert isinstance(stored, Stored)
        assert stored.key == key
    assert {key: read(key) for key in keys} == {key: key.encode() for key in keys}
    assert sorted(found for found, _ in store.list_keys("")) == keys


def test_a_wrong_key_is_a_fault() -> None:
    for key in ("", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\\b", "a\nb", "a\0b"):
        refused = INTERNAL.because("bad storage key")
        assert store.put(key, b"1", "image/jpeg") == refused, key
        assert store.put_stream(key, [b"1"], "text/csv") == refused, key
        with pytest.raises(store.StoreError, match="bad storage key"):
            store.open_read(key)
    assert list(store.list_keys("")) == []


def test_what_is_not_there() -> None:
    assert store.size("r1/none") is None
    assert store.size("r1/none") is None
    with pytest.raises(FileNotFoundError):
        store.open_read("r1/none")
    with pytest.raises(FileNotFoundError):
        store.read_range("r1/none", 0, 10)
    store.delete_many(["r1/none"])
    store.delete_many(key for key, _ in store.list_keys("r1/"))


def test_ranges() -> None:
    store.put("r1/a", b"0123456789", "text/csv")
    assert store.read_range("r1/a", 0, 3) == b"012"
    assert store.read_range("r1/a", 7, 100) == b"789"
    assert store.read_range("r1/a", 10, 5) == b""
    assert store.read_range("r1/a", 3, 0) == b""


@pytest.mark.parametrize("chunks", [[], [b""], [b"a", b"", b"bc"], [b"x" * (8 * MB)]])
def test_streams_of_odd_sizes(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    stored = store.put_stream("r1/output.csv", iter(chunks), "text/csv")
    assert stored == Stored("r1/output.csv", len(whole), hashlib.sha256(whole).hexdigest())
    assert read("r1/output.csv") == whole


def test_a_big_stream_takes_constant_memory() -> None:
    """50 MB out and in again, within 40 MB: a part in hand, its copy and the client's own."""
    line = os.urandom(64 * 1024)
    process = psutil.Process()
    store.put("warm-up", b"1", "text/csv")
    before = process.memory_info().rss
    peak = 0

    def lines() -> Iterator[bytes]:
        nonlocal peak
        for _ in range(800):
            peak = max(peak, process.memory_info().rss)
            yield line

    stored = store.put_stream("r1/input.csv", lines(), "text/csv")
    expected = hashlib.sha256(line * 800).hexdigest()
    assert stored == Stored("r1/input.csv", 800 * len(line), expected)
    digest = hashlib.sha256()
    with store.open_read("r1/input.csv") as file:
        while block := file.read(100_000):
            digest.update(block)
            peak = max(peak, process.memory_info().rss)
    assert digest.hexdigest() == expected
    assert peak - before < 40 * MB


def test_a_stream_whose_source_fails_leaves_nothing() -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * (20 * MB)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.put_stream("r1/output.csv", broken(), "text/csv")
    assert store.size("r1/output.csv") is None
    assert list(store.list_keys("")) == []
    assert store.sweep_leftovers(older_than=-3600) == 0


def test_a_stream_from_a_failing_storage_is_a_fault() -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise store.StoreError(STORAGE_FAILED.because("GetObject: SlowDown"))

    stored = store.put_stream("r1/output.csv", broken(), "text/csv")
    assert stored == STORAGE_FAILED.because("GetObject: SlowDown")
    assert store.size("r1/output.csv") is None


def test_a_prefix_lists_its_own_keys_only() -> None:
    for key in ("r1/a", "r1/b/c", "r10/a", "r2"):
        store.put(key, b"1", "image/jpeg")
    store.delete_many(key for key, _ in store.list_keys("r1/"))
    assert sorted(store.list_keys("")) == [("r10/a", 1), ("r2", 1)]


def test_32_threads_at_once() -> None:
    results: dict[int, object] = {}
    start = threading.Barrier(32)

    def write(number: int) -> None:
        start.wait()
        for _ in range(5):
            results[number] = store.put(f"r1/{number}", b"%d" % number, "image/jpeg")
        assert read(f"r1/{number}") == b"%d" % number

    threads = [threading.Thread(target=write, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: store.size(f"r1/{number}") for number in range(32)} == {
        number: len(str(number)) for number in range(32)
    }
    assert all(isinstance(result, Stored) for result in results.values())
    assert len(results) == 32


def test_a_forked_child_makes_its_own_client() -> None:
    store.put("r1/parent", b"1", "image/jpeg")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            inherited = store._current
            stored = store.put("r1/child", b"22", "image/jpeg")
            status = 0 if inherited is None and isinstance(stored, Stored) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert isinstance(store.put("r1/parent", b"333", "image/jpeg"), Stored)
    assert sorted(store.list_keys("r1/")) == [("r1/child", 2), ("r1/parent", 3)]


def test_probe_of_a_storage_that_works() -> None:
    assert store.probe() is None
