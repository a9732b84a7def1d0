"""/healthz and /readyz, with every part down in turn."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.utils import OperationalError
from django.test import Client

from imageproc.models import ClusterHeartbeat

pytestmark = pytest.mark.django_db


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
