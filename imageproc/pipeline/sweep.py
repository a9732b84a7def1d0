"""What nobody holds any more goes back to work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from imageproc import metrics, queue
from imageproc.faults import WORKER_DIED
from imageproc.models import (
    ClusterHeartbeat,
    MinuteTally,
    ProcessingRequest,
    ProductImage,
    WebhookDelivery,
)
from imageproc.models.image import MAX_LOSSES
from imageproc.pipeline import record
from imageproc.pipeline.claim import has_due, has_suspects

log = logging.getLogger(__name__)
# Expired leases of one transaction.
BATCH = 500
# Control tasks put back at a time; none while this many are still waiting.
CONTROL_BACKLOG = 20


def sweep() -> dict[str, int]:
    """Return expired leases and put back every task that a row waits for; harmless when doubled.

    Answers what was done, by name. The worker's supervisor calls it every few seconds.
    """
    done = {"returned": return_expired(), "control": put_back_control_tasks()}
    if has_due() or has_suspects():
        done["pumps"] = queue.ensure_pumps()
    ClusterHeartbeat.objects.forget_dead()
    MinuteTally.objects.forget_old()
    if any(done.values()):
        log.info("swept %s", done)
    return done


def return_expired() -> int:
    """Images of dead workers: PENDING again, or FAILED after MAX_LOSSES deaths. Rows moved."""
    moved = 0
    while batch := _return_batch():
        moved += batch
    return moved


def put_back_control_tasks() -> int:
    """Enqueue every control task that a row waits for and nobody works on."""
    if queue.waiting(queue.CONTROL) >= CONTROL_BACKLOG:
        return 0
    requests = ProcessingRequest.objects.free()
    return (
        _enqueue(queue.enqueue_ingest, requests.to_ingest())
        + _enqueue(queue.enqueue_complete, requests.settled())
        + _enqueue(queue.enqueue_close, requests.to_close())
        + _enqueue(queue.enqueue_erase, requests.to_erase())
        + _enqueue(queue.enqueue_delivery, WebhookDelivery.objects.due())
    )


def _return_batch() -> int:
    with transaction.atomic():
        expired = list(
            ProductImage.objects.expired()
            .select_for_update(skip_locked=True)
            .order_by("id")
            .annotate(now=Now())[:BATCH]
        )
        hopeless = [image for image in expired if image.lost_count >= MAX_LOSSES - 1]
        for image in hopeless:
            image.lost_count += 1
            record.give_up(image, WORKER_DIED, record.clock_of(image))
        record.write(hopeless)
        ProductImage.objects.return_lost([image.id for image in expired])
    metrics.LEASES_EXPIRED.inc(len(expired))
    return len(expired)


def _enqueue(enqueue: Callable[[UUID], None], rows: Any) -> int:
    ids = rows.order_by("id").values_list("id", flat=True)[:CONTROL_BACKLOG]
    for row_id in ids:
        enqueue(row_id)
    return len(ids)
