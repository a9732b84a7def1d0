"""From the stored CSV to rows, in chunks that a killed worker's successor continues.

The request's cursor (``ingested_products``) moves in the transaction that writes a chunk, so a
chunk is written once whoever writes it, and images are claimed as soon as their chunk is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from imageproc import completion, queue, sheet
from imageproc.crashpoints import crash_point
from imageproc.models import ProcessingRequest, Product, ProductImage
from imageproc.models.bulk import insert_rows
from imageproc.models.ids import uuid7
from imageproc.pipeline import store

log = logging.getLogger(__name__)
# Products of one transaction: 2,000 rows are some 30 ms of PostgreSQL.
CHUNK = 2000
# Storage did not answer: the next try.
RETRY_SECONDS = 10
PRODUCT_FIELDS = ("id", "request", "row_number", "serial_number", "product_name")
IMAGE_FIELDS = ("id", "product", "request", "position", "input_url", "host")


def ingest(request_id: UUID, stop: Callable[[], bool] = lambda: False) -> int:
    """Write the rows that are still missing. Products written; 0 where another is at it.

    ``stop()`` tells that the worker is to end: the cursor stays, the hold is released.
    """
    if not ProcessingRequest.objects.to_ingest().free().filter(id=request_id).exists():
        return 0
    if not ProcessingRequest.objects.hold(request_id, settings.LEASE_SECONDS):
        return 0
    ProcessingRequest.objects.start(request_id)
    request = ProcessingRequest.objects.get(id=request_id)
    try:
        written = _read_and_write(request, stop)
    except (FileNotFoundError, sheet.SheetChangedError):
        log.exception("the stored CSV is gone", extra={"request_id": str(request_id)})
        completion.fail(request_id, completion.LOST_INPUT)
        return 0
    except store.StoreError as error:
        log.warning("ingest postponed: %s", error, extra={"request_id": str(request_id)})
        ProcessingRequest.objects.extend(request_id, RETRY_SECONDS)
        return 0
    ProcessingRequest.objects.finish_ingest(request_id)
    ProcessingRequest.objects.release(request_id)
    return written


def _read_and_write(request: ProcessingRequest, stop: Callable[[], bool]) -> int:
    form = sheet.SheetFormat.from_dict(request.sheet)
    with store.open_read(request.input_csv) as stream:
        rows = sheet.rows(stream, form, skip=request.ingested_products)
        return _write_rows(request, rows, stop)


def _write_rows(
    request: ProcessingRequest, rows: Iterator[sheet.Row], stop: Callable[[], bool]
) -> int:
    first = cursor = request.ingested_products
    while not stop() and (chunk := list(islice(rows, CHUNK))):
        if not _write_chunk(request.id, cursor, chunk):
            break
        cursor += len(chunk)
        queue.ensure_pumps()
    return cursor - first


def _write_chunk(request_id: UUID, cursor: int, chunk: Sequence[sheet.Row]) -> bool:
    """One transaction: the cursor and the rows behind it. False when the cursor had moved."""
    products, images = _rows_of(request_id, cursor, chunk)
    crash_point("ingest:before")
    with transaction.atomic():
        crash_point("cursor:before")
        if not ProcessingRequest.objects.advance_ingest(
            request_id, old=cursor, new=cursor + len(chunk), seconds=settings.LEASE_SECONDS
        ):
            return False
        crash_point("cursor:after")
        insert_rows(Product, PRODUCT_FIELDS, products)
        insert_rows(ProductImage, IMAGE_FIELDS, images)
    crash_point("ingest:after")
    return True


def _rows_of(
    request_id: UUID, cursor: int, chunk: Sequence[sheet.Row]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    products: list[tuple[Any, ...]] = []
    images: list[tuple[Any, ...]] = []
    for number, row in enumerate(chunk, cursor + 1):
        product_id = uuid7()
        products.append((product_id, request_id, number, row.serial_number, row.product_name))
        for position, url in enumerate(row.urls, 1):
            images.append(
                (uuid7(), product_id, request_id, position, url, sheet.host_of(url)[:255])
            )
    return products, images
