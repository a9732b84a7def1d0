"""The one door in: validate a whole CSV, keep it, create the request, hand over to the ingest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any, BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from imageproc import queue, sheet
from imageproc.faults import Fault
from imageproc.models import Priority, ProcessingRequest, Switch
from imageproc.models.ids import uuid7
from imageproc.pipeline import store
from imageproc.pipeline.outbound import Policy, check
from imageproc.pipeline.recipe import PRESETS, Recipe

READ_BYTES = 1 << 16
RETRY_SECONDS = 30


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
    digest = _digest(upload)
    if earlier := _replay(upload, digest):
        return earlier
    _check_open(upload)
    checked = inspect(upload.file)
    request_id = uuid7()
    key = _keep(request_id, upload.file)
    try:
        return _create(upload, digest, request_id, key, checked)
    except IntegrityError:
        store.delete_many([key])
        if earlier := _replay(upload, digest):
            return earlier
        raise


def inspect(file: IO[bytes]) -> sheet.Sheet:
    """Read a whole CSV and judge every line of it. Raises Refused with the first errors."""
    policy = Policy.from_settings()
    limits = sheet.Limits(
        max_rows=settings.MAX_IMAGES_PER_REQUEST, max_images=settings.MAX_IMAGES_PER_REQUEST
    )
    checked = sheet.read(cast("BinaryIO", file), limits, lambda url: _judge(url, policy))
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


def _judge(url: str, policy: Policy) -> tuple[str, str] | None:
    """What the outbound policy holds against a URL's host or port: (code, sentence)."""
    fault = check(url, policy)
    return (fault.code, fault.sentence) if fault else None


def _check_open(upload: Upload) -> None:
    if Switch.objects.is_paused(Switch.INTAKE):
        raise Refused(
            503,
            "intake_paused",
            "Uploads are paused by the operator. Try again later.",
            retry_after=RETRY_SECONDS,
        )
    if url := upload.options.webhook_url:
        fault = check(url, Policy.from_settings())
        if fault is not None:
            raise Refused(400, "webhook_url_refused", f"The webhook's address: {fault.sentence}")


def _keep(request_id: UUID, file: IO[bytes]) -> str:
    file.seek(0)
    stored = store.put_stream(f"{request_id}/input.csv", _chunks(file), "text/csv")
    if isinstance(stored, Fault):
        raise Refused(503, stored.code, stored.message, retry_after=RETRY_SECONDS)
    return stored.key


def _create(
    upload: Upload, digest: str, request_id: UUID, key: str, checked: sheet.Sheet
) -> ProcessingRequest:
    options = upload.options
    assert checked.format is not None  # inspect() refuses a sheet without one
    with transaction.atomic():
        request = ProcessingRequest.objects.create(
            id=request_id,
            owner_id=upload.owner_id,
            file_name=upload.file_name[:255],
            input_csv=key,
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
        queue.enqueue_ingest(request_id)
    return request


def _replay(upload: Upload, digest: str) -> ProcessingRequest | None:
    """The request that this key made, if any; another body under the same key is refused
    (draft-ietf-httpapi-idempotency-key-header, 2.7)."""
    if upload.idempotency_key is None:
        return None
    earlier = ProcessingRequest.objects.filter(
        owner_id=upload.owner_id, idempotency_key=upload.idempotency_key
    ).first()
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
