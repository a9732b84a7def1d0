"""django-q2's own tables, with the same look as the other pages."""

from __future__ import annotations

from contextlib import suppress

from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.http import HttpRequest
from django_q.admin import FailAdmin, QueueAdmin
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin

# Successes are not kept, and nothing is scheduled through q2.
for model in (OrmQ, Success, Failure, Schedule):
    with suppress(NotRegistered):
        admin.site.unregister(model)


class Hidden:
    """Reached by its address only: the table is empty unless something is being looked into."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(OrmQ)
class WaitingTaskAdmin(Hidden, ModelAdmin, QueueAdmin):  # type: ignore[misc]
    """Tasks that no cluster has taken yet, without q2's column of locks, which are never set."""

    list_display = ("id", "key", "func", "args")
    fields = ("key", "func", "args", "task_id")
    readonly_fields = fields


@admin.register(Failure)
class FailureAdmin(Hidden, ModelAdmin, FailAdmin):  # type: ignore[misc]
    pass
