"""Who enqueues a task rings; who waits for one hears it at once.

On PostgreSQL by NOTIFY, which is sent when the transaction commits
(https://www.postgresql.org/docs/current/sql-notify.html). It may be lost: through a pooler that
lends a connection out for one transaction nothing is heard, SQLite has none. So whoever waits looks
again after a while.
"""

from __future__ import annotations

import time
from typing import Any

from django.db import connection


def ring(name: str) -> None:
    """Wake those who wait for ``name``, once the transaction is committed."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [_channel(name)])


class Listener:
    """Waits for rings of ``name`` on this thread's own connection."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._heard_on: Any = None

    def wait(self, seconds: float) -> None:
        """Until the next ring, or for ``seconds``. Raises django.db.Error."""
        if connection.vendor != "postgresql":
            time.sleep(seconds)
            return
        self._listen()
        with connection.wrap_database_errors:
            for _ in connection.connection.notifies(timeout=seconds, stop_after=1):
                pass

    def _listen(self) -> None:
        """A connection that was made anew knows of no channel."""
        with connection.cursor() as cursor:
            if connection.connection is not self._heard_on:
                cursor.execute(f"LISTEN {connection.ops.quote_name(_channel(self._name))}")
                self._heard_on = connection.connection


def _channel(name: str) -> str:
    return f"imageproc_{name}"
