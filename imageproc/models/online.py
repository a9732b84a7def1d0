"""Operations for migrations of tables with millions of rows, beside writers that do not stop.

PostgreSQL lets nobody write to a table while it reads all its rows for a new CHECK, or for an index
in the usual way. These take the same step without that; SQLite takes it as ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import AddField, AddIndex
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


def _is_postgresql(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    return schema_editor.connection.vendor == "postgresql"


def _check(schema_editor: BaseDatabaseSchemaEditor, table: str, column: str) -> tuple[str, str]:
    """The table and its CHECK of the column, quoted, under the name that PostgreSQL gives it."""
    return schema_editor.quote_name(table), schema_editor.quote_name(f"{table}_{column}_check")


class AddCounter(AddField):
    """AddField of a PositiveSmallIntegerField that is 0 in every row. The CHECK holds for new rows
    at once; :class:`ValidateCounters`, in a later migration, says that it holds for all."""

    def __init__(self, model_name: str, name: str) -> None:
        super().__init__(model_name, name, models.PositiveSmallIntegerField(db_default=0))

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        return self.__class__.__name__, [self.model_name, self.name], {}

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not _is_postgresql(schema_editor):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        unchecked = AddField(self.model_name, self.name, models.SmallIntegerField(db_default=0))
        unchecked_state = from_state.clone()
        unchecked.state_forwards(app_label, unchecked_state)
        unchecked.database_forwards(app_label, schema_editor, from_state, unchecked_state)
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        quoted, check = _check(schema_editor, table, self.name)
        column = schema_editor.quote_name(self.name)
        schema_editor.execute(
            f"ALTER TABLE {quoted} ADD CONSTRAINT {check} CHECK ({column} >= 0) NOT VALID"
        )


class ValidateCounters(Operation):
    """Reads every row for the CHECKs of AddCounter, while others write. The migration must not be
    atomic."""

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, names: Sequence[str]) -> None:
        self.model_name, self.names = model_name, names

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """The state knows them as valid already."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not _is_postgresql(schema_editor):
            return
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        for name in self.names:
            quoted, check = _check(schema_editor, table, name)
            schema_editor.execute(f"ALTER TABLE {quoted} VALIDATE CONSTRAINT {check}")

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """What is valid may stay so."""

    def describe(self) -> str:
        return f"Validate that {', '.join(self.names)} of {self.model_name} are not negative"


class AddIndexOnline(AddIndex):
    """AddIndex beside writers; whatever has that name, such as what an interrupted run left, is
    replaced. The migration must not be atomic."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        name = schema_editor.quote_name(self.index.name)
        if not _is_postgresql(schema_editor):
            schema_editor.execute(f"DROP INDEX IF EXISTS {name}")
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        with schema_editor.connection.cursor() as cursor:
            # It waits for every transaction that is open, and nobody waits behind it.
            cursor.execute("SELECT current_setting('lock_timeout')")
            [timeout] = cursor.fetchone()
            cursor.execute("SET lock_timeout = 0")
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            beside = AddIndexConcurrently(self.model_name, self.index)
            beside.database_forwards(app_label, schema_editor, from_state, to_state)
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [timeout])
