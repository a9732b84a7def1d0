"""How many images of a request failed, by reason and host."""

from uuid import UUID

from django.db import models
from django.db.models import F

from imageproc.models.request import ProcessingRequest


class TallyQuerySet(models.QuerySet["FailureTally"]):
    def add(self, request_id: UUID, error_code: str, host: str, images: int) -> None:
        """Count ``images`` more failures. Call it in a transaction that has locked the request's
        row, so that two writers cannot both insert the tally."""
        of = {"request_id": request_id, "error_code": error_code, "host": host}
        if not self.filter(**of).update(images=F("images") + images):
            self.create(**of, images=images)

    def take_back(self, request_id: UUID, error_code: str, host: str, images: int) -> None:
        """Subtract ``images`` failures that are retried."""
        of = self.filter(request_id=request_id, error_code=error_code, host=host)
        if not of.filter(images__gt=images).update(images=F("images") - images):
            of.delete()


class FailureTally(models.Model):
    """Changed in the transaction that fails the images, so that no report counts a million rows."""

    request = models.ForeignKey(ProcessingRequest, models.CASCADE, related_name="tallies")
    error_code = models.CharField(max_length=40)
    host = models.CharField(max_length=255)
    images = models.PositiveIntegerField()

    objects = TallyQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="tally_once", fields=("request", "error_code", "host")),
        )

    def __str__(self) -> str:
        return f"{self.error_code} at {self.host}: {self.images}"
