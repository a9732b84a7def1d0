"""Ends requests: writes the output CSV, the final state and what it owes, each exactly once."""

from __future__ import annotations

import logging
from uuid import UUID

from django.conf import settings
from django.db import transaction

from imageproc import sheet
from imageproc.faults import CLOSING_DIED, COMPLETION_DIED, INPUT_UNREADABLE, Fault
from imageproc.images import names, store
from imageproc.models import ProcessingRequest, ProductImage
from imageproc.models.request_states import MAX_TASK_ATTEMPTS
from imageproc.requests import report
from imageproc.requests.announcement import announce
from imageproc.requests.hold import Hold
from imageproc.requests.stored_input import InputLostError

log = logging.getLogger(__name__)
CANCEL_BATCH = 2000


def complete(request_id: UUID) -> bool:
    """Write the output CSV of a settled request, then end it. False if there was nothing to do.

    The file is stored before the state changes; the transaction that changes the state also
    writes the rows of webhook and e-mail.
    """
    due = ProcessingRequest.objects.settled()
    hold = Hold.begin(due, request_id, settings.LEASE_SECONDS)
    if hold is None:
        return False
    with hold.waiting_out_outages():
        return _complete(hold)
    return False


def _complete(hold: Hold) -> bool:
    # One query reads both that it is settled and ``reopened``. Images that are put back later
    # increase ``reopened``, and then ``settle`` below changes nothing.
    request = ProcessingRequest.objects.settled().filter(id=hold.request_id).first()
    if request is None:
        hold.release()
        return False
    if request.task_attempts > MAX_TASK_ATTEMPTS:
        return fail(hold, COMPLETION_DIED)
    try:
        stored = _write_output(hold, request)
    except InputLostError as error:
        return fail(hold, error.fault)
    except sheet.SheetChangedError as error:
        return fail(hold, INPUT_UNREADABLE.because(str(error)))
    with transaction.atomic():
        ended = ProcessingRequest.objects.settle(
            request.id, output_csv=stored.key, reopened=request.reopened
        )
        if ended:
            announce(request.id)
    hold.release()
    return ended


def fail(hold: Hold, fault: Fault) -> bool:
    """End a request that cannot continue. False if it had ended already."""
    log.error(
        "request failed: %s %s",
        fault.code,
        fault.detail,
        extra={"request_id": str(hold.request_id)},
    )
    with transaction.atomic():
        ended = ProcessingRequest.objects.fail(hold.request_id, fault.sentence)
        if ended:
            announce(hold.request_id)
    hold.release()
    return ended


def close_images(request_id: UUID) -> int:
    """Cancel the images that were open when their request ended, in batches. Returns how many."""
    due = ProcessingRequest.objects.to_close()
    hold = Hold.begin(due, request_id, settings.LEASE_SECONDS)
    if hold is None:
        return 0
    moved = 0
    with hold.waiting_out_outages():
        if ProcessingRequest.objects.get(id=request_id).task_attempts > MAX_TASK_ATTEMPTS:
            _give_up_closing(hold)
            return 0
        while batch := _cancel_batch(request_id):
            moved += batch
            hold.advance()
        ProcessingRequest.objects.count_cancelled(request_id)
        hold.release()
    return moved


def _give_up_closing(hold: Hold) -> None:
    """The images stay as they are: nobody claims them, because their request has ended."""
    log.error("the closing is not tried again", extra={"request_id": str(hold.request_id)})
    ProcessingRequest.objects.count_cancelled(hold.request_id, CLOSING_DIED.sentence)
    hold.release()


def _write_output(hold: Hold, request: ProcessingRequest) -> store.Stored:
    chunks = report.output_file(request)
    extension = "xlsx" if request.is_workbook else "csv"
    key = names.output_key(request.id, request.reopened, extension)
    # An empty block says that a workbook is still being written: it is to extend the hold, but
    # would end what is stored.
    blocks = filter(None, hold.extending(chunks))
    stored = store.put_stream(key, blocks, names.content_type(key))
    if isinstance(stored, Fault):
        raise store.StoreError(stored)
    return stored


def _cancel_batch(request_id: UUID) -> int:
    with transaction.atomic():
        images = ProductImage.objects.in_file_order(request_id).open()
        ids = list(images.select_for_update().values_list("id", flat=True)[:CANCEL_BATCH])
        return ProductImage.objects.cancel(ids)
