"""The base of the admin's lists: each reads one page, whatever the size of the table."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin

# Counting stops here: "10000" then means "10,000 or more", and the last page is the 100th.
COUNTED = 10_000
OPERATE = "imageproc.operate"
STATUS_COLORS = {
    "COMPLETED": "success",
    "DELIVERED": "success",
    "PROCESSING": "info",
    "SENDING": "info",
    "FAILED": "danger",
    "CANCELLED": "warning",
    "COMPLETED, with failures": "warning",
}


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Never counts beyond COUNTED rows: COUNT(*) over ten million takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:COUNTED].count())  # ordered, so it uses the same index as the page


class OperatorAdmin(ModelAdmin):  # type: ignore[misc]
    """A read-only list and page. Rows change only by operations (imageproc.admin.operation)."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 25
    list_max_show_all = 0
    # No sorting by a click on a column head: it would sort ten million rows.
    sortable_by: ClassVar[tuple[str, ...]] = ()
    ordering: ClassVar[tuple[str, ...]] = ("-id",)
    actions_on_top = True
    # The most objects that one action may process.
    most_at_once = COUNTED
    # What a UUID in the search box may be: {field to filter by: model that it identifies}.
    search_ids: ClassVar[dict[str, type[Model]]] = {}
    # Filters that links from other pages use; each must be served by an index.
    linked_by: ClassVar[frozenset[str]] = frozenset()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest, *_: Any) -> bool:
        return bool(request.user.has_perm(OPERATE))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The buttons of an object's page: the operations that its state allows."""
        buttons: list[Any] = super().get_actions_detail(request, object_id)
        one = self.get_object(request, str(object_id)) if buttons else None
        return [button for button in buttons if one and button.method.operation.fits(one)]

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        named = {getattr(one, "parameter_name", None) for one in self.list_filter}
        return lookup in self.linked_by | named

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by id or by ``find_text``, never by LIKE over a big table."""
        if not (term := search_term.strip()):
            return queryset, False
        try:
            wanted = UUID(term)
        except ValueError:
            return self.find_text(queryset, term), False
        return self.find_id(queryset, wanted), False

    def find_id(self, queryset: QuerySet[Any], wanted: UUID) -> QuerySet[Any]:
        """Find out first what the id belongs to: an OR of columns would read the whole table."""
        for name, model in self.search_ids.items():
            if model._default_manager.filter(pk=wanted).exists():
                return self.within(queryset, name, wanted)
        return queryset.none()

    def within(self, queryset: QuerySet[Any], name: str, wanted: UUID) -> QuerySet[Any]:
        return queryset.filter(**{name: wanted})

    def find_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.none()

    def describe(self, one: Any) -> str:
        """An object on a confirmation page: names and counts, no ids."""
        return str(one)

    def page_of(self, one: Model) -> str:
        return page_of(one)


def page_of(one: Model) -> str:
    """The address of an object's page in the admin."""
    return reverse(f"admin:{one._meta.app_label}_{one._meta.model_name}_change", args=[one.pk])


def list_of(model: type[Model], **lookups: Any) -> str:
    """The address of a list, filtered."""
    stem = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{stem}?{urlencode(lookups)}" if lookups else stem


def size(value: int | None) -> str:
    return "–" if value is None else filesizeformat(value)


def ago(value: Any) -> str:
    return naturaltime(value) if value else "–"


site = admin.site
