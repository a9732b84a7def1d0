"""API keys: what opens, for whom, until when; and the command that makes them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from imageproc.models import ApiKey
from tests.security.conftest import with_key
from tests.support import build

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> str:
    out = StringIO()
    call_command("apikey", "create", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def status_with(secret: str) -> int:
    return Client(headers={"authorization": f"Bearer {secret}"}).get("/api/requests").status_code


@pytest.fixture(autouse=True)
def _production(settings: Settings) -> None:
    settings.API_ANONYMOUS = False


def test_only_prefix_and_hash_are_kept() -> None:
    secret = create("shop", "--owner", "olga", "--scope", "read")
    key = ApiKey.objects.get()
    assert secret.startswith("ip_")
    assert len(secret) == 3 + 43  # 32 bytes in base64
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(ApiKey.objects.values().get())
    assert (key.prefix, key.owner.username, key.scopes) == (secret[:12], "olga", ["read"])
    assert not key.owner.has_usable_password()
    assert status_with(secret) == 200
    key.refresh_from_db()
    assert key.last_used_at is not None


def test_revoked_expired_unknown_and_inactive_are_the_same_401() -> None:
    revoked, expired, inactive = (create(n, "--owner", n) for n in ("one", "two", "three"))
    call_command("apikey", "revoke", revoked[:12], stdout=StringIO())
    ApiKey.objects.filter(name="two").update(expires_at=timezone.now() - timedelta(seconds=1))
    build.owner("three").__class__.objects.filter(username="three").update(is_active=False)
    answers = set()
    for secret in (revoked, expired, inactive, "ip_unknown", "", "\u00e9"):
        answer = Client(headers={"authorization": f"Bearer {secret}"}).get("/api/requests")
        answers.add((answer.status_code, answer.content, answer["WWW-Authenticate"]))
    [(code, _, challenge)] = answers
    assert (code, challenge) == (401, 'Bearer realm="imageproc"')


def test_list_and_revoke() -> None:
    secret = create("shop", "--owner", "olga", "--expires", "2999-01-31")
    out = StringIO()
    call_command("apikey", "list", stdout=out)
    assert "shop  olga  upload,read,operate  never used, expires 2999-01-31" in out.getvalue()
    assert secret not in out.getvalue()
    call_command("apikey", "revoke", str(ApiKey.objects.get().pk), stdout=StringIO())
    assert status_with(secret) == 401
    with pytest.raises(CommandError, match="already revoked"):
        call_command("apikey", "revoke", str(ApiKey.objects.get().pk))
    with pytest.raises(CommandError, match="past"):
        create("late", "--expires", "2001-01-01")


@pytest.mark.parametrize(
    ("scope", "method", "path", "code"),
    [
        ("read", "get", "/api/requests", 200),
        ("read", "post", "/api/upload", 403),
        ("read", "get", "/api/webhooks/secret", 403),
        ("upload", "get", "/api/requests", 403),
        ("upload", "post", "/api/upload", 400),
        ("operate", "get", "/api/webhooks/secret", 200),
        ("operate", "post", "/api/upload", 403),
    ],
)
def test_a_scope_opens_its_part(scope: str, method: str, path: str, code: int) -> None:
    assert getattr(with_key("olga", scope), method)(path).status_code == code


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({}, 200),
        ({"REMOTE_ADDR": "::1"}, 200),
        ({"REMOTE_ADDR": "192.0.2.7"}, 401),
        ({"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 401),
    ],
)
def test_without_a_key_only_from_this_machine(
    extra: dict[str, Any], code: int, settings: Settings
) -> None:
    settings.API_ANONYMOUS = True
    assert Client().get("/api/requests", **extra).status_code == code
    assert Client().get("/keys/", **extra).status_code == (200 if code == 200 else 302)
    settings.API_ANONYMOUS = False
    assert Client().get("/api/requests", **extra).status_code == 401
