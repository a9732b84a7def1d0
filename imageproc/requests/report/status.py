"""The progress and failures of requests, in a fixed number of queries whatever their size."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from imageproc.faults import by_code
from imageproc.models import (
    FailureTally,
    ImageStatus,
    ProcessingRequest,
    WebhookDelivery,
)
from imageproc.requests.report.hosts import HostWait, host_waits
from imageproc.requests.report.products import PAGE_SIZE

# Reasons listed. A request has a few; there are some forty codes in all.
MAX_REASONS = 50
MAX_DELIVERIES = 10
# Percent, as long as an image is left: 100 says that all are done.
ALMOST_ALL = 99.99


@dataclass(frozen=True, slots=True)
class Reason:
    """Images that failed for the same reason."""

    code: str
    message: str
    remedy: str
    images: int


@dataclass(frozen=True, slots=True)
class Progress:
    """``percent`` of all images. ``images_per_second`` and ``eta_seconds`` are None while
    unknown."""

    percent: float
    images_per_second: float | None
    eta_seconds: int | None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A request, its progress, and why images failed."""

    request: ProcessingRequest
    progress: float
    images_per_second: float | None
    eta_seconds: int | None
    reasons: list[Reason]
    hosts: list[HostWait] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RequestPage:
    """``next_before`` is the cursor of the next page, None at the end."""

    requests: list[ProcessingRequest]
    next_before: UUID | None


def progress_of(request: ProcessingRequest) -> Progress:
    """Computed from the counters of the row, without a query."""
    rate = _rate(request)
    left = request.total_images - request.processed_images
    percent = round(100 * request.processed_images / max(1, request.total_images), 2)
    return Progress(
        percent=min(percent, ALMOST_ALL) if left else percent,
        images_per_second=rate,
        eta_seconds=round(left / rate) if rate and not request.is_final else None,
    )


def status_of(request: ProcessingRequest) -> StatusReport:
    """At most three queries: the reasons are read from the tallies. What is left takes no less time
    than the pace of its hosts allows."""
    progress, hosts = progress_of(request), host_waits(request)
    slowest = max((host.seconds or 0 for host in hosts), default=0)
    return StatusReport(
        request=request,
        progress=progress.percent,
        images_per_second=progress.images_per_second,
        eta_seconds=max(progress.eta_seconds or 0, slowest) or progress.eta_seconds,
        hosts=hosts,
        reasons=_reasons(request.id) if request.failed_images else [],
    )


def request_page(
    owner_id: int,
    *,
    before: UUID | None = None,
    status: str | None = None,
    name: str = "",
    limit: int = PAGE_SIZE,
) -> RequestPage:
    """Up to ``limit`` requests of an owner that are older than ``before`` and have ``name`` in
    their file name. One query."""
    found = ProcessingRequest.objects.owned_by(owner_id).order_by("-id")
    if before is not None:
        found = found.filter(id__lt=before)
    if status is not None:
        found = found.filter(status=status)
    if name:
        found = found.filter(file_name__icontains=name)
    requests = list(found[: limit + 1])
    more = len(requests) > limit
    return RequestPage(requests[:limit], requests[limit - 1].id if more else None)


def deliveries_of(request: ProcessingRequest) -> list[WebhookDelivery]:
    """The newest MAX_DELIVERIES webhooks of a request, with their attempts. Two queries at most."""
    if not request.webhook_url:
        return []
    return list(request.deliveries.order_by("-id").prefetch_related("log")[:MAX_DELIVERIES])


def state_of(states: set[str]) -> str:
    """A product's state from those of its images: PENDING, PROCESSING, COMPLETED, PARTIAL, FAILED
    or CANCELLED."""
    if len(states) == 1:
        return next(iter(states))
    if ImageStatus.PENDING in states or ImageStatus.PROCESSING in states:
        return ImageStatus.PROCESSING.value
    return "PARTIAL" if ImageStatus.COMPLETED in states else ImageStatus.FAILED.value


def _reasons(request_id: UUID) -> list[Reason]:
    counts = FailureTally.objects.filter(request_id=request_id).values("error_code")
    counts = counts.annotate(total=Sum("images")).order_by("-total", "error_code")
    return [
        Reason(
            row["error_code"],
            by_code(row["error_code"]).message,
            by_code(row["error_code"]).remedy,
            row["total"],
        )
        for row in counts[:MAX_REASONS]
    ]


def _rate(request: ProcessingRequest) -> float | None:
    """Images a second since the start."""
    if not request.started_at or not request.processed_images:
        return None
    until: datetime = request.completed_at or timezone.now()
    seconds = (until - request.started_at).total_seconds()
    return round(request.processed_images / seconds, 2) if seconds > 0 else None
