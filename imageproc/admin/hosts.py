"""Image hosts that have shown a limit."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display

from imageproc.admin.base import OperatorAdmin, ago
from imageproc.admin.operation import AskForm, Operation, on_page
from imageproc.models import Host
from imageproc.models.host import FASTEST_PACE, SLOWEST_PACE
from imageproc.requests import operations, report


class PaceForm(AskForm):
    pace = forms.FloatField(
        required=False,
        min_value=SLOWEST_PACE,
        max_value=FASTEST_PACE,
        label="Requests a second, of all workers together",
        help_text="Leave it empty to let the host's answers decide.",
    )


SET_PACE = Operation(
    name="set_pace",
    title="Set pace",
    question="The pace stays until somebody changes it.",
    button="Set",
    icon="speed",
    form=PaceForm,
    apply=lambda host, answers: operations.set_pace(host.name, answers["pace"]),
)
CLOSE = Operation(
    name="close",
    title="Close",
    question="Its images wait until somebody opens the host.",
    button="Close",
    icon="pause",
    danger=True,
    fits=lambda host: not host.held,
    apply=lambda host, _: operations.close_host(host.name),
)
OPEN = Operation(
    name="open",
    title="Open",
    question="It is asked for one image at once, and for the others when it answers.",
    button="Open",
    icon="play_arrow",
    fits=lambda host: host.is_closed(host.now),
    apply=lambda host, _: operations.open_host(host.name),
)


@admin.register(Host)
class HostAdmin(OperatorAdmin):
    list_display = ("name", "state", "paced", "waiting", "closed_until", "signed")
    ordering: ClassVar = ("name",)
    actions_detail = ("set_pace", "close", "open")
    set_pace = on_page(SET_PACE)
    close = on_page(CLOSE)
    open = on_page(OPEN)

    fields = (
        "name",
        "state",
        "paced",
        "waiting",
        "fixed_pace",
        "upload_pace",
        "closed_until",
        "silent_since",
        "signed_at",
    )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        waiting = report.waiting_images()
        for host in changes.result_list:
            host.waiting = waiting[host.name]
        return changes

    def get_object(self, *args: Any) -> Any:
        if host := super().get_object(*args):
            host.waiting = report.waiting_images()[host.name]
        return host

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).with_clock()

    @display(
        description="State",
        label={"open": "success", "busy": "warning", "down": "danger", "closed": "warning"},
    )
    def state(self, host: Host) -> str:
        if host.held:
            return "closed"
        return str(host.reason) if host.is_closed(host.now) or host.probing else "open"

    @display(description="Requests a second")
    def paced(self, host: Host) -> str:
        return "as fast as it answers" if host.current_pace is None else f"{host.current_pace:.1f}"

    @display(description="Images waiting")
    def waiting(self, host: Any) -> int:
        return int(host.waiting)

    @display(description="Last sign of a limit")
    def signed(self, host: Host) -> str:
        return ago(host.signed_at)
