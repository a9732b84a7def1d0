"""An image worker's share of the processor."""

from __future__ import annotations

import os
from contextlib import suppress

from django.conf import settings


def settle(place: int, workers: int) -> None:
    """Give this process, the ``place``-th of ``workers``, its priority and, where the operator says
    so, a core of its own.

    A worker's threads hand every row of a picture to each other. On one core that costs little; on
    two, a core has to be woken each time. But who cannot move is in the way of those who have more
    of a right to run. So what everyone gets is the scheduling class SCHED_BATCH, in which a thread
    that wakes interrupts nobody (sched(7)). Where there are fewer workers than cores nobody is
    bound to one: two deployments on one host would choose the same, and leave the others idle.
    """
    os.nice(settings.WORKERS_NICE)
    with suppress(OSError):  # some sandboxes know no such call
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    cores = sorted(os.sched_getaffinity(0))
    if settings.WORKERS_PINNED and workers >= len(cores):
        with suppress(OSError):
            os.sched_setaffinity(0, {cores[place % len(cores)]})
