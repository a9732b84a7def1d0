"""An export and its import, from every kind of ground to the other, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import override_settings

from imageproc.images import store
from imageproc.models import ApiKey, Host, ImageStatus, ProcessingRequest, Switch, WebhookSecret
from tests.images.store.conftest import file_storages
from tests.support import build
from tests.support.servers.postgres import ROOT, Postgres
from tests.support.servers.rclone import Rclone

pytestmark = pytest.mark.django_db(transaction=True)
Env = dict[str, str]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """Rows of many tables in the test's own database, and a storage of files; key → bytes."""
    fill_database()
    objects = {f"some/{n}.jpg": bytes([n]) * 300_000 * n for n in range(5)} | {"some/a.csv": b"csv"}
    with override_settings(STORAGES=file_storages(tmp_path / "source")):
        store.prepare(create=True)
        for key, data in objects.items():
            assert isinstance(store.put(key, data, "text/plain"), store.Stored)
        store.put("probe/some-host", b"of a health check", "text/plain")
        yield objects


def fill_database() -> None:
    owner = build.owner()
    group = Group.objects.create(name="operators")
    group.permissions.add(Permission.objects.get(codename="operate"))
    owner.groups.add(group)
    request = build.request(3, notes=['Ünïcode \U0001f45f, "quotes", \\, and\ta tab'])
    build.image(request, 4, status=ImageStatus.FAILED, error_code="x", attempt_log=[{"ms": 1.5}])
    build.image(request, 5, input_url="http://shop.example/\\N\n'%s.jpg")
    LogEntry.objects.log_actions(owner.pk, [request], CHANGE, "Retried.", single_object=True)
    ApiKey.objects.issue(owner_id=owner.pk, name="shop")
    WebhookSecret.objects.current(owner.pk)
    Host.objects.create(name="slow.example", pace=0.1)
    Switch.objects.set_paused(Switch.WORKERS, True)


@pytest.fixture
def sqlite_and_files(tmp_path: Path) -> Env:
    data = tmp_path / "laptop"
    return {"DATA_DIR": str(data), "DATABASE_URL": f"sqlite:///{data}/db.sqlite3"}


@pytest.fixture
def postgres_and_s3(tmp_path: Path, postgres: Postgres, rclone: Rclone) -> Env:
    return {
        "DATA_DIR": str(tmp_path / "host"),
        "DATABASE_URL": postgres.migrated_database(),
        **rclone.new_bucket().environ,
    }


@contextmanager
def empty_machine(files: Path) -> Iterator[None]:
    call_command("flush", interactive=False, verbosity=0)
    with override_settings(STORAGES=file_storages(files)):
        yield


def manage(env: Env, *command: object) -> subprocess.CompletedProcess[str]:
    """A command on another machine: one with this environment."""
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, command)],
        env=os.environ | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def export(folder: Path, *options: str) -> Path:
    call_command("export", "--to", str(folder), *options, stdout=io.StringIO())
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(CommandError) as refused:
        call_command("import", str(folder))
    return str(refused.value)


def rows(folder: Path) -> dict[str, str]:
    """Table → its columns and rows."""
    files = sorted((folder / "rows").iterdir())
    return {file.name: gzip.decompress(file.read_bytes()).decode() for file in files}


def digests(folder: Path) -> dict[str, str]:
    """Key → SHA-256 of the files of an archive."""
    root = folder / "objects"
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "archive.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_drill(
    service: dict[str, bytes], tmp_path: Path, postgres_and_s3: Env, sqlite_and_files: Env
) -> None:
    """Export, import on an empty machine, export there: the same rows and objects, byte for byte;
    and from there to a machine of the other kind."""
    before = export(tmp_path / "0")
    expected = {key: hashlib.sha256(data).hexdigest() for key, data in service.items()}
    assert digests(before) == expected
    assert len(rows(before)["imageproc_productimage.jsonl.gz"].splitlines()) == 6
    for number, machine in enumerate((postgres_and_s3, sqlite_and_files), 1):
        after = tmp_path / str(number)
        for command in (("import", before), ("export", "--to", after)):
            done = manage(machine, *command)
            assert (done.returncode, done.stderr) == (0, "")
        assert rows(after) == rows(before)
        assert digests(after) == expected
        before = after
    # New rows get numbers of their own.
    assert manage(postgres_and_s3, "apikey", "create", "new").returncode == 0


def test_the_bucket_may_be_kept_or_copied_by_other_means(
    service: dict[str, bytes], tmp_path: Path
) -> None:
    archive = export(tmp_path / "archive", "--list-objects")
    assert not (archive / "objects").exists()
    missing, *copied = service
    with empty_machine(tmp_path / "target"):
        store.prepare(create=True)
        for key in copied:
            store.put(key, service[key], "text/plain")
        sentence = f"does not hold 1 objects that the export lists: {missing}."
        assert sentence in refusal(archive)
        call_command("import", str(archive), "--allow-missing", stdout=io.StringIO())
    assert ProcessingRequest.objects.get().images.count() == 5


def test_a_target_that_is_not_empty_is_refused(service: dict[str, bytes], tmp_path: Path) -> None:
    archive = export(tmp_path / "archive")
    with pytest.raises(CommandError, match="is not empty"):
        export(archive)
    assert "there are rows in " in refusal(archive)
    with empty_machine(tmp_path / "target"):
        store.prepare(create=True)
        store.put("mine.jpg", b"other", "image/jpeg")
        assert "it holds mine.jpg, which is not in the export." in refusal(archive)
        store.delete_many(["mine.jpg"])
        # What an import that was broken off has stored is no hindrance.
        store.put("some/4.jpg", b"other", "image/jpeg")
        call_command("import", str(archive), stdout=io.StringIO())
        assert store.read_range("some/4.jpg", 0, 2_000_000) == service["some/4.jpg"]


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda a: (a / "archive.json").unlink(), "holds no finished export"),
        (lambda a: cut_off(a / "archive.json"), "archive.json is damaged"),
        (lambda a: edit(a, format=2, version="9.0"), "version 9.0 in format 2"),
        (lambda a: edit(a, tables={"imageproc_new": 1}), "imageproc_new, which this version"),
        (lambda a: edit(a, tables={"auth_user": 9}), "does not hold the 9 rows"),
        (lambda a: cut_off(a / "rows/auth_user.jsonl.gz"), "auth_user.jsonl.gz is missing or"),
        (lambda a: cut_off(a / "objects.jsonl.gz"), "objects.jsonl.gz is missing or damaged"),
        (lambda a: cut_off(a / "objects/some/3.jpg"), "3.jpg is damaged: it is not what"),
        (lambda a: (a / "objects/some/3.jpg").unlink(), "3.jpg cannot be read"),
    ],
)
def test_what_cannot_be_imported_whole_leaves_no_row(
    service: dict[str, bytes], tmp_path: Path, damage: Any, sentence: str
) -> None:
    archive = export(tmp_path / "archive")
    damage(archive)
    with empty_machine(tmp_path / "target"):
        assert sentence in refusal(archive)
    assert not ProcessingRequest.objects.exists()
    assert not (tmp_path / "target/some/3.jpg").exists() or "3.jpg" not in sentence


def test_an_export_of_an_older_version_gets_the_defaults_of_new_columns(
    service: dict[str, bytes], tmp_path: Path
) -> None:
    archive = export(tmp_path / "archive")
    path = archive / "rows" / "imageproc_productimage.jsonl.gz"
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    at = lines[0].index("refusals")
    kept = [json.dumps(line[:at] + line[at + 1 :]) for line in lines]
    path.write_bytes(gzip.compress("\n".join(kept).encode()))
    with empty_machine(tmp_path / "target"):
        call_command("import", str(archive), stdout=io.StringIO())
    request = ProcessingRequest.objects.get()
    assert list(request.images.values_list("refusals", flat=True)) == [0] * 5
