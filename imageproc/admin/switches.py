"""The switches that pause the service, and the list of clusters."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from imageproc.admin.base import OperatorAdmin, ago
from imageproc.admin.operation import Operation, on_page
from imageproc.models import ClusterHeartbeat, Switch
from imageproc.requests import operations

EFFECT = {
    Switch.INTAKE: "While paused, new uploads are answered with 503.",
    Switch.WORKERS: "While paused, workers finish the images that they have and start no others.",
}
PAUSE = Operation(
    name="pause",
    title="Pause",
    question="It stays paused until somebody resumes it.",
    button="Pause",
    icon="pause",
    danger=True,
    fits=lambda switch: not switch.paused,
    apply=lambda switch, _: _set(switch, True),
)
RESUME = Operation(
    name="resume",
    title="Resume",
    question="Work resumes at once.",
    button="Resume",
    icon="play_arrow",
    fits=lambda switch: switch.paused,
    apply=lambda switch, _: _set(switch, False),
)


def _set(switch: Switch, paused: bool) -> bool:
    if switch.paused is paused:
        return False
    (operations.pause if paused else operations.resume)(switch.name)
    return True


@admin.register(Switch)
class SwitchAdmin(OperatorAdmin):
    list_before_template = "admin/operate/switches.html"
    list_display = ("name", "state", "effect", "changed")
    ordering: ClassVar = ("name",)
    actions_detail = ("pause", "resume")
    pause = on_page(PAUSE)
    resume = on_page(RESUME)
    fields = ("name", "state", "effect", "changed_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Switch]:
        """All switches. Creates the rows of those that were never used."""
        for name in EFFECT:
            Switch.objects.get_or_create(name=name)
        switches: QuerySet[Switch] = super().get_queryset(request)
        return switches

    @display(description="State", label={"running": "success", "paused": "warning"})
    def state(self, switch: Switch) -> str:
        return "paused" if switch.paused else "running"

    @display(description="Effect")
    def effect(self, switch: Switch) -> str:
        return EFFECT.get(switch.name, "")

    @display(description="Changed")
    def changed(self, switch: Switch) -> str:
        return ago(switch.changed_at)


@admin.register(ClusterHeartbeat)
class HeartbeatAdmin(OperatorAdmin):
    list_before_template = "admin/operate/heartbeats.html"
    list_display = ("name", "host", "pid", "workers", "state", "beat")
    ordering: ClassVar = ("name", "host", "pid")
    fields = ("name", "host", "pid", "workers", "state", "beat", "started_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        self.alive = set(ClusterHeartbeat.objects.alive().values_list("pk", flat=True))
        return ClusterHeartbeat.objects.order_by(*self.ordering)

    @display(description="State", label={"alive": "success", "not responding": "danger"})
    def state(self, cluster: ClusterHeartbeat) -> str:
        if cluster.pk not in self.alive:
            return "not responding"
        return "stopping" if cluster.stopping else "alive"

    @display(description="Last heartbeat")
    def beat(self, cluster: ClusterHeartbeat) -> str:
        return ago(cluster.beat_at)
