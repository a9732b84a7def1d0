"""The errors of the rows that a request skipped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import models

from imageproc.models.bulk import insert_rows
from imageproc.models.request import ProcessingRequest

_FIELDS = ("request", "line", "row", "column", "value", "code", "message")


class RowErrorQuerySet(models.QuerySet["RowError"]):
    def add(self, request_id: UUID, errors: Sequence[Any]) -> None:
        """``errors``: sheet.LineError, in the order of the file."""
        request = str(request_id)
        rows = ((request, e.line, e.row, e.column, e.value, e.code, e.message) for e in errors)
        insert_rows(RowError, _FIELDS, rows)

    def lines(self, request_id: UUID) -> frozenset[int]:
        """The physical lines on which the skipped rows begin."""
        return frozenset(self.filter(request=request_id).values_list("line", flat=True))


class RowError(models.Model):
    """One error in a row that was not accepted. Created with the request and never changed: it
    decides which rows the ingest and the output leave out."""

    request = models.ForeignKey(
        ProcessingRequest, models.CASCADE, related_name="row_errors", db_index=False
    )
    line = models.PositiveIntegerField()
    row = models.PositiveIntegerField()
    column = models.CharField(max_length=200, blank=True)
    value = models.CharField(max_length=200, blank=True)
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=500)

    objects = RowErrorQuerySet.as_manager()

    class Meta:
        indexes = (models.Index(name="row_error_in_order", fields=("request", "line")),)

    def __str__(self) -> str:
        return f"line {self.line}: {self.code}"
