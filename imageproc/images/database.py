"""Waiting for a database that does not answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import InterfaceError, InternalError, OperationalError, connection

log = logging.getLogger(__name__)
# What a lost connection, a stopped server, a full disk, a deadlock or a lock that is not released
# in time (lock_timeout) raises. Not DataError and IntegrityError: trying again cannot help those.
DB_UNAVAILABLE = (OperationalError, InterfaceError, InternalError)
PAUSE_SECONDS = 1.0


class DatabaseRetry:
    """Repeats a step on the database until it succeeds, for ``seconds`` from now over all steps.

    A step must be harmless when it is done twice: a commit whose answer was lost is repeated.
    """

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def __call__(self, step: Callable[[], object]) -> None:
        while True:
            try:
                step()
            except DB_UNAVAILABLE:
                connection.close()
                if time.monotonic() > self._ends:
                    raise
                log.warning("the database does not answer", exc_info=True)
                time.sleep(PAUSE_SECONDS)
            else:
                return
