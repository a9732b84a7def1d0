"""Creates what the service needs before it starts: tables and the bucket."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from imageproc.management.database import migrate
from imageproc.requests import operations
from imageproc.requests.report import StoreError


class Command(BaseCommand):
    help = "Migrate the database and create the storage's bucket if it is missing."

    def handle(self, *args: Any, **options: Any) -> None:
        migrate(options["verbosity"])
        try:
            created = operations.prepare_storage()
        except StoreError as error:
            raise CommandError(f"The storage cannot be used: {error}") from error
        self.stdout.write("The storage was created." if created else "The storage already exists.")
