"""The lists of images, and the page of one with its attempts."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.decorators import display

from imageproc.admin.base import STATUS_COLORS, OperatorAdmin, ago, size
from imageproc.admin.operation import Operation, on_list, on_page
from imageproc.faults import by_code
from imageproc.models import ImageStatus, ProcessingRequest, Product, ProductImage
from imageproc.requests import operations, report
from imageproc.requests.report import fleet

# A text is looked for in so many newest images.
SEARCHED = 100_000
PICTURE = '<img src="{}" alt="{}" loading="lazy" class="max-h-80 rounded-default">'
LINK = (
    '<a class="text-primary-600 dark:text-primary-500" href="{}" rel="noreferrer"'
    ' target="_blank">Open the source image</a>'
)
RETRY = Operation(
    name="retry_failed",
    title="Retry failed images",
    question="The failed images are processed again, with a full set of attempts.",
    button="Retry",
    apply=lambda image, _: operations.retry(image.request_id, image_ids=[image.pk]),
)
RERUN = Operation(
    name="rerun",
    title="Process again",
    question="The image is downloaded, compressed and stored again. Its attempt log is kept.",
    button="Process again",
    icon="refresh",
    fits=lambda image: image.status in (ImageStatus.FAILED, ImageStatus.COMPLETED),
    apply=lambda image, _: operations.rerun(image.pk),
)


class StateFilter(admin.SimpleListFilter):
    """Filters by state: within one request by any, over all only by states that have an index."""

    title = "state"
    parameter_name = "state"
    indexed = (ImageStatus.FAILED, ImageStatus.PROCESSING)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        within = "request__id__exact" in request.GET or "product__id__exact" in request.GET
        return [(s.value, s.label) for s in (ImageStatus if within else self.indexed)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        allowed = {value for value, _ in self.lookup_choices}
        return queryset.filter(status=self.value()) if self.value() in allowed else queryset


class FailedBy(admin.SimpleListFilter):
    """Filters failed images by one column. The values are those of the request, else those of the
    last hour."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        chosen = request.GET.get(self.parameter_name or "")
        of_request = request.GET.get("request__id__exact")
        values = dict.fromkeys([chosen] if chosen else [])
        values |= dict.fromkeys(self.values(of_request))
        return [(value, self.label(value)) for value in values]

    def values(self, of_request: str | None) -> list[str]:
        try:
            request_id = UUID(of_request) if of_request else None
        except ValueError:
            return []
        return fleet.failed_by(self.column, request_id)

    def label(self, value: str) -> str:
        return value

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (value := self.value()):
            return queryset
        return queryset.filter(status=ImageStatus.FAILED, **{self.column: value})


class ReasonFilter(FailedBy):
    title = "reason"
    parameter_name = column = "error_code"

    def label(self, value: str) -> str:
        return by_code(value).message


class HostFilter(FailedBy):
    title = "host of failures"
    parameter_name = column = "host"


class RequestFilter(admin.SimpleListFilter):
    """Set by links from a request's page. Orders by an index (in_file_order)."""

    title = "request"
    parameter_name = "request__id__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        wanted = request.GET.get(self.parameter_name)
        return [(wanted, "This request")] if wanted else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not (value := self.value()):
            return queryset
        try:
            return _of_request(queryset, UUID(value))
        except ValueError:
            return queryset.none()


# Within a request: the order of the partial index of the state, otherwise that of the file.
FILE_ORDER = ("request_id", "id")
ORDERS: dict[str, tuple[str, ...]] = {
    ImageStatus.PENDING: ("request_id", "next_attempt_at", "id"),
    ImageStatus.FAILED: ("request_id", "error_code", "id"),
}


def _of_request(images: Any, request_id: UUID) -> QuerySet[Any]:
    of_request: QuerySet[Any] = images.in_file_order(request_id)
    return of_request


@admin.register(ProductImage)
class ImageAdmin(OperatorAdmin):
    list_display = ("product_of", "state", "host", "attempts", "error_code", "sizes", "finished")
    list_select_related = ("product", "request")
    list_filter = (StateFilter, ReasonFilter, HostFilter, RequestFilter)
    linked_by = frozenset({"product__id__exact"})
    search_fields = ("id",)
    search_ids: ClassVar = {
        "id": ProductImage,
        "request_id": ProcessingRequest,
        "product_id": Product,
    }
    search_help_text = (
        "Serial number, product name, link or file name (of the newest 100,000 images, or of one "
        "request), or the id of an image, product or request"
    )
    raw_id_fields = ("product", "request")
    most_at_once = 1000
    actions = (on_list(RETRY),)
    actions_detail = ("rerun",)
    rerun = on_page(RERUN)
    fieldsets = (
        (None, {"fields": ("id", "product", "request", "position", "state", "input_url")}),
        ("Before and after", {"fields": ("before", "after", "sizes", "pixels")}),
        ("Attempts", {"fields": ("attempts", "worker_losses", "error", "log", "next_attempt_at")}),
        ("Storage", {"fields": ("original_key", "output_key", "source_sha256", "output_sha256")}),
        ("Times", {"fields": ("times", "finished_at", "lease_id", "lease_until")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ProductImage]:
        images: QuerySet[ProductImage] = super().get_queryset(request)
        return images.defer("request__sheet", "request__recipe")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        if RequestFilter.parameter_name not in request.GET:
            return self.ordering
        return ORDERS.get(request.GET.get(StateFilter.parameter_name, ""), FILE_ORDER)

    def within(self, queryset: QuerySet[Any], name: str, wanted: UUID) -> QuerySet[Any]:
        if name == "request_id":
            return _of_request(queryset, wanted)
        return super().within(queryset, name, wanted)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Looks for a text in one request or in the newest images, never in the whole table."""
        self.one_request = RequestFilter.parameter_name in request.GET
        return super().get_search_results(request, queryset, search_term)

    def find_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if not self.one_request:
            newest = ProductImage.objects.order_by("-id").values_list("id", flat=True)
            if oldest := newest[SEARCHED : SEARCHED + 1].first():
                queryset = queryset.filter(id__gt=oldest)
        names = ("product__serial_number", "product__product_name", "input_url")
        found = Q(request__file_name__icontains=term)
        for name in names:
            found |= Q(**{f"{name}__icontains": term})
        return queryset.filter(found)

    def describe(self, one: ProductImage) -> str:
        product = f"{one.product.serial_number} {one.product.product_name}".strip()
        return f"{product}, picture {one.position}, of {one.request.file_name}"

    @display(description="Product", header=True)
    def product_of(self, image: ProductImage) -> list[str]:
        return [f"{image.product} · {image.position}", image.request.file_name]

    @display(description="State", label=STATUS_COLORS)
    def state(self, image: ProductImage) -> str:
        return image.status

    @display(description="Bytes")
    def sizes(self, image: ProductImage) -> str:
        if image.output_size is None:
            return "–"
        share = f" ({image.compression_ratio:.0%})" if image.compression_ratio else ""
        return f"{size(image.input_size)} → {size(image.output_size)}{share}"

    @display(description="Finished")
    def finished(self, image: ProductImage) -> str:
        return ago(image.finished_at)

    @display(description="Pixels")
    def pixels(self, image: ProductImage) -> str:
        return f"{image.width} × {image.height}" if image.width else "–"

    @display(description="Before")
    def before(self, image: ProductImage) -> str:
        """Only a link: the operator's browser loads nothing from a user's address by itself."""
        return format_html(LINK, image.input_url)

    @display(description="After")
    def after(self, image: ProductImage) -> str:
        if not image.output_key:
            return "–"
        return format_html(PICTURE, report.image_url("", image), "The result")

    @display(description="Worker losses")
    def worker_losses(self, image: ProductImage) -> int:
        """How many deaths of a worker the image is blamed for."""
        return image.lost_count

    @display(description="Last error")
    def error(self, image: ProductImage) -> str:
        return f"{image.error_code}: {image.error_message}" if image.error_code else "–"

    @display(description="Failed attempts")
    def log(self, image: ProductImage) -> str:
        rows = ((e["at"][:19], e["code"], e["detail"], e["ms"]) for e in image.attempt_log)
        line = "<tr><td>{}</td><td class='px-3'>{}</td><td class='px-3'>{}</td><td>{} ms</td></tr>"
        return format_html("<table>{}</table>", format_html_join("", line, rows)) or "–"

    @display(description="Milliseconds")
    def times(self, image: ProductImage) -> str:
        steps = {"fetch": image.fetch_ms, "compress": image.compress_ms, "store": image.store_ms}
        return ", ".join(f"{name} {ms}" for name, ms in steps.items() if ms is not None) or "–"
