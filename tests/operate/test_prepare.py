"""The storage's bucket or folder is made before the first request, and never again after it."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from pytest_django import DjangoAssertNumQueries

from imageproc.images import store
from imageproc.management import database
from imageproc.requests import operations
from tests.images.store.conftest import file_storages, s3_storages
from tests.support import build
from tests.support.servers.rclone import Rclone
from tests.support.servers.s3 import Bucket

pytestmark = pytest.mark.django_db

# The last migration before one that changes a table of requests.
BEFORE = "0011"


@pytest.fixture(params=["s3", "files"])
def missing_storage(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    """A storage whose bucket or folder is not there."""
    if request.param == "files":
        return file_storages(tmp_path / "files")
    rclone: Rclone = request.getfixturevalue("rclone")
    return s3_storages(Bucket(f"missing-{uuid4()}", rclone.endpoint))


def test_it_is_made_for_the_first_request(missing_storage: object) -> None:
    with override_settings(STORAGES=missing_storage):
        assert operations.prepare_storage() is True
        assert operations.prepare_storage() is False
        assert store.probe() is None


def test_a_storage_that_is_there_is_enough(
    missing_storage: object, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """The database is asked only where the storage is missing, and after that was seen. An answer
    from before would not know of a request that was accepted in between, and an unmounted volume
    would be marked as a new one."""
    with override_settings(STORAGES=missing_storage):
        operations.prepare_storage()
        with django_assert_num_queries(0):
            assert operations.prepare_storage() is False


def test_it_is_not_made_anew_under_requests(missing_storage: object) -> None:
    build.request(1)
    with override_settings(STORAGES=missing_storage):
        with pytest.raises(store.StoreError):
            operations.prepare_storage()
        with pytest.raises(CommandError, match="The storage cannot be used: "):
            call_command("prepare", verbosity=0)
        assert store.probe() is not None


def test_a_process_makes_its_folder(tmp_path: Path) -> None:
    with override_settings(STORAGES=file_storages(tmp_path / "files")):
        operations.prepare_folder()
        assert store.probe() is None


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no locks of tables")
@pytest.mark.django_db(transaction=True)
def test_a_migration_does_not_wait_in_front_of_the_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody reads a table that it changes, it comes again and again, and never queues."""
    call_command("migrate", "imageproc", BEFORE, verbosity=0)
    reader = connection.copy()
    reader.set_autocommit(False)
    reader.cursor().execute("SELECT 1 FROM imageproc_processingrequest")
    refused = []

    def pause(seconds: float) -> None:
        refused.append(seconds)
        if len(refused) == 2:
            reader.close()

    monkeypatch.setattr(database, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    monkeypatch.setattr(database, "LOCK_TIMEOUT_MS", 50)
    try:
        database.migrate()
    finally:
        reader.close()
        call_command("migrate", verbosity=0)
    assert len(refused) == 2
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == (f"{settings.LEASE_SECONDS * 250}ms",)
