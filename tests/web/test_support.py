"""An operator helps a user: the user's page to read, said as such and logged; nothing to change."""

from __future__ import annotations

import logging

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from pytest_django import Settings

from imageproc.models import ApiKey
from tests.support import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client, settings: Settings) -> Client:
    settings.API_ANONYMOUS = False
    user = build.owner("otto")
    user.is_staff = True
    user.save()
    names = ("operate", "view_processingrequest")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def test_an_operator_reads_another_persons_request(
    operator: Client, caplog: pytest.LogCaptureFixture
) -> None:
    made = build.request(1, owner=build.owner("olga"))
    with caplog.at_level(logging.INFO, "imageproc.api.access"):
        html = operator.get(f"/requests/{made.id}/").content.decode()
    assert "You see a request of olga as an operator." in html
    assert "operator reads a request" in caplog.text
    for name in ('id="cancel"', 'id="delete"', 'id="continue"', 'id="retry-all"'):
        assert name not in html
    assert operator.get(f"/api/status/{made.id}").status_code == 200
    admin = operator.get(f"/admin/imageproc/processingrequest/{made.id}/change/")
    assert f'href="/requests/{made.id}/"' in admin.content.decode()


@pytest.mark.parametrize("name", ["cancel", "delete", "retry", "continue"])
def test_an_operator_changes_nothing_there(operator: Client, name: str) -> None:
    made = build.request(1, owner=build.owner("olga"))
    assert operator.post(f"/requests/{made.id}/{name}/").status_code == 404
    assert operator.post(f"/api/requests/{made.id}/cancel").status_code == 404


def test_a_key_of_an_operator_reads_only_their_own(operator: Client) -> None:
    made = build.request(1, owner=build.owner("olga"))
    _, secret = ApiKey.objects.issue(owner_id=build.owner("otto").pk, name="k")
    headers = {"Authorization": f"Bearer {secret}"}
    assert Client().get(f"/api/status/{made.id}", headers=headers).status_code == 404


def test_ones_own_page_says_nothing_of_it(operator: Client) -> None:
    made = build.request(1, owner=build.owner("otto"))
    assert "as an operator" not in operator.get(f"/requests/{made.id}/").content.decode()
