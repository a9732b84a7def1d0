"""Tables ⇄ files of an archive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import connection, models, transaction

from imageproc.archive.lines import read_lines, write_lines
from imageproc.archive.manifest import ArchiveError
from imageproc.models import ClusterHeartbeat
from imageproc.models.bulk import insert_rows

# The service's own tables, its users with their groups and rights, and the operators' history.
# Sessions and the queue stay behind: people sign in again, and the sweep enqueues what rows need.
APPS = ("imageproc", "auth", "admin")
# What is true only of the machines that run now, and what migrations fill, with numbers that differ
# from database to database: other rows name it by its natural key.
LEFT_OUT = (ClusterHeartbeat, Permission)
NATURAL: tuple[Any, ...] = (Permission, ContentType)
BATCH = 5000

Model = type[models.Model]


def tables() -> list[Model]:
    """Every model whose rows are exported, with the tables between two models."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in APPS and not model._meta.proxy and model not in LEFT_OUT
    ]


@contextmanager
def snapshot() -> Iterator[None]:
    """Within it, all tables are read as they were at one moment, while the service goes on."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                # It locks no row, and the disk that it is written to may be slow.
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield
        else:
            # Django's own transactions are a writer's: they would hold up the service.
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def write_table(model: Model, folder: Path) -> int:
    """Write a table's file; returns its rows."""
    count = 0

    def lines() -> Iterator[list[Any]]:
        nonlocal count
        fields = model._meta.concrete_fields
        names = [(at, _names(field)) for at, field in enumerate(fields) if _is_natural(field)]
        yield [field.column for field in fields]
        rows = model._base_manager.order_by("pk").values_list(*(f.attname for f in fields))
        for row in rows.iterator(chunk_size=BATCH):
            values = list(row)
            for at, name_of in names:
                values[at] = name_of.get(values[at])
            count += 1
            yield values

    write_lines(_file(folder, model), lines())
    return count


def read_tables(folder: Path, counts: dict[str, int]) -> None:
    """Insert the rows of an archive into empty tables, inside the caller's transaction.

    ``counts``: rows by table, as the manifest has them. Raises ArchiveError where they differ, or
    where this version does not know a table or column.
    """
    known = {model._meta.db_table: model for model in tables()}
    if unknown := counts.keys() - known.keys():
        raise _made_by_a_later_version(", ".join(sorted(unknown)))
    for table, count in counts.items():
        if _read_table(known[table], folder) != count:
            raise ArchiveError(f"The file of {table} does not hold the {count} rows it should.")
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), tables()):
            cursor.execute(statement)


def _read_table(model: Model, folder: Path) -> int:
    lines = read_lines(_file(folder, model))
    fields = _fields(model, next(lines, []))
    prepare = [_preparer(field) for field in fields]
    count = 0
    while batch := list(islice(lines, BATCH)):
        rows = [[p(value) for p, value in zip(prepare, line, strict=True)] for line in batch]
        insert_rows(model, [field.name for field in fields], rows)
        count += len(batch)
    return count


def _fields(model: Model, columns: Sequence[str]) -> list[Any]:
    """The fields of a file's columns. A field that an older version did not have gets the
    database's default, as it did in the migration that added it."""
    fields = {field.column: field for field in model._meta.concrete_fields}
    if unknown := [column for column in columns if column not in fields]:
        raise _made_by_a_later_version(f"{model._meta.db_table}.{unknown[0]}")
    return [fields[column] for column in columns]


def _made_by_a_later_version(what: str) -> ArchiveError:
    return ArchiveError(
        f"The export holds {what}, which this version does not know. Import it with the version "
        "that made it, or a later one."
    )


def _is_natural(field: Any) -> bool:
    return field.is_relation and field.related_model in NATURAL


def _names(field: Any) -> dict[Any, Sequence[str]]:
    """The natural keys of the rows that a foreign key may point to, by primary key."""
    return {row.pk: row.natural_key() for row in field.related_model.objects.all()}


def _preparer(field: Any) -> Any:
    """What turns a value of JSON into one that the database's driver takes."""
    if _is_natural(field):
        numbers = {tuple(name): number for number, name in _names(field).items()}
        return lambda name: None if name is None else _number(numbers, tuple(name))
    return lambda value: field.get_db_prep_save(field.to_python(value), connection)


def _number(numbers: dict[tuple[str, ...], Any], name: tuple[str, ...]) -> Any:
    if name not in numbers:
        raise _made_by_a_later_version(".".join(name))
    return numbers[name]


def _file(folder: Path, model: Model) -> Path:
    return folder / "rows" / f"{model._meta.db_table}.jsonl.gz"
