"""Deletes the objects and rows of removed requests, the request's own row last.

Every step can be repeated, so after a kill another worker starts again and loses nothing. The
request's own row stays for models.request.REMAINS_SECONDS: a worker that had an image in hand may
store it after the objects were deleted, and the second pass deletes that too.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from imageproc.faults import REMOVAL_DIED
from imageproc.images import names, store
from imageproc.models import ProcessingRequest, Product, ProductImage
from imageproc.models.request import MAX_TASK_ATTEMPTS
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
    keys = (key for key, _ in store.list_keys(names.request_prefix(request.id)))
    store.delete_many(hold.extending(keys))
    _delete_rows(hold, request)
    if request.erased_at is not None:
        request.delete()
        return True
    held = ProcessingRequest.objects.held(request.id, hold.lease_id)
    held.update(erased_at=Now())
    hold.release()
    return False


def _give_up(hold: Hold) -> None:
    """Keep the row: its counted attempts stop the sweep from trying again."""
    log.error("removal given up", extra={"request_id": str(hold.request_id)})
    held = ProcessingRequest.objects.held(hold.request_id, hold.lease_id)
    held.update(error_message=REMOVAL_DIED.sentence, lease_id=None, lease_until=None)


def _delete_rows(hold: Hold, request: ProcessingRequest) -> None:
    """Delete images before their products, each batch in a transaction of its own."""
    request.deliveries.all().delete()
    _delete_batches(hold, ProductImage.objects.in_file_order(request.id), "id")
    products = Product.objects.filter(request=request).order_by("row_number")
    _delete_batches(hold, products, "row_number")
    request.tallies.all().delete()
    _delete_batches(hold, request.row_errors.order_by("id"), "id")


def _delete_batches(hold: Hold, rows: QuerySet[Any], key: str) -> None:
    """Delete ``rows``, which must be ordered by ``key``."""
    while keys := list(rows.values_list(key, flat=True)[:BATCH]):
        rows.filter(**{f"{key}__lte": keys[-1]}).delete()
        hold.advance()
