"""Migrations leave writers alone, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.models import Field
from django.db.models.fields import NOT_PROVIDED

from imageproc.models.online import AddCounter, AddIndexOnline

# Their rows are a million. What reads all of them while nobody may write has another way in
# imageproc/models/online.py.
LARGE = ("product", "productimage")
# The first was released on empty tables.
FIRST = "0001_initial"


def _later_migrations() -> list[Migration]:
    found = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    return [m for (app, name), m in sorted(found.items()) if app == "imageproc" and name != FIRST]


def _holds_out_writers(operation: object) -> bool:
    if getattr(operation, "model_name_lower", "") not in LARGE:
        return False
    match operation:
        case AddCounter() | AddIndexOnline() | operations.RemoveIndex():
            return False
        case operations.AddField(field=field):
            return _reads_every_row(field)
    return True


def _reads_every_row(field: Field[object, object]) -> bool:
    """Whether adding the column fills, checks or indexes the rows that there are."""
    filled = not field.null and field.db_default is NOT_PROVIDED
    # A CHECK that it is not negative, or a foreign key's.
    checked = field.get_internal_type().startswith("Positive") or getattr(
        field, "db_constraint", False
    )
    indexed = field.unique or getattr(field, "db_index", False)
    return filled or checked or indexed


def _operations(migration: Migration) -> Iterator[str]:
    for operation in migration.operations:
        if _holds_out_writers(operation):
            yield f"{migration.name}: {operation.describe()}"


def test_none_holds_out_the_writers_of_a_large_table() -> None:
    assert [text for migration in _later_migrations() for text in _operations(migration)] == []


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="has neither state")
@pytest.mark.django_db
def test_nothing_is_left_half_made() -> None:
    """Every CHECK holds for all rows, and every index is used."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE NOT convalidated")
        assert cursor.fetchall() == []
        cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
        assert cursor.fetchall() == []
