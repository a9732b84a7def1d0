"""Figures of the whole service for operators: queue, workers, rates, failures, storage.

Every query reads counters, tallies or the start of a partial index, never all images, so it costs
the same at ten images and at ten million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Min, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Now
from django.utils import timezone

from imageproc.models import (
    ClusterHeartbeat,
    DeliveryStatus,
    FailureTally,
    Host,
    HostReason,
    MinuteTally,
    Priority,
    ProcessingRequest,
    ProductImage,
    RequestStatus,
    Switch,
    WebhookDelivery,
)

# Failures by host are those of so many newest requests.
RECENT_REQUESTS = 200
TOP = 10


@dataclass(frozen=True, slots=True)
class Rate:
    """Images that ended within a period. ``per_second`` counts failed ones too."""

    completed: int
    failed: int
    per_second: float

    @property
    def error_ratio(self) -> float:
        ended = self.completed + self.failed
        return self.failed / ended if ended else 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a chart."""

    at: datetime
    completed: int
    failed: int
    bytes_in: int
    bytes_out: int


def queue_depth() -> dict[str, int]:
    """Images that are not in a final state, by priority."""
    done = F("completed_images") + F("failed_images") + F("cancelled_images")
    waiting = _by_priority(ProcessingRequest.objects.open(), Sum(F("total_images") - done))
    return {priority: waiting.get(priority) or 0 for priority in Priority.values}


def oldest_wait() -> dict[str, float]:
    """Seconds that the oldest image that could be claimed has waited, by priority; 0 for none.

    An upload whose rows are not written yet counts from its arrival.
    """
    due = ProductImage.objects.due().filter(request=OuterRef("pk")).order_by("next_attempt_at")
    running = ProcessingRequest.objects.filter(status=RequestStatus.PROCESSING).annotate(
        oldest=Subquery(due.values("next_attempt_at")[:1])
    )
    moments = [
        _by_priority(running, Min("oldest")),
        _by_priority(
            ProcessingRequest.objects.filter(status=RequestStatus.PENDING), Min("created_at")
        ),
    ]
    now = timezone.now()
    return {
        priority: max(
            (max(0.0, (now - of[priority]).total_seconds()) for of in moments if of.get(priority)),
            default=0.0,
        )
        for priority in Priority.values
    }


def workers() -> dict[str, int]:
    """Worker processes that are alive, by cluster."""
    alive = ClusterHeartbeat.objects.alive().filter(stopping=False)
    found = dict(alive.values_list("name").annotate(total=Sum("workers")))
    return {name: int(found.get(name) or 0) for name in ("images", "control")}


def paused() -> dict[str, bool]:
    """Whether uploads and workers are paused, by the switch's name."""
    on = set(Switch.objects.filter(paused=True).values_list("name", flat=True))
    return {name: name in on for name in (Switch.INTAKE, Switch.WORKERS)}


def hosts() -> dict[str, int]:
    """Image hosts that have a pace, and that are closed, by reason."""
    rows = list(Host.objects.with_clock())
    closed = [row for row in rows if row.is_closed(row.now)]
    return {
        "paced": sum(row.current_pace is not None for row in rows),
        "busy": sum(not row.held and row.reason == HostReason.BUSY for row in closed),
        "down": sum(not row.held and row.reason == HostReason.DOWN for row in closed),
        "held": sum(row.held for row in closed),
    }


def deliveries() -> dict[str, int]:
    """Webhooks that are waiting ("owed"), those of them that were tried before, and those that
    failed for good in the last day."""
    owed = WebhookDelivery.objects.filter(
        status__in=[DeliveryStatus.PENDING, DeliveryStatus.SENDING]
    )
    lost = WebhookDelivery.objects.filter(
        status=DeliveryStatus.FAILED, finished_at__gt=Now() - timedelta(days=1)
    )
    return {
        "owed": owed.count(),
        "retrying": owed.filter(attempts__gt=0).count(),
        "failed": lost.count(),
    }


def rate(**span: float) -> Rate:
    """Images that ended in the last ``timedelta(**span)``."""
    tallies = MinuteTally.objects.within(**span)
    ended = dict(tallies.values_list("code").annotate(total=Sum("images")))
    completed = ended.pop("", 0)
    failed = sum(ended.values())
    return Rate(completed, failed, (completed + failed) / timedelta(**span).total_seconds())


def reasons(**span: float) -> list[tuple[str, int]]:
    """(code, failed images) in the last ``timedelta(**span)``, the most frequent first."""
    failed = MinuteTally.objects.within(**span).exclude(code="")
    counts = failed.values_list("code").annotate(total=Sum("images")).order_by("-total", "code")
    return list(counts[:TOP])


def failing_hosts() -> list[tuple[str, int, str]]:
    """(host, images, most frequent code) of the newest requests' failures."""
    newest = list(
        ProcessingRequest.objects.order_by("-id").values_list("id", flat=True)[:RECENT_REQUESTS]
    )
    of_newest = FailureTally.objects.filter(request__in=newest)
    hosts = of_newest.values("host").annotate(total=Sum("images")).order_by("-total", "host")[:TOP]
    return [(row["host"], row["total"], _main_code(of_newest, row["host"])) for row in hosts]


def failed_by(column: str, request_id: UUID | None = None) -> list[str]:
    """The TOP reasons ("error_code") or hosts ("host") of failed images, the most frequent first:
    of one request, or of the newest ones."""
    tallies = FailureTally.objects.filter(request=request_id)
    if request_id is None:
        newest = ProcessingRequest.objects.order_by("-id").values_list("id", flat=True)
        tallies = FailureTally.objects.filter(request__in=list(newest[:RECENT_REQUESTS]))
    counts = tallies.values_list(column).annotate(total=Sum("images")).order_by("-total", column)
    return [value for value, _ in counts[:TOP]]


def storage_bytes() -> int:
    """Bytes of the renditions of every request."""
    return ProcessingRequest.objects.aggregate(total=Sum("bytes_out"))["total"] or 0


def series(*, hours: int = 24, minutes: int = 15) -> list[Point]:
    """The last ``hours`` in steps of ``minutes`` (a divisor of 60), oldest first, none left out."""
    step = timedelta(minutes=minutes)
    rows = MinuteTally.objects.within(hours=hours).values_list(
        "minute", "code", "images", "bytes_in", "bytes_out"
    )
    sums: dict[datetime, list[int]] = {at: [0, 0, 0, 0] for at in _steps(hours, step)}
    for minute, code, images, bytes_in, bytes_out in rows.iterator():
        counts = sums.get(_floor(minute, step))
        if counts is not None:
            counts[1 if code else 0] += images
            counts[2] += bytes_in
            counts[3] += bytes_out
    return [Point(at, *counts) for at, counts in sums.items()]


def database_bytes() -> int | None:
    """Size of the PostgreSQL database on its disk; None on SQLite."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def _by_priority(requests: QuerySet[ProcessingRequest], measure: Any) -> dict[str, Any]:
    return dict(requests.order_by().values_list("priority").annotate(measure=measure))


def _main_code(tallies: QuerySet[FailureTally], host: str) -> str:
    codes = tallies.filter(host=host).values_list("error_code").annotate(total=Sum("images"))
    return str(codes.order_by("-total", "error_code")[0][0])


def _steps(hours: int, step: timedelta) -> Iterator[datetime]:
    last = _floor(timezone.now(), step)
    count = int(timedelta(hours=hours) / step)
    return (last - step * back for back in reversed(range(count)))


def _floor(moment: datetime, step: timedelta) -> datetime:
    minutes = int(step.total_seconds() // 60)
    return moment.replace(minute=moment.minute - moment.minute % minutes, second=0, microsecond=0)
