"""What nobody holds any more goes back to work."""

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
from imageproc.images import blackbox, record, store
from imageproc.images.claim import has_due, has_suspects
from imageproc.models import (
    ClusterHeartbeat,
    ImageStatus,
    MinuteTally,
    PendingUpload,
    ProcessingRequest,
    ProductImage,
    WebhookDelivery,
)
from imageproc.models.image import MAX_LOSSES, ImageQuerySet
from imageproc.workers import queue

log = logging.getLogger(__name__)
# Expired leases of one transaction.
BATCH = 500
# Control tasks put back at a time; none while this many are still waiting.
CONTROL_BACKLOG = 20
# An image that has been in hand so often, and its worker is lost once more, is to blame without
# other evidence. In a storm of 200 kills, one every two seconds, two of 10,000 sound images were at
# 3 (once in the codec by chance, then alone, in some other step, at two more kills), and two at 6.
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

    Answers what was done, by name. The worker's supervisor calls it every few seconds.
    """
    returned = return_wrecked()
    if _watch.may_judge_leases():
        returned += return_expired()
    done = {"returned": returned, "control": put_back_control_tasks()}
    if has_due() or has_suspects():
        done["pumps"] = queue.ensure_pumps()
    ClusterHeartbeat.objects.forget_dead()
    MinuteTally.objects.forget_old()
    _watch.succeeded()
    if any(done.values()):
        log.info("swept %s", done)
    return done


def return_wrecked() -> int:
    """Images of workers of this host that died, at once. Rows moved.

    To blame is the one in the codec; and any that has had UNEXPLAINED attempts, whatever step it
    was in, so that this ends.
    """
    return sum(_return_wreck(wreck) for wreck in blackbox.wrecks())


def _return_wreck(wreck: blackbox.Record) -> int:
    def blames(image: ProductImage) -> bool:
        return image.id == wreck.image_id or image.attempts >= UNEXPLAINED

    held = ProductImage.objects.filter(lease_id__in=wreck.leases, status=ImageStatus.PROCESSING)
    return _return_all(held, blames)


def remove_leftovers() -> int:
    """Remove what killed writes left on the storage a day ago or before. How many; walks all of
    it, so it is for `manage.py sweep` and not for every tick."""
    return store.sweep_leftovers()


def return_expired() -> int:
    """Images whose lease ran out. Rows moved.

    Of a worker without a black box on this host nothing is known: each of its images is suspect.
    One with a box lives, but was paused or cut off.
    """
    explained = blackbox.held()

    def blames(image: ProductImage) -> bool:
        return image.lease_id not in explained or image.attempts >= UNEXPLAINED

    return _return_all(ProductImage.objects.expired(), blames)


def _return_all(lost: ImageQuerySet, blames: Callable[[ProductImage], bool]) -> int:
    moved = 0
    while batch := _return(lost, blames):
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
        + _enqueue(queue.enqueue_discard, PendingUpload.objects.to_discard())
        + _enqueue(queue.enqueue_delivery, WebhookDelivery.objects.due())
    )


def _return(lost: ImageQuerySet, blames: Callable[[ProductImage], bool]) -> int:
    """One batch of images whose worker is gone: PENDING again. Those it is blamed on are claimed
    alone next, and FAILED after MAX_LOSSES deaths. Rows moved."""
    with transaction.atomic():
        images = list(
            lost.select_for_update(skip_locked=True).order_by("id").annotate(now=Now())[:BATCH]
        )
        blamed = [image for image in images if blames(image)]
        hopeless = [image for image in blamed if image.lost_count >= MAX_LOSSES - 1]
        for image in hopeless:
            image.lost_count += 1
            record.give_up(image, WORKER_DIED, record.clock_of(image))
        record.write(hopeless)
        ended, suspects = _ids(hopeless), _ids(blamed)
        ProductImage.objects.return_lost(suspects - ended, blamed=True)
        ProductImage.objects.return_lost(_ids(images) - suspects, blamed=False)
    metrics.LEASES_EXPIRED.inc(len(images))
    return len(images)


def _ids(images: list[ProductImage]) -> set[UUID]:
    return {image.id for image in images}


def _enqueue(enqueue: Callable[[UUID], None], rows: Any) -> int:
    ids = rows.order_by("id").values_list("id", flat=True)[:CONTROL_BACKLOG]
    for row_id in ids:
        enqueue(row_id)
    return len(ids)
