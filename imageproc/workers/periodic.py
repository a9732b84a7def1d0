"""Calls that are repeated for as long as the process lives."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, close_old_connections, connection

logger = logging.getLogger(__name__)
LONGEST_WAIT = 60.0


def every(seconds: float, name: str, call: Callable[[], object]) -> None:
    """Call every ``seconds`` in a thread with a database connection of its own.

    An error is logged, and the next call waits longer, up to a minute.
    """

    def loop() -> None:
        failures = 0
        while True:
            try:
                close_old_connections()
                call()
                failures = 0
            except Exception as error:  # noqa: BLE001
                failures += 1
                database_away = isinstance(error, (OperationalError, InterfaceError))
                log = logger.warning if database_away else logger.exception
                log("%s failed %s times in a row: %s", name, failures, error)
                connection.close()
            time.sleep(min(LONGEST_WAIT, seconds * 2 ** min(failures, 6)) if failures else seconds)

    threading.Thread(target=loop, name=name, daemon=True).start()
