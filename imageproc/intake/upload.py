"""The one door in: validate a whole file, keep it, create the request, hand over to the ingest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
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
from imageproc.images.patterns import Pattern
from imageproc.images.presets import PRESETS
from imageproc.images.recipe import Recipe
from imageproc.intake import columns, naming, notify, pending, teams
from imageproc.models import PendingUpload, Priority, ProcessingRequest, RowError, Switch
from imageproc.models.ids import uuid7
from imageproc.workers import queue

READ_BYTES = 1 << 16
RETRY_SECONDS = 30
# Errors that an answer names; errors of rows that one request may skip.
SHOWN_ERRORS = 100
MAX_SKIPPED = 100_000
# Options that take the place of what the preset has, named as in Recipe.
RECIPE_OPTIONS = (
    *("max_width", "max_height", "quality", "format", "background"),
    *("fit", "crop", "trim", "margin", "sharpen", "keep_copyright", "max_bytes"),
)
SLOW = "Storing the file took too long. Upload it again."
IDEMPOTENCY_KEPT = timedelta(hours=24)


class Refused(Exception):  # noqa: N818
    """The upload was refused and nothing was stored.

    ``code``: stable. ``status``: HTTP. ``field``: the option to blame, or "". ``errors``: [{line,
    column, value, code, message, row}], the first ones of ``error_count``. ``kinds``: [{code,
    message, count}], all of them by code, the commonest first. ``retry_after``: seconds, where
    trying again can help.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        error_count: int = 0,
        kinds: list[dict[str, Any]] | None = None,
        retry_after: int | None = None,
        field: str = "",
    ) -> None:
        super().__init__(message)
        self.field = field
        self.status, self.code, self.message = status, code, message
        self.errors, self.error_count, self.retry_after = errors or [], error_count, retry_after
        self.kinds = kinds or []


@dataclass(frozen=True, slots=True)
class Options:
    """What may be asked of an upload. None: as the preset has it, or as it is found. Sizes in
    pixels."""

    preset: str = "catalog"
    max_width: int | None = None
    max_height: int | None = None
    quality: int | None = None
    format: str | None = None
    background: str | None = None
    fit: str | None = None
    crop: str | None = None
    trim: int | None = None
    margin: float | None = None
    sharpen: bool | None = None
    keep_copyright: bool | None = None
    max_bytes: int | None = None
    store_originals: bool = False
    priority: str = Priority.NORMAL.value
    # Requests a second to each host at the most; None: as fast as it answers.
    host_pace: float | None = None
    webhook_url: str = ""
    # The name of a group of the owner, whose members see the request; "": the owner alone.
    team: str = ""
    # Gets an e-mail when the request has ended; "": nobody.
    notify_email: str = ""
    # Bad rows: the whole file is refused, or they are left out.
    skip_bad_rows: bool = False
    # Output URLs in the input's place, with the columns Status and Error or without them.
    replace_urls: bool = False
    status_column: bool = False
    columns: sheet.Choice | None = None
    # imageproc.images.patterns: what objects and files are named after; "": as ever.
    names: str = ""
    # What paths in image cells are below.
    image_base: str = ""
    # Seconds: a URL that was asked for so lately is not asked for again. ``refresh``: each is
    # fetched and compressed anew.
    max_age: int | None = None
    refresh: bool = False
    # Which worksheet of a workbook; "": the first one.
    worksheet: str = ""

    def recipe(self) -> Recipe:
        """The preset with what was asked for in its place. Raises RecipeError where that does not
        go together."""
        own = {name: getattr(self, name) for name in RECIPE_OPTIONS}
        given = {name: value for name, value in own.items() if value is not None}
        return PRESETS[self.preset].recipe.changed(**given)


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


def rehearse(upload: Upload) -> tuple[sheet.Sheet, Refused | None]:
    """What ``accept`` would find in the file, read to its end, and why its names would be refused;
    nothing is stored. Raises Refused for a file that is too large; ``obstacles`` has what else
    would be refused."""
    _check_size(_size(upload.file))
    checked = _examine(upload)
    if not upload.options.names:
        checked.validate()
        return checked, None
    check = naming.NameCheck(Pattern(upload.options.names))
    checked.validate(partial(check.watch, checked))
    upload.file.seek(0)
    clash = check.clash(lambda: _examine(upload))
    return checked, _same_names(clash) if clash else None


def obstacles(upload: Upload, images: int = 1) -> list[Refused]:
    """Why an upload of ``images`` images would be refused now, whatever its file holds: its
    webhook's address, that for the e-mail, its team, a pause, the quota."""
    found = (
        _bad_webhook(upload.options),
        _bad_address(upload.owner_id, upload.options),
        _bad_team(upload.owner_id, upload.options),
        _pause(),
        _over_quota(upload.owner_id, images),
    )
    return [refused for refused in found if refused]


def inspect(upload: Upload) -> sheet.Sheet:
    """Read a whole CSV and judge every line of it. Raises Refused with the first errors."""
    checked, same_names = rehearse(upload)
    if not is_accepted(checked, upload.options):
        raise invalid(checked.summary)
    if same_names:
        raise same_names
    return checked


def is_accepted(checked: sheet.Sheet, options: Options) -> bool:
    """Whether a file that was read to its end becomes a request."""
    found = checked.summary
    skippable = options.skip_bad_rows and found.usable and found.error_count <= MAX_SKIPPED
    return found.ok or skippable


def errors_of(upload: Upload) -> Iterator[sheet.LineError]:
    """Everything to correct in a file. Raises Refused as ``rehearse`` does."""
    _check_size(_size(upload.file))
    return (item for item in _examine(upload) if isinstance(item, sheet.LineError))


def notes_on(checked: sheet.Sheet) -> list[str]:
    """What the owner should know of how a file was read."""
    form, found = checked.format, checked.summary
    notes = []
    if form and form.assumed:
        notes.append(
            f"The file does not say how its letters are encoded; {form.encoding} was assumed. "
            "Its bytes come back unchanged."
        )
    if found.unescaped:
        links = "1 link" if found.unescaped == 1 else f"{found.unescaped:,} links"
        notes.append(f"In {links} the HTML &amp; was read as &.")
    if found.shared:
        links = "1 share link" if found.shared == 1 else f"{found.shared:,} share links"
        notes.append(f"{links} of a cloud storage: the file behind it is fetched, not its page.")
    if found.headers:
        times = "once" if found.headers == 1 else f"{found.headers:,} times"
        notes.append(f"The header is repeated {times} among the rows; it is left out there.")
    return notes


def kinds_of(found: sheet.SheetSummary) -> list[dict[str, Any]]:
    """[{code, message, count}] of a file's errors, the commonest first."""
    sentences = {error.code: error.message for error in reversed(found.errors)}
    return [
        {"code": code, "message": sentences.get(code, ""), "count": count}
        for code, count in found.kinds.most_common()
    ]


def invalid(found: sheet.SheetSummary) -> Refused:
    return Refused(
        400,
        "csv_invalid",
        f"The file has {found.error_count} "
        f"{'error' if found.error_count == 1 else 'errors'}; nothing was stored.",
        errors=[error._asdict() for error in found.errors[:SHOWN_ERRORS]],
        error_count=found.error_count,
        kinds=kinds_of(found),
    )


def _same_names(clash: naming.Clash) -> Refused:
    one, other = clash.rows
    rows = f"Two images of row {one}" if one == other else f"Images of rows {one} and {other}"
    message = (
        f'{rows} would get the same name, "{clash.name}" (upper and lower case count as equal).'
        " Choose a pattern that tells them apart, such as {serial}_{row}_{position}."
    )
    errors = [
        sheet.LineError(line, "", clash.name, "names_collide", message, row)._asdict()
        for line, row in zip(clash.lines, clash.rows, strict=True)
    ]
    return Refused(400, "names_collide", message, errors=errors, error_count=2, field="names")


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


def _examine(upload: Upload) -> sheet.Sheet:
    policy = Policy.from_settings()
    options = upload.options
    limits = sheet.SheetLimits(
        max_rows=settings.MAX_IMAGES_PER_REQUEST,
        max_images=settings.MAX_IMAGES_PER_REQUEST,
        max_errors=MAX_SKIPPED if options.skip_bad_rows else SHOWN_ERRORS,
    )
    wanted = columns.wanted(upload.owner_id, options.columns, options.image_base, options.worksheet)
    file = cast("BinaryIO", upload.file)
    return sheet.read(file, limits, lambda url: _judge(url, policy), wanted)


def _judge(url: str, policy: Policy) -> tuple[str, str] | None:
    """What the outbound policy holds against a URL's host or port: (code, sentence)."""
    fault = check(url, policy)
    return (fault.code, fault.sentence) if fault else None


def _pause() -> Refused | None:
    if not Switch.objects.is_paused(Switch.INTAKE):
        return None
    return Refused(
        503,
        "intake_paused",
        "Uploads are paused by the operator. Try again later.",
        retry_after=RETRY_SECONDS,
    )


def _over_quota(owner_id: int, images: int) -> Refused | None:
    """Refused where ``images`` more are more than an owner may have in hand. A request that
    is larger than the quota by itself is taken when nothing else is in hand."""
    requests, pending = ProcessingRequest.objects.in_hand(owner_id)
    most = settings.MAX_PENDING_IMAGES
    if 0 < settings.MAX_OPEN_REQUESTS <= requests:
        open_ones = "1 open request" if requests == 1 else f"{requests} open requests"
        limit = f"You have {open_ones}, which is the limit."
    elif most and pending and pending + images > most:
        limit = f"You have {pending:,} images waiting; the limit is {most:,}."
    else:
        return None
    sentence = f"{limit} Try again when some have finished."
    return Refused(429, "quota_exceeded", sentence, retry_after=RETRY_SECONDS)


def _hold_owner(owner_id: int) -> None:
    """Uploads of one owner are created one after the other, so that none slips past the quota.
    (SQLite: every writing transaction is alone.)"""
    rows = get_user_model().objects.select_for_update(no_key=True)
    rows.filter(pk=owner_id).values_list("pk").first()


def _bad_webhook(options: Options) -> Refused | None:
    if not options.webhook_url:
        return None
    fault = check(options.webhook_url, Policy.from_settings())
    if fault is None:
        return None
    sentence = f"The webhook's address: {fault.sentence}"
    return Refused(400, "webhook_url_refused", sentence, field="webhook_url")


def _bad_address(owner_id: int, options: Options) -> Refused | None:
    if not options.notify_email:
        return None
    refusal = notify.refusal(owner_id, options.notify_email)
    return Refused(400, *refusal, field="notify_email") if refusal else None


def _bad_team(owner_id: int, options: Options) -> Refused | None:
    if not options.team or teams.find(owner_id, options.team):
        return None
    return Refused(400, "team_unknown", teams.unknown(owner_id, options.team), field="team")


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
        if refused := _over_quota(upload.owner_id, checked.summary.images):
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
