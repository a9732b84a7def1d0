"""What operators enter for a host: stored encrypted, never shown, and sent for the right images."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from imageproc.images.access import Access
from imageproc.models import HostAccess
from tests.support import build

pytestmark = pytest.mark.django_db
SECRETS = ("s3cret-Pass", "key-98765")
ENTERED = {
    "host": "Images.Example.com",
    "user_agent": "Shop/1.0",
    "username": "olga",
    "password": SECRETS[0],
    "headers": f"X-Api-Key: {SECRETS[1]}\n\nX-Shop : 7",
}
BASIC = "Basic " + base64.b64encode(f"olga:{SECRETS[0]}".encode()).decode()
SENT = {"User-Agent": "Shop/1.0", "Authorization": BASIC, "X-Api-Key": SECRETS[1], "X-Shop": "7"}
ADD = "/admin/imageproc/hostaccess/add/"


@pytest.fixture
def operator() -> Client:
    user = User.objects.create_user("oscar", is_staff=True)
    names = ("operate", "view_hostaccess")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def known() -> Access:
    access = Access()
    access.refresh()
    return access


def test_it_is_encrypted_masked_and_kept_until_it_is_replaced(operator: Client) -> None:
    assert operator.post(ADD, ENTERED).status_code == 302
    row = HostAccess.objects.get()
    assert (row.host, row.headers()) == ("images.example.com", SENT)
    assert not any(text in row.sealed for text in (*SECRETS, BASIC[6:]))
    page = reverse("admin:imageproc_hostaccess_change", args=[row.pk])
    shown = "".join(
        operator.get(path).content.decode()
        for path in (page, reverse("admin:imageproc_hostaccess_changelist"))
    )
    assert "X-Api-Key: ••••" in shown
    assert not any(text in shown for text in (*SECRETS, BASIC[6:]))
    operator.post(page, {"host": "evil.example"})  # nothing entered: nothing changes
    row.refresh_from_db()
    assert (row.host, row.headers()) == ("images.example.com", SENT)
    operator.post(page, {"headers": "X-Api-Key: new"})
    row.refresh_from_db()
    assert row.headers() == {"X-Api-Key": "new"}
    log = "".join(str(entry.change_message) + entry.object_repr for entry in LogEntry.objects.all())
    assert not any(text in log for text in SECRETS)


@pytest.mark.parametrize(
    "entered",
    [
        {"host": "https://images.example.com/a"},
        {"host": "images.example.com:8080"},
        {"host": ""},
        {"headers": "no colon"},
        {"headers": "X Y: 1"},
        {"headers": "X-Key: übel"},
        {"headers": "X-Key: a\x00b"},
        {"headers": "Host: evil.example"},
        {"headers": "Content-Length: 5"},
        {"username": "a:b"},
        {"username": ""},
        {"user_agent": "Käse"},
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused_without_repeating_it(
    operator: Client, entered: dict[str, str]
) -> None:
    answer = operator.post(ADD, ENTERED | entered)
    assert answer.status_code == 200
    assert not HostAccess.objects.exists()
    assert not any(secret in answer.content.decode() for secret in SECRETS)


def test_an_owners_own_fields_come_before_those_for_everybody() -> None:
    owner = build.owner()
    for of, fields in ((None, {"A": "all", "B": "all"}), (owner, {"B": "own"})):
        row = HostAccess(host="shop.example", owner=of)
        row.seal(fields)
        row.save()
    access = known()
    assert access.headers("shop.example", owner.pk) == {"A": "all", "B": "own"}
    assert access.headers("shop.example", owner.pk + 1) == {"A": "all", "B": "all"}
    assert access.headers("other.example", owner.pk) == {}


def test_a_new_secret_key_reads_what_the_old_one_sealed(settings: Any) -> None:
    row = HostAccess(host="shop.example")
    row.seal({"A": "1"})
    row.save()
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another-key" * 5
    assert (row.headers(), known().headers("shop.example", 1)) == (None, {})
    settings.SECRET_KEY_FALLBACKS = [old]
    assert (row.headers(), known().headers("shop.example", 1)) == ({"A": "1"}, {"A": "1"})
