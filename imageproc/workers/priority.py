"""An image worker's share of the processor."""

from __future__ import annotations

import os
from contextlib import suppress

from django.conf import settings


def set_cpu_priority() -> None:
    """Let this process give way to the web server and the database beside it (nice(2)).

    In the scheduling class SCHED_BATCH a thread that wakes up interrupts nobody (sched(7)): a
    worker's threads hand every row of a picture to each other, and would wake up all the time.
    """
    os.nice(settings.WORKERS_NICE)
    with suppress(OSError):  # some sandboxes do not allow the call
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
