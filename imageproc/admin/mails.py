"""E-mails that tell owners of an end."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from imageproc.admin.deliveries import DeliveryListAdmin
from imageproc.admin.operation import Operation, on_list, on_page
from imageproc.models import DeliveryStatus, MailDelivery, ProcessingRequest
from imageproc.requests import operations

RESEND = Operation(
    name="resend",
    title="Send again",
    question="The same e-mail is sent again at once, and retried if the mail server refuses it.",
    button="Send again",
    icon="send",
    fits=lambda mail: mail.status != DeliveryStatus.SENDING,
    apply=lambda mail, _: operations.resend(mail.pk),
)


@admin.register(MailDelivery)
class MailAdmin(DeliveryListAdmin):
    list_display = ("subject", "state", "address", "attempts", "queued")
    search_ids: ClassVar = {"id": MailDelivery, "request_id": ProcessingRequest}
    search_help_text = "Id of the e-mail or its request"
    actions = (on_list(RESEND),)
    actions_detail = ("resend",)
    resend = on_page(RESEND)
    fields = (
        *("id", "request", "event", "state", "address", "subject", "body", "error"),
        *("attempts", "next_attempt_at", "created_at", "finished_at"),
    )

    def describe(self, one: MailDelivery) -> str:
        return f"the e-mail to {one.address}"
