"""Counters of the images finished in each minute, for rates and charts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import models
from django.db.models.functions import Now

from imageproc.models.bulk import add_to_rows

KEPT = timedelta(days=8)


class FinishedImage(NamedTuple):
    """An image in a final state. ``code`` is "" for success; sizes in bytes."""

    at: datetime
    code: str
    bytes_in: int
    bytes_out: int


class MinuteQuerySet(models.QuerySet["MinuteTally"]):
    def add(self, images: Iterable[FinishedImage]) -> None:
        """Count images in the transaction that ended them, as its last statement.

        Every worker writes to the row of the current minute: locked last, it is held for one commit
        only.
        """
        sums: dict[tuple[datetime, str], list[int]] = {}
        for image in images:
            minute = image.at.replace(second=0, microsecond=0)
            counts = sums.setdefault((minute, image.code), [0, 0, 0])
            for place, number in enumerate((1, image.bytes_in, image.bytes_out)):
                counts[place] += number
        rows = [(*key, *counts) for key, counts in sorted(sums.items())]
        add_to_rows(MinuteTally, ("minute", "code"), ("images", "bytes_in", "bytes_out"), rows)

    def within(self, **span: float) -> MinuteQuerySet:
        """The minutes of the last ``timedelta(**span)``, including the current one."""
        return self.filter(minute__gt=Now() - timedelta(**span))

    def forget_old(self) -> int:
        return self.filter(minute__lt=Now() - KEPT).delete()[0]


class MinuteTally(models.Model):
    """One row for each code and minute: at most some forty rows a minute."""

    minute = models.DateTimeField()
    code = models.CharField(max_length=40, blank=True)
    images = models.PositiveIntegerField()
    bytes_in = models.PositiveBigIntegerField()
    bytes_out = models.PositiveBigIntegerField()

    objects = MinuteQuerySet.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(name="minute_once", fields=("minute", "code")),)

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M} {self.code or 'done'}: {self.images}"
