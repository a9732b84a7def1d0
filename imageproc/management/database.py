"""Migrations for commands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from psycopg.errors import DeadlockDetected, LockNotAvailable

# A change of a table waits for whoever reads it, and every write waits behind the change. So it
# gives up after this long, and comes again after a pause in which they all go on.
LOCK_TIMEOUT_MS = 400
PAUSE_SECONDS = 1.0
PATIENCE_SECONDS = 900.0


def migrate(verbosity: int = 0) -> None:
    """Bring the tables up to date while others work on them. Raises CommandError with one sentence
    if the database is down, or somebody holds a table for too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        with _short_waits_for_locks():
            while not _try_to_migrate(verbosity):
                if time.monotonic() > deadline:
                    raise CommandError(
                        "Another session has held a table for too long: pg_stat_activity shows "
                        "which. What was migrated stays; run this again."
                    )
                time.sleep(PAUSE_SECONDS)
    except OperationalError as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise CommandError(
            f"The database does not answer: {reason}. Start it, or set DATABASE_URL to where it is."
        ) from error


def _try_to_migrate(verbosity: int) -> bool:
    """Whether all is done; False if a lock was not to be had in time. The migration that wanted it
    has changed nothing, and those before it stay."""
    try:
        call_command("migrate", interactive=False, verbosity=verbosity)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
            return False
        raise
    return True


@contextmanager
def _short_waits_for_locks() -> Iterator[None]:
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = %s", [LOCK_TIMEOUT_MS])
    yield
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")  # to the settings' own
