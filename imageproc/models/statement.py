"""Queries whose SQL is made once a process.

Django builds and compiles a query anew for every call, which takes three times the CPU of running
it. What a client polls asks the same few questions all the time, with other values.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Field, QuerySet
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row")


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

    def rows(self, **given: Any) -> list[Row]:
        """Run it with these values, by their names. One query."""
        queryset, compiler, sql, params = self._compiled
        found, compiler = queryset.all(), copy(compiler)
        compiler.connection = connection = connections[DEFAULT_DB_ALIAS]
        values = tuple(
            param.prepared(given[param.name], connection) if isinstance(param, Given) else param
            for param in params
        )
        # What the query set asks for when it is read; models and tuples are still made by it.
        compiler.as_sql = lambda *_, **__: (sql, values)  # type: ignore[method-assign]
        found.query.get_compiler = lambda *_, **__: compiler  # type: ignore[method-assign]
        return list(found)

    def first(self, **given: Any) -> Row | None:
        """For a query set of one row at most."""
        return next(iter(self.rows(**given)), None)

    @cached_property
    def _compiled(self) -> tuple[QuerySet[Any, Row], SQLCompiler, str, tuple[Any, ...]]:
        queryset = self._build()
        compiler = queryset.query.get_compiler(DEFAULT_DB_ALIAS)
        sql, params = compiler.as_sql()
        converters = compiler.get_converters([column for column, *_ in compiler.select])
        compiler.get_converters = lambda _: converters
        del compiler.connection  # of this thread, which may end
        return queryset, compiler, sql, tuple(params)
