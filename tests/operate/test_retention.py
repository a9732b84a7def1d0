"""`prune` by unit and border, `apikey` by option."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from imageproc.models import ApiKey, ProcessingRequest
from tests.support import build

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1h", timedelta(hours=1)),
        ("48h", timedelta(hours=48)),
        ("1d", timedelta(days=1)),
        ("90d", timedelta(days=90)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_what_ended_longer_ago_is_removed(text: str, span: timedelta) -> None:
    now, ended = timezone.now(), []
    for status in ("FAILED", "CANCELLED", "COMPLETED"):
        whole: dict[str, Any] = {"status": status, "total_images": 1, "total_products": 1}
        if status == "COMPLETED":
            whole |= {"completed_images": 1, "output_csv": "k"}
        for seconds in (20, -20):
            moment = now - span - timedelta(seconds=seconds)
            ended.append(build.request(0, completed_at=moment, **whole))
    running = build.request(0, total_images=1, total_products=1)
    ProcessingRequest.objects.filter(id=running.id).update(created_at=now - 2 * span)
    out = io.StringIO()
    call_command("prune", "--older-than", text, stdout=out)
    kept = set(ProcessingRequest.objects.kept().values_list("id", flat=True))
    assert kept == {of.id for of in (*ended[1::2], running)}
    assert out.getvalue().splitlines()[-1] == "3 requests removed in all."


def listed(*arguments: str) -> list[str]:
    out = io.StringIO()
    call_command("apikey", "list", *arguments, stdout=out)
    return [line.split("  ")[2] for line in out.getvalue().splitlines()]


def test_keys_of_the_command_line() -> None:
    def create(*arguments: str) -> str:
        out = io.StringIO()
        call_command("apikey", "create", *arguments, stdout=out, stderr=io.StringIO())
        return out.getvalue().strip()

    for scope in ("upload", "read", "operate"):
        create(scope, "--owner", "olga", "--scope", scope, "--scope", "read")
    create("mine")
    keys = {key.name: key for key in ApiKey.objects.all()}
    assert {name: key.scopes for name, key in keys.items()} == {
        "upload": ["upload", "read"],
        "read": ["read", "read"],
        "operate": ["operate", "read"],
        "mine": ["upload", "read", "operate"],
    }
    assert [keys[n].owner.username for n in ("read", "mine")] == ["olga", "local"]
    assert listed() == ["mine", "operate", "read", "upload"]
    assert listed("--owner", "olga") == ["operate", "read", "upload"]
    assert listed("--owner", "local") == ["mine"]
    create("day", "--expires", "2999-01-31")
    create("moment", "--expires", "2999-01-31T10:00:00+01:00")
    expires = {name: ApiKey.objects.get(name=name).expires_at for name in ("day", "moment")}
    assert [str(expires[name])[:19] for name in ("day", "moment")] == [
        *("2999-01-31 23:59:59", "2999-01-31 09:00:00"),
    ]
    call_command("apikey", "revoke", str(keys["read"].pk), stdout=io.StringIO())
    revoked = ApiKey.objects.exclude(revoked_at=None).values_list("name", flat=True)
    assert list(revoked) == ["read"]
    with pytest.raises(CommandError, match="No single key"):
        call_command("apikey", "revoke", "ip_nobody", stdout=io.StringIO())
