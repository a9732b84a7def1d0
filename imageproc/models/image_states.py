"""The states of an image: which images are in one, and every change from one to another that needs
no outcome; ``images.record`` makes the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now

from imageproc.models.lease import Row
from imageproc.models.request_states import RequestStatus


class ImageStatus(models.TextChoices):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


# An image that was in the codec at this many deaths of its worker is not tried again.
MAX_LOSSES = 3


class ImageStateQuerySet(models.QuerySet[Row]):
    """Queries of images, and the changes of state that need no outcome."""

    def in_file_order(self, request_id: UUID) -> Self:
        """Images of one request, in the order of its file.

        A range of one value instead of an equality: after an equality, PostgreSQL takes the primary
        key for an index in this order, too, and reads through all other requests' images.
        """
        of_request = self.filter(request_id__gte=request_id, request_id__lte=request_id)
        return of_request.order_by("request_id", "id")

    def due(self) -> Self:
        """Images that may be claimed now."""
        return self.filter(status=ImageStatus.PENDING, next_attempt_at__lte=Now())

    def of_running_requests(self) -> Self:
        return self.filter(request__status=RequestStatus.PROCESSING)

    def suspects(self) -> Self:
        """Due images that are blamed for a worker's death. Each is claimed alone, so that another
        death harms no other image."""
        return self.due().filter(lost_count__gt=0)

    def expired(self) -> Self:
        """Images whose lease ran out, because their worker is dead or does not respond."""
        return self.filter(status=ImageStatus.PROCESSING, lease_until__lt=Now())

    def lease(self, ids: Collection[UUID], lease_id: UUID, seconds: int) -> int:
        """PENDING → PROCESSING; counts the attempt before it is made. Returns the rows changed."""
        return self.filter(id__in=ids, status=ImageStatus.PENDING).update(
            status=ImageStatus.PROCESSING,
            lease_id=lease_id,
            lease_until=Now() + timedelta(seconds=seconds),
            attempts=F("attempts") + 1,
            in_codec=False,
        )

    def renew(self, lease_ids: Iterable[UUID], seconds: int) -> int:
        """Extend these leases by ``seconds`` from now. Returns the rows changed."""
        with transaction.atomic():
            ids = self._leased(lease_ids).lock()
            return self.filter(id__in=ids).update(lease_until=Now() + timedelta(seconds=seconds))

    def hand_back(self, ids: Collection[UUID], lease_ids: Collection[UUID]) -> int:
        """PROCESSING → PENDING at once, for images that were not begun or were stopped on purpose;
        the attempt is uncounted. Returns the rows changed; the others return when their lease
        runs out."""
        with transaction.atomic():
            held = self._leased(lease_ids).filter(id__in=ids).lock()
            return self.filter(id__in=held).update(
                status=ImageStatus.PENDING,
                lease_id=None,
                lease_until=None,
                next_attempt_at=Now(),
                attempts=F("attempts") - 1,
            )

    def note_in_codec(self, image_id: UUID, lease_id: UUID, in_codec: bool) -> bool:
        """Record that the image enters or leaves the codec. False if the lease is lost."""
        return self._leased([lease_id]).filter(id=image_id).update(in_codec=in_codec) == 1

    def _leased(self, lease_ids: Iterable[UUID]) -> Self:
        return self.filter(status=ImageStatus.PROCESSING, lease_id__in=list(lease_ids))

    def lock(self) -> list[UUID]:
        """Lock these rows in the order of their ids, inside a transaction, and return their ids.

        Rows that another session has locked are skipped: while it waited for one, a worker would
        lose its other leases.
        """
        rows = self.order_by("id").select_for_update(skip_locked=True, no_key=True)
        return list(rows.values_list("id", flat=True))

    def open(self) -> Self:
        """Images that are not in a final state."""
        return self.filter(status__in=[ImageStatus.PENDING, ImageStatus.PROCESSING])

    def cancel(self, ids: Collection[UUID]) -> int:
        """PENDING or PROCESSING → CANCELLED. A worker that holds one can no longer record it."""
        return (
            self.open()
            .filter(id__in=ids)
            .update(
                status=ImageStatus.CANCELLED, lease_id=None, lease_until=None, finished_at=Now()
            )
        )

    def put_back(self, ids: Collection[UUID]) -> int:
        """FAILED or COMPLETED → PENDING with a full set of attempts. The log of earlier attempts is
        kept, and so is the object until another replaces it."""
        return self.filter(
            id__in=ids, status__in=[ImageStatus.FAILED, ImageStatus.COMPLETED]
        ).update(
            status=ImageStatus.PENDING,
            attempts=0,
            fetch_failures=0,
            store_failures=0,
            refusals=0,
            lost_count=0,
            next_attempt_at=Now(),
            error_code="",
            error_message="",
            finished_at=None,
        )

    def put_back_cancelled(self, ids: Collection[UUID]) -> int:
        """CANCELLED → PENDING with the attempts that they had."""
        return self.filter(id__in=ids, status=ImageStatus.CANCELLED).update(
            status=ImageStatus.PENDING, next_attempt_at=Now(), finished_at=None
        )

    def return_lost(self, ids: Collection[UUID], *, blamed: bool) -> int:
        """PROCESSING → PENDING after the worker was lost; the attempt stays counted. A ``blamed``
        image is a suspect from now on. At the MAX_LOSSES-th loss the caller fails it instead."""
        return self.filter(id__in=ids, status=ImageStatus.PROCESSING).update(
            status=ImageStatus.PENDING,
            lease_id=None,
            lease_until=None,
            next_attempt_at=Now(),
            lost_count=F("lost_count") + (1 if blamed else 0),
        )


def attempts_without_end(image: Any) -> int:
    """Attempts without a recorded failure: the current one, and earlier ones that were lost with
    their worker. ``image``: anything with the three counters."""
    return int(image.attempts - image.store_failures - image.fetch_failures)
