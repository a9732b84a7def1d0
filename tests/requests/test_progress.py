"""Percent, rate and time left at their borders; states of products; reasons and groups."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from imageproc.models import FailureTally, ProcessingRequest
from imageproc.requests import report
from imageproc.requests.report.status import state_of
from tests.support import build

NOW = timezone.now()


def row(**fields: Any) -> ProcessingRequest:
    fields = {"status": "PROCESSING", "total_images": 4, "total_products": 4} | fields
    return ProcessingRequest(**fields)


@pytest.mark.parametrize(
    ("total", "completed", "failed", "cancelled", "percent"),
    [
        (0, 0, 0, 0, 0.0),
        (4, 0, 0, 0, 0.0),
        (4, 1, 0, 0, 25.0),
        (4, 0, 1, 0, 25.0),
        (4, 0, 0, 1, 25.0),
        (4, 1, 1, 1, 75.0),
        (4, 2, 1, 1, 100.0),
        (3, 1, 0, 0, 33.33),
        (3, 2, 0, 0, 66.67),
        (10_000, 9_999, 0, 0, 99.99),
        (10_000, 9_999, 1, 0, 100.0),
    ],
)
def test_percent_counts_every_end(
    total: int, completed: int, failed: int, cancelled: int, percent: float
) -> None:
    of = row(
        total_images=total,
        completed_images=completed,
        failed_images=failed,
        cancelled_images=cancelled,
    )
    assert report.progress_of(of).percent == percent


@pytest.mark.parametrize("total", [10_001, 20_001, 100_000, 1_000_000])
def test_a_hundred_percent_only_when_all_is_done(total: int) -> None:
    of = row(total_images=total, completed_images=total - 1)
    assert report.progress_of(of).percent < 100
    of.cancelled_images = 1
    assert report.progress_of(of).percent == 100


@pytest.mark.parametrize(
    ("fields", "rate", "eta"),
    [
        ({"started_at": None, "completed_images": 1}, None, None),
        ({"started_at": NOW - timedelta(seconds=10)}, None, None),
        ({"completed_images": 1, "seconds": 10}, 0.1, None),
        ({"completed_images": 1, "failed_images": 1, "cancelled_images": 1, "seconds": 10}, 0.3, 3),
        ({"completed_images": 4, "seconds": 10}, 0.4, 0),
        ({"completed_images": 2, "seconds": 3}, 0.67, 3),
        ({"completed_images": 4, "seconds": 0}, None, None),
        ({"completed_images": 1, "seconds": -5}, None, None),
        ({"completed_images": 1, "seconds": 1000}, 0.0, None),
    ],
)
def test_rate_and_time_left(
    fields: dict[str, Any], rate: float | None, eta: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    fields = dict(fields)
    if (seconds := fields.pop("seconds", None)) is not None:
        fields["started_at"] = NOW - timedelta(seconds=seconds)
    found = report.progress_of(row(**fields))
    assert found.images_per_second == rate
    if "completed_images" in fields and eta is None and rate:
        eta = round((4 - fields["completed_images"]) / rate)
    assert found.eta_seconds == eta


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "CANCELLED"])
def test_what_has_ended_has_no_time_left_and_a_rate_that_stays(status: str) -> None:
    of = row(
        status=status,
        completed_images=2,
        started_at=NOW - timedelta(seconds=100),
        completed_at=NOW - timedelta(seconds=90),
    )
    found = report.progress_of(of)
    assert (found.percent, found.images_per_second, found.eta_seconds) == (50.0, 0.2, None)


@pytest.mark.parametrize(
    ("states", "state"),
    [
        *(({s}, s) for s in ("PENDING", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED")),
        ({"PENDING", "COMPLETED"}, "PROCESSING"),
        ({"PENDING", "PROCESSING"}, "PROCESSING"),
        ({"PENDING", "FAILED"}, "PROCESSING"),
        ({"PROCESSING", "CANCELLED"}, "PROCESSING"),
        ({"PROCESSING", "COMPLETED", "FAILED"}, "PROCESSING"),
        ({"COMPLETED", "FAILED"}, "PARTIAL"),
        ({"COMPLETED", "CANCELLED"}, "PARTIAL"),
        ({"FAILED", "CANCELLED"}, "FAILED"),
        ({"COMPLETED", "FAILED", "CANCELLED"}, "PARTIAL"),
    ],
)
def test_the_state_of_a_product(states: set[str], state: str) -> None:
    assert state_of(states) == state


@pytest.mark.django_db
def test_reasons_by_how_many_then_by_code() -> None:
    of = build.request(0, total_images=99, total_products=9, failed_images=20)
    other = build.request(0, total_images=99, total_products=9)
    for code, host, images in [
        *(("too_large", "a", 3), ("not_found", "a", 2), ("not_found", "b", 3)),
        *(("empty_body", "a", 3), ("url_invalid", "c", 9)),
    ]:
        FailureTally.objects.add(of.id, code, host, images)
    FailureTally.objects.add(other.id, "not_found", "a", 50)
    found = [(r.code, r.images) for r in report.status_of(of).reasons]
    assert found == [("url_invalid", 9), ("not_found", 5), ("empty_body", 3), ("too_large", 3)]
    groups = [(g.code, g.images, g.hosts, g.more_hosts) for g in report.failure_groups(of.id)]
    assert groups == [
        ("url_invalid", 9, [("c", 9)], 0),
        ("not_found", 5, [("b", 3), ("a", 2)], 0),
        ("empty_body", 3, [("a", 3)], 0),
        ("too_large", 3, [("a", 3)], 0),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(("hosts", "more"), [(7, 0), (8, 0), (9, 1), (12, 4)])
def test_eight_hosts_of_a_reason_are_named(hosts: int, more: int) -> None:
    of = build.request(0, total_images=99, total_products=9)
    for number in range(hosts):
        FailureTally.objects.add(of.id, "not_found", f"{number:02}", 1)
    [group] = report.failure_groups(of.id)
    assert (group.images, group.more_hosts) == (hosts, more)
    assert group.hosts == [(f"{n:02}", 1) for n in range(min(hosts, 8))]
