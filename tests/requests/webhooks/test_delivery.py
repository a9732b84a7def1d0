"""Webhooks to a real receiver that fails in each way: delivered, once true, always signed."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.utils import timezone

from imageproc.faults import DELIVERY_DIED
from imageproc.images.claim import claim
from imageproc.images.record import record
from imageproc.models import ProcessingRequest, WebhookDelivery, WebhookSecret
from imageproc.requests import operations, webhooks
from tests.support import build
from tests.support.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


@pytest.fixture(autouse=True)
def _outbound(settings: Any, receiver: Receiver) -> None:
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.OUTBOUND_ALLOW_PORTS = [80, 443, receiver.port]


def owed(receiver: Receiver, images: int = 1, done: int = 0) -> WebhookDelivery:
    """The delivery of a request that was cancelled with ``done`` of its images completed."""
    request = build.request(images, webhook_url=receiver.url)
    record([build.done(job) for job in claim()[:done]])
    operations.cancel(request.id)
    receiver.trust(WebhookSecret.objects.current(request.owner_id).secret)
    return WebhookDelivery.objects.get(request=request)


def try_now(delivery: WebhookDelivery) -> bool:
    """One attempt, as if the wait before it were over."""
    WebhookDelivery.objects.filter(id=delivery.id).update(next_attempt_at=timezone.now())
    delivered = webhooks.deliver(delivery.id)
    delivery.refresh_from_db()
    return delivered


def wait_of(delivery: WebhookDelivery) -> float:
    return (delivery.next_attempt_at - timezone.now()).total_seconds()


def test_every_way_to_fail_and_then_delivered(receiver: Receiver, settings: Any) -> None:
    settings.WEBHOOK_TIMEOUT = 1
    delivery = owed(receiver)
    receiver.plan("500", "slow", "302", "hangup", "404")
    results = [try_now(delivery) for _ in range(5)]
    receiver.stop()
    results.append(try_now(delivery))
    receiver.start()
    results.append(try_now(delivery))
    assert results == [False] * 6 + [True]
    assert (delivery.status, delivery.attempts) == ("DELIVERED", 7)
    log = list(delivery.log.values_list("number", "status_code", "error_code", "answer"))
    assert log == [
        (1, 500, "", "told"),
        (2, None, "fetch_timeout", ""),
        (3, 302, "", "told"),
        (4, None, "fetch_interrupted", ""),
        (5, 404, "", "told"),
        (6, None, "connect_failed", ""),
        (7, 200, "", "told"),
    ]
    assert all(attempt.milliseconds is not None for attempt in delivery.log.all())
    assert [seen["answer"] for seen in receiver.log] == [
        *("500", "slow", "302", "hangup", "404", "200"),
    ]
    assert {seen["id"] for seen in receiver.log} == {f"msg_{delivery.id.hex}"}
    assert {seen["body"] for seen in receiver.log} == {delivery.body}
    assert all(seen["genuine"] for seen in receiver.log)
    assert not webhooks.deliver(delivery.id)


def test_the_schedule_then_failed_then_redelivered(receiver: Receiver) -> None:
    delivery = owed(receiver)
    receiver.plan(*["500"] * 10)
    for wait in SCHEDULE:
        assert not try_now(delivery)
        assert delivery.status == "PENDING"
        assert wait - 5 <= wait_of(delivery) <= wait * 1.1
    try_now(delivery)
    assert (delivery.status, delivery.attempts) == ("FAILED", 10)
    assert not webhooks.deliver(delivery.id)
    assert operations.redeliver(delivery.id)
    assert webhooks.deliver(delivery.id)
    assert {seen["id"] for seen in receiver.log} == {f"msg_{delivery.id.hex}"}
    assert [a.number for a in delivery.log.all()] == list(range(1, 12))


def test_each_attempt_is_signed_anew_by_its_own_clock(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five minutes and a day later, at a receiver that refuses what is five minutes old."""
    delivery = owed(receiver)
    receiver.plan("500", "500", "200")
    real, sent = time.time, []
    for ahead in (0.0, 301.0, 86_400.0):
        receiver.set_clock(ahead)
        monkeypatch.setattr("time.time", lambda: real() + ahead)  # noqa: B023
        sent.append(try_now(delivery))
    assert sent == [False, False, True]
    assert [seen["genuine"] for seen in receiver.log] == [True, True, True]
    operations.redeliver(delivery.id)
    monkeypatch.setattr("time.time", real)
    assert try_now(delivery)
    assert receiver.log[-1]["genuine"] is False  # a day old: the receiver does judge the time


def test_one_that_kills_its_worker_again_and_again_ends_with_a_reason(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = owed(receiver)

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("imageproc.images.fetch.post", die)
        for _ in range(10):
            with pytest.raises(Killed):
                webhooks.deliver(delivery.id)
            WebhookDelivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert not webhooks.deliver(delivery.id)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("FAILED", 11)
    assert set(delivery.log.values_list("error_code", "error_message")) == {
        (DELIVERY_DIED.code, DELIVERY_DIED.sentence)
    }
    assert delivery.log.count() == 10
    assert not webhooks.deliver(delivery.id)
    assert operations.redeliver(delivery.id)
    assert webhooks.deliver(delivery.id)


def test_gone_stops(receiver: Receiver) -> None:
    delivery = owed(receiver)
    receiver.plan("410")
    try_now(delivery)
    assert (delivery.status, delivery.attempts) == ("FAILED", 1)
    assert len(receiver.log) == 1


def test_retry_after_is_honoured(receiver: Receiver) -> None:
    delivery = owed(receiver)
    receiver.plan("503")
    try_now(delivery)
    assert 115 <= wait_of(delivery) <= 120


def test_a_forbidden_address_is_never_dialled(receiver: Receiver, settings: Any) -> None:
    delivery = owed(receiver)
    settings.OUTBOUND_ALLOW_CIDRS = []
    try_now(delivery)
    assert [a.error_code for a in delivery.log.all()] == ["address_forbidden"]
    assert receiver.log == []


def test_an_attempt_whose_sender_died_is_on_record_and_made_again(receiver: Receiver) -> None:
    delivery = owed(receiver)

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imageproc.images.fetch.post", die)
        with pytest.raises(Killed):
            webhooks.deliver(delivery.id)
    assert [(a.number, a.status_code) for a in delivery.log.all()] == [(1, None)]
    assert not webhooks.deliver(delivery.id)
    past = timezone.now() - timedelta(seconds=1)
    WebhookDelivery.objects.update(lease_until=past)
    assert webhooks.deliver(delivery.id)
    assert len(receiver.log) == 1


def test_both_secrets_sign_after_a_rotation(receiver: Receiver) -> None:
    delivery = owed(receiver)
    old = WebhookSecret.objects.current(delivery.request.owner_id).secret
    new = WebhookSecret.objects.rotate(delivery.request.owner_id).secret
    assert old != new
    for secret, signatures in ((old, 2), (new, 2)):
        receiver.trust(secret)
        operations.redeliver(delivery.id)
        assert try_now(delivery)
        seen = receiver.log[-1]
        assert (seen["genuine"], seen["signatures"]) == (True, signatures)
    WebhookSecret.objects.filter(secret=old).update(expires_at=timezone.now())
    operations.redeliver(delivery.id)
    assert try_now(delivery)
    assert (receiver.log[-1]["genuine"], receiver.log[-1]["signatures"]) == (True, 1)


def test_the_message(receiver: Receiver) -> None:
    delivery = owed(receiver, images=2, done=1)
    body = json.loads(delivery.body)
    request = delivery.request
    stem = f"http://testserver/api/requests/{request.id}"
    assert body["type"] == "request.cancelled"
    products = body["data"].pop("products")
    assert body["data"] == {
        "requestId": str(request.id),
        "status": "CANCELLED",
        "totalImages": 2,
        "processedImages": 1,
        "failedImages": 0,
        "outputCsvUrl": f"{stem}/output.csv",
        "statusUrl": f"http://testserver/api/status/{request.id}",
    }
    assert [p["serialNumber"] for p in products] == ["P001", "P002"]
    assert products[0]["outputImageUrls"][0].startswith("http://testserver/api/images/")
    assert products[1]["outputImageUrls"] == [None]


@pytest.mark.parametrize(("images", "name"), [(101, "Shoe"), (60, "Shoe" * 200)])
def test_a_long_message_has_no_products(receiver: Receiver, images: int, name: str) -> None:
    request = build.request(images, webhook_url=receiver.url)
    request.products.update(product_name=name)
    operations.cancel(request.id)
    body = WebhookDelivery.objects.get(request=request).body
    assert len(body.encode()) <= 20_000
    assert "products" not in json.loads(body)["data"]


def test_the_row_comes_with_the_end_or_not_at_all(receiver: Receiver) -> None:
    request = build.request(1, webhook_url=receiver.url)
    with transaction.atomic():
        operations.cancel(request.id)
        transaction.set_rollback(True)
    assert not WebhookDelivery.objects.exists()
    assert ProcessingRequest.objects.get().status == "PROCESSING"


def test_the_owner_sees_and_resends(receiver: Receiver) -> None:
    owner = get_user_model().objects.get_or_create(username="local")[0]
    api = Client()
    secret = api.get("/api/webhooks/secret")
    assert secret["Cache-Control"] == "no-store"
    receiver.trust(secret.json()["secret"])
    request = build.request(1, webhook_url=receiver.url, owner=owner)
    operations.cancel(request.id)
    delivery = WebhookDelivery.objects.get()
    webhooks.deliver(delivery.id)
    told = api.get(f"/api/status/{request.id}").json()["webhook"]
    assert told["url"] == receiver.url
    assert [d["status"] for d in told["deliveries"]] == ["DELIVERED"]
    assert [a["statusCode"] for a in told["deliveries"][0]["attempts"]] == [200]
    again = api.post(f"/api/webhooks/deliveries/{delivery.id}/redeliver")
    assert (again.status_code, again.json()["status"]) == (202, "PENDING")
    assert webhooks.deliver(delivery.id)
    assert [seen["genuine"] for seen in receiver.log] == [True, True]
    rotated = api.post("/api/webhooks/secret/rotate")
    assert rotated.status_code == 201
    assert rotated.json()["secret"] != secret.json()["secret"]
    assert rotated.json()["previousExpiresAt"] is not None


def test_anothers_delivery_does_not_exist(receiver: Receiver) -> None:
    delivery = owed(receiver)
    answer = Client().post(f"/api/webhooks/deliveries/{delivery.id}/redeliver")
    assert answer.status_code == 404
