"""Outcomes to rows: fenced by the lease, counted in the same transaction."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from imageproc import metrics
from imageproc.faults import INTERNAL, STORAGE_FAILED, Fault
from imageproc.images import pictures
from imageproc.images.backoff import seconds_until_retry
from imageproc.images.outcome import Deferred, Done, Failed, Outcome
from imageproc.images.pictures import Naming
from imageproc.models import (
    Change,
    FailureTally,
    FinishedImage,
    ImageStatus,
    MinuteTally,
    ProcessingRequest,
    ProductImage,
)
from imageproc.models.bulk import update_rows
from imageproc.workers import queue

log = logging.getLogger(__name__)

WRITTEN = (
    *("status", "lease_id", "lease_until", "next_attempt_at", "lost_count", "finished_at"),
    *("attempts", "store_failures", "fetch_failures", "refusals"),
    *("error_code", "error_message", "attempt_log"),
    *("original_key", "output_key", "input_size", "output_size", "width", "height"),
    *("source_sha256", "output_sha256", "content_type", "kept_original"),
    *("picture", "change"),
    *("fetch_ms", "compress_ms", "store_ms"),
)


# What the database or its driver raises for a value that cannot stand in its column.
UNWRITABLE = (DataError, IntegrityError, ValueError)


@dataclass(slots=True)
class Recorded:
    """``written``: rows changed. ``locked``: outcomes to record again later, because another
    session has locked their image or their request."""

    written: int = 0
    locked: list[Outcome] = field(default_factory=list)


@dataclass(slots=True)
class _Totals:
    """What one request's counters move by."""

    completed: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)


def record(outcomes: Sequence[Outcome]) -> Recorded:
    """Write outcomes whose lease still holds; the others change nothing.

    Neither an outcome whose rows are locked nor one that the database refuses takes the others
    along. The latter is recorded as an internal fault.
    """
    try:
        return _record(outcomes)
    except UNWRITABLE:
        log.exception("outcomes refused by the database")
    recorded = Recorded()
    for outcome in outcomes:
        alone = _record_alone(outcome)
        recorded.written += alone.written
        recorded.locked += alone.locked
    return recorded


def _record_alone(outcome: Outcome) -> Recorded:
    try:
        return _record([outcome])
    except UNWRITABLE as error:
        return _record([Failed(outcome.job, INTERNAL.because(type(error).__name__))])


def _record(outcomes: Sequence[Outcome]) -> Recorded:
    by_id = {id_: outcome for outcome in outcomes for id_ in outcome.job.image_ids}
    with transaction.atomic():
        held = _held_images(by_id)
        of_job: dict[UUID, list[ProductImage]] = {}
        for image in held:
            of_job.setdefault(by_id[image.id].job.image_id, []).append(image)
        groups = [(by_id[images[0].id], images) for images in of_job.values()]
        namings = [
            Naming(outcome, images) for outcome, images in groups if isinstance(outcome, Done)
        ]
        pictures.hold(namings)
        unusable = {n.done.job.image_id: n for n in namings if n.locked or n.gone}
        free = ProcessingRequest.objects.lock({image.request_id for image in held})
        written: list[ProductImage] = []
        for outcome, images in groups:
            naming = unusable.get(outcome.job.image_id)
            if images[0].request_id in free and not (naming and naming.locked):
                _apply_to_all(images, None if naming else outcome)
                written += images
        if named := [n for n in namings if n.images[0].status == ImageStatus.COMPLETED]:
            pictures.write(named, clock_of(held[0]))
        write(written)
    attempts = {by_id[image.id].job.image_id: by_id[image.id] for image in written}
    metrics.attempted(attempts.values())
    for image in written:
        del by_id[image.id]
    return Recorded(len(written), _still_held(by_id))


def _apply_to_all(images: Sequence[ProductImage], outcome: Outcome | None) -> None:
    """To the first image, and to its siblings as to the first: one URL has one end. None: what was
    to be used again is gone."""
    first, *siblings = images
    if outcome is None:
        _give_back_at_once(first, clock_of(first))
    else:
        _apply(first, outcome)
    for image in siblings:
        for name in _SHARED:
            setattr(image, name, getattr(first, name))


def _held_images(by_id: Mapping[UUID, Outcome]) -> list[ProductImage]:
    """Lock the rows whose lease still holds, in the order of their ids, but not those that another
    session has locked. With the database's clock as ``now``."""
    rows = ProductImage.objects.filter(id__in=list(by_id)).order_by("id").annotate(now=Now())
    return [
        image
        for image in rows.select_for_update(skip_locked=True, no_key=True)
        if image.lease_id == by_id[image.id].job.lease_id and image.status == ImageStatus.PROCESSING
    ]


def _still_held(by_id: Mapping[UUID, Outcome]) -> list[Outcome]:
    """Of outcomes that were not written, those whose lease holds: their rows were locked."""
    if not by_id:
        return []
    leases = dict(ProductImage.objects.filter(id__in=list(by_id)).values_list("id", "lease_id"))
    held = {x.job.image_id: x for id_, x in by_id.items() if leases.get(id_) == x.job.lease_id}
    return list(held.values())


def write(images: Sequence[ProductImage]) -> None:
    """Store changed rows and move their requests' counters. Inside a transaction that has locked
    the images, then their requests, each in the order of their ids; the minute is locked last."""
    written = update_rows(ProductImage, WRITTEN, images)
    assert written == len(images), "rows locked by this transaction cannot have moved"
    totals = _totals(images)
    for request_id in sorted(totals):
        _count(request_id, totals[request_id])
    settled = ProcessingRequest.objects.settled().filter(id__in=list(totals))
    for request_id in settled.values_list("id", flat=True):
        queue.enqueue_complete(request_id)
    finished = _finished(images)
    MinuteTally.objects.add(finished)
    transaction.on_commit(lambda: metrics.ended(finished))


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


def _apply(image: ProductImage, outcome: Outcome) -> None:
    now = clock_of(image)
    if isinstance(outcome, Done):
        _complete(image, outcome, now)
        return
    if isinstance(outcome, Deferred) and not (outcome.picked_out and image.refusals):
        _give_back(image, outcome, now)
        return
    failures, limit = _count_failure(image, outcome.fault)
    if outcome.fault.permanent or failures >= limit:
        give_up(image, outcome.fault, now)
    else:
        _retry_later(image, outcome, failures, now)


def _count_failure(image: ProductImage, fault: Fault) -> tuple[int, int]:
    """Failures of this kind, the new one included, and how many the image may have: what the
    storage refused says nothing about the host, and the other way round."""
    if fault.code == STORAGE_FAILED.code:
        image.store_failures += 1
        return image.store_failures, settings.MAX_STORE_ATTEMPTS
    image.fetch_failures += 1
    return image.fetch_failures, settings.MAX_ATTEMPTS


def _complete(image: ProductImage, done: Done, now: datetime) -> None:
    image.status = ImageStatus.COMPLETED
    image.finished_at = now
    image.error_code = image.error_message = ""
    _release(image)
    for name in _FACTS:
        setattr(image, name, getattr(done, name))


# A picture is named apart (images.pictures), image by image.
_SHARED = tuple(name for name in WRITTEN if name != "picture")
_FACTS = tuple(name for name in WRITTEN if name in Done.__dataclass_fields__)


def _retry_later(image: ProductImage, failed: Failed, failures: int, now: datetime) -> None:
    wait = seconds_until_retry(failures, failed.fault.retry_after)
    image.status = ImageStatus.PENDING
    image.next_attempt_at = now + timedelta(seconds=wait)
    _release(image)
    _note(image, failed.fault, failed.milliseconds, now)


def _give_back(image: ProductImage, deferred: Deferred, now: datetime) -> None:
    """PENDING again, its attempt uncounted: when it is claimed is its host's matter."""
    image.status = ImageStatus.PENDING
    image.next_attempt_at = now
    image.attempts -= 1
    image.refusals += deferred.picked_out
    image.error_code, image.error_message = deferred.fault.code, deferred.fault.sentence
    _release(image)


def _give_back_at_once(image: ProductImage, now: datetime) -> None:
    """PENDING again as if it had not been claimed. The next claim does not find what is gone."""
    image.status = ImageStatus.PENDING
    image.next_attempt_at = now
    image.attempts -= 1
    _release(image)


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
            of_request.changes[image.change] += 1
        elif image.status == ImageStatus.FAILED:
            of_request.failed += 1
            of_request.reasons[image.error_code, image.host] += 1
    return totals


def _finished(images: Sequence[ProductImage]) -> list[FinishedImage]:
    """Of the images just written, those in a final state."""
    return [
        FinishedImage(
            image.finished_at, image.error_code, image.input_size or 0, image.output_size or 0
        )
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
        new_images=F("new_images") + totals.changes[Change.NEW],
        changed_images=F("changed_images") + totals.changes[Change.CHANGED],
        unchanged_images=F("unchanged_images") + totals.changes[Change.UNCHANGED],
    )
    for (code, host), images in sorted(totals.reasons.items()):
        FailureTally.objects.add(request_id, code, host, images)
