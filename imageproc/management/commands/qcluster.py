"""django-q2's command by its own name: the same as `worker`."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from imageproc.management.commands import worker


class Command(BaseCommand):
    help = "Run the workers: the cluster of --name or Q_CLUSTER_NAME, or both clusters without."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            *("-n", "--name"),
            choices=sorted(settings.Q_CLUSTER["ALT_CLUSTERS"]),
            default=os.environ.get("Q_CLUSTER_NAME"),
            help="run this cluster alone, without a supervisor: something else restarts it",
        )

    def handle(self, *args: Any, name: str | None, **options: Any) -> None:
        worker.run(name)
