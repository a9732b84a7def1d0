"""Requests and their products."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from imageproc.admin.base import STATUS_COLORS, OperatorAdmin, ago, list_of, size
from imageproc.admin.operation import AskForm, Operation, on_list, on_page
from imageproc.faults import by_code
from imageproc.models import (
    FailureTally,
    Priority,
    ProcessingRequest,
    Product,
    ProductImage,
    RequestStatus,
    WebhookDelivery,
)
from imageproc.requests import operations

# Only the file names of so many newest requests are searched.
SEARCHED = 10_000
CHOICES = 50


class RetryForm(AskForm):
    code = forms.ChoiceField(label="Only this reason", required=False)
    host = forms.ChoiceField(label="Only this host", required=False)

    def __init__(self, data: Any, *, objects: Any) -> None:
        super().__init__(data, objects=objects)
        for name, column in (("code", "error_code"), ("host", "host")):
            field: Any = self.fields[name]
            field.widget = UnfoldAdminSelectWidget()
            field.choices = [("", "All"), *_counted(objects, column)]


class PriorityForm(AskForm):
    priority = forms.ChoiceField(choices=Priority.choices, widget=UnfoldAdminSelectWidget)


RETRY = Operation(
    name="retry_failed",
    title="Retry failed images",
    question="The failed images are processed again, with a full set of attempts.",
    button="Retry",
    icon="refresh",
    form=RetryForm,
    fits=lambda request: request.failed_images > 0 and request.status != RequestStatus.CANCELLED,
    apply=lambda request, answers: operations.retry(
        request.pk, code=answers["code"] or None, host=answers["host"] or None
    ),
)
PRIORITISE = Operation(
    name="set_priority",
    title="Change priority",
    question="High priority gets four times the share of low, for images that have not started.",
    button="Change",
    icon="low_priority",
    form=PriorityForm,
    fits=lambda request: not request.is_final,
    apply=lambda request, answers: operations.set_priority(request.pk, answers["priority"]),
)
CANCEL = Operation(
    name="cancel",
    title="Cancel",
    question="No more images are processed. Finished images are kept. It can be continued later.",
    button="Cancel the request",
    icon="cancel",
    danger=True,
    fits=lambda request: not request.is_final,
    apply=lambda request, _: operations.cancel(request.pk),
)
CONTINUE = Operation(
    name="continue_cancelled",
    title="Continue",
    question="The cancelled images are processed after all.",
    button="Continue",
    icon="play_arrow",
    fits=lambda request: request.is_final and request.cancelled_images > 0,
    apply=lambda request, _: operations.continue_cancelled(request.pk),
)
REMOVE = Operation(
    name="remove",
    title="Remove",
    question="The request, its images and all of its files are deleted. This cannot be undone.",
    button="Remove permanently",
    icon="delete",
    danger=True,
    apply=lambda request, _: operations.remove(request.pk),
)


@admin.register(ProcessingRequest)
class RequestAdmin(OperatorAdmin):
    list_display = ("file", "state", "owner", "priority", "progress", "failed", "saved", "arrived")
    list_select_related = ("owner",)
    list_filter = ("status", "priority")
    linked_by = frozenset({"status__exact", "priority__exact", "owner__id__exact"})
    search_fields = ("id",)
    search_ids: ClassVar = {"id": ProcessingRequest}
    search_help_text = "Request id, user name, or part of the file name"
    actions = (on_list(RETRY), on_list(PRIORITISE), on_list(CANCEL), on_list(REMOVE))
    actions_detail = ("retry_failed", "set_priority", "cancel", "continue_cancelled", "remove")
    retry_failed = on_page(RETRY)
    set_priority = on_page(PRIORITISE)
    cancel = on_page(CANCEL)
    continue_cancelled = on_page(CONTINUE)
    remove = on_page(REMOVE)
    raw_id_fields = ("owner",)
    fieldsets = (
        (
            None,
            {"fields": ("id", "file_name", "page", "owner", "state", "priority", "error_message")},
        ),
        ("Progress", {"fields": ("progress", "rows", "products", "images", "reasons", "saved")}),
        ("Recipe", {"fields": ("recipe", "store_originals", "names")}),
        ("Storage", {"fields": ("input_csv", "output_csv")}),
        ("Webhook", {"fields": ("webhook_url", "deliveries")}),
        (
            "Times",
            {"fields": ("created_at", "started_at", "ingested_at", "completed_at", "lease_until")},
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProcessingRequest]:
        kept: QuerySet[ProcessingRequest] = super().get_queryset(request).filter(removed_at=None)
        return kept.defer("sheet")

    def find_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if User.objects.filter(username=term).exists():
            return queryset.filter(owner__username=term)
        newest = ProcessingRequest.objects.order_by("-id").values("id")[SEARCHED : SEARCHED + 1]
        oldest = newest.first()
        if oldest:
            queryset = queryset.filter(id__gt=oldest["id"])
        return queryset.filter(file_name__icontains=term)

    @display(description="File", header=True)
    def file(self, request: ProcessingRequest) -> list[str]:
        return [request.file_name, str(request.pk)]

    @display(description="State", label=STATUS_COLORS)
    def state(self, request: ProcessingRequest) -> str:
        with_failures = request.status == RequestStatus.COMPLETED and request.failed_images
        return "COMPLETED, with failures" if with_failures else request.status

    def describe(self, one: ProcessingRequest) -> str:
        parts = [f"{one.completed_images:,} of {one.total_images:,} images done"]
        if one.failed_images:
            parts.append(f"{one.failed_images:,} failed")
        return f"{one.file_name} of {one.owner}: {', '.join(parts)}"

    @display(description="Images")
    def progress(self, request: ProcessingRequest) -> str:
        return f"{request.processed_images:,} of {request.total_images:,}"

    @display(description="Failed")
    def failed(self, request: ProcessingRequest) -> str:
        return f"{request.failed_images:,}" if request.failed_images else "–"

    @display(description="Bytes")
    def saved(self, request: ProcessingRequest) -> str:
        return f"{size(request.bytes_in)} → {size(request.bytes_out)}" if request.bytes_in else "–"

    @display(description="Uploaded")
    def arrived(self, request: ProcessingRequest) -> str:
        return ago(request.created_at)

    @display(description="Page")
    def page(self, request: ProcessingRequest) -> str:
        return _link(reverse("web:request", args=[request.pk]), "The page that its owner sees")

    @display(description="Rows read")
    def rows(self, request: ProcessingRequest) -> str:
        return f"{request.ingested_products:,} of {request.total_products:,}"

    @display(description="Products")
    def products(self, request: ProcessingRequest) -> str:
        return _link(list_of(Product, request__id__exact=request.pk), "All products")

    @display(description="Images")
    def images(self, request: ProcessingRequest) -> str:
        every = list_of(ProductImage, request__id__exact=request.pk)
        return format_html(
            "{} · {}", _link(every, "All images"), _link(f"{every}&state=FAILED", "Failed images")
        )

    @display(description="Failures")
    def reasons(self, request: ProcessingRequest) -> str:
        return "; ".join(label for _, label in _counted([request], "error_code")) or "–"

    @display(description="Deliveries")
    def deliveries(self, request: ProcessingRequest) -> str:
        return _link(list_of(WebhookDelivery, request__id__exact=request.pk), "All deliveries")


@admin.register(Product)
class ProductAdmin(OperatorAdmin):
    list_display = ("serial_number", "product_name", "row_number", "file")
    list_select_related = ("request",)
    linked_by = frozenset({"request__id__exact"})
    search_fields = ("id",)
    search_ids: ClassVar = {"id": Product, "request_id": ProcessingRequest}
    search_help_text = "Id of the product or its request"
    raw_id_fields = ("request",)
    fields = ("id", "request", "row_number", "serial_number", "product_name", "images")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("row_number",) if "request__id__exact" in request.GET else self.ordering

    def within(self, queryset: QuerySet[Any], name: str, wanted: UUID) -> QuerySet[Any]:
        found = super().within(queryset, name, wanted)
        return found.order_by("row_number") if name == "request_id" else found

    @display(description="Request")
    def file(self, product: Product) -> str:
        return product.request.file_name

    @display(description="Images")
    def images(self, product: Product) -> str:
        return _link(list_of(ProductImage, product__id__exact=product.pk), "Images of this product")


def _counted(requests: Any, column: str) -> list[tuple[str, str]]:
    """(value, "label (images)") for each ``column`` value of the failures, most frequent first."""
    tallies = FailureTally.objects.filter(request__in=[request.pk for request in requests])
    counts = tallies.values_list(column).annotate(total=Sum("images")).order_by("-total", column)
    return [
        (value, f"{by_code(value).message if column == 'error_code' else value} ({total:,})")
        for value, total in counts[:CHOICES]
    ]


def _link(address: str, text: str) -> str:
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, text
    )
