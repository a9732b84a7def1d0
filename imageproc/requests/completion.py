"""The end of a request: output CSV, final state, webhook, each exactly once."""

from __future__ import annotations

import logging
from uuid import UUID

from django.conf import settings
from django.db import transaction

from imageproc.faults import Fault
from imageproc.images import names, store
from imageproc.models import ProcessingRequest, ProductImage
from imageproc.requests import report, webhooks

log = logging.getLogger(__name__)
RETRY_SECONDS = 10
CANCEL_BATCH = 2000
LOST_INPUT = "The uploaded file is no longer on the storage. Upload it again."


def complete(request_id: UUID) -> bool:
    """Write the output CSV of a settled request, then end it. False where there was nothing to do.

    The file is on storage before the state says so; the webhook's row is written by the
    transaction that changes the state.
    """
    settled = ProcessingRequest.objects.settled().filter(id=request_id)
    if not settled.exists():
        return False
    lease_id = ProcessingRequest.objects.hold(request_id, settings.LEASE_SECONDS)
    if lease_id is None:
        return False
    # Settled and ``reopened`` as one look sees them: what is put back later shows in the latter.
    request = settled.first()
    if request is None:
        ProcessingRequest.objects.release(request_id, lease_id)
        return False
    stored = _write_output(request, lease_id)
    if stored is None:
        return fail(request_id, lease_id, LOST_INPUT)
    if isinstance(stored, Fault):
        log.warning("completion postponed: %s", stored.detail)
        ProcessingRequest.objects.extend(request_id, lease_id, RETRY_SECONDS)
        return False
    with transaction.atomic():
        ended = ProcessingRequest.objects.settle(
            request_id, output_csv=stored.key, reopened=request.reopened
        )
        if ended:
            webhooks.announce(request_id)
    ProcessingRequest.objects.release(request_id, lease_id)
    return ended


def fail(request_id: UUID, lease_id: UUID, message: str) -> bool:
    """End a request that cannot go on, and release it. False where it had ended."""
    with transaction.atomic():
        ended = ProcessingRequest.objects.fail(request_id, message)
        if ended:
            webhooks.announce(request_id)
    ProcessingRequest.objects.release(request_id, lease_id)
    return ended


def close_images(request_id: UUID) -> int:
    """End the open images of a request that ended before them, in batches. Images moved."""
    lease_id = ProcessingRequest.objects.hold(request_id, settings.LEASE_SECONDS)
    if lease_id is None:
        return 0
    moved = 0
    while batch := _cancel_batch(request_id):
        moved += batch
        ProcessingRequest.objects.extend(request_id, lease_id, settings.LEASE_SECONDS)
    ProcessingRequest.objects.count_cancelled(request_id)
    ProcessingRequest.objects.release(request_id, lease_id)
    return moved


def _write_output(request: ProcessingRequest, lease_id: UUID) -> store.Stored | Fault | None:
    """None where the input is gone from the storage for good."""
    try:
        chunks = report.output_csv(request)
    except FileNotFoundError:
        return None
    except store.StoreError as error:
        return error.fault
    held = ProcessingRequest.objects.holding(request.id, lease_id, settings.LEASE_SECONDS, chunks)
    return store.put_stream(names.output_key(request.id, request.reopened), held, "text/csv")


def _cancel_batch(request_id: UUID) -> int:
    with transaction.atomic():
        images = ProductImage.objects.in_file_order(request_id).open()
        ids = list(images.select_for_update().values_list("id", flat=True)[:CANCEL_BATCH])
        return ProductImage.objects.cancel(ids)
