"""/healthz and /readyz, with every part down in turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.db.utils import OperationalError
from django.test import Client

from imageproc import health
from imageproc.health import StorageProbe
from imageproc.models import ClusterHeartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _not_asked_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    monkeypatch.setitem(health.PARTS, "storage", StorageProbe(health.check_storage))


def beat(*names: str) -> None:
    for name in names:
        ClusterHeartbeat.objects.beat(name=name, host="h", pid=1, workers=2)


def test_it_lives_without_any_part(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    monkeypatch.setattr(connection, "ensure_connection", refuse)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer["Cache-Control"]


def test_it_is_ready_when_every_part_works(client: Client) -> None:
    beat("images", "control")
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "parts": {"database": "ok", "storage": "ok", "workers": "ok"},
    }


@pytest.mark.parametrize(
    ("alive", "silent"),
    [((), "images, control"), (("control",), "images"), (("images",), "control")],
)
def test_a_silent_cluster_is_named(client: Client, alive: tuple[str, ...], silent: str) -> None:
    beat(*alive)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {
        "database": "ok",
        "storage": "ok",
        "workers": f"no heartbeat of: {silent}",
    }


def test_a_storage_that_is_not_mounted_is_named(client: Client, settings: Any) -> None:
    beat("images", "control")
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "imageproc.images.store.AtomicFileStorage",
            "OPTIONS": {"location": str(settings.DATA_DIR / "nowhere")},
        },
    }
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {
        "database": "ok",
        "storage": "the storage folder is missing or not mounted",
        "workers": "ok",
    }


def test_a_database_that_is_away_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    monkeypatch.setattr(connection, "close", lambda: None)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {
        "database": "OperationalError",
        "storage": "ok",
        "workers": "OperationalError",
    }


def test_probes_are_read_only(client: Client) -> None:
    assert [client.post(path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [
        405
    ] * 3


class Storage:
    """Counts how often it is asked, and answers when it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = ""
        self.go = threading.Event()
        self.go.set()

    def __call__(self) -> str:
        self.asked += 1
        self.go.wait(30)
        return self.answer


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(StorageProbe, "PATIENCE", 0.2)
    return Storage()


def passed(probe: StorageProbe, seconds: float) -> None:
    """Let so much time pass since the last question."""
    probe._started_at -= seconds


def test_the_storage_is_asked_once_however_many_call(storage: Storage) -> None:
    probe = StorageProbe(storage)
    with ThreadPoolExecutor(16) as callers:
        assert set(callers.map(lambda _: probe(), range(200))) == {""}
    assert storage.asked == 1
    passed(probe, 4.5)
    assert (probe(), storage.asked) == ("", 1)
    storage.answer = "SlowDown"
    passed(probe, 0.5)
    assert (probe(), storage.asked) == ("SlowDown", 2)


def test_a_storage_that_hangs_holds_one_thread_and_no_caller(storage: Storage) -> None:
    probe = StorageProbe(storage)
    storage.go.clear()
    assert probe() == "no answer yet"
    storage.go.set()
    assert probe._finished.wait(10)
    assert probe() == ""
    storage.go.clear()
    passed(probe, 5)
    assert (probe(), storage.asked) == ("", 2)  # the last answer, for a while
    passed(probe, 10)
    before = threading.active_count()
    with ThreadPoolExecutor(16) as callers:
        assert set(callers.map(lambda _: probe(), range(200))) == {"no answer yet"}
    assert (storage.asked, threading.active_count()) == (2, before)
    storage.go.set()


def test_what_the_storage_raises_is_named(storage: Storage) -> None:
    def ask() -> str:
        raise ZeroDivisionError

    assert StorageProbe(ask)() == "ZeroDivisionError"
