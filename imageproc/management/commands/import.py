"""Fills an empty service with what `export` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from imageproc.archive import ArchiveError, StoreError, import_from
from imageproc.management.database import migrate


class Command(BaseCommand):
    help = (
        "Fill an empty database and storage from a folder that `export` wrote. If it is stopped, "
        "run the same command again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument(
            "--allow-missing",
            action="store_true",
            help="import the rows although the storage does not hold every object that is listed",
        )

    def handle(self, *args: Any, folder: Path, allow_missing: bool, **options: Any) -> None:
        migrate()
        try:
            done = import_from(folder, allow_missing=allow_missing)
        except (ArchiveError, StoreError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{sum(done.tables.values()):,} rows and {done.objects:,} objects "
            f"({done.bytes:,} bytes) are here."
        )
