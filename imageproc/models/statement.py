"""Queries whose SQL is made once a process.

Django builds and compiles a query anew for every call, which takes three times the CPU of running
it. What a client polls asks the same few questions all the time, with other values.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Field, QuerySet
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row")
Other = TypeVar("Other")


class Given(Expression):
    """Stands in a query set for a value that is told only when the query runs."""

    def __init__(self, name: str, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)

    def prepared(self, value: Any, connection: Any) -> Any:
        """``value`` as the database takes it."""
        return self.output_field.get_db_prep_value(value, connection)


class Statement(Generic[Row]):
    """A query set with ``Given`` values in it, of models or of tuples.

    ``build`` is called when it first runs: the models are not loaded before.
    """

    def __init__(self, build: Callable[[], QuerySet[Any, Row]]) -> None:
        self._build = build

    def given(self, **given: Any) -> Question[Row]:
        """It with these values, by their names."""
        _, _, sql, params = self._compiled
        connection = connections[DEFAULT_DB_ALIAS]
        values = tuple(
            param.prepared(given[param.name], connection) if isinstance(param, Given) else param
            for param in params
        )
        return Question(self, sql, values)

    def rows(self, **given: Any) -> list[Row]:
        """Run it with these values. One query."""
        return self.given(**given).rows()

    def first(self, **given: Any) -> Row | None:
        """For a query set of one row at most."""
        return next(iter(self.rows(**given)), None)

    def made_of(self, found: list[tuple[Any, ...]]) -> list[Row]:
        """Its models or tuples, of what the database answered."""
        queryset, compiler, _, _ = self._compiled
        queryset, compiler = queryset.all(), copy(compiler)
        compiler.connection = connections[DEFAULT_DB_ALIAS]
        # What the query set asks when it is read, for chunks of rows.
        compiler.execute_sql = partial(_answered, found)  # type: ignore[method-assign]
        queryset.query.get_compiler = lambda *_, **__: compiler  # type: ignore[method-assign]
        return list(queryset)

    @cached_property
    def _compiled(self) -> tuple[QuerySet[Any, Row], SQLCompiler, str, tuple[Any, ...]]:
        queryset = self._build()
        compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        compiler.get_converters = lambda _: converters
        del compiler.connection  # of this thread, which may end
        return queryset, compiler, sql, tuple(params)


def _answered(found: list[tuple[Any, ...]], *_: Any, **__: Any) -> Any:
    return [found]


@dataclass(frozen=True, slots=True)
class Question(Generic[Row]):
    """A statement and its values, not asked yet."""

    statement: Statement[Row]
    sql: str
    values: tuple[Any, ...]

    def rows(self) -> list[Row]:
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(self.sql, self.values)
            return self.statement.made_of(cursor.fetchall())

    def with_rows_of(self, other: Question[Other]) -> tuple[list[Row], list[Other]]:
        """The rows of both. On PostgreSQL in one message, with one answer to wait for: on a busy
        machine a process waits for its turn each time (docs/adr/0004-speed.md)."""
        connection: Any = connections[DEFAULT_DB_ALIAS]
        if connection.vendor != "postgresql" or connection.features.uses_server_side_binding:
            return self.rows(), other.rows()
        with connection.cursor() as cursor:
            cursor.execute(f"{self.sql}; {other.sql}", self.values + other.values)
            mine = cursor.fetchall()
            cursor.nextset()
            return self.statement.made_of(mine), other.statement.made_of(cursor.fetchall())
