"""Puts back to work what nobody holds any more."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from imageproc import metrics
from imageproc.faults import WORKER_DIED
from imageproc.images import record, store
from imageproc.images.claim import has_due, has_suspects
from imageproc.models import (
    ClusterHeartbeat,
    Host,
    MailDelivery,
    MinuteTally,
    PendingUpload,
    Picture,
    ProcessingRequest,
    ProductImage,
    WebhookDelivery,
)
from imageproc.models.image_states import MAX_LOSSES, attempts_without_end
from imageproc.workers import queue

log = logging.getLogger(__name__)
# Expired leases of one transaction.
BATCH = 500
# Control tasks put back at a time; none while this many are still waiting.
CONTROL_BACKLOG = 20
# An image whose worker was lost so often is to blame without other evidence, so that one which
# kills its worker before it comes to the codec ends, too. In a storm of 200 kills, one every two
# seconds, two of 10,000 sound images had lost six workers.
UNEXPLAINED = 12


class _Watch:
    """Whether leases can be judged: not just after the database was away, when living workers have
    not yet renewed theirs."""

    def __init__(self) -> None:
        self._failed = False
        self._judge_after = 0.0

    def may_judge_leases(self) -> bool:
        if self._failed:
            self._judge_after = time.monotonic() + settings.LEASE_SECONDS / 2
        self._failed = True  # until this sweep has come to its end
        return time.monotonic() >= self._judge_after

    def succeeded(self) -> None:
        self._failed = False


_watch = _Watch()


def sweep() -> dict[str, int]:
    """Return expired leases and put back every task that a row waits for; harmless when doubled.

    What was done, by name. The worker's supervisor calls it every few seconds.
    """
    returned = return_expired() if _watch.may_judge_leases() else 0
    done = {"returned": returned, "control": put_back_control_tasks()}
    if has_due() or has_suspects():
        done["pumps"] = queue.ensure_pumps()
    _watch.succeeded()
    ClusterHeartbeat.objects.forget_dead()
    MinuteTally.objects.forget_old()
    Host.objects.forget_quiet()
    if any(done.values()):
        log.info("swept %s", done)
    return done


def return_expired() -> int:
    """Put images whose lease ran out back to PENDING. Rows moved.

    An image is blamed for the death of its worker if it was in the codec (only watched images say
    so: see job.Job), or if it has lost UNEXPLAINED workers in whatever step. Its neighbours are
    not: nothing is known against them, and the next worker watches them.
    """
    moved = 0
    while batch := _return_batch():
        moved += batch
    return moved


def remove_leftovers() -> int:
    """Remove what killed writes left on the storage a day ago or before. How many; walks all of
    it, so it is for `manage.py sweep` and not for every tick."""
    return store.sweep_leftovers()


def put_back_control_tasks() -> int:
    """Enqueue every control task that a row waits for and nobody works on."""
    if queue.waiting(queue.CONTROL) >= CONTROL_BACKLOG:
        return 0
    requests = ProcessingRequest.objects.free()
    return _enqueue_collect() + (
        _enqueue(queue.enqueue_ingest, requests.to_ingest())
        + _enqueue(queue.enqueue_complete, requests.settled())
        + _enqueue(queue.enqueue_close, requests.to_close())
        + _enqueue(queue.enqueue_erase, requests.to_erase())
        + _enqueue(queue.enqueue_discard, PendingUpload.objects.to_discard())
        + _enqueue(queue.enqueue_delivery, WebhookDelivery.objects.due())
        + _enqueue(queue.enqueue_mail, MailDelivery.objects.due())
    )


def _enqueue_collect() -> int:
    """A removal collects for itself; what a killed one left behind, or the storage refused, is
    collected by whoever gets this task first."""
    if not Picture.objects.to_collect().exists():
        return 0
    queue.enqueue_collect()
    return 1


def _return_batch() -> int:
    """One transaction. The blamed are claimed alone next, and FAILED after MAX_LOSSES deaths."""
    with transaction.atomic():
        expired = ProductImage.objects.expired().order_by("id").annotate(now=Now())
        images = list(expired.select_for_update(skip_locked=True)[:BATCH])
        blamed = _with_siblings([image for image in images if _is_to_blame(image)], images)
        hopeless = [image for image in blamed if image.lost_count >= MAX_LOSSES - 1]
        failed = _fail(hopeless)
        suspects = _ids(blamed) - _ids(hopeless)
        moved = ProductImage.objects.return_lost(suspects, blamed=True)
        moved += ProductImage.objects.return_lost(_ids(images) - _ids(blamed), blamed=False)
    metrics.LEASES_EXPIRED.inc(moved + failed)
    return moved + failed


def _with_siblings(blamed: list[ProductImage], images: list[ProductImage]) -> list[ProductImage]:
    """Images of the same request and URL are in the same case."""
    ids = _ids(blamed)
    urls = {(image.request_id, image.same_url) for image in blamed if image.same_url}
    return [i for i in images if i.id in ids or (i.request_id, i.same_url) in urls]


def _is_to_blame(image: ProductImage) -> bool:
    return image.in_codec or attempts_without_end(image) >= UNEXPLAINED


def _fail(images: list[ProductImage]) -> int:
    """Rows written; the others wait for the next sweep, because their request is locked."""
    free = ProcessingRequest.objects.lock({image.request_id for image in images})
    written = [image for image in images if image.request_id in free]
    for image in written:
        image.lost_count += 1
        record.give_up(image, WORKER_DIED, record.clock_of(image))
    record.write(written)
    return len(written)


def _ids(images: list[ProductImage]) -> set[UUID]:
    return {image.id for image in images}


def _enqueue(enqueue: Callable[[UUID], None], rows: Any) -> int:
    ids = rows.order_by("id").values_list("id", flat=True)[:CONTROL_BACKLOG]
    for row_id in ids:
        enqueue(row_id)
    return len(ids)
