"""What the page of a request says is true: percentages, times, retries, pauses, webhooks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from imageproc.models import (
    ClusterHeartbeat,
    FailureTally,
    ImageStatus,
    ProcessingRequest,
    RequestStatus,
    Switch,
    WebhookAttempt,
    WebhookDelivery,
)
from imageproc.requests import completion, operations, report
from tests.support import build

pytestmark = pytest.mark.django_db


@pytest.fixture
def olga(client: Client, settings: Settings) -> Client:
    settings.API_ANONYMOUS = False
    client.force_login(build.owner("olga"))
    return client


def change(of: ProcessingRequest, **fields: Any) -> ProcessingRequest:
    ProcessingRequest.objects.filter(id=of.id).update(**fields)
    of.refresh_from_db()
    return of


def fail(of: ProcessingRequest, images: int) -> None:
    ids = list(of.images.filter(status=ImageStatus.PENDING).values_list("id", flat=True)[:images])
    of.images.filter(id__in=ids).update(status=ImageStatus.FAILED, error_code="not_found")
    FailureTally.objects.add(of.id, "not_found", "shop.example", images)
    change(of, failed_images=of.failed_images + images)


def succeed(of: ProcessingRequest, images: int) -> None:
    """The counters alone, which is all that the page's live part reads."""
    change(of, completed_images=of.completed_images + images)


def page(client: Client, of: ProcessingRequest) -> str:
    return client.get(f"/requests/{of.id}/").content.decode()


def test_a_cancelled_request_keeps_its_percentage(olga: Client) -> None:
    running = build.request(4)
    fail(running, 1)
    operations.cancel(running.id)
    completion.close_images(running.id)
    html = page(olga, running)
    assert '<span id="percent">25</span>' in html
    assert "25 percent of 4 images" not in html  # announced in steps of ten
    assert "20 percent of 4 images" in html
    assert 'value="1" aria-label="Images processed"' in html


@pytest.mark.parametrize(
    ("seconds", "done", "shown"), [(2, 4, False), (2, 5, True), (9, 1, False), (11, 1, True)]
)
def test_the_time_left_waits_for_ten_seconds_or_five_percent(
    seconds: int, done: int, shown: bool
) -> None:
    running = ProcessingRequest(
        status=RequestStatus.PROCESSING,
        total_images=100,
        completed_images=done,
        started_at=timezone.now() - timedelta(seconds=seconds),
    )
    progress = report.progress_of(running)
    assert (progress.eta_seconds is not None, progress.images_per_second is not None) == (
        shown,
        True,
    )


def ended_two_hours_ago() -> ProcessingRequest:
    """Four images, three of them failed; it took a minute."""
    made = build.request(4)
    fail(made, 3)
    return change(
        made,
        status=RequestStatus.FAILED,
        completed_images=1,
        started_at=Now() - timedelta(hours=2, minutes=1),
        completed_at=Now() - timedelta(hours=2),
    )


def test_the_time_before_a_retry_does_not_count(olga: Client) -> None:
    made = ended_two_hours_ago()
    assert "in 1 min 0 s" in page(olga, made).replace("\N{NO-BREAK SPACE}", " ")
    operations.retry(made.id)
    operations.cancel(made.id)
    shown = page(olga, made).replace("\N{NO-BREAK SPACE}", " ")
    assert "in 1 min" in shown
    assert " h " not in shown


def test_a_retry_tells_its_result(olga: Client) -> None:
    made = ended_two_hours_ago()
    operations.retry(made.id)
    made.refresh_from_db()
    succeed(made, 1)
    assert "Retrying 3 images: 1 succeeded so far." in page(olga, made)
    fail(made, 2)
    change(made, status=RequestStatus.FAILED, completed_at=Now())
    assert "Retry: 3 tried, 1 succeeded." in page(olga, made)


def test_nothing_is_said_of_a_retry_while_the_first_run_goes_on(olga: Client) -> None:
    running = build.request(3)
    fail(running, 1)
    operations.retry(running.id)
    assert "retry-result" not in page(olga, running)


def test_why_nothing_moves_is_said(olga: Client) -> None:
    running = build.request(2)
    assert "No worker is running." in page(olga, running)
    ClusterHeartbeat.objects.create(name="images", host="a", pid=1, workers=2)
    assert "waiting for a worker" in page(olga, running)
    operations.pause(Switch.WORKERS)
    live = olga.get(f"/requests/{running.id}/progress/").content.decode()
    assert "An operator has paused processing." in live
    operations.cancel(running.id)
    assert "An operator has paused processing." not in page(olga, running)


def test_continue_is_offered_and_works(olga: Client) -> None:
    running = build.request(2)
    operations.cancel(running.id)
    assert "Continue processing" in page(olga, running)
    path = f"/requests/{running.id}/continue/"
    early = olga.post(path, follow=True).content.decode()
    assert "Its images are still being cancelled." in early
    completion.close_images(running.id)
    assert "Continuing with 2 images." in olga.post(path, follow=True).content.decode()
    assert build.statuses(running) == [build.PENDING, build.PENDING]
    assert "Continue processing" not in page(olga, running)


def test_a_failing_webhook_is_on_the_page_and_is_sent_again(olga: Client) -> None:
    made = build.request(1, webhook_url="https://hooks.example/secret-path")
    assert "Send again" not in page(olga, made)
    delivery = WebhookDelivery.objects.create(
        request=made, event="request.failed", url=made.webhook_url, body="{}", attempts=1
    )
    WebhookAttempt.objects.create(delivery=delivery, number=1, status_code=500)
    html = page(olga, made)
    assert "hooks.example did not accept the message. We try again" in html
    assert "it answered 500" in html
    assert "secret-path" not in html
    WebhookDelivery.objects.filter(id=delivery.id).update(status="FAILED")
    assert "we have stopped trying" in page(olga, made)
    path = f"/requests/{made.id}/webhook/{delivery.id}/"
    assert "The webhook is being sent again." in olga.post(path, follow=True).content.decode()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("PENDING", 0)
    foreign = build.request(1, owner=build.owner("boris"))
    assert olga.post(f"/requests/{foreign.id}/webhook/{delivery.id}/").status_code == 404


def test_open_links_are_kept_while_the_failures_change(olga: Client) -> None:
    running = build.request(3)
    fail(running, 1)
    html = olga.get(f"/requests/{running.id}/outcome/").content.decode()
    assert '<details id="failed-not_found" hx-preserve' in html
