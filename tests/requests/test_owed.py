"""When a webhook is tried again, by attempt, answer and clock; nothing is sent anywhere."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from imageproc.faults import CONNECT_FAILED, FETCH_TIMEOUT
from imageproc.images import fetch
from imageproc.models import WebhookDelivery, WebhookSecret
from imageproc.requests import webhooks
from tests.support import build
from tests.support.changes import after, at, changes

pytestmark = pytest.mark.django_db
DAYS = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


def said(status: int, body: bytes = b"", **headers: str) -> fetch.Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return fetch.Answer(status, named, body, "r.example", 5)


class Receiver:
    """Stands at the end of ``fetch.post``: what it answers next, and what it was sent."""

    def __init__(self) -> None:
        self.next: Any = said(200)
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []

    def post(self, url: str, body: bytes, headers: dict[str, str], *_: Any) -> Any:
        self.sent.append((url, body, headers))
        return self.next


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    made = Receiver()
    monkeypatch.setattr("imageproc.images.fetch.post", made.post)
    return made


def owed(attempts: int = 0) -> WebhookDelivery:
    of = build.request(0, webhook_url="http://r.example/", total_products=1, total_images=1)
    return WebhookDelivery.objects.create(
        request=of, event="request.failed", url="http://r.example/", body="{}", attempts=attempts
    )


def jitter(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: low + (high - low) * share)


@pytest.mark.parametrize(("attempt", "wait"), enumerate(DAYS))
def test_the_wait_after_each_attempt(
    attempt: int, wait: float, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for share, factor in ((0.0, 1.0), (1.0, 1.1)):
        jitter(monkeypatch, share)
        of, _other = owed(attempt), owed()
        receiver.next = CONNECT_FAILED
        answer, changed = changes(WebhookDelivery, partial(webhooks.deliver, of.id))
        due = {"next_attempt_at": round(wait * factor, -1), "attempts": attempt + 1}
        if wait == 5:
            changed[of.id].pop("next_attempt_at", None)
            due.pop("next_attempt_at")
        assert (answer, changed) == (False, {of.id: due})


def test_after_the_last_attempt_it_is_given_up(receiver: Receiver) -> None:
    of = owed(len(DAYS))
    receiver.next = FETCH_TIMEOUT
    assert changes(WebhookDelivery, lambda: webhooks.deliver(of.id)) == (
        False,
        {of.id: {"status": "FAILED", "attempts": 10, "finished_at": 0}},
    )
    attempt = of.log.get()
    assert (attempt.error_code, attempt.error_message, attempt.status_code) == (
        *("fetch_timeout", FETCH_TIMEOUT.sentence, None),
    )


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        (199, "PENDING"),
        (200, "DELIVERED"),
        (204, "DELIVERED"),
        (299, "DELIVERED"),
        (300, "PENDING"),
        (302, "PENDING"),
        (400, "PENDING"),
        (404, "PENDING"),
        (409, "PENDING"),
        (410, "FAILED"),
        (411, "PENDING"),
        (429, "PENDING"),
        (500, "PENDING"),
    ],
)
def test_what_each_answer_means(status: int, ends: str, receiver: Receiver) -> None:
    of = owed()
    receiver.next = said(status, b"\xff\0said" + b"x" * 2000)
    assert webhooks.deliver(of.id) is (ends == "DELIVERED")
    of.refresh_from_db()
    assert (of.status, of.attempts, of.lease_id) == (ends, 1, None)
    assert (of.finished_at is None) is (ends == "PENDING")
    attempt = of.log.get()
    assert (attempt.number, attempt.status_code, attempt.error_code) == (1, status, "")
    assert attempt.answer == "\ufffdsaid" + "x" * 995
    assert webhooks.deliver(of.id) is False
    assert len(receiver.sent) == 1


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(None, 300), ("0", 300), ("290", 300), ("400", 400), ("9000", 3600)]
)
def test_a_receiver_may_ask_for_more_time(
    retry_after: str | None, wait: int, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    jitter(monkeypatch, 0.0)
    of = owed(1)
    receiver.next = said(503) if retry_after is None else said(503, retry_after=retry_after)
    _, changed = changes(WebhookDelivery, lambda: webhooks.deliver(of.id))
    assert changed[of.id]["next_attempt_at"] == wait


@pytest.mark.parametrize("later", [0, 300, 301, 86_400, 30 * 86_400])
def test_a_receiver_that_checks_the_time_accepts_every_attempt(
    later: float, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its timestamp is the time of this attempt, and signed: no receiver finds it too old."""
    of = owed()
    secret = WebhookSecret.objects.current(of.request.owner_id).secret
    receiver.next = CONNECT_FAILED
    now = float(int(time.time()))
    monkeypatch.setattr(time, "time", lambda: now)
    webhooks.deliver(of.id)
    first = receiver.sent[0]
    monkeypatch.setattr(time, "time", lambda: now + later)
    WebhookDelivery.objects.update(**at({"next_attempt_at": after(-1)}))
    receiver.next = said(200)
    assert webhooks.deliver(of.id)
    url, body, headers = receiver.sent[1]
    assert (url, body) == first[:2] == ("http://r.example/", b"{}")
    assert headers["webhook-timestamp"] == str(int(now + later))
    assert headers["webhook-id"] == first[2]["webhook-id"] == of.message_id
    assert headers["Content-Type"] == "application/json"
    sent_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    signature = Webhook(secret).sign(of.message_id, sent_at, "{}")
    assert headers["webhook-signature"] == signature
    assert (headers["webhook-signature"] == first[2]["webhook-signature"]) is (later == 0)


def test_settings_take_the_place_of_the_schedule(receiver: Receiver, settings: Any) -> None:
    settings.WEBHOOK_SCHEDULE = [100.0]
    receiver.next = CONNECT_FAILED
    of = owed()
    _, changed = changes(WebhookDelivery, lambda: webhooks.deliver(of.id))
    assert 100 <= changed[of.id]["next_attempt_at"] <= 110
    WebhookDelivery.objects.update(**at({"next_attempt_at": after(-1)}))
    webhooks.deliver(of.id)
    of.refresh_from_db()
    assert (of.status, of.attempts) == ("FAILED", 2)


def test_attempts_are_numbered_on_through_a_redelivery(receiver: Receiver) -> None:
    of = owed()
    for _ in range(3):
        WebhookDelivery.objects.redeliver(of.id)
        assert webhooks.deliver(of.id)
    assert list(of.log.values_list("number", flat=True)) == [1, 2, 3]
    of.refresh_from_db()
    assert of.attempts == 1


@pytest.mark.parametrize(("images", "listed"), [(1, True), (100, True), (101, False)])
def test_products_are_listed_up_to_a_hundred_images(images: int, listed: bool) -> None:
    of = build.request(1, webhook_url="http://r/", total_images=images, total_products=images)
    webhooks.announce(of)
    assert ('"products"' in WebhookDelivery.objects.get().body) is listed
