"""The progress and failures of requests, in a fixed number of queries whatever their size."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from imageproc.faults import by_code
from imageproc.models import (
    ClusterHeartbeat,
    FailureTally,
    ImageStatus,
    MailDelivery,
    ProcessingRequest,
    Switch,
    WebhookAttempt,
    WebhookDelivery,
)
from imageproc.requests.report.hosts import HostWait, host_waits
from imageproc.requests.report.products import PAGE_SIZE

# Reasons listed. A request has a few; there are some forty codes in all.
MAX_REASONS = 50
MAX_DELIVERIES = 10
# Percent, as long as an image is left: 100 says that all are done.
ALMOST_ALL = 99.99
# An estimate of the time left is a guess until so many seconds have passed, or such a share of the
# images is done.
ETA_AFTER_SECONDS = 10
ETA_AFTER_SHARE = 0.05


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
class WebhookReport:
    """The newest webhook of a request; ``delivery`` is None where there is none.

    ``receiver``: its host only, because a path or query may be a secret. ``attempt``: the last one.
    ``failing``: an attempt failed, and none has succeeded since.
    """

    delivery: WebhookDelivery | None = None
    receiver: str = ""
    attempt: WebhookAttempt | None = None
    waiting: bool = False
    failing: bool = False


@dataclass(frozen=True, slots=True)
class RequestPage:
    """``next_before`` is the cursor of the next page, None at the end."""

    requests: list[ProcessingRequest]
    next_before: UUID | None


def progress_of(request: ProcessingRequest) -> Progress:
    """Computed from the counters of the row, without a query."""
    seconds = _seconds(request)
    done = request.processed_images
    rate = round(done / seconds, 2) if seconds and done else None
    left = request.total_images - request.processed_images
    percent = round(100 * request.processed_images / max(1, request.total_images), 2)
    return Progress(
        percent=min(percent, ALMOST_ALL) if left else percent,
        images_per_second=rate,
        eta_seconds=_eta(request, seconds, rate),
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
    user_id: int,
    *,
    before: UUID | None = None,
    status: str | None = None,
    name: str = "",
    limit: int = PAGE_SIZE,
) -> RequestPage:
    """Up to ``limit`` requests that a user sees, older than ``before`` and with ``name`` in
    their file name. Two queries."""
    found = ProcessingRequest.objects.seen_by(user_id).select_related("owner").order_by("-id")
    if before is not None:
        found = found.filter(id__lt=before)
    if status is not None:
        found = found.filter(status=status)
    if name:
        found = found.filter(file_name__icontains=name)
    requests = list(found[: limit + 1])
    more = len(requests) > limit
    return RequestPage(requests[:limit], requests[limit - 1].id if more else None)


def standstill(request: ProcessingRequest) -> str:
    """Why nothing of an open request moves, in one sentence; "" if nothing is known against it. Two
    queries."""
    if request.is_final:
        return ""
    if Switch.objects.is_paused(Switch.WORKERS):
        return "An operator has paused processing. It goes on when they resume it."
    if not ClusterHeartbeat.objects.slots("images"):
        return "No worker is running. Processing starts when one does."
    return ""


def deliveries_of(request: ProcessingRequest) -> list[WebhookDelivery]:
    """The newest MAX_DELIVERIES webhooks of a request, with their attempts. Two queries at most."""
    if not request.webhook_url:
        return []
    return list(request.deliveries.order_by("-id").prefetch_related("log")[:MAX_DELIVERIES])


def webhook_of(request: ProcessingRequest) -> WebhookReport:
    """Two queries at most; none without a webhook."""
    if not request.webhook_url:
        return WebhookReport()
    delivery = request.deliveries.order_by("-id").first()
    if delivery is None:
        return WebhookReport()
    attempt = delivery.log.order_by("-id").first()
    return WebhookReport(
        delivery,
        receiver=urlsplit(delivery.url).hostname or "",
        attempt=attempt,
        waiting=delivery.waiting,
        failing=delivery.failing,
    )


def mail_of(request: ProcessingRequest) -> MailDelivery | None:
    """The newest e-mail of a request. One query at most."""
    if not request.notify_email:
        return None
    return request.mails.order_by("-id").first()


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


def _seconds(request: ProcessingRequest) -> float:
    duration = request.duration(timezone.now())
    return duration.total_seconds() if duration else 0.0


def _eta(request: ProcessingRequest, seconds: float, rate: float | None) -> int | None:
    """Seconds until the last image, or None while a guess would mislead."""
    settled = request.tried_images >= ETA_AFTER_SHARE * request.total_images
    if request.is_final or not rate or not (seconds >= ETA_AFTER_SECONDS or settled):
        return None
    return round((request.total_images - request.processed_images) / rate)
