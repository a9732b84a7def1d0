"""What people can do to existing requests: retry, cancel, remove, reprioritise, pause.

The API, the pages, the admin and the command line all call these functions, and check permissions
before. A return value of False or 0 means that the state did not allow it and nothing changed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import DatabaseError, transaction

from imageproc.images import store
from imageproc.models import (
    FailureTally,
    Host,
    ImageStatus,
    MailDelivery,
    ProcessingRequest,
    ProductImage,
    Switch,
    WebhookDelivery,
)
from imageproc.models.image import ImageQuerySet
from imageproc.requests.announcement import announce
from imageproc.workers import queue

log = logging.getLogger(__name__)
NIL = UUID(int=0)
# Images per transaction.
BATCH = 2000
# A retry holds the request, so that completion does not end it between two batches.
HOLD_SECONDS = 10


def retry(
    request_id: UUID,
    *,
    image_ids: Collection[UUID] | None = None,
    code: str | None = None,
    host: str | None = None,
) -> int:
    """Put failed images back to PENDING: all of them, or those that match the filters.

    Returns how many. An image that fails again meanwhile is not put back twice.
    """
    failed = ProductImage.objects.filter(request_id=request_id, status=ImageStatus.FAILED)
    if image_ids is not None:
        failed = failed.filter(id__in=list(image_ids))
    if code is not None:
        failed = failed.filter(error_code=code)
    if host is not None:
        failed = failed.filter(host=host)
    _keep_to_host_pace(request_id)
    return _put_back_all(request_id, failed)


def _keep_to_host_pace(request_id: UUID) -> None:
    """The pace that the upload set may have been forgotten since its images failed."""
    requests = ProcessingRequest.objects.filter(id=request_id).exclude(host_pace=None)
    if pace := requests.values_list("host_pace", flat=True).first():
        tallies = FailureTally.objects.filter(request_id=request_id)
        Host.objects.keep_to(set(tallies.values_list("host", flat=True)), pace)


def rerun(image_id: UUID) -> bool:
    """Process one failed or completed image again, starting with the download."""
    with transaction.atomic():
        final = ProductImage.objects.filter(
            id=image_id, status__in=[ImageStatus.FAILED, ImageStatus.COMPLETED]
        )
        image = final.select_for_update().first()
        if image is None or not _put_back(image.request_id, [image]):
            return False
    queue.ensure_pumps()
    return True


def cancel(request_id: UUID) -> bool:
    """Stop an open request: no more of its images are claimed, and those in hand are not
    recorded."""
    with transaction.atomic():
        cancelled = ProcessingRequest.objects.kept().cancel(request_id)
        if cancelled:
            announce(request_id)
            queue.enqueue_close(request_id)
    return cancelled


def continue_cancelled(request_id: UUID) -> int:
    """Put the cancelled images of a request back to PENDING, in batches. Returns how many.

    0 while images are still being cancelled. Rows that the ingest had not written follow by it.
    """
    requests = ProcessingRequest.objects
    lease_id = requests.hold(request_id, HOLD_SECONDS)
    if lease_id is None:
        return 0
    total = _continue_unwritten(request_id)
    while batch := _continue_batch(request_id):
        total += batch
        requests.extend(request_id, lease_id, HOLD_SECONDS)
        queue.ensure_pumps()
    requests.release(request_id, lease_id)
    if total and requests.to_ingest().filter(id=request_id).exists():
        queue.enqueue_ingest(request_id)
    return total


def _continue_unwritten(request_id: UUID) -> int:
    """Uncount the cancelled images whose rows were never written. Returns how many."""
    requests = ProcessingRequest.objects
    ended = requests.continuable().filter(completed_at__isnull=False)
    request = ended.filter(id=request_id, ingested_at=None).first()
    if request is None:
        return 0
    unwritten = request.total_images - request.images.count()
    if unwritten and not requests.continue_cancelled(request_id, unwritten):
        return 0
    return unwritten


def _continue_batch(request_id: UUID) -> int:
    """One transaction; locks images before their request."""
    cancelled = ProductImage.objects.in_file_order(request_id).filter(status=ImageStatus.CANCELLED)
    with transaction.atomic():
        ids = list(cancelled.select_for_update().values_list("id", flat=True)[:BATCH])
        if not ids or not ProcessingRequest.objects.continue_cancelled(request_id, len(ids)):
            return 0
        return ProductImage.objects.put_back_cancelled(ids)


def remove(request_id: UUID) -> bool:
    """Remove a request. It is invisible at once; a control task deletes its objects and rows.

    An open request is cancelled too, and nobody is told.
    """
    with transaction.atomic():
        removed = ProcessingRequest.objects.remove(request_id)
        if removed:
            ProcessingRequest.objects.cancel(request_id)
            queue.enqueue_erase(request_id)
    return removed


def set_priority(request_id: UUID, priority: str) -> bool:
    """``priority``: one of models.Priority."""
    return ProcessingRequest.objects.set_priority(request_id, priority)


def pause(name: str) -> None:
    """``name``: Switch.INTAKE (uploads are refused) or Switch.WORKERS (nothing is claimed)."""
    Switch.objects.set_paused(name, True)


def resume(name: str) -> None:
    Switch.objects.set_paused(name, False)
    if name == Switch.WORKERS:
        queue.ensure_pumps()


def set_pace(host: str, pace: float | None) -> bool:
    """Ask a host ``pace`` times a second at most, whatever it says; None: as it allows."""
    return Host.objects.filter(name=host).update(fixed_pace=pace) == 1


def close_host(host: str) -> bool:
    """Ask a host for nothing until somebody opens it."""
    return Host.objects.filter(name=host, held=False).update(held=True) == 1


def open_host(host: str) -> bool:
    """Ask a closed host again: for one image first."""
    with transaction.atomic():
        rows = [row for row in Host.objects.lock([host]) if row.is_closed(row.now)]
        for row in rows:
            row.meet_afresh(row.now)
            row.save()
    if rows:
        queue.ensure_pumps()
    return bool(rows)


def redeliver(delivery_id: UUID) -> bool:
    """Send a webhook again at once, with the same id. False while it is being sent."""
    with transaction.atomic():
        again = WebhookDelivery.objects.redeliver(delivery_id)
        if again:
            queue.enqueue_delivery(delivery_id)
    return again


def resend(mail_id: UUID) -> bool:
    """Send an e-mail again at once. False while it is being sent."""
    with transaction.atomic():
        again = MailDelivery.objects.redeliver(mail_id)
        if again:
            queue.enqueue_mail(mail_id)
    return again


def _put_back_all(request_id: UUID, failed: ImageQuerySet) -> int:
    """In batches by ascending id, so that the loop ends even if images keep failing meanwhile."""
    requests = ProcessingRequest.objects
    lease_id = requests.hold(request_id, HOLD_SECONDS)
    total, after = 0, NIL
    while batch := _put_back_batch(request_id, failed.filter(id__gt=after)):
        total, after = total + len(batch), batch[-1].id
        if lease_id:
            requests.extend(request_id, lease_id, HOLD_SECONDS)
        queue.ensure_pumps()
    if lease_id:
        requests.release(request_id, lease_id)
        if requests.settled().filter(id=request_id).exists():
            queue.enqueue_complete(request_id)
    return total


def _put_back_batch(request_id: UUID, failed: ImageQuerySet) -> list[ProductImage]:
    with transaction.atomic():
        fields = ("id", "status", "error_code", "host", "input_size", "output_size", "change")
        images = list(failed.select_for_update().order_by("id").only(*fields)[:BATCH])
        return images if images and _put_back(request_id, images) else []


def _put_back(request_id: UUID, images: Sequence[ProductImage]) -> bool:
    """Call inside a transaction that has locked the images (images before requests)."""
    failed = [image for image in images if image.status == ImageStatus.FAILED]
    completed = [image for image in images if image.status == ImageStatus.COMPLETED]
    reopened = ProcessingRequest.objects.reopen(
        request_id,
        failed=len(failed),
        completed=len(completed),
        bytes_in=sum(image.input_size or 0 for image in completed),
        bytes_out=sum(image.output_size or 0 for image in completed),
        changes=Counter(image.change for image in completed),
    )
    if reopened:
        ProductImage.objects.put_back([image.id for image in images])
        tallies = Counter((image.error_code, image.host) for image in failed)
        for (code, host), count in sorted(tallies.items()):
            FailureTally.objects.take_back(request_id, code, host, count)
    return reopened


def prepare_storage() -> bool:
    """Create the bucket or folder if it is missing and nothing was stored before. Returns whether
    it was created. Raises StoreError."""
    try:
        return store.prepare(create=False)
    except store.StoreError:
        # The database is asked second: a request that was accepted before the storage went away is
        # there by now. Asked first, it may know of none, and an outage would pass for a new start.
        if ProcessingRequest.objects.exists():
            raise
        return store.prepare(create=True)


def prepare_folder() -> None:
    """Create the storage folder at the start of a process, if objects are stored as files.

    Errors are only logged: whatever needs the folder will report them.
    """
    if not store.is_folder():
        return
    try:
        prepare_storage()
    except (store.StoreError, DatabaseError) as error:
        log.warning("the storage folder cannot be prepared: %s", error)
