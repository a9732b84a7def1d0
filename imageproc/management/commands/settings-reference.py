"""Print docs/settings.md."""  # noqa: N999

from typing import Any

from django.core.management.base import BaseCommand

from config.reference import document


class Command(BaseCommand):
    help = "Print the reference of every setting, as in docs/settings.md."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(document(), ending="")
