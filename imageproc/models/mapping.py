"""The roles of a header's columns, as its owner chose them."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class ColumnMapping(models.Model):
    """Used for every later upload of the owner that has the same header."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="column_mappings", db_index=False
    )
    # SHA-256 over the normalised names of the header.
    header_digest = models.CharField(max_length=64)
    header = models.JSONField()
    # Names in the header; "" where no column has the role.
    images = models.JSONField()
    serial = models.CharField(max_length=1000, blank=True)
    name = models.CharField(max_length=1000, blank=True)
    saved_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.UniqueConstraint(name="mapping_once", fields=("owner", "header_digest")),
        )

    def __str__(self) -> str:
        return f"{', '.join(self.images)} of {len(self.header)} columns"
