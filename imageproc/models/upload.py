"""Uploads whose file is being stored, so that files of broken uploads can be found."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Far longer than storing a file and creating its request can take.
ABANDONED_AFTER = timedelta(hours=1)
# Between two attempts to delete the file while the storage is down.
DISCARD_AGAIN_AFTER = timedelta(minutes=1)


class PendingUploadQuerySet(models.QuerySet["PendingUpload"]):
    def accept(self, upload_id: UUID) -> bool:
        """Delete the row in the transaction that creates the request. False if the upload was
        abandoned and its file is being deleted."""
        return self.filter(id=upload_id, abandoned_at=None).delete()[0] == 1

    def abandon(self, upload_id: UUID) -> bool:
        """Record that the upload will not become a request, so that its file may be deleted."""
        return self.filter(id=upload_id).update(abandoned_at=Now()) == 1

    def to_discard(self) -> PendingUploadQuerySet:
        """Uploads that have ended without a request, whose file may still be stored."""
        return self.filter(
            Q(abandoned_at=None, created_at__lt=Now() - ABANDONED_AFTER)
            | Q(abandoned_at__lt=Now() - DISCARD_AGAIN_AFTER)
        )


class PendingUpload(models.Model):
    """Created before an upload's file is stored and deleted when its request is created. The row of
    an upload that was interrupted in between stays, and leads to its file."""

    # The request's, once there is one.
    id = models.UUIDField(primary_key=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    abandoned_at = models.DateTimeField(null=True, blank=True)

    objects = PendingUploadQuerySet.as_manager()

    def __str__(self) -> str:
        return f"pending upload {self.id}"
