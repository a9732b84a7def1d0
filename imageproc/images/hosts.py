"""Good manners towards hosts that have shown a limit: what all workers know of them.

A host that has shown none has no row and costs nothing. ``models.Host`` has the rules, ``watch``
the view of one process; claims for a host with a pace get slots of time (``claim.claim_slots``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import repeat
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from imageproc import metrics
from imageproc.faults import HOST_DOWN, HostSign
from imageproc.images.job import Job
from imageproc.images.outcome import Deferred, Done, Outcome
from imageproc.images.watch import watch
from imageproc.models import (
    FailureTally,
    FinishedImage,
    Host,
    ImageStatus,
    MinuteTally,
    ProcessingRequest,
    ProductImage,
    RequestStatus,
)
from imageproc.workers import queue

log = logging.getLogger(__name__)


def heed(outcomes: Sequence[Outcome]) -> set[str]:
    """Write down what the outcomes say about their hosts, before the images are free again. The
    hosts that are to be given up."""
    signs = {outcome.job.host for outcome in outcomes if isinstance(outcome, Deferred)}
    names = signs | {x.job.host for x in outcomes if x.asked and x.job.host in watch.rows}
    if not names:
        return set()
    lost: set[str] = set()
    with transaction.atomic():
        if unknown := signs - set(watch.rows):
            Host.objects.bulk_create([Host(name=n) for n in sorted(unknown)], ignore_conflicts=True)
        rows = Host.objects.lock(names)
        closed_at = {row.name: row.closed_at for row in rows}
        for row in rows:
            _apply(row, [x for x in outcomes if x.asked and x.job.host == row.name])
            if row.name in signs and row.lost_patience(row.now, settings.HOST_PATIENCE):
                lost.add(row.name)
            row.save()
    watch.rows.update({row.name: row for row in rows})
    for row in rows:
        if row.closed_at != closed_at[row.name]:
            metrics.paused(row.reason, row.pause)
    return lost


def _apply(row: Host, outcomes: Iterable[Outcome]) -> None:
    clock = time.monotonic()
    for outcome in sorted(outcomes, key=lambda outcome: outcome.asked_at):
        asked_at, probe = row.now - timedelta(seconds=clock - outcome.asked_at), outcome.job.probe
        if not isinstance(outcome, Deferred):
            if isinstance(outcome, Done) or outcome.fault.sign is None:
                row.answered(row.now, asked_at, probe=probe)
        elif outcome.fault.sign is HostSign.SLOW_DOWN:
            retry_after, rate = outcome.fault.retry_after, watch.take_rate(row.name)
            row.slow_down(row.now, asked_at, retry_after, rate, probe=probe)
        else:
            row.no_answer(row.now, asked_at, probe=probe)


def release_probes(jobs: Iterable[Job]) -> None:
    """These will have no outcome: another probe may go at once."""
    if names := {job.host for job in jobs if job.probe}:
        Host.objects.filter(name__in=names, probing=True).update(closed_until=Now())


def give_up(names: Iterable[str]) -> int:
    """Fail all images that wait for these hosts. Images failed. A request that is locked now keeps
    its images until the host's next probe fails."""
    total = 0
    for name in sorted(names):
        running = ProcessingRequest.objects.filter(status=RequestStatus.PROCESSING).order_by("id")
        counts = [_fail_waiting(id_, name) for id_ in running.values_list("id", flat=True)]
        failed = sum(count or 0 for count in counts)
        log.warning("host is down", extra={"host": name, "images": failed})
        total += failed
        if None not in counts:
            _meet_afresh(name)
    return total


def _fail_waiting(request_id: UUID, host: str) -> int | None:
    """PENDING → FAILED for a request's images of a host, in one statement. None: it is locked."""
    images = ProductImage.objects.filter(request_id=request_id, host=host)
    with transaction.atomic():
        failed = images.filter(status=ImageStatus.PENDING).update(
            status=ImageStatus.FAILED,
            error_code=HOST_DOWN.code,
            error_message=HOST_DOWN.sentence,
            finished_at=Now(),
        )
        if not failed:
            return 0
        requests = ProcessingRequest.objects.filter(id=request_id)
        if not requests.lock([request_id]):
            transaction.set_rollback(True)
            return None
        requests.update(failed_images=F("failed_images") + failed)
        FailureTally.objects.add(request_id, HOST_DOWN.code, host, failed)
        if requests.settled().exists():
            queue.enqueue_complete(request_id)
        now = requests.values_list(Now(), flat=True).get()
        ended = list(repeat(FinishedImage(now, HOST_DOWN.code, 0, 0), failed))
        MinuteTally.objects.add(ended)
        transaction.on_commit(lambda: metrics.ended(ended))
    return failed


def _meet_afresh(name: str) -> None:
    with transaction.atomic():
        for row in Host.objects.lock([name]):
            row.meet_afresh(row.now)
            row.save()
