"""Failures grouped by reason and host, and the images of one reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from imageproc.faults import Fault, by_code
from imageproc.models import FailureTally, ImageStatus, ProductImage

# Hosts listed for each reason; tallies read.
MAX_HOSTS = 8
MAX_TALLIES = 2000


@dataclass(slots=True)
class FailureGroup:
    """Images that failed for the same reason. ``hosts`` are (host, images), most images first."""

    fault: Fault
    code: str
    images: int = 0
    hosts: list[tuple[str, int]] = field(default_factory=list)
    more_hosts: int = 0


def failure_groups(request_id: UUID) -> list[FailureGroup]:
    """The reasons of a request's failures, the commonest first. One query."""
    groups: dict[str, FailureGroup] = {}
    tallies = FailureTally.objects.filter(request_id=request_id).order_by("-images", "host")
    for tally in tallies[:MAX_TALLIES]:
        code = tally.error_code
        group = groups.setdefault(code, FailureGroup(by_code(code), code))
        group.images += tally.images
        if len(group.hosts) < MAX_HOSTS:
            group.hosts.append((tally.host, tally.images))
        else:
            group.more_hosts += 1
    return sorted(groups.values(), key=lambda group: (-group.images, group.code))


def failed_images(
    request_id: UUID, code: str, *, after: UUID | None = None, limit: int = 20
) -> tuple[list[ProductImage], UUID | None]:
    """One page of the images that failed with ``code``, with their products, and the cursor of
    the next page. One query."""
    failed = ProductImage.objects.in_file_order(request_id).filter(status=ImageStatus.FAILED)
    found = failed.filter(error_code=code)
    if after is not None:
        found = found.filter(id__gt=after)
    rows = list(found.select_related("product")[: limit + 1])
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None
