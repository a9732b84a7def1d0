"""The first page: the state of the service, in a fixed number of cheap queries."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from imageproc.admin.base import OPERATE, list_of, size
from imageproc.faults import by_code
from imageproc.models import (
    ClusterHeartbeat,
    ProcessingRequest,
    ProductImage,
    Switch,
    WebhookDelivery,
)
from imageproc.requests.report import fleet

GREEN, RED, BLUE = "#0c8a70", "#dc2626", "#2563eb"
CHART_OPTIONS = {
    "aspectRatio": 4,
    "scales": {
        "x": {"grid": {"display": False}, "ticks": {"maxRotation": 0, "maxTicksLimit": 13}},
        "y": {"beginAtZero": True, "ticks": {"maxTicksLimit": 6}},
    },
    "elements": {"point": {"radius": 0}},
    "plugins": {"legend": {"display": True, "align": "end"}},
}
HOURS, STEP_MINUTES = 24, 15


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """UNFOLD["DASHBOARD_CALLBACK"]: adds what templates/admin/index.html shows."""
    hour = fleet.rate(hours=1)
    points = fleet.series(hours=HOURS, minutes=STEP_MINUTES)
    context |= {
        "figures": _figures(hour),
        "reasons": _table(["Reason", "Images", "Share"], _reasons(hour)),
        "hosts": _table(["Host", "Failed images", "Main reason"], _hosts()),
        "switches": _switches() if request.user.has_perm(OPERATE) else [],
        "images_chart": _images_chart(points),
        "bytes_chart": _bytes_chart(points),
        "chart_options": json.dumps(CHART_OPTIONS),
    }
    return context


def _figures(hour: fleet.Rate) -> list[dict[str, str]]:
    waiting, oldest = fleet.queue_depth(), fleet.oldest_wait()
    minute, alive, sending = fleet.rate(minutes=5), fleet.workers(), fleet.deliveries()
    not_tried = sending["owed"] - sending["retrying"]
    failed = list_of(ProductImage, state="FAILED")
    running = list_of(ProcessingRequest, status__exact="PROCESSING")
    every = list_of(ProcessingRequest)
    return [
        _figure("Images waiting", f"{sum(waiting.values()):,}", _parts(waiting), running),
        _figure(
            "Oldest waiting image",
            _span(max(oldest.values())),
            "of the images that are due",
            running,
        ),
        _figure(
            "Images per second",
            f"{minute.per_second:.1f}",
            "over the last 5 minutes",
            list_of(ProductImage, state="PROCESSING"),
        ),
        _figure("Errors", f"{hour.error_ratio:.1%}", f"{hour.failed:,} in the last hour", failed),
        _figure(
            "Workers alive",
            str(alive["images"]),
            f"plus {alive['control']} for control tasks",
            list_of(ClusterHeartbeat),
        ),
        _figure(
            "Failed webhooks",
            str(sending["failed"]),
            f"in the last day; {not_tried} waiting, {sending['retrying']} retrying",
            list_of(WebhookDelivery, status__exact="FAILED"),
        ),
        _figure("Stored", size(fleet.storage_bytes()), "images of all requests", every),
    ]


def _figure(title: str, value: str, note: str, href: str = "") -> dict[str, str]:
    return {"title": title, "value": value, "note": note, "href": href}


def _switches() -> list[dict[str, Any]]:
    stem = "admin:imageproc_switch"
    return [
        {
            "name": {Switch.INTAKE: "Uploads", Switch.WORKERS: "Workers"}[name],
            "paused": paused,
            "verb": "Resume" if paused else "Pause",
            "href": reverse(f"{stem}_{'resume' if paused else 'pause'}", args=[name]),
        }
        for name, paused in fleet.paused().items()
    ]


def _reasons(hour: fleet.Rate) -> list[list[str]]:
    ended = max(1, hour.completed + hour.failed)
    return [
        [
            by_code(code).message,
            _link(f"{images:,}", list_of(ProductImage, error_code=code)),
            f"{images / ended:.1%}",
        ]
        for code, images in fleet.reasons(hours=1)
    ]


def _hosts() -> list[list[str]]:
    return [
        [host, _link(f"{images:,}", list_of(ProductImage, host=host)), by_code(code).message]
        for host, images, code in fleet.failing_hosts()
    ]


def _link(text: str, href: str) -> str:
    return format_html(
        '<a class="text-primary-600 underline dark:text-primary-500" href="{}">{}</a>', href, text
    )


def _table(headers: list[str], rows: list[list[str]]) -> dict[str, Any]:
    return {"headers": headers, "rows": rows}


def _images_chart(points: list[fleet.Point]) -> str:
    seconds = STEP_MINUTES * 60
    return _chart(
        points,
        ("Done per second", GREEN, [p.completed / seconds for p in points]),
        ("Failed per second", RED, [p.failed / seconds for p in points]),
    )


def _bytes_chart(points: list[fleet.Point]) -> str:
    return _chart(
        points,
        ("MB downloaded", BLUE, [p.bytes_in / 1e6 for p in points]),
        ("MB stored", GREEN, [p.bytes_out / 1e6 for p in points]),
    )


def _chart(points: list[fleet.Point], *lines: tuple[str, str, list[float]]) -> str:
    return json.dumps(
        {
            "labels": [f"{point.at:%H:%M}" for point in points],
            "datasets": [
                {
                    "label": label,
                    "data": [round(value, 3) for value in values],
                    "borderColor": color,
                    "backgroundColor": color,
                }
                for label, color, values in lines
            ],
        }
    )


def _parts(waiting: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {priority}" for priority, count in waiting.items())


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds))) if seconds >= 1 else "none"
