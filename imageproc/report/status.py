"""Where a request stands, in a fixed number of queries whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, Sum
from django.utils import timezone

from imageproc.faults import by_code
from imageproc.models import FailureTally, ImageStatus, ProcessingRequest, Product, ProductImage

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
# Reasons listed; a request has a few, a hostile one could have many hosts but not many reasons.
MAX_REASONS = 50


@dataclass(frozen=True, slots=True)
class Reason:
    """Images that failed alike."""

    code: str
    message: str
    remedy: str
    images: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """``progress`` in percent; ``images_per_second`` and ``eta_seconds`` None while unknown."""

    request: ProcessingRequest
    progress: float
    images_per_second: float | None
    eta_seconds: int | None
    reasons: list[Reason]


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Products in file order; ``next_after`` is the cursor of the next page, None at the end."""

    products: list[Product]
    next_after: int | None


def status_of(request: ProcessingRequest) -> StatusReport:
    """Two queries: the request is loaded already, its reasons come from the tallies."""
    rate = _rate(request)
    left = request.total_images - request.processed_images
    return StatusReport(
        request=request,
        progress=round(100 * request.processed_images / request.total_images, 2),
        images_per_second=rate,
        eta_seconds=round(left / rate) if rate and not request.is_final else None,
        reasons=_reasons(request.id),
    )


def product_page(request_id: UUID, *, after: int = 0, limit: int = PAGE_SIZE) -> ProductPage:
    """Up to ``limit`` products behind row number ``after``, each with its images. Two queries."""
    limit = max(1, min(limit, MAX_PAGE_SIZE))
    images = Prefetch("images", ProductImage.objects.order_by("position"))
    found = Product.objects.filter(request_id=request_id, row_number__gt=after)
    products = list(found.order_by("row_number").prefetch_related(images)[: limit + 1])
    more = len(products) > limit
    return ProductPage(products[:limit], products[limit - 1].row_number if more else None)


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
