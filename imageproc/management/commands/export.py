"""Writes everything that the service holds into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from imageproc.archive import ArchiveError, StoreError, export_to


class Command(BaseCommand):
    help = (
        "Write all rows, uploaded and output CSVs and images into a folder, from which `import` "
        "makes the same service on another database and storage. The service may run meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", dest="folder")
        parser.add_argument(
            "--list-objects",
            action="store_true",
            help="only list the stored objects: the bucket is kept or copied by other means",
        )

    def handle(self, *args: Any, folder: Path, list_objects: bool, **options: Any) -> None:
        try:
            made = export_to(folder, contents=not list_objects)
        except (ArchiveError, StoreError) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{folder} cannot be written: {error.strerror}.") from error
        verb = "copied" if made.contents else "listed"
        self.stdout.write(
            f"{sum(made.tables.values()):,} rows written, {made.objects:,} objects "
            f"({made.bytes:,} bytes) {verb}: {folder}"
        )
