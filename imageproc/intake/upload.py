"""The one door in: validate a whole file, keep it, create the request, hand over to the ingest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import IO
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from imageproc import sheet
from imageproc.faults import Fault
from imageproc.images import names, store
from imageproc.images.patterns import Pattern
from imageproc.intake import pending, teams
from imageproc.intake.inspection import check_size, inspect, notes_on
from imageproc.intake.obstacles import obstacles, over_quota
from imageproc.intake.options import Upload
from imageproc.intake.refused import RETRY_SECONDS, Refused
from imageproc.models import PendingUpload, ProcessingRequest, RowError
from imageproc.models.ids import uuid7
from imageproc.workers import queue

READ_BYTES = 1 << 16
SLOW = "Storing the file took too long. Upload it again."
IDEMPOTENCY_KEPT = timedelta(hours=24)


def accept(upload: Upload) -> ProcessingRequest:
    """Validate, store and queue an upload; or the request that its idempotency key made before.

    Raises Refused: nothing is stored then. The answer may be given out as "accepted" as soon as
    this returns: file, row and task are durable.
    """
    check_size(upload.file)
    digest = _digest(upload)
    if earlier := _replay(upload, digest):
        return earlier
    for refused in obstacles(upload):
        raise refused
    checked = inspect(upload)
    request_id = uuid7()
    PendingUpload.objects.create(id=request_id)
    try:
        kept = _keep(request_id, upload.file, checked)
        return _create(upload, digest, request_id, kept, checked)
    except Refused:
        pending.discard(request_id)
        raise
    except IntegrityError:
        pending.discard(request_id)
        if earlier := _replay(upload, digest):
            return earlier
        raise


def _hold_owner(owner_id: int) -> None:
    """Uploads of one owner are created one after the other, so that none slips past the quota.
    (SQLite: every writing transaction is alone.)"""
    rows = get_user_model().objects.select_for_update(no_key=True)
    rows.filter(pk=owner_id).values_list("pk").first()


def _keep(request_id: UUID, file: IO[bytes], checked: sheet.Sheet) -> store.Stored:
    file.seek(0)
    is_workbook = checked.format is not None and checked.format.worksheet
    key = names.input_key(request_id, "xlsx" if is_workbook else "csv")
    stored = store.put_stream(key, _chunks(file), names.content_type(key))
    if isinstance(stored, Fault):
        raise Refused(503, stored.code, stored.message, retry_after=RETRY_SECONDS)
    return stored


def _create(
    upload: Upload, digest: str, request_id: UUID, kept: store.Stored, checked: sheet.Sheet
) -> ProcessingRequest:
    options = upload.options
    assert checked.format is not None  # inspect() refuses a sheet without one
    with transaction.atomic():
        _hold_owner(upload.owner_id)
        if refused := over_quota(upload.owner_id, checked.summary.images):
            raise refused
        request = ProcessingRequest.objects.create(
            id=request_id,
            owner_id=upload.owner_id,
            file_name=upload.file_name[:255],
            input_csv=kept.key,
            input_size=kept.size,
            input_sha256=kept.sha256,
            sheet=checked.format.to_dict(),
            priority=options.priority,
            recipe=options.recipe().to_dict(),
            store_originals=options.store_originals,
            names=Pattern(options.names).text if options.names else "",
            host_pace=options.host_pace,
            total_products=checked.summary.rows,
            total_images=checked.summary.images,
            imageless_rows=checked.summary.imageless_rows,
            bad_rows=checked.summary.bad_rows,
            repeated_urls=checked.summary.duplicate_urls,
            max_age=settings.SOURCE_MAX_AGE if options.max_age is None else options.max_age,
            refresh=options.refresh,
            notes=notes_on(checked),
            replace_urls=options.replace_urls,
            status_column=options.status_column,
            base_url=upload.base_url,
            webhook_url=options.webhook_url,
            notify_email=options.notify_email,
            team=teams.find(upload.owner_id, options.team),
            idempotency_key=upload.idempotency_key,
            idempotency_digest=digest,
        )
        RowError.objects.add(request_id, checked.summary.errors)
        if not PendingUpload.objects.accept(request_id):
            raise Refused(503, "upload_too_slow", SLOW, retry_after=RETRY_SECONDS)
        queue.enqueue_ingest(request_id)
    return request


def _replay(upload: Upload, digest: str) -> ProcessingRequest | None:
    """The request that this key made, if any; another body under the same key is refused
    (draft-ietf-httpapi-idempotency-key-header, 2.7). A key is free again after a day."""
    if upload.idempotency_key is None:
        return None
    named = ProcessingRequest.objects.filter(
        owner_id=upload.owner_id, idempotency_key=upload.idempotency_key
    )
    named.filter(created_at__lt=Now() - IDEMPOTENCY_KEPT).update(idempotency_key=None)
    earlier = named.first()
    if earlier is not None and earlier.idempotency_digest != digest:
        raise Refused(
            422,
            "idempotency_key_reused",
            "This Idempotency-Key was used with another file or other options.",
        )
    return earlier


def _digest(upload: Upload) -> str:
    """SHA-256 over options and file, "" without a key."""
    if upload.idempotency_key is None:
        return ""
    digest = hashlib.sha256(repr(upload.options).encode())
    for chunk in _chunks(upload.file):
        digest.update(chunk)
    upload.file.seek(0)
    return digest.hexdigest()


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(READ_BYTES):
        yield chunk
