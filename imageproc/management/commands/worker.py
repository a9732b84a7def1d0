"""Runs the workers: two clusters under a supervisor, or one of them alone."""

import os
import sys
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string

from imageproc.metrics.exposition import serve
from imageproc.metrics.processes import forget_dead
from imageproc.requests import operations
from imageproc.workers.periodic import every
from imageproc.workers.supervisor import Program, Supervisor

# Time that a stop may take beyond DRAIN_SECONDS: q2's helpers end after the workers.
GRACE_SECONDS = 10
# How often the metric files of dead processes are counted, and deleted if there are too many.
FORGET_SECONDS = 600

# glibc gives threads heaps of their own and keeps what they freed: with dozens of threads that is
# a hundred megabytes of finished pictures. Two heaps serve them as well; the codec holds no lock.
# Blocks of 4 MB or more go back to the system at once. 16 MB of the rest stay, because taking them
# again for each picture costs 3 ms of page faults (mallopt(3)).
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
        run(only)


def run(only: str | None) -> NoReturn:
    """Both clusters under a supervisor, or the one with this name alone, until they end."""
    if only is None:
        sys.exit(Supervisor(clusters(), grace=grace()).run())
    _restart_as(only)
    operations.prepare_folder()
    from imageproc.workers.cluster import Cluster

    sys.exit(Cluster(only, start_chores=lambda: _start_chores(only)).run())


def clusters() -> list[Program]:
    """One program for each cluster of the settings. They share one folder of metrics, and the
    control cluster answers scrapes for both."""
    return [
        Program(
            name=f"cluster {name}",
            # The settings are checked, and warnings printed, once: by the supervisor itself.
            command=[*settings.MANAGE, "worker", "--only", name, "--skip-checks"],
            env={
                "Q_CLUSTER_NAME": name,
                "METRICS_PORT": str(settings.METRICS_PORT if name == "control" else 0),
                **ALLOCATOR,
            },
        )
        for name in settings.Q_CLUSTER["ALT_CLUSTERS"]
    ]


def _start_chores(name: str) -> None:
    """Start the periodic work of a cluster's keeper."""
    if settings.METRICS_PORT:
        serve(settings.METRICS_PORT)
    every(FORGET_SECONDS, f"{name} metrics", forget_dead)
    if name == "control":
        every(settings.TICK_SECONDS, "sweep", import_string(settings.CLUSTER_TICK))


def grace() -> float:
    return float(settings.DRAIN_SECONDS + GRACE_SECONDS)


def _restart_as(name: str) -> None:
    """Start this process again under this name, its settings being checked: q2 reads its own once,
    at import."""
    if os.environ.get("Q_CLUSTER_NAME") != name:
        os.environ |= {"Q_CLUSTER_NAME": name, **ALLOCATOR}
        os.execv(sys.executable, [*sys.orig_argv, "--skip-checks"])  # noqa: S606
