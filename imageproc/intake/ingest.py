"""From the stored CSV to rows, in chunks that a killed worker's successor continues.

The request's cursor (``ingested_products``) moves in the transaction that writes a chunk, so a
chunk is written once whoever writes it, and images are claimed as soon as their chunk is there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from imageproc import sheet
from imageproc.faults import INGEST_DIED
from imageproc.images import store
from imageproc.images.patience import AWAY, Patience
from imageproc.models import ProcessingRequest, Product, ProductImage
from imageproc.models.bulk import analyze, insert_rows
from imageproc.models.ids import uuid7_text
from imageproc.models.request import MAX_INGEST_ATTEMPTS
from imageproc.requests import completion
from imageproc.workers import queue

log = logging.getLogger(__name__)
# Images of one transaction, but for a product that has more: some 0.1 s of PostgreSQL.
CHUNK = 5000
# Products after which the planner is shown what has come, and shown again when there are so many
# times more: it may have met the tables with a few rows in them, and takes all rows to be like
# these. Out by a factor of 40, it read a million images for a page of 50.
SHOW_AFTER = 5000
SHOW_AGAIN = 4
# Storage did not answer: the next try.
RETRY_SECONDS = 10
# The database did not answer: how long to wait for it.
OUTAGE_SECONDS = 220
PRODUCT_FIELDS = ("id", "request", "row_number", "serial_number", "product_name")
IMAGE_FIELDS = ("id", "product", "request", "position", "input_url", "host")


def ingest(request_id: UUID, stop: Callable[[], bool] = lambda: False) -> int:
    """Write the rows that are still missing. Products written; 0 where another is at it.

    ``stop()`` tells that the worker is to end: the cursor stays, the hold is released.
    """
    lease_id = ProcessingRequest.objects.begin_ingest(request_id, settings.LEASE_SECONDS)
    if lease_id is None:
        return 0
    ProcessingRequest.objects.start(request_id)
    request = ProcessingRequest.objects.get(id=request_id)
    if request.ingest_attempts > MAX_INGEST_ATTEMPTS:
        return _give_up(request_id, lease_id, INGEST_DIED.sentence)
    try:
        written = _read_and_write(request, lease_id, stop)
    except (FileNotFoundError, sheet.SheetChangedError):
        return _give_up(request_id, lease_id, completion.LOST_INPUT)
    except (store.StoreError, *AWAY) as error:
        return _postpone(request_id, lease_id, error)
    if not ProcessingRequest.objects.finish_ingest(request_id, lease_id):
        ProcessingRequest.objects.pause_ingest(request_id, lease_id, 0)
    return written


def _give_up(request_id: UUID, lease_id: UUID, sentence: str) -> int:
    log.error(
        "ingest given up: %s",
        sentence,
        extra={"request_id": str(request_id)},
    )
    completion.fail(request_id, lease_id, sentence)
    return 0


def _postpone(request_id: UUID, lease_id: UUID, error: Exception) -> int:
    """Our own outage, which is no fault of the file: the attempt does not count."""
    log.warning("ingest postponed: %s", error, extra={"request_id": str(request_id)})
    pause = ProcessingRequest.objects.pause_ingest
    Patience(OUTAGE_SECONDS)(lambda: pause(request_id, lease_id, RETRY_SECONDS))
    return 0


def _read_and_write(request: ProcessingRequest, lease_id: UUID, stop: Callable[[], bool]) -> int:
    form = sheet.SheetFormat.from_dict(request.sheet)
    with store.open_read(request.input_csv) as stream:
        rows = sheet.rows(stream, form, skip=request.ingested_products)
        return _write_rows(request, lease_id, rows, stop)


def _write_rows(
    request: ProcessingRequest,
    lease_id: UUID,
    rows: Iterator[sheet.Row],
    stop: Callable[[], bool],
) -> int:
    first = cursor = request.ingested_products
    show_at = first + SHOW_AFTER
    for chunk in _chunks(rows):
        if stop() or not _write_chunk(request.id, lease_id, cursor, chunk):
            break
        cursor += len(chunk)
        queue.ensure_pumps()
        if cursor >= show_at:
            _show_planner()
            show_at = first + SHOW_AGAIN * (cursor - first)
    return cursor - first


def _show_planner() -> None:
    """By what requests, their pages and their images are found."""
    analyze(Product, ("request", "row_number"))
    analyze(ProductImage, ("request", "product"))


def _chunks(rows: Iterable[sheet.Row]) -> Iterator[list[sheet.Row]]:
    """Counted by images: a product may have thousands."""
    chunk: list[sheet.Row] = []
    images = 0
    for row in rows:
        chunk.append(row)
        images += len(row.urls)
        if images >= CHUNK:
            yield chunk
            chunk, images = [], 0
    if chunk:
        yield chunk


def _write_chunk(request_id: UUID, lease_id: UUID, cursor: int, chunk: Sequence[sheet.Row]) -> bool:
    """One transaction: the cursor and the rows behind it. False when the cursor had moved."""
    products, images = _rows_of(request_id, cursor, chunk)
    with transaction.atomic():
        if not ProcessingRequest.objects.advance_ingest(
            request_id,
            lease_id,
            old=cursor,
            new=cursor + len(chunk),
            seconds=settings.LEASE_SECONDS,
        ):
            return False
        insert_rows(Product, PRODUCT_FIELDS, products)
        insert_rows(ProductImage, IMAGE_FIELDS, images)
    return True


def _rows_of(
    request_id: UUID, cursor: int, chunk: Sequence[sheet.Row]
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    products: list[tuple[Any, ...]] = []
    images: list[tuple[Any, ...]] = []
    request = str(request_id)
    for number, row in enumerate(chunk, cursor + 1):
        product = uuid7_text()
        products.append((product, request, number, row.serial_number, row.product_name))
        for position, url in enumerate(row.urls, 1):
            images.append((uuid7_text(), product, request, position, url, sheet.host_of(url)[:255]))
    return products, images
