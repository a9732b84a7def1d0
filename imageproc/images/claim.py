"""Which images a worker takes next: fair between requests, by priority, never twice.

The claim commits the lease and counts the attempt *before* any work. ``FOR UPDATE SKIP LOCKED``
lets workers claim side by side on PostgreSQL; SQLite has one writer at a time (BEGIN IMMEDIATE),
and Django leaves the clause out there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Now

from imageproc.images import names
from imageproc.metrics import CLAIMED
from imageproc.models import Priority, ProcessingRequest, ProductImage, RequestStatus, Switch
from imageproc.models.image import ImageQuerySet
from imageproc.models.request import RequestQuerySet

# Images of a claim: 0.05 ms of database CPU an image in chunks of 50, 1 ms one by one.
CHUNK = 50
# Requests that share one claim; the others come first in the next.
SHARERS = 10
# Images that are counted, to see whether they are the last: 0.1 ms for each 100.
COUNTED = 1000
WEIGHT = {Priority.HIGH.value: 4, Priority.NORMAL.value: 2, Priority.LOW.value: 1}


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed image, with all that the work needs: no query is made while it is in hand."""

    image_id: UUID
    request_id: UUID
    lease_id: UUID
    url: str
    host: str
    attempt: int
    stem: str
    recipe: dict[str, Any]
    store_original: bool


def claim(
    limit: int = CHUNK,
    *,
    skip_hosts: Collection[str] = (),
    lease_id: UUID | None = None,
    workers: int = 0,
) -> list[Job]:
    """Lease up to ``limit`` due images, shared between the requests served longest ago.

    ``skip_hosts``: hosts that this worker has enough connections to. ``lease_id``: a new one that
    the caller has noted before it is taken. ``workers``: how many share what there is, so that of
    the last images each takes a part only; 0: the caller takes all.
    """
    if Switch.objects.is_paused(Switch.WORKERS):
        return []
    with transaction.atomic():
        requests = _to_serve(skip_hosts)
        if workers:
            limit = _part(requests, limit, skip_hosts, workers + 1)
        ids = _share(requests, limit, skip_hosts)
        jobs = _lease(ids, lease_id or uuid4())
    CLAIMED.inc(len(jobs))
    return jobs


def claim_suspect(lease_id: UUID | None = None) -> list[Job]:
    """Lease one image whose worker died, to be processed alone; [] where there is none."""
    if Switch.objects.is_paused(Switch.WORKERS):
        return []
    with transaction.atomic():
        suspects = ProductImage.objects.suspects().of_running_requests()
        jobs = _lease(list(_lock(suspects, 1)), lease_id or uuid4())
    CLAIMED.inc(len(jobs))
    return jobs


def has_suspects() -> bool:
    return ProductImage.objects.suspects().of_running_requests().exists()


def newest() -> tuple[UUID, bool] | None:
    """The newest running request, and whether it has rows: once this is another, there may be
    something to claim that was not there before. Read from an index, however much waits."""
    running = ProcessingRequest.objects.filter(status=RequestStatus.PROCESSING).order_by("-id")
    found = running.values_list("id", "ingested_products").first()
    return found and (found[0], found[1] > 0)


def has_due() -> bool:
    """Whether a claim would find anything."""
    return _waiting(ProductImage.objects.due()).exists()


def _to_serve(skip_hosts: Collection[str]) -> list[ProcessingRequest]:
    due = ProductImage.objects.due().filter(lost_count=0).exclude(host__in=skip_hosts)
    oldest_first = _waiting(due).order_by(F("last_served_at").asc(nulls_first=True))
    return list(oldest_first.only("id", "priority")[:SHARERS])


def _waiting(due: ImageQuerySet) -> RequestQuerySet:
    """Running requests that have any of these images.

    Asked for the first in the order of the index, PostgreSQL reads that index. Whether one
    *exists* it looks up wherever its statistics of an hour ago say that PENDING images abound.
    """
    first = due.filter(request=OuterRef("pk")).order_by("next_attempt_at", "id").values("id")[:1]
    running = ProcessingRequest.objects.filter(status=RequestStatus.PROCESSING)
    return running.alias(first=Subquery(first)).filter(first__isnull=False)


def _part(
    requests: list[ProcessingRequest], limit: int, skip_hosts: Collection[str], parts: int
) -> int:
    """Of the last images one of ``parts``: or one worker would be busy with a claim's worth of
    them for seconds, while the others have nothing (guided self-scheduling, Polychronopoulos and
    Kuck 1987, https://doi.org/10.1109/TC.1987.5009495; with a part more than there are workers,
    because who claims has some in hand)."""
    left, enough = 0, min(parts * limit, COUNTED)
    for request in requests:
        if left < enough:
            due = _due_of(request, skip_hosts).order_by("next_attempt_at", "id")
            left += due.values("id")[: enough - left].count()
    return limit if left >= enough else ceil(left / parts)


def _due_of(request: ProcessingRequest, skip_hosts: Collection[str]) -> ImageQuerySet:
    due = ProductImage.objects.due().filter(request=request, lost_count=0)
    return due.exclude(host__in=skip_hosts)


def _share(
    requests: list[ProcessingRequest], limit: int, skip_hosts: Collection[str]
) -> list[UUID]:
    """Image ids: to each request its part by weight, then what is left over in order."""
    whole = sum(WEIGHT[request.priority] for request in requests)
    parts = [max(1, limit * WEIGHT[request.priority] // whole) for request in requests]
    ids: list[UUID] = []
    for part, request in [*zip(parts, requests, strict=True), *((limit, r) for r in requests)]:
        if (room := min(part, limit - len(ids))) > 0:
            ids += _lock(_due_of(request, skip_hosts).exclude(id__in=ids), room)
    for request in sorted(requests, key=lambda r: r.id):
        ProcessingRequest.objects.filter(id=request.id).update(last_served_at=Now())
    return ids


def _lock(images: Any, limit: int) -> list[UUID]:
    return list(
        images.select_for_update(skip_locked=True, of=("self",))
        .order_by("next_attempt_at", "id")
        .values_list("id", flat=True)[:limit]
    )


def _lease(ids: list[UUID], lease_id: UUID) -> list[Job]:
    if not ids:
        return []
    taken = ProductImage.objects.lease(ids, lease_id, settings.LEASE_SECONDS)
    assert taken == len(ids), "rows locked by this transaction cannot have moved"
    images = ProductImage.objects.filter(id__in=ids).order_by("id")
    return [_job(image, lease_id) for image in images.values_list(*_READ, named=True)]


# What a Job is made of, and no more: model instances would cost 0.2 ms an image.
_READ = (
    *("id", "request_id", "input_url", "host", "attempts", "position"),
    *("product__serial_number", "product__product_name"),
    *("request__recipe", "request__store_originals"),
)


def _job(image: Any, lease_id: UUID) -> Job:
    return Job(
        image_id=image.id,
        request_id=image.request_id,
        lease_id=lease_id,
        url=image.input_url,
        host=image.host,
        attempt=image.attempts,
        stem=names.image_stem(
            image.request_id,
            image.id,
            serial_number=image.product__serial_number,
            product_name=image.product__product_name,
            position=image.position,
        ),
        recipe=image.request__recipe,
        store_original=image.request__store_originals,
    )
