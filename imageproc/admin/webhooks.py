"""Webhook deliveries, each with every attempt."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import TabularInline
from unfold.decorators import display

from imageproc.admin.deliveries import DeliveryListAdmin
from imageproc.admin.operation import Operation, on_list, on_page
from imageproc.models import (
    DeliveryStatus,
    ProcessingRequest,
    WebhookAttempt,
    WebhookDelivery,
)
from imageproc.requests import operations

REDELIVER = Operation(
    name="redeliver",
    title="Deliver again",
    question="The same message is sent again at once, with the same id, and retried if it fails.",
    button="Deliver again",
    icon="send",
    fits=lambda delivery: delivery.status != DeliveryStatus.SENDING,
    apply=lambda delivery, _: operations.redeliver(delivery.pk),
)


class AttemptInline(TabularInline):  # type: ignore[misc]
    model = WebhookAttempt
    fields = readonly_fields = (
        *("number", "started_at", "status_code", "milliseconds"),
        *("error_code", "error_message", "answer"),
    )
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(WebhookDelivery)
class DeliveryAdmin(DeliveryListAdmin):
    list_display = ("event", "state", "receiver", "attempts", "file", "queued")
    list_select_related = ("request",)
    search_ids: ClassVar = {"id": WebhookDelivery, "request_id": ProcessingRequest}
    search_help_text = "Id of the delivery or its request"
    actions = (on_list(REDELIVER),)
    actions_detail = ("redeliver",)
    redeliver = on_page(REDELIVER)
    inlines = (AttemptInline,)
    fields = (
        *("id", "request", "event", "state", "url", "message"),
        *("attempts", "next_attempt_at", "created_at", "finished_at"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        deliveries: QuerySet[WebhookDelivery] = super().get_queryset(request)
        return deliveries.defer("request__sheet", "request__recipe")

    def describe(self, one: WebhookDelivery) -> str:
        return f"{one.event} of {one.request.file_name} to {self.receiver(one)}"

    @display(description="Receiver")
    def receiver(self, delivery: WebhookDelivery) -> str:
        """The host only: a path or a query may be a secret of the receiver."""
        return delivery.url.split("/", 3)[2]

    @display(description="Body")
    def message(self, delivery: WebhookDelivery) -> str:
        text = delivery.body
        with suppress(ValueError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        return format_html('<pre class="max-h-80 overflow-auto text-xs">{}</pre>', text)

    @display(description="Request")
    def file(self, delivery: WebhookDelivery) -> str:
        return delivery.request.file_name
