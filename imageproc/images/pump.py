"""The loop of one worker: claim, hand to the crew, record; the only room that knows the order.

A pump is a task of limited time. It may be lost or doubled at any moment: what it holds is leased,
and a lease that is not renewed runs out.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from django.conf import settings
from django.db import reset_queries

from imageproc.faults import TOO_MUCH_MEMORY, TOO_SLOW, Fault
from imageproc.images import claim, hosts, memory, reuse, storing
from imageproc.images.access import access
from imageproc.images.crew import Crew, Step
from imageproc.images.database import DatabaseRetry
from imageproc.images.job import Job
from imageproc.images.outbox import Outbox
from imageproc.images.outcome import Failed
from imageproc.images.supply import Supply
from imageproc.images.watch import watch
from imageproc.images.work import work
from imageproc.models import ProductImage
from imageproc.workers import queue

log = logging.getLogger(__name__)

PUMP_SECONDS = 60.0
# From its start to its very end, waiting for the database included: less than the queue's timeout.
LAST_SECONDS = 280.0
# A pump whose results the storage does not take goes on until this time, and a little longer than
# the threads pause between two tries: what is compressed is stored as soon as that is possible.
OUTAGE_SECONDS = 240.0
RETURN_SECONDS = 2 * storing.LONGEST_PAUSE_SECONDS
# At the end of its time a pump waits this long for what is in hand; when the worker is to stop,
# settings.DRAIN_SECONDS less a margin to record in.
LAST_WAIT = 3.0
DRAIN_MARGIN = 5.0
# At its end, it waits this long for rows that another session has locked.
LOCK_WAIT = 2.0
# While no image ends: how often to look after the others, and for a stop.
TURN_SECONDS = 0.2
# A decode that lasts longer can only be stopped with its process. Its CPU: the settings.
CODEC_SECONDS = 100.0


class Pump:
    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop
        self._crew = Crew(work)
        self._outbox = Outbox()
        self._supply = Supply(self._crew, lambda: not self._holds())
        self._renewals: dict[UUID, float] = {}  # lease → when to renew it
        self._renew_after = 0.0

    def run(self, seconds: float) -> int:
        """Work for about ``seconds`` or until nothing is due. Images recorded."""
        self._with_database = DatabaseRetry(seconds + LAST_SECONDS - PUMP_SECONDS)
        finished = False
        try:
            self._loop(seconds)
            self._finish()
            finished = True
        finally:
            if self._crew.in_codec() and not finished and not self._stop():
                os._exit(os.EX_SOFTWARE)  # or the next pump would wait behind it, maybe for ever
            self._crew.drop()
            self._crew.dismiss()
        return self._outbox.recorded

    def _loop(self, seconds: float) -> None:
        started = time.monotonic()
        ends = started + seconds
        while (now := time.monotonic()) < ends and not self._stop():
            if storing.unavailable.is_set():
                ends = max(ends, min(now + RETURN_SECONDS, started + OUTAGE_SECONDS))
            self._with_database(self._claim)
            if not self._holds() and not self._supply.expects_slots():
                return
            self._turn()

    def _turn(self) -> None:
        known = self._supply.take_known()
        self._outbox.outcomes += [reuse.unasked(one) for job in known for one in job.each()]
        if memory.share() < 0.5:
            for job in self._supply.take(self._crew.room()):
                self._crew.start(job)
        self._collect(0 if known else min(TURN_SECONDS, self._supply.seconds_to_slot()))
        if self._outbox.is_due(self._under_way()):
            self._with_database(self._flush)
        if time.monotonic() >= self._renew_after:
            self._with_database(self._renew)
        self._end_overdue()

    def _collect(self, wait: float) -> None:
        """Take what has ended within ``wait`` seconds, its host judged."""
        self._outbox.outcomes += [watch.judge(outcome) for outcome in self._crew.finished(wait)]

    def _claim(self) -> None:
        access.refresh()
        jobs = self._supply.top_up(self._outbox.locked_requests())
        self._renewals.update(dict.fromkeys((job.lease_id for job in jobs), _next_renewal()))

    def _flush(self) -> None:
        self._outbox.flush()
        self._supply.look_at_hosts()
        if not self._under_way():
            self._supply.end_solitude()

    def _renew(self) -> None:
        """Keep what is in hand for long; most images end before their lease needs it."""
        now = time.monotonic()
        held = {job.lease_id for job in self._under_way()}
        held |= {outcome.job.lease_id for outcome in self._outbox.outcomes}
        self._renewals = {lease: at for lease, at in self._renewals.items() if lease in held}
        if due := [lease for lease, at in self._renewals.items() if at <= now]:
            ProductImage.objects.renew(due, settings.LEASE_SECONDS)
            self._renewals.update(dict.fromkeys(due, _next_renewal()))
        self._renew_after = min(self._renewals.values(), default=_next_renewal())

    # --- Ending -----------------------------------------------------------------------------------
    def _finish(self) -> None:
        """Let what is in hand end for a while, give the rest back, and write everything down."""
        waiting = list(self._supply.waiting)
        self._supply.waiting.clear()
        self._with_database(lambda: _hand_back(waiting))
        self._with_database(_pass_on)
        ends = time.monotonic() + LAST_WAIT
        while self._crew.in_hand and not self._stop() and self._may_wait(ends):
            self._turn()
        ends = time.monotonic() + settings.DRAIN_SECONDS - DRAIN_MARGIN
        while self._crew.in_hand and self._stop() and time.monotonic() < ends:
            self._turn()
        self._let_go()

    def _may_wait(self, ends: float) -> bool:
        """The codec cannot be stopped: an image in it is never left to the next pump, which would
        wait behind it, but ends, or is overdue."""
        return time.monotonic() < ends or self._crew.in_codec() is not None

    def _let_go(self) -> None:
        """Record what has ended; what has not is free again at once, its attempt uncounted."""
        self._collect(wait=0)
        unfinished = [*self._supply.waiting, *self._crew.drop()]
        self._supply.waiting.clear()
        ends = time.monotonic() + LOCK_WAIT
        self._with_database(self._flush)
        while self._outbox.outcomes and time.monotonic() < ends:
            time.sleep(TURN_SECONDS)
            self._with_database(self._flush)
        unfinished += self._outbox.take_all()
        self._with_database(lambda: _hand_back(unfinished))

    def _end_overdue(self) -> None:
        """An image that the codec cannot finish fails, and takes the process with it: a thread
        in C code cannot be ended. The cluster starts another worker."""
        in_codec = self._crew.in_codec()
        if in_codec is None:
            return
        if in_codec.burns(settings.MAX_CODEC_CPU_SECONDS) or in_codec.lasts(
            Step.COMPRESS, CODEC_SECONDS
        ):
            self._abandon(in_codec.job, TOO_SLOW)
        elif memory.share() > 1:
            # In company it may be another's memory: then alone, before it is judged.
            self._abandon(in_codec.job, TOO_MUCH_MEMORY if self._supply.alone else None)

    def _abandon(self, job: Job, fault: Fault | None) -> None:
        """End the process over an image, which fails, or is blamed and processed alone next."""
        log.error("image ends its worker", extra={"image_id": str(job.image_id), "fault": fault})
        self._crew.in_hand.pop(job.image_id)
        if fault is not None:
            self._outbox.outcomes.append(Failed(job, fault, round(CODEC_SECONDS * 1000)))
        else:
            held = ProductImage.objects.filter(lease_id=job.lease_id)
            self._with_database(lambda: held.return_lost(job.image_ids, blamed=True))
        self._let_go()
        os._exit(os.EX_SOFTWARE)

    def _under_way(self) -> list[Job]:
        """What has no outcome yet."""
        in_hand = (in_hand.job for in_hand in self._crew.in_hand.values())
        return [*self._supply.waiting, *in_hand]

    def _holds(self) -> bool:
        return bool(self._under_way() or self._outbox.outcomes)


def _next_renewal() -> float:
    """By the monotonic clock: two of the three renewals within a lease may fail."""
    return time.monotonic() + settings.LEASE_SECONDS / 4


def _hand_back(jobs: Sequence[Job]) -> None:
    if jobs:
        ids = {id_ for job in jobs for id_ in job.image_ids}
        ProductImage.objects.hand_back(ids, {job.lease_id for job in jobs})
        hosts.release_probes(jobs)


def _pass_on() -> None:
    """The next pump is queued before this one waits for its last images."""
    if claim.has_due() or claim.has_suspects():
        queue.ensure_pumps()


def run(stop: Callable[[], bool], seconds: float = PUMP_SECONDS) -> int:
    """Run one pump; ``stop()`` tells that the worker is to end. Images recorded."""
    memory.limit()
    reset_queries()  # with DEBUG on, Django keeps the last 9,000 of a connection
    return Pump(stop).run(seconds)
