"""Which images a worker takes next: fair between requests, by priority, never twice.

The claim commits the lease and counts the attempt *before* any work. ``FOR UPDATE SKIP LOCKED``
lets workers claim side by side on PostgreSQL; SQLite has one writer at a time (BEGIN IMMEDIATE),
and Django leaves the clause out there.
"""

from __future__ import annotations

import time
from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Now

from imageproc.images.job import Job, lease
from imageproc.metrics import CLAIMED
from imageproc.models import (
    Host,
    Priority,
    ProcessingRequest,
    ProductImage,
    RequestStatus,
    Switch,
)
from imageproc.models.image import ImageQuerySet
from imageproc.models.request import RequestQuerySet

# Images of a claim: 0.05 ms of database CPU an image in chunks of 50, 1 ms one by one.
CHUNK = 50
# Requests that share one claim; the others come first in the next.
SHARERS = 10
# A worker takes the slots of this time at once, so that the others get theirs.
SLOTS_SECONDS = 0.5
# A probe without an outcome so long after the deadline of its fetch was lost: another may go.
PROBE_MARGIN = 5.0
# Waiting images are counted up to here, to see whether they are the last: 0.1 ms for each 100.
COUNTED = 1000
WEIGHT = {Priority.HIGH.value: 4, Priority.NORMAL.value: 2, Priority.LOW.value: 1}


@dataclass(frozen=True, slots=True)
class Skip:
    """What a worker claims nothing of: hosts to which it has enough connections or that are claimed
    by slots, requests whose outcomes it could not write yet. ``all_but``: every other host."""

    hosts: Set[str] = frozenset()
    requests: Set[UUID] = frozenset()
    all_but: str = ""


NOTHING = Skip()


def claim(limit: int = CHUNK, *, skip: Skip = NOTHING, workers: int = 0) -> list[Job]:
    """Lease up to ``limit`` due images, shared between the requests served longest ago.

    ``workers``: how many workers there are, so that near the end each takes only its part; 0: take
    all.
    """
    if Switch.objects.is_paused(Switch.WORKERS):
        return []
    with transaction.atomic():
        requests = _requests_to_serve(skip)
        if workers:
            limit = _tail_limit(requests, limit, skip, workers)
        jobs = lease(_share(requests, limit, skip))
        _mark_served(requests)
    CLAIMED.inc(len(jobs))
    return jobs


def claim_slots(host: str, skip: Skip = NOTHING) -> list[Job] | None:
    """Lease images of a host that has a pace, each with a slot of its own.

    [] where the host is closed, has no free slot soon, or where another worker is at it; None where
    no image of it is due.
    """
    if Switch.objects.is_paused(Switch.WORKERS):
        return []
    with transaction.atomic():
        row = Host.objects.lock_unless_locked(host)
        slots = row.slots(row.now, SLOTS_SECONDS) if row else []
        if row is None or not slots:
            return []
        only = replace(skip, all_but=host)
        requests = _requests_to_serve(only)
        if not requests:
            return None
        jobs = _at_slots(row, slots, lease(_share(requests, len(slots), only)))
        _mark_served(requests)
    CLAIMED.inc(len(jobs))
    return jobs


def claim_suspect(closed: Set[str] = frozenset()) -> list[Job]:
    """Lease one image that its worker died of, to be processed alone; [] where there is none but of
    ``closed`` hosts. If its host has a pace, the image takes the host's next slot."""
    if Switch.objects.is_paused(Switch.WORKERS):
        return []
    with transaction.atomic():
        suspects = _suspects(closed)
        first = suspects.order_by("next_attempt_at", "id").values_list("host", flat=True)[:1]
        rows = [row for row in Host.objects.lock(first) if row.is_limited]
        slots = [row.next_slot(row.now) for row in rows if not row.is_closed(row.now)]
        if not first or len(slots) < len(rows):
            return []
        jobs = lease(_first(suspects.filter(host=first[0]), 1))
        if rows:
            jobs = _at_slots(rows[0], slots, jobs)
    CLAIMED.inc(len(jobs))
    return jobs


def _at_slots(row: Host, slots: list[datetime], jobs: list[Job]) -> list[Job]:
    """The jobs with their slots, which are reserved on the locked ``row``."""
    row.reserve(slots[: len(jobs)], row.now, settings.FETCH_DEADLINE + PROBE_MARGIN)
    row.save(update_fields=["next_slot_at", "closed_until", "pace", "slots_given", "signed_at"])
    now = time.monotonic()
    return [
        replace(job, starts_at=now + (slot - row.now).total_seconds(), probe=row.probing)
        for job, slot in zip(jobs, slots, strict=False)
    ]


def has_suspects(closed: Set[str] = frozenset()) -> bool:
    return _suspects(closed).exists()


def _suspects(closed: Set[str]) -> ImageQuerySet:
    return ProductImage.objects.suspects().of_running_requests().exclude(host__in=closed)


def newest_request() -> tuple[UUID, bool] | None:
    """The id of the newest running request, and whether it has rows: once this changes, there may
    be something to claim that was not there before. Read from an index, however much waits."""
    running = ProcessingRequest.objects.filter(status=RequestStatus.PROCESSING).order_by("-id")
    newest = running.values_list("id", "ingested_products").first()
    return newest and (newest[0], newest[1] > 0)


def has_due() -> bool:
    """Whether a claim would find anything."""
    return _running_requests_with(ProductImage.objects.due()).exists()


def _requests_to_serve(skip: Skip) -> list[ProcessingRequest]:
    due = _may_be_taken(ProductImage.objects.due(), skip)
    waiting = _running_requests_with(due).exclude(id__in=skip.requests)
    longest_ago_first = waiting.order_by(F("last_served_at").asc(nulls_first=True))
    return list(longest_ago_first.only("id", "priority")[:SHARERS])


def _running_requests_with(images: ImageQuerySet) -> RequestQuerySet:
    """Running requests that have any of these images.

    Asked for the first in the order of the index, PostgreSQL reads that index. Whether one
    *exists* it looks up wherever its statistics of an hour ago say that PENDING images abound.
    """
    of_request = images.filter(request=OuterRef("pk")).order_by("next_attempt_at", "id")
    running = ProcessingRequest.objects.filter(status=RequestStatus.PROCESSING)
    first = Subquery(of_request.values("id")[:1])
    return running.alias(first=first).filter(first__isnull=False)


def _tail_limit(requests: list[ProcessingRequest], limit: int, skip: Skip, workers: int) -> int:
    """Near the end claim 1/(workers + 1) of what is left, so that workers finish together.

    Otherwise one would be busy with a whole claim for seconds while the others have nothing (guided
    self-scheduling, Polychronopoulos and Kuck 1987, https://doi.org/10.1109/TC.1987.5009495; a part
    more than there are workers, because each has some in hand already).
    """
    parts = workers + 1
    left, enough = 0, min(parts * limit, COUNTED)
    for request in requests:
        if left < enough:
            due = _due_of(request, skip).order_by("next_attempt_at", "id")
            left += due.values("id")[: enough - left].count()
    return limit if left >= enough else ceil(left / parts)


def _due_of(request: ProcessingRequest, skip: Skip) -> ImageQuerySet:
    return _may_be_taken(ProductImage.objects.due().filter(request=request), skip)


def _may_be_taken(images: ImageQuerySet, skip: Skip) -> ImageQuerySet:
    sound = images.filter(lost_count=0)
    return sound.filter(host=skip.all_but) if skip.all_but else sound.exclude(host__in=skip.hosts)


def _share(requests: list[ProcessingRequest], limit: int, skip: Skip) -> list[UUID]:
    """Lock images: for each request its part by weight, then what is left over in order. Ids."""
    weights = sum(WEIGHT[request.priority] for request in requests)
    parts = [max(1, limit * WEIGHT[request.priority] // weights) for request in requests]
    ids: list[UUID] = []
    for part, request in [*zip(parts, requests, strict=True), *((limit, r) for r in requests)]:
        if (room := min(part, limit - len(ids))) > 0:
            ids += _first(_due_of(request, skip).exclude(id__in=ids), room)
    return ids


def _first(images: ImageQuerySet, limit: int) -> list[UUID]:
    """Lock the images that have been due for longest, without waiting for any. Their ids."""
    return list(
        images.select_for_update(skip_locked=True, of=("self",))
        .order_by("next_attempt_at", "id")
        .values_list("id", flat=True)[:limit]
    )


def _mark_served(requests: list[ProcessingRequest]) -> None:
    """Put these requests at the end of the line. One that another session has locked keeps its
    place: no worker waits for a lock only to note that a request was served."""
    if ids := ProcessingRequest.objects.lock([request.id for request in requests]):
        ProcessingRequest.objects.filter(id__in=ids).update(last_served_at=Now())
