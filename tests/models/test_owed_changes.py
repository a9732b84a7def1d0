"""Deliveries, secrets, keys, uploads, tallies, switches, heartbeats: each change, each border."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from imageproc.models import (
    ApiKey,
    ClusterHeartbeat,
    DeliveryStatus,
    FailureTally,
    FinishedImage,
    MinuteTally,
    PendingUpload,
    Switch,
    WebhookDelivery,
    WebhookSecret,
)
from tests.support import build
from tests.support.changes import after, at, changes

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
DELIVERIES = WebhookDelivery.objects
STATES = list(DeliveryStatus.values)
LEASE, OTHER = UUID(int=1), UUID(int=2)


def delivery(status: str = "PENDING", **fields: Any) -> WebhookDelivery:
    if status == "SENDING":
        fields = {"lease_id": LEASE, "lease_until": after(500), "attempts": 1} | fields
    of = build.request(0, webhook_url="http://r.example/", total_products=1, total_images=1)
    fields = {"event": "request.completed", "url": of.webhook_url, "body": "{}"} | fields
    return DELIVERIES.create(request=of, status=status, **at(fields))


Change = Callable[[UUID], Any]
ENDED = {"lease_id": None, "lease_until": None}
TRANSITIONS: dict[str, tuple[Change, dict[str, Any], list[str], dict[str, Any]]] = {
    "lease": (
        lambda id_: DELIVERIES.lease(id_, OTHER, 60),
        {"attempts": 2},
        ["PENDING"],
        {"status": "SENDING", "lease_id": OTHER, "lease_until": 60, "attempts": 3},
    ),
    "delivered": (
        lambda id_: DELIVERIES.delivered(id_, LEASE),
        {},
        ["SENDING"],
        ENDED | {"status": "DELIVERED", "finished_at": 0},
    ),
    "failed": (
        lambda id_: DELIVERIES.failed(id_, LEASE),
        {},
        ["SENDING"],
        ENDED | {"status": "FAILED", "finished_at": 0},
    ),
    "postpone": (
        lambda id_: DELIVERIES.postpone(id_, LEASE, 60),
        {},
        ["SENDING"],
        ENDED | {"status": "PENDING", "next_attempt_at": 60},
    ),
    "redeliver": (
        DELIVERIES.redeliver,
        {"attempts": 9, "next_attempt_at": after(-300), "finished_at": after(-300)},
        ["PENDING", "DELIVERED", "FAILED"],
        {"status": "PENDING", "attempts": 0, "next_attempt_at": 0, "finished_at": None},
    ),
}


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize("status", STATES)
def test_a_delivery_from_which_states_to_which_values(name: str, status: str) -> None:
    call, fields, allowed, expected = TRANSITIONS[name]
    of, _other = delivery(status, **fields), delivery(status, **fields)
    moved = {k: v for k, v in expected.items() if k != "status" or v != status}
    answer, changed = changes(WebhookDelivery, lambda: call(of.id))
    assert (answer, changed) == (status in allowed, {of.id: moved} if answer else {})


@pytest.mark.parametrize("name", ["delivered", "failed"])
def test_a_sender_that_lost_its_lease_ends_nothing(name: str) -> None:
    of = delivery("SENDING")
    call = getattr(DELIVERIES, name)
    assert changes(WebhookDelivery, lambda: call(of.id, OTHER)) == (False, {})
    assert changes(WebhookDelivery, lambda: DELIVERIES.postpone(of.id, OTHER, 1)) == (False, {})


@pytest.mark.parametrize(
    ("status", "fields", "due"),
    [
        ("PENDING", {"next_attempt_at": after(-1)}, True),
        ("PENDING", {"next_attempt_at": after(20)}, False),
        ("SENDING", {"lease_until": after(-1), "next_attempt_at": after(-90)}, True),
        ("SENDING", {"lease_until": after(20), "next_attempt_at": after(-90)}, False),
        ("DELIVERED", {"next_attempt_at": after(-90)}, False),
        ("FAILED", {"next_attempt_at": after(-90)}, False),
    ],
)
def test_which_deliveries_are_due(status: str, fields: dict[str, Any], due: bool) -> None:
    of = delivery(status, **fields)
    assert list(DELIVERIES.due()) == ([of] if due else [])
    assert DELIVERIES.lease(of.id, OTHER, 60) is due


def test_the_id_in_the_header() -> None:
    of = delivery()
    assert of.message_id == "msg_" + str(of.id).replace("-", "")


# --- Secrets and keys -----------------------------------------------------------------------------
def test_a_secret_signs_on_for_a_day_after_it_was_replaced() -> None:
    olga, paul = build.owner("olga").pk, build.owner("paul").pk
    secrets = WebhookSecret.objects
    first, foreign = secrets.current(olga), secrets.current(paul)
    assert secrets.current(olga) == first
    second, changed = changes(WebhookSecret, lambda: secrets.rotate(olga))
    assert changed == {first.pk: {"expires_at": 24 * 3600}}
    assert list(secrets.usable(olga)) == [second, first]
    assert list(secrets.usable(paul)) == [foreign]
    third, changed = changes(WebhookSecret, lambda: secrets.rotate(olga))
    assert changed == {second.pk: {"expires_at": 24 * 3600}}  # the first ends no later than before
    secrets.filter(pk=first.pk).update(**at({"expires_at": after(-1)}))
    secrets.filter(pk=second.pk).update(**at({"expires_at": after(30)}))
    assert list(secrets.usable(olga)) == [third, second]
    assert secrets.current(olga) == third
    assert len({first.secret, second.secret, third.secret, foreign.secret}) == 4
    assert first.secret.startswith("whsec_")
    assert len(first.secret) == len("whsec_") + 32  # 24 bytes in base64


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ({}, True),
        ({"expires_at": after(30)}, True),
        ({"expires_at": after(-1)}, False),
        ({"revoked_at": after(0)}, False),
        ({"expires_at": after(30), "revoked_at": after(0)}, False),
    ],
)
def test_which_keys_open(fields: dict[str, Any], usable: bool) -> None:
    key, secret = ApiKey.objects.issue(owner_id=build.owner().pk, name="k")
    ApiKey.objects.issue(owner_id=build.owner().pk, name="another")
    ApiKey.objects.filter(pk=key.pk).update(**at(fields))
    assert ApiKey.objects.find(secret) == (key if usable else None)
    assert ApiKey.objects.find(secret + "x") is None
    assert ApiKey.objects.find(key.digest) is None


def test_a_key_is_made_of_what_was_asked_and_revoked_once() -> None:
    expires = datetime(2999, 1, 31, tzinfo=UTC)
    owner = build.owner()
    key, secret = ApiKey.objects.issue(
        owner_id=owner.pk, name="shop", scopes=("read",), expires_at=expires
    )
    other, _ = ApiKey.objects.issue(owner_id=owner.pk, name="another")
    key.refresh_from_db()
    assert (key.owner, key.name, key.scopes, key.expires_at, key.prefix) == (
        *(owner, "shop", ["read"], expires, secret[:12]),
    )
    assert (other.scopes, other.expires_at) == (["upload", "read", "operate"], None)
    answer, changed = changes(ApiKey, lambda: ApiKey.objects.revoke(key.pk))
    assert (answer, changed) == (True, {key.pk: {"revoked_at": 0}})
    assert changes(ApiKey, lambda: ApiKey.objects.revoke(key.pk)) == (False, {})


# --- Uploads under way ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "discarded"),
    [
        ({"created_at": after(-3590)}, False),
        ({"created_at": after(-3610)}, True),
        ({"created_at": after(-7000), "abandoned_at": after(-50)}, False),
        ({"created_at": after(-7000), "abandoned_at": after(-65)}, True),
        ({"created_at": after(-100), "abandoned_at": after(-65)}, True),
    ],
)
def test_which_uploads_are_discarded(fields: dict[str, Any], discarded: bool) -> None:
    of = PendingUpload.objects.create(id=uuid4(), **at(fields))
    assert list(PendingUpload.objects.to_discard()) == ([of] if discarded else [])


def test_an_upload_is_accepted_or_abandoned_not_both() -> None:
    uploads = PendingUpload.objects
    first, second = (uploads.create(id=uuid4()).id for _ in range(2))
    answer, changed = changes(PendingUpload, lambda: uploads.abandon(first))
    assert (answer, changed) == (True, {first: {"abandoned_at": 0}})
    assert changes(PendingUpload, lambda: uploads.accept(first)) == (False, {})
    assert changes(PendingUpload, lambda: uploads.accept(second)) == (True, {second: {}})
    assert uploads.abandon(second) is False
    assert uploads.accept(second) is False


# --- Tallies, minutes, switches, heartbeats -------------------------------------------------------
def tallies() -> dict[tuple[Any, ...], int]:
    rows = FailureTally.objects.values_list("request__file_name", "error_code", "host", "images")
    return {(name, code, host): images for name, code, host, images in rows}


def test_failures_are_counted_apart_and_taken_back() -> None:
    a, b = (build.request(0, file_name=n, total_products=1, total_images=9) for n in "ab")
    add, take_back = FailureTally.objects.add, FailureTally.objects.take_back
    for of, code, host, images in [
        *((a, "x", "h", 2), (a, "x", "h", 3), (a, "x", "i", 1), (a, "y", "h", 1), (b, "x", "h", 5)),
    ]:
        add(of.id, code, host, images)
    rest = {("a", "x", "i"): 1, ("a", "y", "h"): 1, ("b", "x", "h"): 5}
    assert tallies() == {("a", "x", "h"): 5, **rest}
    take_back(a.id, "x", "h", 4)
    assert tallies() == {("a", "x", "h"): 1, **rest}
    take_back(a.id, "x", "h", 1)
    assert tallies() == rest


def test_minutes_add_up_by_code() -> None:
    at_ = datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)
    MinuteTally.objects.add([FinishedImage(at_, "", 10, 1), FinishedImage(at_, "x", 5, 0)])
    later = at_.replace(second=0, microsecond=0)
    MinuteTally.objects.add(
        [
            FinishedImage(later, "", 20, 2),
            FinishedImage(later, "", 30, 3),
            FinishedImage(later + timedelta(minutes=1), "", 7, 7),
        ]
    )
    MinuteTally.objects.add([])
    rows = MinuteTally.objects.order_by("minute", "code").values_list(
        "minute", "code", "images", "bytes_in", "bytes_out"
    )
    assert list(rows) == [
        (later, "", 3, 60, 6),
        (later, "x", 1, 5, 0),
        (later + timedelta(minutes=1), "", 1, 7, 7),
    ]


def minute(seconds: float) -> MinuteTally:
    moments = at({"minute": after(seconds)})
    return MinuteTally.objects.create(code="", images=1, bytes_in=1, bytes_out=1, **moments)


def test_minutes_are_kept_for_eight_days_and_asked_by_span() -> None:
    day = 86_400
    minute(-8 * day - 20)
    kept, hour, now = minute(-8 * day + 20), minute(-3580), minute(-5)
    minute_before = minute(-3620)
    assert set(MinuteTally.objects.within(hours=1)) == {hour, now}
    assert set(MinuteTally.objects.within(days=1)) == {hour, now, minute_before}
    assert MinuteTally.objects.forget_old() == 1
    assert set(MinuteTally.objects.all()) == {kept, hour, now, minute_before}


def test_each_switch_is_its_own() -> None:
    assert not Switch.objects.is_paused(Switch.INTAKE)
    Switch.objects.set_paused(Switch.INTAKE, True)
    assert [Switch.objects.is_paused(s) for s in ("intake", "workers")] == [True, False]
    Switch.objects.set_paused(Switch.WORKERS, True)
    Switch.objects.set_paused(Switch.INTAKE, False)
    assert [Switch.objects.is_paused(s) for s in ("intake", "workers")] == [False, True]


def beat_of(seconds: float, pid: int) -> None:
    ClusterHeartbeat.objects.filter(pid=pid).update(**at({"beat_at": after(seconds)}))


def test_who_is_alive() -> None:
    beats = ClusterHeartbeat.objects
    for pid, workers in ((1, 2), (2, 3), (3, 5)):
        beats.beat(name="images", host="a", pid=pid, workers=workers)
    beats.beat(name="control", host="a", pid=1, workers=7)
    beats.beat(name="images", host="b", pid=1, workers=11)
    assert beats.slots("images") == 2 + 3 + 5 + 11
    beats.beat(name="images", host="a", pid=2, workers=4, stopping=True)
    assert (beats.count(), beats.slots("images")) == (5, 2 + 5 + 11)
    assert beats.alive().count() == 5
    beat_of(-32, 3)
    assert (beats.slots("images"), beats.alive().count()) == (2 + 11, 4)
    beat_of(-25, 3)
    assert beats.slots("images") == 2 + 5 + 11
    beats.leave(name="images", host="a", pid=1)
    assert (beats.slots("images"), beats.slots("control")) == (5 + 11, 7)
    beat_of(-86_300, 3)
    assert beats.forget_dead() == 0
    beat_of(-86_500, 3)
    assert beats.forget_dead() == 1
    assert beats.filter(pid=3).count() == 0
