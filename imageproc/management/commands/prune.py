"""Removes old requests with their rows and files."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models.functions import Now

from imageproc.models import ProcessingRequest
from imageproc.models.request_states import FINAL
from imageproc.requests import operations, removal

BATCH = 100
UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def span(text: str) -> timedelta:
    """ "90d", "12h" or "4w"."""
    match = re.fullmatch(r"(\d+)([hdw])", text)
    if not match:
        raise ArgumentTypeError(f"{text} is not a number followed by h, d or w, such as 90d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


class Command(BaseCommand):
    help = "Remove requests that ended longer ago than the given time, with their rows and files."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--older-than", type=span, required=True, metavar="90d")
        parser.add_argument("--dry-run", action="store_true", help="only show how many")

    def handle(self, *args: Any, older_than: timedelta, dry_run: bool, **options: Any) -> None:
        old = ProcessingRequest.objects.kept().filter(
            status__in=FINAL, completed_at__lt=Now() - older_than
        )
        if dry_run:
            self.stdout.write(f"{old.count()} requests would be removed.")
            return
        removed = 0
        while batch := list(old.order_by("id").values_list("id", flat=True)[:BATCH]):
            for request_id in batch:
                operations.remove(request_id)
                removal.erase(request_id)
            removed += len(batch)
            self.stdout.write(f"{removed} requests removed")
        self.stdout.write(f"{removed} requests removed in all.")
