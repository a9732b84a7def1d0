"""How many images of a request failed, by reason and host."""

from django.db import models

from imageproc.models.request import ProcessingRequest


class FailureTally(models.Model):
    """Moved in the transaction that fails the images, so that no report counts a million rows."""

    request = models.ForeignKey(ProcessingRequest, models.CASCADE, related_name="tallies")
    error_code = models.CharField(max_length=40)
    host = models.CharField(max_length=255)
    images = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="tally_once", fields=("request", "error_code", "host")),
        )

    def __str__(self) -> str:
        return f"{self.error_code} at {self.host}: {self.images}"
