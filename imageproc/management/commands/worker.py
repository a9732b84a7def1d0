"""The workers: two clusters under a supervisor, or one of them alone."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from imageproc.requests import operations
from imageproc.workers.supervisor import Program, Supervisor

# From the first signal to the last process: the drain, its acknowledgements, the way down.
GRACE_SECONDS = 10

# glibc gives threads heaps of their own and keeps what they freed: with a crew of dozens that is
# a hundred megabytes of pictures long gone. Two heaps serve them as well; the codec holds no lock.
# And what is 4 MB or more goes back to the system at once, however much of it there was; of the
# rest, 16 MB stay: to take them anew for each picture costs 3 ms of page faults (mallopt(3)).
_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(4 * 1024**2),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 1024**2),
}
ALLOCATOR = {name: os.environ.get(name, value) for name, value in _ALLOCATOR.items()}


class Command(BaseCommand):
    help = "Run the workers in the foreground: both clusters, or one with --only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--only",
            choices=sorted(settings.Q_CLUSTER["ALT_CLUSTERS"]),
            help="run this cluster alone, without a supervisor: something else restarts it",
        )

    def handle(self, *args: Any, only: str | None, **options: Any) -> None:
        if only is None:
            sys.exit(Supervisor(clusters(), grace=grace()).run())
        _enter(only)
        operations.prepare_folder()
        from imageproc.workers.main import Cluster

        sys.exit(Cluster(only).run())


def clusters() -> list[Program]:
    """One program for each cluster of the settings. They share one folder of metrics: the control
    cluster answers scrapes for both."""
    manage = str(settings.BASE_DIR / "manage.py")
    return [
        Program(
            name=f"cluster {name}",
            command=[sys.executable, manage, "worker", "--only", name],
            env={
                "Q_CLUSTER_NAME": name,
                "METRICS_PORT": str(settings.METRICS_PORT if name == "control" else 0),
                **ALLOCATOR,
            },
        )
        for name in settings.Q_CLUSTER["ALT_CLUSTERS"]
    ]


def grace() -> float:
    return float(settings.DRAIN_SECONDS + GRACE_SECONDS)


def _enter(name: str) -> None:
    """q2 reads its configuration once, at import: start this process again under the name."""
    if os.environ.get("Q_CLUSTER_NAME") != name:
        os.environ |= {"Q_CLUSTER_NAME": name, **ALLOCATOR}
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606
