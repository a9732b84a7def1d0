"""What a call changed: every field of every row, before and after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone


class FromNow(int):
    """A moment, as seconds from now to the nearest ten: 0 is "now", 60 "in a minute"."""

    def __repr__(self) -> str:
        return f"FromNow({int(self)})"


def after(seconds: float) -> timedelta:
    """For tables, which are made long before their tests run: see ``at``."""
    return timedelta(seconds=seconds)


def at(fields: dict[str, Any]) -> dict[str, Any]:
    """``fields`` with each timedelta as the moment that is so far from now."""
    now = timezone.now()
    return {
        name: now + value if isinstance(value, timedelta) else value
        for name, value in fields.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return FromNow(round((value - timezone.now()).total_seconds(), -1))
    if isinstance(value, timedelta):
        return timedelta(seconds=round(value.total_seconds(), -1))
    return value


def changes(
    model: type[models.Model], call: Callable[[], Any]
) -> tuple[Any, dict[Any, dict[str, Any]]]:
    """The call's answer, and by primary key the fields that have another value than before, with
    moments as FromNow and durations to the nearest ten seconds. Rows that did not change are left
    out; a row that is gone has {}."""
    before = _rows(model)
    answer = call()
    after = _rows(model)
    changed = {
        key: {name: _plain(value) for name, value in row.items() if before[key][name] != value}
        for key, row in after.items()
        if key in before
    }
    gone: dict[Any, dict[str, Any]] = {key: {} for key in before.keys() - after.keys()}
    return answer, gone | {key: fields for key, fields in changed.items() if fields}


def _rows(model: type[models.Model]) -> dict[Any, dict[str, Any]]:
    name = str(model._meta.pk.attname)
    return {row[name]: row for row in model._default_manager.values()}
