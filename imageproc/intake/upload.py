"""The one door in: validate a whole CSV, keep it, create the request, hand over to the ingest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from os import SEEK_END
from typing import IO, Any, BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from imageproc import sheet
from imageproc.faults import Fault
from imageproc.images import names, store
from imageproc.images.fetch import Policy, check
from imageproc.images.recipe import PRESETS, Recipe
from imageproc.intake import pending
from imageproc.models import PendingUpload, Priority, ProcessingRequest, Switch
from imageproc.models.ids import uuid7
from imageproc.workers import queue

READ_BYTES = 1 << 16
RETRY_SECONDS = 30
SLOW = "Storing the file took too long. Upload it again."
IDEMPOTENCY_KEPT = timedelta(hours=24)


class Refused(Exception):  # noqa: N818
    """The upload was refused and nothing was stored.

    ``code``: stable. ``status``: HTTP. ``errors``: [{line, column, value, code, message}], the
    first ones of ``error_count``. ``retry_after``: seconds, where trying again can help.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        error_count: int = 0,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.errors, self.error_count, self.retry_after = errors or [], error_count, retry_after


@dataclass(frozen=True, slots=True)
class Options:
    """What may be asked of an upload. None: as the preset has it. Sizes in pixels."""

    preset: str = "catalog"
    max_width: int | None = None
    max_height: int | None = None
    quality: int | None = None
    format: str | None = None
    background: str | None = None
    store_originals: bool = False
    priority: str = Priority.NORMAL.value
    webhook_url: str = ""

    def recipe(self) -> Recipe:
        own = {
            name: getattr(self, name)
            for name in ("max_width", "max_height", "quality", "format", "background")
            if getattr(self, name) is not None
        }
        return replace(PRESETS[self.preset], **own)


@dataclass(frozen=True, slots=True)
class Upload:
    """``file``: seekable, its first byte next. ``base_url``: where the service was reached."""

    owner_id: int
    file: IO[bytes]
    file_name: str
    base_url: str
    options: Options = field(default_factory=Options)
    idempotency_key: str | None = None


def accept(upload: Upload) -> ProcessingRequest:
    """Validate, store and queue an upload; or the request that its idempotency key made before.

    Raises Refused: nothing is stored then. The answer may be given out as "accepted" as soon as
    this returns: file, row and task are durable.
    """
    _check_size(_size(upload.file))
    digest = _digest(upload)
    if earlier := _replay(upload, digest):
        return earlier
    _check_open()
    _check_quota(upload.owner_id, 1)
    _check_webhook(upload.options)
    checked = inspect(upload.file)
    request_id = uuid7()
    PendingUpload.objects.create(id=request_id)
    try:
        kept = _keep(request_id, upload.file)
        return _create(upload, digest, request_id, kept, checked)
    except Refused:
        pending.discard(request_id)
        raise
    except IntegrityError:
        pending.discard(request_id)
        if earlier := _replay(upload, digest):
            return earlier
        raise


def rehearse(upload: Upload) -> sheet.Summary:
    """What ``accept`` would find in the file; nothing is stored. Raises Refused for what is wrong
    with the rest of the upload."""
    _check_size(_size(upload.file))
    _check_webhook(upload.options)
    return _examine(upload.file).validate()


def inspect(file: IO[bytes]) -> sheet.Sheet:
    """Read a whole CSV and judge every line of it. Raises Refused with the first errors."""
    checked = _examine(file)
    summary = checked.validate()
    if not summary.ok:
        raise Refused(
            400,
            "csv_invalid",
            f"The file has {summary.error_count} "
            f"{'error' if summary.error_count == 1 else 'errors'}; nothing was stored.",
            errors=[error._asdict() for error in summary.errors],
            error_count=summary.error_count,
        )
    return checked


def _check_size(size: int) -> None:
    """Raises Refused where an upload of ``size`` bytes is too large."""
    if size > settings.MAX_UPLOAD_BYTES:
        raise Refused(
            413,
            "upload_too_large",
            f"The file is larger than {settings.MAX_UPLOAD_BYTES:,} bytes. Split it.",
        )


def _size(file: IO[bytes]) -> int:
    size = file.seek(0, SEEK_END)
    file.seek(0)
    return size


def _examine(file: IO[bytes]) -> sheet.Sheet:
    policy = Policy.from_settings()
    limits = sheet.Limits(
        max_rows=settings.MAX_IMAGES_PER_REQUEST, max_images=settings.MAX_IMAGES_PER_REQUEST
    )
    return sheet.read(cast("BinaryIO", file), limits, lambda url: _judge(url, policy))


def _judge(url: str, policy: Policy) -> tuple[str, str] | None:
    """What the outbound policy holds against a URL's host or port: (code, sentence)."""
    fault = check(url, policy)
    return (fault.code, fault.sentence) if fault else None


def _check_open() -> None:
    if Switch.objects.is_paused(Switch.INTAKE):
        raise Refused(
            503,
            "intake_paused",
            "Uploads are paused by the operator. Try again later.",
            retry_after=RETRY_SECONDS,
        )


def _check_quota(owner_id: int, images: int) -> None:
    """Raises Refused where ``images`` more are more than an owner may have in hand. A request that
    is larger than the quota by itself is taken when nothing else is in hand."""
    requests, pending = ProcessingRequest.objects.in_hand(owner_id)
    most = settings.MAX_PENDING_IMAGES
    if 0 < settings.MAX_OPEN_REQUESTS <= requests:
        said = f"You have {requests} open requests, which is the limit."
    elif most and pending and pending + images > most:
        said = f"You have {pending:,} images waiting; the limit is {most:,}."
    else:
        return
    said = f"{said} Try again when some have finished."
    raise Refused(429, "quota_exceeded", said, retry_after=RETRY_SECONDS)


def _hold_owner(owner_id: int) -> None:
    """Uploads of one owner are created one after the other, so that none slips past the quota.
    (SQLite: every writing transaction is alone.)"""
    rows = get_user_model().objects.select_for_update(no_key=True)
    rows.filter(pk=owner_id).values_list("pk").first()


def _check_webhook(options: Options) -> None:
    if not options.webhook_url:
        return
    fault = check(options.webhook_url, Policy.from_settings())
    if fault is not None:
        raise Refused(400, "webhook_url_refused", f"The webhook's address: {fault.sentence}")


def _keep(request_id: UUID, file: IO[bytes]) -> store.Stored:
    file.seek(0)
    stored = store.put_stream(names.input_key(request_id), _chunks(file), "text/csv")
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
        _check_quota(upload.owner_id, checked.summary.images)
        request = ProcessingRequest.objects.create(
            id=request_id,
            owner_id=upload.owner_id,
            file_name=upload.file_name[:255],
            input_csv=kept.key,
            input_size=kept.size,
            input_sha256=kept.sha256,
            sheet=checked.format.to_dict(),
            priority=options.priority,
            recipe=asdict(options.recipe()),
            store_originals=options.store_originals,
            total_products=checked.summary.rows,
            total_images=checked.summary.images,
            base_url=upload.base_url,
            webhook_url=options.webhook_url,
            idempotency_key=upload.idempotency_key,
            idempotency_digest=digest,
        )
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
