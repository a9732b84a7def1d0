"""The end of a removed request: first what anyone could see, last the row that says so.

Every step can be repeated, so a killed worker's successor begins again and loses nothing. The
request's own row outlives the rest by models.request.REMAINS_SECONDS: a worker that had an image
in hand may have stored it after the objects were deleted, and the second walk finds that too.
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from imageproc.images import names, store
from imageproc.models import ProcessingRequest, Product, ProductImage

log = logging.getLogger(__name__)
HOLD_SECONDS = 30
# Storage did not answer: the next try.
RETRY_SECONDS = 10
# Rows of one DELETE.
BATCH = 2000


def erase(request_id: UUID) -> bool:
    """Delete the objects and rows of a removed request. Whether nothing at all is left."""
    removed = ProcessingRequest.objects.to_erase().filter(id=request_id)
    if not removed.exists():
        return False
    lease_id = ProcessingRequest.objects.hold(request_id, HOLD_SECONDS)
    if lease_id is None:
        return False
    request = ProcessingRequest.objects.get(id=request_id)
    try:
        _delete_objects(request_id, lease_id)
    except store.StoreError as error:
        log.warning("removal postponed: %s", error.fault.detail)
        ProcessingRequest.objects.extend(request_id, lease_id, RETRY_SECONDS)
        return False
    _delete_rows(request, lease_id)
    if request.erased_at is not None:
        request.delete()
        return True
    held = ProcessingRequest.objects.held(request_id, lease_id)
    held.update(erased_at=Now(), lease_id=None, lease_until=None)
    return False


def _delete_objects(request_id: UUID, lease_id: UUID) -> None:
    keys = (key for key, _ in store.list_keys(names.request_prefix(request_id)))
    store.delete_many(ProcessingRequest.objects.holding(request_id, lease_id, HOLD_SECONDS, keys))


def _delete_rows(request: ProcessingRequest, lease_id: UUID) -> None:
    """Images before their products; each batch a transaction of its own."""
    request.deliveries.all().delete()
    _delete_batches(request.id, lease_id, ProductImage.objects.in_file_order(request.id), "id")
    products = Product.objects.filter(request=request).order_by("row_number")
    _delete_batches(request.id, lease_id, products, "row_number")
    request.tallies.all().delete()


def _delete_batches(
    request_id: UUID, lease_id: UUID, rows: QuerySet[ProductImage] | QuerySet[Product], key: str
) -> None:
    """``rows`` are in the order of ``key``."""
    while keys := list(rows.values_list(key, flat=True)[:BATCH]):
        rows.filter(**{f"{key}__lte": keys[-1]}).delete()
        ProcessingRequest.objects.extend(request_id, lease_id, HOLD_SECONDS)
