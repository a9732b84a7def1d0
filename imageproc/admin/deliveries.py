"""What the lists of webhooks and of e-mails have in common."""

from __future__ import annotations

from unfold.decorators import display

from imageproc.admin.base import STATUS_COLORS, OperatorAdmin, ago
from imageproc.models.delivery import Delivery


class DeliveryListAdmin(OperatorAdmin):
    """Messages that are owed at the end of a request: found by state, by id and by request."""

    list_filter = ("status",)
    linked_by = frozenset({"request__id__exact", "status__exact"})
    search_fields = ("id",)
    raw_id_fields = ("request",)

    @display(description="State", label=STATUS_COLORS)
    def state(self, delivery: Delivery) -> str:
        return delivery.status

    @display(description="Queued")
    def queued(self, delivery: Delivery) -> str:
        return ago(delivery.created_at)
