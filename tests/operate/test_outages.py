"""While the database is away, whoever calls is told to come back: at every address, in its way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from imageproc.faults import STORAGE_FAILED
from imageproc.images.store import StoreError
from tests.support import build

pytestmark = pytest.mark.django_db
# They need no database, or say themselves what is wrong.
WITHOUT_DATABASE = {
    *("/healthz", "/readyz", "/metrics", "/api/", "/api/schema", "/api/docs"),
    *("/sample.csv", "/sample/1.jpg"),
}
KEY = "ip_" + "x" * 43
SOME_ID = "018bcfe5-6800-7000-8000-000000000001"
VALUES = {"code": "not_found", "name": "1.jpg", "app_label": "imageproc", "url": "x/"}


def addresses(
    resolver: URLResolver, prefix: str = "/", space: str = ""
) -> Iterator[tuple[str, str]]:
    """(namespace, path) of every address of the site."""
    for pattern in resolver.url_patterns:
        path = prefix + _filled(pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern, path, pattern.namespace or space)
        else:
            yield space, path


def _filled(pattern: URLPattern | URLResolver) -> str:
    route = str(pattern.pattern).lstrip("^").rstrip("$").replace("\\Z", "")
    for name, converter in pattern.pattern.converters.items():
        kind = type(converter).__name__
        value = {"UUIDConverter": SOME_ID, "IntConverter": "1"}.get(kind) or VALUES.get(name)
        for tag in (f"<uuid:{name}>", f"<int:{name}>", f"<str:{name}>", f"<path:{name}>"):
            route = route.replace(tag, value or "1")
    return route


def found() -> list[tuple[str, str]]:
    every = set(addresses(get_resolver()))
    return sorted((space, path) for space, path in every if path not in WITHOUT_DATABASE)


@pytest.fixture
def anna() -> Client:
    """An operator with a session, against whom nothing is cached."""
    client = Client(raise_request_exception=False)
    anna = build.owner("anna")
    anna.is_staff = anna.is_superuser = True
    anna.save()
    client.force_login(anna)
    return client


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    for name in ("cursor", "ensure_connection", "set_autocommit", "savepoint"):
        monkeypatch.setattr(connection, name, refuse)


@pytest.mark.parametrize("debug", [True, False])
def test_every_address_says_503(
    anna: Client, no_database: None, settings: Any, debug: bool
) -> None:
    settings.DEBUG = debug
    for space, path in found():
        headers = {} if space else {"Authorization": f"Bearer {KEY}"}
        answers = [anna.get(path, headers=headers), anna.post(path, headers=headers)]
        away = [answer for answer in answers if answer.status_code != 405]
        assert away, path
        for answer in away:
            assert (answer.status_code, answer.get("Retry-After")) == (503, "30"), path
            assert kind_of(answer) == ("page" if space else "database_unavailable"), path


def kind_of(answer: Any) -> str:
    if answer["Content-Type"] == "application/problem+json":
        return str(answer.json()["code"])
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert b"Try again in a minute" in answer.content
    return "page"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("gone"), "database_unavailable"),
        (InterfaceError("connection already closed"), "database_unavailable"),
        (StoreError(STORAGE_FAILED), "storage_failed"),
    ],
)
def test_what_is_raised_in_the_middleware_is_an_outage_too(
    anna: Client, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    """Not by a view: Django has made an answer of it before any other layer hears of it."""

    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("config.middleware.BodyLimit.process_view", refuse)
    page, call = anna.get("/requests/"), anna.get("/api/schema")
    assert (page.status_code, page["Retry-After"]) == (503, "30")
    assert b"Try again in a minute" in page.content
    assert (call.status_code, call["Retry-After"], call.json()["code"]) == (503, "30", code)


def test_what_is_wrong_with_us_stays_500(anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("config.middleware.BodyLimit.process_view", refuse)
    assert anna.get("/requests/").status_code == 500
