"""Outcomes to rows: fenced by the lease, counted in the same transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from imageproc import metrics
from imageproc.faults import INTERNAL, STORAGE_FAILED, Fault
from imageproc.images.backoff import seconds_until_retry
from imageproc.images.outcome import Done, Failed, Outcome
from imageproc.models import (
    FailureTally,
    ImageStatus,
    MinuteTally,
    Moved,
    ProcessingRequest,
    ProductImage,
)
from imageproc.models.bulk import update_rows
from imageproc.workers import queue

log = logging.getLogger(__name__)

WRITTEN = (
    *("status", "lease_id", "lease_until", "next_attempt_at", "lost_count", "finished_at"),
    *("error_code", "error_message", "attempt_log"),
    *("original_key", "output_key", "input_size", "output_size", "width", "height"),
    *("source_sha256", "output_sha256", "content_type", "kept_original"),
    *("fetch_ms", "compress_ms", "store_ms"),
)


# What the database, or its driver, says of a value that cannot stand in its column.
UNWRITABLE = (DataError, IntegrityError, ValueError)


@dataclass(slots=True)
class _Totals:
    """What one request's counters move by."""

    completed: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)


def record(outcomes: Sequence[Outcome]) -> int:
    """Write outcomes whose lease still holds; the others change nothing. Rows written.

    One that the database refuses for what stands in it does not take the others along: it is
    recorded as an internal fault.
    """
    try:
        return _record(outcomes)
    except UNWRITABLE:
        log.exception("outcomes refused by the database")
        return sum(_record_alone(outcome) for outcome in outcomes)


def _record_alone(outcome: Outcome) -> int:
    try:
        return _record([outcome])
    except UNWRITABLE as error:
        return _record([Failed(outcome.job, INTERNAL.because(type(error).__name__))])


def _record(outcomes: Sequence[Outcome]) -> int:
    by_id = {outcome.job.image_id: outcome for outcome in outcomes}
    with transaction.atomic():
        held = [
            image
            for image in _locked(by_id)
            if image.lease_id == by_id[image.id].job.lease_id
            and image.status == ImageStatus.PROCESSING
        ]
        for image in held:
            _apply(image, by_id[image.id])
        write(held)
    metrics.attempted(by_id[image.id] for image in held)
    return len(held)


def write(images: Sequence[ProductImage]) -> None:
    """Store changed rows and move their requests' counters. Inside a transaction that holds
    the rows' locks; images are locked before requests, requests in the order of their ids, and
    the minute last."""
    written = update_rows(ProductImage, WRITTEN, images)
    assert written == len(images), "rows locked by this transaction cannot have moved"
    totals = _totals(images)
    for request_id in sorted(totals):
        _count(request_id, totals[request_id])
    settled = ProcessingRequest.objects.settled().filter(id__in=list(totals))
    for request_id in settled.values_list("id", flat=True):
        queue.enqueue_complete(request_id)
    ended = _ended(images)
    MinuteTally.objects.add(ended)
    transaction.on_commit(lambda: metrics.ended(ended))


def give_up(image: ProductImage, fault: Fault, now: datetime) -> None:
    """PROCESSING → FAILED, on the instance."""
    image.status = ImageStatus.FAILED
    image.finished_at = now
    _release(image)
    _note(image, fault, 0, now)


def clock_of(image: ProductImage) -> datetime:
    """The database's time, as annotated by the query that locked the row: a worker's own clock
    may be a day off."""
    now: datetime = image.now  # type: ignore[attr-defined]
    return now


def _locked(ids: Iterable[UUID]) -> list[ProductImage]:
    """The rows, in the order of their ids, with the database's clock as ``now``."""
    rows = ProductImage.objects.filter(id__in=list(ids)).order_by("id")
    return list(rows.select_for_update().annotate(now=Now()))


def _apply(image: ProductImage, outcome: Outcome) -> None:
    now = clock_of(image)
    if isinstance(outcome, Done):
        _complete(image, outcome, now)
    elif outcome.fault.permanent or image.attempts >= _most_attempts(outcome.fault):
        give_up(image, outcome.fault, now)
    else:
        _retry_later(image, outcome, now)


def _most_attempts(fault: Fault) -> int:
    """What the storage did is no fault of the image: it waits out an outage."""
    storage = fault.code == STORAGE_FAILED.code
    return int(settings.MAX_STORE_ATTEMPTS if storage else settings.MAX_ATTEMPTS)


def _complete(image: ProductImage, done: Done, now: datetime) -> None:
    image.status = ImageStatus.COMPLETED
    image.finished_at = now
    image.error_code = image.error_message = ""
    _release(image)
    for name in _FACTS:
        setattr(image, name, getattr(done, name))


_FACTS = tuple(name for name in WRITTEN if name in Done.__dataclass_fields__)


def _retry_later(image: ProductImage, failed: Failed, now: datetime) -> None:
    wait = seconds_until_retry(image.attempts, failed.fault.retry_after)
    image.status = ImageStatus.PENDING
    image.next_attempt_at = now + timedelta(seconds=wait)
    _release(image)
    _note(image, failed.fault, failed.milliseconds, now)


def _release(image: ProductImage) -> None:
    image.lease_id = image.lease_until = None


def _note(image: ProductImage, fault: Fault, milliseconds: int, now: datetime) -> None:
    image.error_code = fault.code
    image.error_message = fault.sentence
    detail = fault.detail.replace("\0", "")  # PostgreSQL's jsonb takes no NUL; hosts send some
    entry = {"at": now.isoformat(), "code": fault.code, "detail": detail, "ms": milliseconds}
    image.attempt_log = [*image.attempt_log, entry]


def _totals(images: Sequence[ProductImage]) -> dict[UUID, _Totals]:
    totals: dict[UUID, _Totals] = {}
    for image in images:
        of_request = totals.setdefault(image.request_id, _Totals())
        if image.status == ImageStatus.COMPLETED:
            of_request.completed += 1
            of_request.bytes_in += image.input_size or 0
            of_request.bytes_out += image.output_size or 0
        elif image.status == ImageStatus.FAILED:
            of_request.failed += 1
            of_request.reasons[image.error_code, image.host] += 1
    return totals


def _ended(images: Sequence[ProductImage]) -> list[Moved]:
    """Of the images just written, those that reached their end."""
    return [
        Moved(image.finished_at, image.error_code, image.input_size or 0, image.output_size or 0)
        for image in images
        if image.finished_at and image.status in (ImageStatus.COMPLETED, ImageStatus.FAILED)
    ]


def _count(request_id: UUID, totals: _Totals) -> None:
    if not totals.completed and not totals.failed:
        return
    ProcessingRequest.objects.filter(id=request_id).update(
        completed_images=F("completed_images") + totals.completed,
        failed_images=F("failed_images") + totals.failed,
        bytes_in=F("bytes_in") + totals.bytes_in,
        bytes_out=F("bytes_out") + totals.bytes_out,
    )
    for (code, host), images in sorted(totals.reasons.items()):
        FailureTally.objects.add(request_id, code, host, images)
