"""Deletes the rows and objects of removed requests, the request's own row last.

What other requests still name stays: its rows first cease to name pictures, then those that nobody
names are deleted with their objects (images.sources), then what lies in its folder without a
picture. Every step can be repeated, so after a kill another worker starts again and loses nothing.
The request's own row stays for models.request_states.REMAINS_SECONDS: a worker that had an image in
hand may store it after the objects were deleted, and the second pass deletes that too.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from imageproc.faults import REMOVAL_DIED
from imageproc.images import names, sources, store
from imageproc.models import Picture, ProcessingRequest, Product, ProductImage
from imageproc.models.request_states import MAX_TASK_ATTEMPTS
from imageproc.requests.hold import Hold

log = logging.getLogger(__name__)
HOLD_SECONDS = 30
# Rows per DELETE.
BATCH = 2000


def erase(request_id: UUID) -> bool:
    """Delete the objects and rows of a removed request. Returns whether nothing at all is left."""
    hold = Hold.begin(ProcessingRequest.objects.to_erase(), request_id, HOLD_SECONDS)
    if hold is None:
        return False
    with hold.waiting_out_outages():
        return _erase(hold)
    return False


def _erase(hold: Hold) -> bool:
    request = ProcessingRequest.objects.get(id=hold.request_id)
    if request.task_attempts > MAX_TASK_ATTEMPTS:
        _give_up(hold)
        return False
    _delete_rows(hold, request)
    _delete_objects(hold, request)
    if request.erased_at is not None:
        request.delete()
        return True
    held = ProcessingRequest.objects.held(request.id, hold.lease_id)
    held.update(erased_at=Now())
    hold.release()
    return False


def _give_up(hold: Hold) -> None:
    """Keep the row: its counted attempts stop the sweep from trying again."""
    log.error("the removal is not tried again", extra={"request_id": str(hold.request_id)})
    held = ProcessingRequest.objects.held(hold.request_id, hold.lease_id)
    held.update(error_message=REMOVAL_DIED.sentence, lease_id=None, lease_until=None)


def _delete_objects(hold: Hold, request: ProcessingRequest) -> None:
    _release_all(hold, Picture.objects.filter(maker=request.id, doomed_at=None))
    sources.collect(hold.extend)
    keys = hold.extending(key for key, _ in store.list_keys(names.request_prefix(request.id)))
    while page := set(islice(keys, BATCH)):
        store.delete_many(page - sources.vouched(page))


def _release_all(hold: Hold, pictures: QuerySet[Picture]) -> None:
    """A request that is being removed no longer keeps the pictures that it made."""
    ids = list(pictures.order_by("id").values_list("id", flat=True)[:BATCH])
    while ids:
        with transaction.atomic():
            Picture.objects.release(ids)
        hold.extend()
        later = pictures.filter(id__gt=ids[-1]).order_by("id")
        ids = list(later.values_list("id", flat=True)[:BATCH])


def _delete_rows(hold: Hold, request: ProcessingRequest) -> None:
    """Delete images before their products, each batch in a transaction of its own."""
    request.deliveries.all().delete()
    request.mails.all().delete()
    _delete_images(hold, request)
    products = Product.objects.filter(request=request).order_by("row_number")
    _delete_batches(hold, products, "row_number")
    request.tallies.all().delete()
    _delete_batches(hold, request.row_errors.order_by("id"), "id")


def _delete_images(hold: Hold, request: ProcessingRequest) -> None:
    images = ProductImage.objects.in_file_order(request.id)
    while rows := list(images.values_list("id", "picture_id")[:BATCH]):
        with transaction.atomic():
            images.filter(id__lte=rows[-1][0]).delete()
            Picture.objects.release({picture for _, picture in rows if picture})
        hold.advance()


def _delete_batches(hold: Hold, rows: QuerySet[Any], key: str) -> None:
    """Delete ``rows``, which must be ordered by ``key``."""
    while keys := list(rows.values_list(key, flat=True)[:BATCH]):
        rows.filter(**{f"{key}__lte": keys[-1]}).delete()
        hold.advance()
