"""One uploaded file, from the upload to the output CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from imageproc.models.ids import uuid7
from imageproc.models.lease import LeaseQuerySet


class RequestStatus(models.TextChoices):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


# A control task that killed its worker so often without progress is not tried again.
MAX_TASK_ATTEMPTS = 5
# Longer than a worker can have an image in hand.
REMAINS_SECONDS = 600
FINAL = (RequestStatus.COMPLETED, RequestStatus.FAILED, RequestStatus.CANCELLED)


_ENDED = Q(completed_at__isnull=False)


def _idle_until_now() -> models.Case:
    """``idle`` with the time since the request ended, for an update that opens it again."""
    since_the_end = models.ExpressionWrapper(
        F("idle") + (Now() - F("completed_at")), output_field=models.DurationField()
    )
    return models.Case(models.When(_ENDED, then=since_the_end), default=F("idle"))


class Priority(models.TextChoices):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class RequestQuerySet(LeaseQuerySet["ProcessingRequest"]):
    """Queries of requests, and all changes of their state. Each change is one conditional UPDATE;
    False or 0 means that the row was not in the state required, and nothing was written."""

    def kept(self) -> RequestQuerySet:
        """Requests that were not removed."""
        return self.filter(removed_at=None)

    def owned_by(self, owner_id: int) -> RequestQuerySet:
        """The requests that an owner sees. Removed ones disappear at once, their rows later."""
        return self.kept().filter(owner_id=owner_id)

    def open(self) -> RequestQuerySet:
        """Requests that are not in a final state."""
        return self.filter(status__in=[RequestStatus.PENDING, RequestStatus.PROCESSING])

    def in_hand(self, owner_id: int) -> tuple[int, int]:
        """(open requests, their images that are not final) of an owner, including removed requests
        that are still open."""
        done = F("completed_images") + F("failed_images") + F("cancelled_images")
        found = (
            self.open()
            .filter(owner_id=owner_id)
            .aggregate(requests=models.Count("id"), images=models.Sum(F("total_images") - done))
        )
        return found["requests"], found["images"] or 0

    def settled(self) -> RequestQuerySet:
        """Requests in PROCESSING whose images are all final: ready for the output CSV."""
        return self.filter(
            status=RequestStatus.PROCESSING,
            total_images=F("completed_images") + F("failed_images") + F("cancelled_images"),
        )

    def to_ingest(self) -> RequestQuerySet:
        """Requests of which some rows are still missing."""
        return self.open().filter(ingested_at=None)

    def to_close(self) -> RequestQuerySet:
        """Requests that ended while some of their images were still open."""
        done = F("completed_images") + F("failed_images") + F("cancelled_images")
        return self.kept().filter(status__in=FINAL, total_images__gt=done)

    def to_erase(self) -> RequestQuerySet:
        """Removed requests whose objects or rows remain. A request's own row goes last,
        REMAINS_SECONDS later: a worker that had an image in hand may have stored it after the
        objects were deleted."""
        due = Q(removed_at__lt=Now() - timedelta(seconds=REMAINS_SECONDS))
        return self.filter(
            due | Q(erased_at=None),
            removed_at__isnull=False,
            task_attempts__lte=MAX_TASK_ATTEMPTS,
        )

    def lock(self, ids: Iterable[UUID]) -> set[UUID]:
        """Lock rows in the order of their ids, inside a transaction, and return their ids. Rows
        that another session has locked are skipped."""
        rows = self.filter(id__in=list(ids)).order_by("id")
        locked = rows.select_for_update(skip_locked=True, no_key=True)
        return set(locked.values_list("id", flat=True))

    def start(self, request_id: UUID) -> bool:
        """PENDING → PROCESSING, so that images may be claimed as they are written."""
        return (
            self.filter(id=request_id, status=RequestStatus.PENDING).update(
                status=RequestStatus.PROCESSING, started_at=Now()
            )
            == 1
        )

    def advance_ingest(
        self, request_id: UUID, lease_id: UUID, *, old: int, new: int, seconds: float
    ) -> bool:
        """Move the cursor of the ingest and ``advance``. False if the lease was lost, the cursor
        has moved, or the request has ended."""
        held = self.held(request_id, lease_id)
        here = held.filter(status=RequestStatus.PROCESSING, ingested_products=old)
        until = Now() + timedelta(seconds=seconds)
        return here.update(ingested_products=new, lease_until=until, task_attempts=1) == 1

    def finish_ingest(self, request_id: UUID, lease_id: UUID) -> bool:
        """Record that every row is written. False if some are missing."""
        held = self.held(request_id, lease_id)
        whole = held.filter(ingested_at=None, ingested_products=F("total_products"))
        ended = whole.update(ingested_at=Now(), lease_id=None, lease_until=None, task_attempts=0)
        return ended == 1

    def count_cancelled(self, request_id: UUID, message: str = "") -> bool:
        """Count every image that is neither completed nor failed as cancelled, whether its row was
        written or not. ``message`` explains rows that still look open."""
        cancelled = F("total_images") - F("completed_images") - F("failed_images")
        fields: dict[str, Any] = {"error_message": message} if message else {}
        closing = self.to_close().filter(id=request_id)
        return closing.update(cancelled_images=cancelled, **fields) == 1

    def settle(self, request_id: UUID, *, output_csv: str, reopened: int) -> bool:
        """PROCESSING → COMPLETED, or FAILED if no image succeeded. Only a settled request changes.

        ``reopened`` as it was before the output CSV was written: images that were tried again
        meanwhile are not in it.
        """
        return (
            self.settled()
            .filter(id=request_id, reopened=reopened)
            .update(
                status=models.Case(
                    models.When(completed_images__gt=0, then=models.Value(RequestStatus.COMPLETED)),
                    default=models.Value(RequestStatus.FAILED),
                ),
                error_message=models.Case(
                    models.When(completed_images__gt=0, then=models.Value("")),
                    default=models.Value("None of the images could be processed."),
                ),
                output_csv=output_csv,
                completed_at=Now(),
            )
            == 1
        )

    def fail(self, request_id: UUID, message: str) -> bool:
        """End a request that cannot continue at all, such as one whose stored CSV is gone."""
        return (
            self.open()
            .filter(id=request_id)
            .update(status=RequestStatus.FAILED, error_message=message, completed_at=Now())
            == 1
        )

    def cancel(self, request_id: UUID) -> bool:
        """PENDING or PROCESSING → CANCELLED. The images follow in batches."""
        return (
            self.open()
            .filter(id=request_id)
            .update(
                status=RequestStatus.CANCELLED,
                error_message="The request was cancelled.",
                completed_at=Now(),
            )
            == 1
        )

    def continuable(self) -> RequestQuerySet:
        """Requests that were cancelled, or that ended before all cancelled images were put back,
        once no open image is left for the closing to cancel."""
        done = F("completed_images") + F("failed_images") + F("cancelled_images")
        return (
            self.kept()
            .filter(cancelled_images__gt=0)
            .exclude(status__in=FINAL, total_images__gt=done)
        )

    def continue_cancelled(self, request_id: UUID, images: int) -> bool:
        """Open a cancelled request again, with ``images`` fewer cancelled images."""
        return (
            self.continuable()
            .filter(id=request_id, cancelled_images__gte=images)
            .update(
                # A request that never started is started by its ingest.
                status=models.Case(
                    models.When(
                        started_at=None,
                        ingested_products=0,
                        then=models.Value(RequestStatus.PENDING),
                    ),
                    default=models.Value(RequestStatus.PROCESSING),
                ),
                reopened=F("reopened") + 1,
                cancelled_images=F("cancelled_images") - images,
                idle=_idle_until_now(),
                retried_images=None,
                error_message="",
                completed_at=None,
            )
            == 1
        )

    def reopenable(self) -> RequestQuerySet:
        """Requests whose images may be retried: not cancelled, and every row was written."""
        ended = [RequestStatus.COMPLETED, RequestStatus.FAILED]
        whole = Q(status__in=ended, ingested_products=F("total_products"))
        return self.kept().filter(Q(status=RequestStatus.PROCESSING) | whole)

    def reopen(
        self,
        request_id: UUID,
        *,
        failed: int = 0,
        completed: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        changes: Mapping[str, int] | None = None,
    ) -> bool:
        """PROCESSING, COMPLETED or FAILED → PROCESSING; subtracts the retried images from the
        counters. ``changes``: of the completed ones, by models.Change."""
        counted = changes or {}
        return (
            self.reopenable()
            .filter(id=request_id, failed_images__gte=failed, completed_images__gte=completed)
            .update(
                status=RequestStatus.PROCESSING,
                reopened=F("reopened") + 1,
                failed_images=F("failed_images") - failed,
                completed_images=F("completed_images") - completed,
                bytes_in=F("bytes_in") - bytes_in,
                bytes_out=F("bytes_out") - bytes_out,
                idle=_idle_until_now(),
                # A retry of an ended request starts a new count; further ones add to it.
                retried_images=models.Case(
                    models.When(_ENDED, then=models.Value(failed + completed)),
                    default=F("retried_images") + failed + completed,
                    output_field=models.IntegerField(),
                ),
                completed_before_retry=models.Case(
                    models.When(_ENDED, then=F("completed_images") - completed),
                    default=F("completed_before_retry"),
                    output_field=models.IntegerField(),
                ),
                new_images=F("new_images") - counted.get("new", 0),
                changed_images=F("changed_images") - counted.get("changed", 0),
                unchanged_images=F("unchanged_images") - counted.get("unchanged", 0),
                error_message="",
                completed_at=None,
            )
            == 1
        )

    def set_priority(self, request_id: UUID, priority: str) -> bool:
        """Set the priority for images that are not claimed yet. False if the request has ended."""
        return self.open().kept().filter(id=request_id).update(priority=priority) == 1

    def remove(self, request_id: UUID) -> bool:
        """Make the request invisible and free its idempotency key. Objects and rows follow
        later."""
        return (
            self.kept()
            .filter(id=request_id)
            .update(removed_at=Now(), idempotency_key=None, webhook_url="")
            == 1
        )


class ProcessingRequest(models.Model):
    """Totals are counters, changed in the transaction that changes the rows they count."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="requests")
    file_name = models.CharField(max_length=255)
    # Storage keys. The output's is "" until the file is complete.
    input_csv = models.CharField(max_length=512)
    output_csv = models.CharField(max_length=512, blank=True)
    # Of the uploaded file, in bytes and lower-case hex, to check the stored file before it is read.
    # None and "" on requests from older versions.
    input_size = models.PositiveBigIntegerField(null=True, blank=True)
    input_sha256 = models.CharField(max_length=64, blank=True, db_default="")
    # imageproc.sheet.SheetFormat as a dict: how to read the input again and write it back.
    sheet = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=RequestStatus, default=RequestStatus.PENDING)
    priority = models.CharField(max_length=6, choices=Priority, default=Priority.NORMAL)
    # imageproc.images.compress.Recipe as a dict.
    recipe = models.JSONField(default=dict)
    store_originals = models.BooleanField(default=False)
    # Requests a second that the owner allows each host, or None.
    host_pace = models.FloatField(null=True, blank=True)
    # The form of the output CSV: output URLs in columns of their own, or in the input's place; then
    # with or without the columns Status and Error.
    replace_urls = models.BooleanField(default=False, db_default=False)
    status_column = models.BooleanField(default=False, db_default=False)
    # Seconds: a source that was asked for so lately is not asked for again.
    max_age = models.PositiveIntegerField(default=0, db_default=0)
    # Nothing that was made before is used.
    refresh = models.BooleanField(default=False, db_default=False)
    # Sentences that tell the owner how the file was read.
    notes = models.JSONField(default=list, db_default=[])

    # Rows: accepted, accepted without an image, and not accepted.
    imageless_rows = models.PositiveIntegerField(default=0, db_default=0)
    bad_rows = models.PositiveIntegerField(default=0, db_default=0)
    total_products = models.PositiveIntegerField()
    total_images = models.PositiveIntegerField()
    ingested_products = models.PositiveIntegerField(default=0)
    # Attempts at the current control task since its last progress, including the current one.
    task_attempts = models.PositiveSmallIntegerField(default=0, db_column="ingest_attempts")
    completed_images = models.PositiveIntegerField(default=0)
    failed_images = models.PositiveIntegerField(default=0)
    cancelled_images = models.PositiveIntegerField(default=0)
    bytes_in = models.PositiveBigIntegerField(default=0)
    bytes_out = models.PositiveBigIntegerField(default=0)

    # URLs that came before in the file; at least so many.
    repeated_urls = models.PositiveIntegerField(default=0, db_default=0)
    # Of the completed images (models.Change).
    new_images = models.PositiveIntegerField(default=0, db_default=0)
    changed_images = models.PositiveIntegerField(default=0, db_default=0)
    unchanged_images = models.PositiveIntegerField(default=0, db_default=0)

    # The address at which the service was reached; output URLs start with it.
    base_url = models.CharField(max_length=255)
    webhook_url = models.CharField(max_length=2048, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001
    # SHA-256 of the upload with this key; a different upload with the same key is refused.
    idempotency_digest = models.CharField(max_length=64, blank=True)

    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    # A control task (ingest, completion, closing, erasing) holds the request until lease_until.
    # Without a lease_id, none starts before lease_until.
    lease_id = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    ingested_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    last_served_at = models.DateTimeField(null=True, blank=True)
    # How often images were put back to PENDING. An output CSV from before is out of date.
    reopened = models.PositiveIntegerField(default=0)
    # How long it had ended before images were put back: no part of its duration.
    idle = models.DurationField(default=timedelta(0), db_default=timedelta(0))
    # Of the last retry after an end: the images put back, and those completed before. None without
    # one.
    retried_images = models.PositiveIntegerField(null=True, blank=True)
    completed_before_retry = models.PositiveIntegerField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    # When objects and rows were deleted, except for images in hand at that time.
    erased_at = models.DateTimeField(null=True, blank=True)

    objects = RequestQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        permissions = (("operate", "Can retry, cancel, prioritise, remove, pause and resume"),)
        constraints = (
            models.CheckConstraint(
                name="request_status_known", condition=Q(status__in=RequestStatus.values)
            ),
            models.CheckConstraint(
                name="request_priority_known", condition=Q(priority__in=Priority.values)
            ),
            models.CheckConstraint(
                name="request_counts_within_total",
                condition=Q(
                    total_images__gte=F("completed_images")
                    + F("failed_images")
                    + F("cancelled_images")
                ),
            ),
            models.CheckConstraint(
                name="request_ingest_within_total",
                condition=Q(total_products__gte=F("ingested_products")),
            ),
            models.CheckConstraint(
                name="request_final_has_end",
                condition=Q(status__in=FINAL, completed_at__isnull=False)
                | (~Q(status__in=FINAL) & Q(completed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="request_completed_has_output",
                condition=~Q(status=RequestStatus.COMPLETED)
                | (Q(completed_images__gt=0) & ~Q(output_csv="")),
            ),
            models.UniqueConstraint(
                name="request_idempotency_key", fields=("owner", "idempotency_key")
            ),
        )
        indexes = (
            models.Index(name="request_owner_newest", fields=("owner", "-id")),
            # The operators' list by state and by priority.
            models.Index(name="request_status_newest", fields=("status", "-id")),
            models.Index(name="request_priority_newest", fields=("priority", "-id")),
            # Queue depth and age over all requests.
            models.Index(
                name="request_open",
                fields=("priority",),
                condition=Q(status__in=[RequestStatus.PENDING, RequestStatus.PROCESSING]),
            ),
            models.Index(
                name="request_to_serve",
                fields=("last_served_at",),
                condition=Q(status=RequestStatus.PROCESSING),
            ),
            models.Index(
                name="request_removed",
                fields=("removed_at",),
                condition=Q(removed_at__isnull=False),
            ),
            models.Index(
                name="request_to_ingest",
                fields=("lease_until",),
                condition=Q(ingested_at__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return f"{self.file_name} ({self.id})"

    @property
    def processed_images(self) -> int:
        """The number of images in a final state."""
        return self.completed_images + self.failed_images + self.cancelled_images

    @property
    def tried_images(self) -> int:
        """The number of images that were processed to an end, cancelled ones left out."""
        return self.completed_images + self.failed_images

    @property
    def retry_successes(self) -> int:
        """How many images of the last retry are completed."""
        return max(0, self.completed_images - (self.completed_before_retry or 0))

    def duration(self, now: datetime) -> timedelta | None:
        """From the start to the end, or to ``now``, without the time before retries; None before
        the start."""
        if self.started_at is None:
            return None
        return max(timedelta(0), (self.completed_at or now) - self.started_at - self.idle)

    @property
    def is_workbook(self) -> bool:
        """Whether the uploaded file is an Excel workbook, not a CSV."""
        return bool(self.sheet.get("worksheet"))

    @property
    def is_final(self) -> bool:
        return self.status in FINAL
