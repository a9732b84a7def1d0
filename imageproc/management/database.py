"""Migrations for commands."""

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError


def migrate(verbosity: int = 0) -> None:
    """Bring the tables up to date. Raises CommandError with one sentence if the database is
    down."""
    try:
        call_command("migrate", interactive=False, verbosity=verbosity)
    except OperationalError as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise CommandError(
            f"The database does not answer: {reason}. Start it, or set DATABASE_URL to where it is."
        ) from error
