"""The hosts that a request waits for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from imageproc.models import Host, HostReason, ImageStatus, ProcessingRequest, ProductImage
from imageproc.requests.report import fleet

# Waiting images that are looked at to see which hosts they wait for; of more, the shares.
SAMPLE = 5000
MOST_HOSTS = 8


@dataclass(frozen=True, slots=True)
class HostWait:
    """``images`` of a request that wait for a host.

    ``until``: it is closed till then, None while it is open. ``pace``: requests a second of all
    workers, None where none is known. ``seconds`` until the last of them has its turn, None while
    unknown.
    """

    host: str
    images: int
    pace: float | None
    until: datetime | None
    reason: str
    seconds: int | None


def host_waits(request: ProcessingRequest) -> list[HostWait]:
    """The hosts with a limit that images of a request wait for, the most images first.

    One query while no host has shown a limit, two otherwise, whatever the request's size.
    """
    if request.is_final:
        return []
    limited = {row.name: row for row in Host.objects.with_clock() if row.is_limited}
    if not limited:
        return []
    waiting = ProductImage.objects.filter(request_id=request.id, status=ImageStatus.PENDING)
    sample = Counter(waiting.values_list("host", flat=True)[:SAMPLE])
    left = request.total_images - request.processed_images
    scale = left / SAMPLE if sample.total() == SAMPLE else 1.0
    waits = [
        _wait(limited[name], round(images * scale))
        for name, images in sample.items()
        if name in limited
    ]
    return sorted(waits, key=lambda wait: (-wait.images, wait.host))[:MOST_HOSTS]


def waiting_images() -> Counter[str]:
    """Images of all running requests that wait for each host with a limit; of many, an estimate.

    One query while no host has shown a limit, three otherwise, whatever waits.
    """
    limited = {row.name for row in Host.objects.all() if row.is_limited}
    if not limited:
        return Counter()
    waiting = ProductImage.objects.filter(status=ImageStatus.PENDING).of_running_requests()
    sample = Counter(waiting.values_list("host", flat=True)[:SAMPLE])
    full = sample.total() == SAMPLE
    scale = max(1.0, sum(fleet.queue_depth().values()) / SAMPLE) if full else 1.0
    return Counter({name: round(sample[name] * scale) for name in limited})


def _wait(row: Host, images: int) -> HostWait:
    closed = row.closed_until if row.is_closed(row.now) and not row.held else None
    pace, seconds = row.current_pace, None
    if pace and not row.held:
        seconds = round(images / pace + ((closed - row.now).total_seconds() if closed else 0))
    return HostWait(row.name, images, pace, closed, _reason(row), seconds)


def _reason(row: Host) -> str:
    if row.held:
        return "An operator has closed it"
    if row.fixed_pace and not row.probing:
        return "An operator has set its pace"
    if row.upload_pace and row.upload_pace == row.current_pace and not row.probing:
        return "An upload has set its pace"
    return HostReason(row.reason).label
