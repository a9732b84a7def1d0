"""No owner sees another's things: every address of the site × a stranger's key or session.

A new address fails ``test_every_address_has_a_verdict`` until somebody has thought about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from pytest_django import Settings

from imageproc.models import ApiKey, ColumnMapping, ProcessingRequest, WebhookDelivery
from tests.security.conftest import with_key
from tests.support import build

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

# Names one thing of an owner: 404 for everyone else, whatever the method.
OWN = {
    "api/status/<uuid:request_id>",
    "api/requests/<uuid:request_id>",
    "api/requests/<uuid:request_id>/retry",
    "api/requests/<uuid:request_id>/cancel",
    "api/requests/<uuid:request_id>/continue",
    "api/requests/<uuid:request_id>/output.csv",
    "api/requests/<uuid:request_id>/output.xlsx",
    "api/requests/<uuid:request_id>/images.zip",
    "api/requests/<uuid:request_id>/input.csv",
    "api/requests/<uuid:request_id>/manifest.json",
    "api/requests/<uuid:request_id>/failed.csv",
    "api/requests/<uuid:request_id>/errors.csv",
    "api/images/<uuid:image_id>/original",
    "api/webhooks/deliveries/<uuid:delivery_id>/redeliver",
    "csv/status/<uuid:request_id>",
    "status/<uuid:request_id>",
    "requests/<uuid:request_id>/",
    "requests/<uuid:request_id>/progress/",
    "requests/<uuid:request_id>/outcome/",
    "requests/<uuid:request_id>/failures/<str:code>/",
    "requests/<uuid:request_id>/pictures/",
    "requests/<uuid:request_id>/pictures/<uuid:image_id>/",
    "requests/<uuid:request_id>/retry/",
    "requests/<uuid:request_id>/cancel/",
    "requests/<uuid:request_id>/delete/",
    "requests/<uuid:request_id>/continue/",
    "requests/<uuid:request_id>/webhook/",
    "requests/<uuid:request_id>/webhook/<uuid:delivery_id>/",
    "keys/<int:key_id>/revoke/",
    "columns/<int:mapping_id>/",
    "columns/<int:mapping_id>/delete/",
}
# Shows or makes what is the caller's: needs a caller, and holds nothing of others.
CALLERS = {
    "api/upload",
    "api/upload/errors.csv",
    "api/requests",
    "api/webhooks/secret",
    "api/webhooks/secret/rotate",
    "csv/upload",
    "upload",
    "",
    "inspect/",
    "inspect/errors.csv",
    "sample/",
    "requests/",
    "keys/",
    "columns/",
    "keys/webhook-secret/",
    "keys/webhook-secret/replace/",
    "password/",
    "password/changed/",
}
# Processed images are for everyone who knows their id (docs/security.md).
PUBLIC_IMAGES = {
    "api/images/<uuid:image_id>",
    "api/images/<uuid:image_id>/<str:name>",
    "csv/download/<uuid:image_id>",
    "image/<uuid:request_id>/<uuid:image_id>",
}
# Holds nothing of any owner.
NEUTRAL = {
    "healthz",
    "readyz",
    "metrics",  # has a token of its own: tests/operate
    "api/schema",
    "api/docs",
    "api/",  # everything else under /api/: 404
    "sample.csv",
    "sign-in/",
    "sign-out/",
}


def routes(resolver: URLResolver | None = None, stem: str = "") -> Iterator[str]:
    """Every address but those of the admin, which asks for staff: tests of the admin."""
    for entry in (resolver or get_resolver()).url_patterns:
        path = stem + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield path
        elif path != "admin/":
            yield from routes(entry, path)


def test_every_address_has_a_verdict() -> None:
    assert set(routes()) == OWN | CALLERS | PUBLIC_IMAGES | NEUTRAL


@pytest.fixture
def things() -> dict[str, Any]:
    """One of everything, Olga's."""
    request = build.request(webhook_url="http://8.8.8.8/hook")
    image = request.images.get()
    delivery = WebhookDelivery.objects.create(
        request=request, event="request.completed", url=request.webhook_url, body="{}"
    )
    key, _ = ApiKey.objects.issue(owner_id=build.owner("olga").pk, name="key-of-olga")
    mapping = ColumnMapping.objects.create(
        owner=build.owner("olga"), header_digest="0" * 64, header=["Foto"], images=["Foto"]
    )
    return {
        "<uuid:request_id>": request.id,
        "<uuid:image_id>": image.id,
        "<uuid:delivery_id>": delivery.id,
        "<int:key_id>": key.pk,
        "<int:mapping_id>": mapping.pk,
        "<str:code>": "not_found",
        "<str:name>": "x.jpg",
    }


@pytest.fixture(autouse=True)
def _production(settings: Settings) -> None:
    settings.API_ANONYMOUS = False
    settings.CALLS_PER_MINUTE_ADDRESS = 0


def address(route: str, things: dict[str, Any]) -> str:
    for name, value in things.items():
        route = route.replace(name, str(value))
    assert "<" not in route
    return f"/{route}"


def is_page(route: str) -> bool:
    return not route.startswith(("api/", "csv/", "status/", "upload", "image/"))


def caller(name: str, route: str) -> Client:
    if not is_page(route):
        return with_key(name)
    client = Client()
    client.force_login(build.owner(name))
    return client


def codes(client: Client, path: str) -> set[int]:
    return {client.generic(method, path).status_code for method in METHODS}


@pytest.mark.parametrize("route", sorted(OWN))
def test_another_gets_404_as_if_it_were_not_there(route: str, things: dict[str, Any]) -> None:
    path = address(route, things)
    paul = caller("paul", route)
    assert codes(paul, path) - {405} == {404}
    if "<uuid" in route:
        nowhere = address(route, things | {k: uuid4() for k in things if k.startswith("<uuid")})
        for method in METHODS:
            theirs, nothing = paul.generic(method, path), paul.generic(method, nowhere)
            assert (theirs.status_code, len(theirs.content)) == (
                nothing.status_code,
                len(nothing.content),
            )
    assert ProcessingRequest.objects.get().status == build.PROCESSING
    assert ApiKey.objects.filter(name="key-of-olga", revoked_at=None).count() == 1
    assert ColumnMapping.objects.count() == 1
    # It is the owner that makes the difference.
    if not route.endswith(("original", "<uuid:image_id>/")):  # nothing is stored here
        assert codes(caller("olga", route), path) - {404, 405}


@pytest.mark.parametrize("route", sorted(OWN | CALLERS))
def test_without_a_caller_there_is_nothing(route: str, things: dict[str, Any]) -> None:
    path = address(route, things)
    for method in METHODS:
        answer = Client().generic(method, path)
        if is_page(route):
            signs_in = answer.status_code == 302 and answer["Location"].startswith("/sign-in/?")
            assert signs_in or answer.status_code == 405
        else:
            assert answer.status_code == 401


@pytest.mark.parametrize("route", sorted(CALLERS))
def test_what_another_is_shown_holds_nothing_of_mine(route: str, things: dict[str, Any]) -> None:
    client = caller("paul", route)
    for method in ("GET", "POST"):
        text = client.generic(method, address(route, things)).content.decode()
        assert str(things["<uuid:request_id>"]) not in text
        assert "products.csv" not in text
        assert "key-of-olga" not in text


def test_public_images_are_only_finished_ones(things: dict[str, Any]) -> None:
    """And by their own id: 74 random bits (RFC 9562, version 7)."""
    for route in PUBLIC_IMAGES:
        assert Client().get(address(route, things)).status_code == 404


@pytest.mark.parametrize("method", METHODS)
def test_the_admin_is_for_staff(method: str) -> None:
    client = Client()
    client.force_login(build.owner("paul"))
    for name in ("", "imageproc/processingrequest/", "imageproc/apikey/", "auth/user/"):
        answer = client.generic(method, f"/admin/{name}")
        assert answer.status_code in (302, 404)
        if answer.status_code == 302:
            assert answer["Location"].startswith("/admin/login/")
