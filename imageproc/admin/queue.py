"""django-q2's own tables, in the look of the others."""

from __future__ import annotations

from contextlib import suppress

from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django_q.admin import FailAdmin, QueueAdmin, TaskAdmin
from django_q.models import Failure, OrmQ, Schedule, Success
from unfold.admin import ModelAdmin

# Nothing is scheduled through q2: its scheduler is off.
for model in (OrmQ, Success, Failure, Schedule):
    with suppress(NotRegistered):
        admin.site.unregister(model)


@admin.register(OrmQ)
class QueuedAdmin(ModelAdmin, QueueAdmin):  # type: ignore[misc]
    pass


@admin.register(Success)
class SuccessAdmin(ModelAdmin, TaskAdmin):  # type: ignore[misc]
    pass


@admin.register(Failure)
class FailureAdmin(ModelAdmin, FailAdmin):  # type: ignore[misc]
    pass
