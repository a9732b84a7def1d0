"""Rows that another session has locked. PostgreSQL only: SQLite locks no rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet


@contextmanager
def locked(rows: QuerySet[Any]) -> Iterator[None]:
    """While this lasts, a transaction of another session holds these rows FOR UPDATE. The test's
    own rows must be committed: ``django_db(transaction=True)``."""
    holds, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:  # a session of ours would be ended after a lease
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            list(rows.select_for_update())
            holds.set()
            done.wait(60)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(10)
    try:
        yield
    finally:
        done.set()
        thread.join()
