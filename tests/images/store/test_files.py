"""Files: whole or not at all, whatever happens to the writer or to the disk."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.test import override_settings

from imageproc.faults import STORAGE_FAILED
from imageproc.images import store
from imageproc.images.store import Stored
from imageproc.images.store.files import MARK
from imageproc.images.store.stored import PARTIAL
from tests.images.store.conftest import file_storages

ROOT = Path(__file__).resolve().parents[3]
OLD = b"o" * 3_000_000
NEW = b"n" * 5_000_000
# Overwrites the object for ever, half of it in one write call, so that a kill lands in the middle.
WRITER = """
import pathlib, sys
from imageproc.images.store.files import write_whole
bodies = [b"o" * 3_000_000, b"n" * 5_000_000]
print("ready", flush=True)
while True:
    for body in bodies:
        half = len(body) // 2
        write_whole(pathlib.Path(sys.argv[1]), iter([body[:half], body[half:]]))
"""


def partials(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.name.startswith(PARTIAL) and path.name != MARK
    ]


def test_a_killed_writer_leaves_the_old_or_the_new_object_whole(files: Path) -> None:
    target = files / "r1" / "a.jpg"
    left_behind = 0
    for turn in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(target)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.05 + turn * 0.013)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if target.exists():
            assert target.read_bytes() in (OLD, NEW)
        left_behind = len(partials(files))
    assert target.exists()
    assert left_behind > 0, "no kill landed within a write: the test shows nothing"
    assert list(store.list_keys("")) == [("r1/a.jpg", target.stat().st_size)]

    assert store.sweep_leftovers(older_than=3600) == 0
    assert store.sweep_leftovers(older_than=0) == left_behind
    assert partials(files) == []
    assert store.size("r1/a.jpg") is not None


def test_readers_see_whole_objects_while_it_is_replaced(files: Path) -> None:
    store.put("r1/a", OLD, "image/jpeg")
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            for body in (NEW, OLD):
                assert isinstance(store.put("r1/a", body, "image/jpeg"), Stored)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        seen: set[bytes] = set()
        reads, ends = 0, time.monotonic() + 30
        while reads < 60 or (len(seen) < 2 and time.monotonic() < ends):
            reads += 1
            with store.open_read("r1/a") as file:
                data = file.read()
            assert data in (OLD, NEW)
            seen.add(data[:1])
    finally:
        stop.set()
        writer.join()
    assert seen == {b"o", b"n"}


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; without the right to mount, a limit on the length of a file."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if not mounted:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, hard))
    try:
        with override_settings(STORAGES=file_storages(disk / "files")):
            store.prepare(create=True)
            yield disk / "files"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_a_fault_and_the_old_object_stays(full_disk: Path) -> None:
    assert isinstance(store.put("r1/a", b"old", "image/jpeg"), Stored)
    for _ in range(3):
        fault = store.put("r1/a", NEW, "image/jpeg")
        assert fault in (STORAGE_FAILED.because("ENOSPC"), STORAGE_FAILED.because("EFBIG"))
    assert (full_disk / "r1" / "a").read_bytes() == b"old"
    assert partials(full_disk) == []
    assert isinstance(store.put("r1/a", b"new", "image/jpeg"), Stored)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user_is_a_fault(files: Path) -> None:
    store.put("r1/a", b"old", "image/jpeg")
    files.chmod(0o755)
    os.seteuid(65534)
    try:
        denied = STORAGE_FAILED.because("EACCES")
        assert store.put("r2/a", b"1", "image/jpeg") == denied
        assert store.probe() is not None
    finally:
        os.seteuid(0)
    assert store.probe() is None


def test_a_file_where_a_folder_should_be_is_a_fault(files: Path) -> None:
    store.put("r1", b"1", "image/jpeg")
    fault = store.put("r1/a", b"1", "image/jpeg")
    assert fault in (STORAGE_FAILED.because("EEXIST"), STORAGE_FAILED.because("ENOTDIR"))
    assert store.size("r1/a") is None
    long_name = store.put("x" * 300, b"1", "image/jpeg")
    assert long_name == STORAGE_FAILED.because("ENAMETOOLONG")


def test_delete_prunes_the_empty_folders_only(files: Path) -> None:
    store.put("r1/deep/er/a", b"1", "image/jpeg")
    store.put("r1/b", b"1", "image/jpeg")
    store.delete_many(["r1/deep/er/a"])
    assert sorted(path.name for path in (files / "r1").iterdir()) == ["b"]
    store.delete_many(key for key, _ in store.list_keys("r1/"))
    assert [path.name for path in files.iterdir()] == [MARK]


def test_writers_and_deleters_in_one_folder(files: Path) -> None:
    """Pruning the folder under a writer costs the writer nothing."""
    results: list[object] = []

    def write() -> None:
        results.extend(store.put(f"r1/x/{n}", b"1", "image/jpeg") for n in range(200))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        store.delete_many(key for key, _ in store.list_keys("r1/"))
    writer.join()
    assert len(results) == 200
    assert [result for result in results if not isinstance(result, Stored)] == []


def test_the_storage_behaves_as_djangos_own(files: Path) -> None:
    storage = storages["default"]
    assert storage.save("r1/a.csv", ContentFile(b"first")) == "r1/a.csv"
    assert storage.save("r1/a.csv", ContentFile(b"second")) == "r1/a.csv"
    with storage.open("r1/a.csv") as file:
        assert file.read() == b"second"
    assert store.public_url("r1/a.csv") is None
    assert partials(files) == []


def unmounted(files: Path) -> None:
    """What an unmounted volume leaves: an empty folder."""
    files.rename(files.with_name("away"))
    files.mkdir()


def moved(files: Path) -> None:
    files.rename(files.with_name("away"))


USES: dict[str, Callable[[], object]] = {
    "open": lambda: store.open_read("r1/a"),
    "range": lambda: store.read_range("r1/a", 0, 10),
    "size": lambda: store.size("r1/a"),
    "list": lambda: list(store.list_keys("r1/")),
    "delete": lambda: store.delete_many(["r1/a"]),
    "prepare": lambda: store.prepare(create=False),
    "sweep": store.sweep_leftovers,
}


@pytest.mark.parametrize("vanish", [unmounted, moved])
def test_a_missing_mount_is_an_outage(files: Path, vanish: Callable[[Path], None]) -> None:
    store.put("r1/a", b"1", "image/jpeg")
    vanish(files)
    missing = STORAGE_FAILED.because("the storage folder is missing or not mounted")
    for use in USES.values():
        with pytest.raises(store.StoreError) as caught:
            use()
        assert caught.value.fault == missing
    assert store.put("r1/b", b"1", "image/jpeg") == missing
    assert store.probe() == missing
    assert [path.name for path in files.parent.glob("files/*")] == []
    if files.exists():
        files.rmdir()
    files.with_name("away").rename(files)
    assert isinstance(store.put("r1/b", b"1", "image/jpeg"), Stored)
    assert list(store.list_keys("")) == [("r1/a", 1), ("r1/b", 1)]


def test_a_folder_from_before_there_were_marks(files: Path) -> None:
    store.put("r1/a", b"1", "image/jpeg")
    (files / MARK).unlink()
    assert store.prepare(create=False) is False
    assert store.size("r1/a") == 1
    assert store.size("r1/b") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_cannot_be_read_is_not_taken_for_empty(files: Path) -> None:
    store.put("r1/deep/a", b"1", "image/jpeg")
    (files / "r1" / "deep").chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(store.StoreError, match="EACCES"):
            store.delete_many(key for key, _ in store.list_keys("r1/"))
    finally:
        os.seteuid(0)
    assert store.size("r1/deep/a") == 1
