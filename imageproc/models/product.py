"""One data row of the CSV."""

from __future__ import annotations

from django.db import models

from imageproc.models.ids import uuid7
from imageproc.models.request import ProcessingRequest


class Product(models.Model):
    """A product as the catalogue team wrote it; the whole row stays in the stored CSV."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey(
        ProcessingRequest, models.CASCADE, related_name="products", db_index=False
    )
    # The data row's place in the file, from 1, blank lines not counted.
    row_number = models.PositiveIntegerField()
    # Text: "P001" and "007" are legal.
    serial_number = models.CharField(max_length=255)
    product_name = models.CharField(max_length=1000)

    class Meta:
        constraints = (
            models.UniqueConstraint(name="product_row", fields=("request", "row_number")),
        )

    def __str__(self) -> str:
        return f"{self.serial_number} {self.product_name}"
