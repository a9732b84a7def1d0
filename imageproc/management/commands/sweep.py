"""Makes one sweep by hand; the control cluster makes one every few seconds."""

from typing import Any

from django.core.management.base import BaseCommand

from imageproc.images import sweep


class Command(BaseCommand):
    help = "Return expired leases, restore lost tasks, delete files of interrupted writes."

    def handle(self, *args: Any, **options: Any) -> None:
        for name, count in {**sweep.sweep(), "leftovers": sweep.remove_leftovers()}.items():
            self.stdout.write(f"{name}: {count}")
