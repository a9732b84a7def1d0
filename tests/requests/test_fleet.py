"""What operators are shown of the whole service: each figure with rows that must not count."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from imageproc.models import (
    ClusterHeartbeat,
    FailureTally,
    MinuteTally,
    ProcessingRequest,
    Switch,
    WebhookDelivery,
)
from imageproc.requests.report import fleet
from tests.support import build
from tests.support.changes import after, at

pytestmark = pytest.mark.django_db


def row(**fields: Any) -> ProcessingRequest:
    return build.request(0, **at({"total_images": 9, "total_products": 1} | fields))


def test_images_that_wait() -> None:
    row(completed_images=1, failed_images=2, cancelled_images=3)
    row(status="PENDING", total_images=5)
    row(priority="high", total_images=7)
    row(status="FAILED", completed_at=after(0))
    row(status="CANCELLED", completed_at=after(0), priority="low")
    assert fleet.queue_depth() == {"high": 7, "normal": 3 + 5, "low": 0}


def test_the_oldest_wait() -> None:
    for priority, ago in (("high", -50), ("high", -90), ("normal", 30)):
        build.image(row(priority=priority), next_attempt_at=at({"t": after(ago)})["t"])
    long_ago = at({"next_attempt_at": after(-500)})
    build.image(row(priority="high"), status="CANCELLED", **long_ago)
    ended = row(priority="high", status="FAILED", completed_at=after(0))
    build.image(ended, **long_ago)
    row(priority="low", status="PENDING", created_at=after(-70))
    found = {priority: round(wait, -1) for priority, wait in fleet.oldest_wait().items()}
    assert found == {"high": 90, "normal": 0, "low": 70}


def test_workers_that_are_alive() -> None:
    beat = ClusterHeartbeat.objects.beat
    beat(name="images", host="a", pid=1, workers=2)
    beat(name="images", host="b", pid=1, workers=3)
    beat(name="images", host="c", pid=1, workers=100, stopping=True)
    beat(name="images", host="d", pid=1, workers=100)
    beat(name="control", host="a", pid=2, workers=1)
    ClusterHeartbeat.objects.filter(host="d").update(**at({"beat_at": after(-40)}))
    assert fleet.workers() == {"images": 5, "control": 1}


def test_what_is_paused() -> None:
    assert fleet.paused() == {"intake": False, "workers": False}
    Switch.objects.set_paused(Switch.WORKERS, True)
    Switch.objects.set_paused(Switch.INTAKE, False)
    assert fleet.paused() == {"intake": False, "workers": True}


def test_webhooks_that_are_owed() -> None:
    day = 86_400
    cases: list[dict[str, Any]] = [
        {"status": "PENDING"},
        {"status": "PENDING", "attempts": 1},
        {"status": "SENDING", "attempts": 1, "lease_id": uuid4()},
        {"status": "DELIVERED", "attempts": 3, "finished_at": after(0)},
        {"status": "FAILED", "attempts": 10, "finished_at": after(-day + 30)},
        {"status": "FAILED", "attempts": 10, "finished_at": after(-day - 30)},
    ]
    for fields in cases:
        WebhookDelivery.objects.create(
            request=row(), event="e", url="http://r/", body="{}", **at(fields)
        )
    assert fleet.deliveries() == {"owed": 3, "retrying": 2, "failed": 1}


def minute(seconds: float, code: str, images: int) -> None:
    moments = at({"minute": after(seconds)})
    MinuteTally.objects.create(
        code=code, images=images, bytes_in=100 * images, bytes_out=10 * images, **moments
    )


def test_rates_and_reasons_of_a_span() -> None:
    for seconds, code, images in [
        *((-100, "", 30), (-200, "", 6), (-150, "not_found", 8), (-160, "not_found", 1)),
        *((-170, "too_large", 9), (-180, "empty_body", 1)),
        *((-4000, "", 500), (-4000, "not_found", 500)),
    ]:
        minute(seconds, code, images)
    rate = fleet.rate(hours=1)
    assert (rate.completed, rate.failed, rate.per_second) == (36, 19, 55 / 3600)
    assert rate.error_ratio == 19 / 55
    assert fleet.reasons(hours=1) == [("not_found", 9), ("too_large", 9), ("empty_body", 1)]
    assert fleet.rate(seconds=90) == fleet.Rate(0, 0, 0.0)
    assert fleet.rate(seconds=90).error_ratio == 0.0


def test_hosts_that_fail_most() -> None:
    first, second = row(), row()
    for of, code, host, images in [
        *((first, "not_found", "a", 2), (second, "too_large", "a", 3), (first, "x", "b", 4)),
        *((second, "not_found", "c", 5), (second, "too_large", "c", 5)),
    ]:
        FailureTally.objects.add(of.id, code, host, images)
    assert fleet.failing_hosts() == [("c", 10, "not_found"), ("a", 5, "too_large"), ("b", 4, "x")]
    for number in range(20):
        FailureTally.objects.add(first.id, "not_found", f"h{number:02}", 1)
    assert len(fleet.failing_hosts()) == 10


def test_what_is_stored() -> None:
    assert fleet.storage_bytes() == 0
    row(bytes_out=3, bytes_in=100)
    row(bytes_out=4, status="FAILED", completed_at=after(0))
    assert fleet.storage_bytes() == 7


def test_the_steps_of_a_chart() -> None:
    minute(-1, "", 5)
    minute(-1, "not_found", 2)
    minute(-25 * 3600, "", 9)
    points = fleet.series(hours=2, minutes=30)
    assert len(points) == 4
    last = points[-1]
    totals = [sum(getattr(p, n) for p in points[-2:]) for n in ("completed", "failed")]
    assert totals == [5, 2]
    assert sum(p.bytes_in for p in points) == 700
    assert sum(p.bytes_out for p in points) == 70
    assert last.at.minute in (0, 30)
    assert (last.at.second, last.at.microsecond) == (0, 0)
