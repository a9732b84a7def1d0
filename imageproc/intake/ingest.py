"""From the stored CSV to rows, in chunks that a killed worker's successor continues.

The request's cursor (``ingested_products``) moves in the transaction that writes a chunk, so a
chunk is written once whoever writes it, and images are claimed as soon as their chunk is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from imageproc import sheet
from imageproc.faults import INGEST_DIED, INPUT_UNREADABLE, Fault
from imageproc.images.patterns import Pattern
from imageproc.images.sources import source_id
from imageproc.intake import naming
from imageproc.models import Host, ProcessingRequest, Product, ProductImage, RowError
from imageproc.models.bulk import analyze, insert_rows
from imageproc.models.ids import uuid7_text
from imageproc.models.request_states import MAX_TASK_ATTEMPTS
from imageproc.requests import completion
from imageproc.requests.hold import Hold
from imageproc.requests.stored_input import InputLostError, open_checked
from imageproc.workers import queue

# Images of one transaction, but for a product that has more: some 0.1 s of PostgreSQL.
CHUNK = 5000
# Products after which the planner is shown what has come, and shown again when there are so many
# times more: it may have met the tables with a few rows in them, and takes all rows to be like
# these. Out by a factor of 40, it read a million images for a page of 50.
SHOW_AFTER = 5000
SHOW_AGAIN = 4
PRODUCT_FIELDS = ("id", "request", "row_number", "serial_number", "product_name")
IMAGE_FIELDS = ("id", "product", "request", "position", "input_url", "host")


def ingest(request_id: UUID, stop: Callable[[], bool] = lambda: False) -> int:
    """Write the rows that are still missing. Products written; 0 where another is at it.

    ``stop()`` says that the worker is to end: the cursor stays, the hold is released.
    """
    due = ProcessingRequest.objects.to_ingest()
    hold = Hold.begin(due, request_id, settings.LEASE_SECONDS)
    if hold is None:
        return 0
    with hold.waiting_out_outages():
        return _ingest(hold, stop)
    return 0


def _ingest(hold: Hold, stop: Callable[[], bool]) -> int:
    ProcessingRequest.objects.start(hold.request_id)
    request = ProcessingRequest.objects.get(id=hold.request_id)
    if request.task_attempts > MAX_TASK_ATTEMPTS:
        return _give_up(hold, INGEST_DIED)
    try:
        written = _read_and_write(hold, request, stop)
    except InputLostError as error:
        return _give_up(hold, error.fault)
    except sheet.SheetChangedError as error:
        return _give_up(hold, INPUT_UNREADABLE.because(str(error)))
    if not ProcessingRequest.objects.finish_ingest(request.id, hold.lease_id):
        hold.postpone(0)
    return written


def _give_up(hold: Hold, fault: Fault) -> int:
    completion.fail(hold, fault)
    return 0


def _read_and_write(hold: Hold, request: ProcessingRequest, stop: Callable[[], bool]) -> int:
    form = sheet.SheetFormat.from_dict(request.sheet)
    with open_checked(request) as stream:
        bad_lines = RowError.objects.lines(request.id) if request.bad_rows else ()
        rows = sheet.rows(stream, form, request.ingested_products, bad_lines)
        return _write_rows(hold, request, rows, stop)


def _write_rows(
    hold: Hold, request: ProcessingRequest, rows: Iterator[sheet.Row], stop: Callable[[], bool]
) -> int:
    first = cursor = request.ingested_products
    show_at = first + SHOW_AFTER
    for chunk in _chunks(rows):
        if stop() or not _write_chunk(hold, request, cursor, chunk):
            break
        cursor += len(chunk)
        queue.ensure_pumps()
        if cursor >= show_at:
            _show_planner()
            show_at = first + SHOW_AGAIN * (cursor - first)
    else:
        if cursor < request.total_products:
            raise sheet.SheetChangedError(f"The file has {cursor} rows.")
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
        images += len(row.urls) or 1  # a row without an image costs a product
        if images >= CHUNK:
            yield chunk
            chunk, images = [], 0
    if chunk:
        yield chunk


def _write_chunk(
    hold: Hold, request: ProcessingRequest, cursor: int, chunk: Sequence[sheet.Row]
) -> bool:
    """One transaction: the cursor and the rows behind it. False where the request is no longer
    this task's to write."""
    products, images = _rows_of(hold.request_id, cursor, chunk)
    fields: tuple[str, ...] = IMAGE_FIELDS
    if request.host_pace:  # before a worker can claim any of these
        Host.objects.keep_to({image[-1] for image in images}, request.host_pace)
    if request.repeated_urls:
        fields, url = (*fields, "same_url"), IMAGE_FIELDS.index("input_url")
        images = [(*row, str(source_id(request.owner_id, row[url]))) for row in images]
    if request.names:
        fields, stems = (*fields, "name"), _stems_of(request, cursor, chunk)
        images = [(*row, stem) for row, stem in zip(images, stems, strict=True)]
    with transaction.atomic():
        if not ProcessingRequest.objects.advance_ingest(
            hold.request_id,
            hold.lease_id,
            old=cursor,
            new=cursor + len(chunk),
            seconds=hold.seconds,
        ):
            return False
        insert_rows(Product, PRODUCT_FIELDS, products)
        insert_rows(ProductImage, fields, images)
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


def _stems_of(request: ProcessingRequest, cursor: int, chunk: Sequence[sheet.Row]) -> Iterator[str]:
    """What the request's pattern names the images of these rows."""
    pattern, form = Pattern(request.names), sheet.SheetFormat.from_dict(request.sheet)
    for number, row in enumerate(chunk, cursor + 1):
        yield from naming.stems(pattern, form, row, number)
