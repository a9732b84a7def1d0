"""Whether a kept connection still stands: mostly seen, sometimes asked.

With CONN_HEALTH_CHECKS, Django sends a SELECT 1 ahead of each HTTP call's first query; where cores
are crowded, that is a wait of its own.
"""

from __future__ import annotations

import select
import time
from typing import Any

import psycopg
from django.db.backends.postgresql import base

# A server that is gone without a word must be asked to be missed: as often as this.
ASK_SECONDS = 5.0


class DatabaseWrapper(base.DatabaseWrapper):
    """A server that stops, or is killed, closes its sockets: then there is something to read. A
    silent connection that answered within ASK_SECONDS is not asked again."""

    health_check_done: bool
    _ask_at = 0.0

    def is_usable(self) -> bool:
        usable = super().is_usable()
        self._ask_at = time.monotonic() + ASK_SECONDS
        return usable

    def close_if_health_check_failed(self) -> None:
        """Called ahead of every query; it is only about the first one of an HTTP call."""
        if not self.health_check_done and self.connection is not None:
            answered = time.monotonic() < self._ask_at
            self.health_check_done = answered and _is_silent(self.connection)
        super().close_if_health_check_failed()


def _is_silent(connection: Any) -> bool:
    """Open, and nothing has come that was not asked for: no end, no error, no notice."""
    try:
        socket = connection.fileno()
    except psycopg.Error:  # it is known to be closed
        return False
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return not poll.poll(0)
