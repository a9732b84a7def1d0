"""Where a request stands, in a fixed number of queries whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import BigIntegerField, Sum, UUIDField
from django.utils import timezone

from imageproc.faults import by_code
from imageproc.models import (
    FailureTally,
    ImageStatus,
    ProcessingRequest,
    ProductImage,
    WebhookDelivery,
)
from imageproc.models.statement import Given, Statement

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
# Reasons listed; a request has a few, a hostile one could have many hosts but not many reasons.
MAX_REASONS = 50
MAX_DELIVERIES = 10


@dataclass(frozen=True, slots=True)
class Reason:
    """Images that failed alike."""

    code: str
    message: str
    remedy: str
    images: int


@dataclass(frozen=True, slots=True)
class Progress:
    """``percent`` of the images; ``images_per_second`` and ``eta_seconds`` None while unknown."""

    percent: float
    images_per_second: float | None
    eta_seconds: int | None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """A request, how far it is, and why images failed."""

    request: ProcessingRequest
    progress: float
    images_per_second: float | None
    eta_seconds: int | None
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class RequestPage:
    """``next_before`` is the cursor of the next page, None at the end."""

    requests: list[ProcessingRequest]
    next_before: UUID | None


class ListedImage(NamedTuple):
    """The columns of an image that a page tells: half of the time of its model instances."""

    id: UUID
    status: str
    input_url: str
    original_key: str
    output_key: str
    attempts: int
    input_size: int | None
    output_size: int | None
    width: int | None
    height: int | None
    content_type: str
    output_sha256: str
    error_code: str


class Listed(NamedTuple):
    """A product and its images, in their order."""

    serial_number: str
    product_name: str
    images: list[ListedImage]


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Products in file order; ``next_after`` is the cursor of the next page, None at the end."""

    products: list[Listed]
    next_after: int | None


def progress_of(request: ProcessingRequest) -> Progress:
    """From the counters of the row: no query."""
    rate = _rate(request)
    left = request.total_images - request.processed_images
    return Progress(
        percent=round(100 * request.processed_images / max(1, request.total_images), 2),
        images_per_second=rate,
        eta_seconds=round(left / rate) if rate and not request.is_final else None,
    )


def status_of(request: ProcessingRequest) -> StatusReport:
    """At most one query: the request is loaded already, its reasons come from the tallies."""
    progress = progress_of(request)
    return StatusReport(
        request=request,
        progress=progress.percent,
        images_per_second=progress.images_per_second,
        eta_seconds=progress.eta_seconds,
        reasons=_reasons(request.id) if request.failed_images else [],
    )


def product_page(request_id: UUID, *, after: int = 0, limit: int = PAGE_SIZE) -> ProductPage:
    """Up to ``limit`` products behind row number ``after``, each with its images. One query.

    Row numbers have no gaps, and every product has an image: the last row is asked for only to see
    whether there is more.
    """
    last = after + max(1, min(limit, MAX_PAGE_SIZE))
    rows = _PAGE.rows(request_id=request_id, after=after, until=last + 1)
    more = bool(rows) and rows[-1][0] > last
    products = [_listed(list(of)) for number, of in groupby(rows, itemgetter(0)) if number <= last]
    return ProductPage(products, last if more else None)


_PRODUCT = ("product__row_number", "product__serial_number", "product__product_name")
# A range of rows, not a LIMIT: the images of a product are as many as they are.
_PAGE: Statement[tuple[Any, ...]] = Statement(
    lambda: (
        ProductImage.objects.filter(
            product__request=Given("request_id", UUIDField()),
            product__row_number__gt=Given("after", BigIntegerField()),
            product__row_number__lte=Given("until", BigIntegerField()),
        )
        .order_by("product__row_number", "position")
        .values_list(*_PRODUCT, *ListedImage._fields)
    )
)


def _listed(rows: list[tuple[Any, ...]]) -> Listed:
    """The rows of one product."""
    _, serial_number, product_name, *_ = rows[0]
    images = [ListedImage._make(row[len(_PRODUCT) :]) for row in rows]
    return Listed(serial_number, product_name, images)


def request_page(
    owner_id: int,
    *,
    before: UUID | None = None,
    status: str | None = None,
    name: str = "",
    limit: int = PAGE_SIZE,
) -> RequestPage:
    """Up to ``limit`` requests of an owner that are older than ``before``, their file names with
    ``name`` somewhere in them. One query."""
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
    """PENDING, PROCESSING, COMPLETED, PARTIAL, FAILED or CANCELLED: a product's state, from the
    states of its images."""
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
