"""One uploaded file, from the upload to the output CSV."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from imageproc.models.ids import uuid7
from imageproc.models.request_states import FINAL, RequestStateQuerySet, RequestStatus


class Priority(models.TextChoices):
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class RequestQuerySet(RequestStateQuerySet["ProcessingRequest"]):
    """All that may be asked of requests or done to them: ``lease`` and ``request_states``."""


class ProcessingRequest(models.Model):
    """Totals are counters, changed in the transaction that changes the rows they count."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="requests")
    # Whose members see the request as its owner does; None: its owner alone.
    team = models.ForeignKey(
        "auth.Group", models.SET_NULL, null=True, blank=True, related_name="requests"
    )
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
    # imageproc.images.patterns: what objects are named after; "": after row and product.
    names = models.CharField(max_length=100, blank=True, db_default="")
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
    # Who gets an e-mail at the end; "": nobody.
    notify_email = models.EmailField(max_length=254, blank=True, default="", db_default="")
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
            models.Index(
                name="request_team_newest",
                fields=("team", "-id"),
                condition=Q(team__isnull=False),
            ),
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

    def is_shared_with(self, user_id: int) -> bool:
        """Whether this user is its owner or in its team. No query for its owner or without a
        team."""
        if self.owner_id == user_id:
            return True
        return self.team is not None and self.team.user_set.filter(pk=user_id).exists()

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
