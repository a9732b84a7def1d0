"""One image of one product: the unit that is claimed, processed once, and never lost."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from imageproc.models.ids import uuid7
from imageproc.models.image_states import ImageStateQuerySet, ImageStatus
from imageproc.models.picture import Change, Picture
from imageproc.models.product import Product
from imageproc.models.request import ProcessingRequest


class ImageQuerySet(ImageStateQuerySet["ProductImage"]):
    """All that may be asked of images or done to them without an outcome: ``image_states``."""


class ProductImage(models.Model):
    """Defaults are the database's, so that the ingest only copies the columns that differ."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    product = models.ForeignKey(Product, models.CASCADE, related_name="images", db_index=False)
    # A copy of the product's, to be read without a join. No constraint of its own: the product has
    # one, and checking every row twice took a quarter of the ingest.
    request = models.ForeignKey(
        ProcessingRequest,
        models.CASCADE,
        related_name="images",
        db_index=False,
        db_constraint=False,
    )
    # The position in the product's row, from 1.
    position = models.PositiveSmallIntegerField()
    input_url = models.TextField()
    # What the request's pattern names its objects (Pattern.stem); "" where it has none.
    name = models.CharField(max_length=255, blank=True, db_default="")
    # The URL's host in lower case, by which fairness and reports group.
    host = models.CharField(max_length=255)

    status = models.CharField(max_length=10, choices=ImageStatus, db_default=ImageStatus.PENDING)
    # Claims, including the current one.
    attempts = models.PositiveSmallIntegerField(db_default=0)
    # Attempts that failed because the storage refused the result, and for any other retriable
    # reason. Each has its own limit.
    store_failures = models.PositiveSmallIntegerField(db_default=0)
    fetch_failures = models.PositiveSmallIntegerField(db_default=0)
    # How often its host refused it while giving others; each used up no attempt.
    refusals = models.PositiveSmallIntegerField(db_default=0)
    # Deaths of a worker that this image is blamed for.
    lost_count = models.PositiveSmallIntegerField(db_default=0)
    # The codec works on it now. Written only for an image whose worker died in an earlier attempt.
    in_codec = models.BooleanField(db_default=False)
    next_attempt_at = models.DateTimeField(db_default=Now())
    # The fence: only the holder of this lease may write the outcome.
    lease_id = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    # The last fault (imageproc.faults); both "" if there was none.
    error_code = models.CharField(max_length=40, blank=True, db_default="")
    error_message = models.CharField(max_length=500, blank=True, db_default="")
    # [{"at": ISO 8601, "code": …, "detail": …, "ms": …}] of the attempts that failed.
    attempt_log = models.JSONField(db_default=models.Value([], models.JSONField()), blank=True)

    # What the facts below are of; None on images from older versions. The reference that keeps a
    # picture alive: see PictureQuerySet. No constraint of its own: it would cost every ingest.
    picture = models.ForeignKey(
        Picture,
        models.PROTECT,
        related_name="images",
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,
    )
    change = models.CharField(max_length=9, choices=Change, blank=True, db_default="")
    # Equal for images of one request that have the same URL (images.sources.source_id); written
    # only where some URL of the request stands twice.
    same_url = models.UUIDField(null=True, blank=True)
    # Storage keys.
    original_key = models.CharField(max_length=512, blank=True, db_default="")
    output_key = models.CharField(max_length=512, blank=True, db_default="")
    # Bytes, pixels, lower-case hex, milliseconds.
    input_size = models.PositiveIntegerField(null=True, blank=True)
    output_size = models.PositiveIntegerField(null=True, blank=True)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    # Of the source's bytes; "" on images from older versions whose original was not stored.
    source_sha256 = models.CharField(max_length=64, blank=True, db_default="")
    output_sha256 = models.CharField(max_length=64, blank=True, db_default="")
    content_type = models.CharField(max_length=40, blank=True, db_default="")
    kept_original = models.BooleanField(db_default=False)
    fetch_ms = models.PositiveIntegerField(null=True, blank=True)
    compress_ms = models.PositiveIntegerField(null=True, blank=True)
    store_ms = models.PositiveIntegerField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ImageQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="image_position", fields=("product", "position")),
            models.CheckConstraint(
                name="image_status_known", condition=Q(status__in=ImageStatus.values)
            ),
            models.CheckConstraint(
                name="image_lease_while_processing",
                condition=Q(
                    status=ImageStatus.PROCESSING,
                    lease_id__isnull=False,
                    lease_until__isnull=False,
                )
                | (
                    ~Q(status=ImageStatus.PROCESSING)
                    & Q(lease_id__isnull=True, lease_until__isnull=True)
                ),
            ),
            models.CheckConstraint(
                name="image_completed_is_whole",
                condition=~Q(status=ImageStatus.COMPLETED)
                | (
                    Q(output_size__gt=0, width__gt=0, height__gt=0, error_code="")
                    & ~Q(output_key="")
                    & ~Q(output_sha256="")
                ),
            ),
            models.CheckConstraint(
                name="image_failed_has_reason",
                condition=~Q(status=ImageStatus.FAILED) | ~Q(error_code=""),
            ),
        )
        indexes = (
            # Pages, reports and the output CSV: the images of a request in file order.
            models.Index(name="image_in_order", fields=("request", "id")),
            # The claim.
            models.Index(
                name="image_to_claim",
                fields=("request", "next_attempt_at", "id"),
                condition=Q(status=ImageStatus.PENDING),
            ),
            models.Index(
                name="image_suspect",
                fields=("next_attempt_at",),
                condition=Q(status=ImageStatus.PENDING, lost_count__gt=0),
            ),
            # The sweeper.
            models.Index(
                name="image_leased",
                fields=("lease_until",),
                condition=Q(status=ImageStatus.PROCESSING),
            ),
            # Pages of completed pictures.
            models.Index(
                name="image_done",
                fields=("request", "id"),
                condition=Q(status=ImageStatus.COMPLETED),
            ),
            # Renewal and the fence.
            models.Index(
                name="image_by_lease",
                fields=("lease_id",),
                condition=Q(status=ImageStatus.PROCESSING),
            ),
            # The images of a picture.
            models.Index(
                name="image_by_picture",
                fields=("picture",),
                condition=Q(picture__isnull=False),
            ),
            # Those that a claim takes along.
            models.Index(
                name="image_same_url",
                fields=("request", "same_url"),
                condition=Q(status=ImageStatus.PENDING, same_url__isnull=False),
            ),
            # The cancelled images of a request, for operators only.
            models.Index(
                name="image_cancelled",
                fields=("request", "id"),
                condition=Q(status=ImageStatus.CANCELLED),
            ),
            # The newest failures, over all requests.
            models.Index(
                name="image_failed_newest",
                fields=("-id",),
                condition=Q(status=ImageStatus.FAILED),
            ),
            # Failures by reason.
            models.Index(
                name="image_failed",
                fields=("request", "error_code", "id"),
                condition=Q(status=ImageStatus.FAILED),
            ),
        )

    def __str__(self) -> str:
        return f"{self.product_id}/{self.position}"

    @property
    def compression_ratio(self) -> float | None:
        return compression_ratio(self.input_size, self.output_size)


def compression_ratio(input_size: int | None, output_size: int | None) -> float | None:
    """Output bytes over input bytes: 0.1 is a tenth of the size."""
    if not input_size or output_size is None:
        return None
    return round(output_size / input_size, 4)
