"""The loop of one worker: claim, hand to the crew, record; the only room that knows the order.

A pump is a task of limited time. It may be lost or doubled at any moment: what it holds is leased,
and a lease that is not renewed runs out.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID, uuid4

from django.conf import settings
from django.db import reset_queries

from imageproc.faults import STORAGE_FAILED, TOO_MUCH_MEMORY, TOO_SLOW, Fault
from imageproc.images import claim, memory, record, store, sweep
from imageproc.images.blackbox import BlackBox
from imageproc.images.claim import Job
from imageproc.images.crew import Crew, Step
from imageproc.images.outcome import Done, Failed, Outcome
from imageproc.images.patience import Patience
from imageproc.images.work import work
from imageproc.models import ProductImage
from imageproc.workers import queue

log = logging.getLogger(__name__)

PUMP_SECONDS = 60.0
# From its start to its very end, waiting for the database included: less than the queue's timeout.
LAST_SECONDS = 280.0
# At the end of its time a pump waits this long for what is in hand; when the worker is to stop,
# settings.DRAIN_SECONDS less a margin to record in.
LAST_WAIT = 3.0
DRAIN_MARGIN = 5.0
# Outcomes are written together: a commit for one would cost more than the image's share. A pump
# begins with the shorter time, so that a request soon shows that it is at work, and so ends what
# it has of a request.
FIRST_FLUSH_SECONDS = 0.5
FLUSH_SECONDS = 5.0
FLUSH_SIZE = 100
# Where no image ends: look after the others, and whether to stop.
TURN_SECONDS = 0.2
# Jobs claimed ahead of the crew.
LOW_WATER = 8
# Nothing was due: ask again after.
IDLE_SECONDS = 0.5
# Nothing was due but at the hosts that were passed over, which means that all of theirs was read:
# a third of a second for a million rows. Ask again after, or when the hosts are others, or another
# request has come.
PASSED_OVER_SECONDS = 5.0
# The storage does not answer: ask it again after.
STORAGE_SECONDS = 2.0
# One decode that lasts longer cannot be stopped but with its process; its CPU: the settings.
CODEC_SECONDS = 100.0


class Pump:
    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop
        self._box = BlackBox()
        self._crew = Crew(lambda in_hand: work(in_hand, self._box))
        self._claimed: deque[Job] = deque()
        self._outcomes: list[Outcome] = []
        self._leases: dict[UUID, float] = {}  # when to renew each
        self._passed_over: set[str] = set()
        self._newest: tuple[UUID, bool] | None = None  # when they were
        self._recorded = 0
        self._alone = self._storage_failed = False
        self._alone_since = self._suspects_after = 0.0
        self._claim_after = self._news_after = self._flushed_at = self._renew_after = 0.0
        self._flush_seconds = FIRST_FLUSH_SECONDS

    def run(self, seconds: float) -> int:
        """Work for about ``seconds`` or until nothing is due. Images recorded."""
        self._patiently = Patience(seconds + LAST_SECONDS - PUMP_SECONDS)
        finished = False
        try:
            self._loop(time.monotonic() + seconds)
            self._finish()
            finished = True
        finally:
            if self._crew.in_codec() and not finished and not self._stop():
                os._exit(os.EX_SOFTWARE)  # or the next pump would wait behind it, maybe for ever
            self._crew.drop()
            self._crew.dismiss()
            self._box.close(nothing_left=finished)
        return self._recorded

    def _loop(self, ends: float) -> None:
        while time.monotonic() < ends and not self._stop():
            self._patiently(self._claim)
            if not self._holds():
                return
            self._turn()

    def _turn(self) -> None:
        if memory.share() < 0.5:
            for _ in range(min(self._crew.room(), len(self._claimed))):
                self._crew.start(self._claimed.popleft())
        self._outcomes += self._crew.finished(wait=TURN_SECONDS)
        if self._flush_is_due():
            self._patiently(self._flush)
        if time.monotonic() >= self._renew_after:
            self._patiently(self._renew)
        self._end_overdue()

    # --- Claiming ---------------------------------------------------------------------------------
    def _claim(self) -> None:
        """Top up; but alone with an image that a worker died of."""
        if self._alone or len(self._claimed) > LOW_WATER:
            return
        now, busy = time.monotonic(), self._crew.busy_hosts()
        if now < self._claim_after and busy == self._passed_over and not self._has_news(now):
            return
        if self._storage_failed and store.probe():
            self._claim_after = now + STORAGE_SECONDS
            return
        if now >= self._suspects_after and claim.has_suspects():
            if self._holds():
                return
            jobs, self._alone, self._alone_since = claim.claim_suspect(self._noted()), True, now
        else:
            self._newest = claim.newest() if busy else None
            jobs = claim.claim(skip_hosts=busy, lease_id=self._noted(), workers=settings.WORKERS)
        self._take(jobs)
        self._passed_over = busy
        self._claim_after = 0.0 if jobs else now + (PASSED_OVER_SECONDS if busy else IDLE_SECONDS)
        self._alone = self._alone and bool(jobs)

    def _has_news(self, now: float) -> bool:
        """Another request has come since hosts were passed over."""
        if not self._passed_over or now < self._news_after:
            return False
        self._news_after = now + IDLE_SECONDS
        return claim.newest() != self._newest

    def _noted(self) -> UUID:
        """A new lease, in the black box before it is in the database: were this process killed
        between the two the other way round, nothing would be known of the images it had taken."""
        lease_id = uuid4()
        self._box.lease(lease_id)
        return lease_id

    def _take(self, jobs: Sequence[Job]) -> None:
        self._claimed.extend(jobs)
        self._leases.update(dict.fromkeys((job.lease_id for job in jobs), _next_renewal()))

    # --- Recording --------------------------------------------------------------------------------
    def _flush(self) -> None:
        """Record what ended; outcomes stay in hand until the commit has succeeded."""
        if self._outcomes:
            self._recorded += record.record(self._outcomes)
            self._storage_failed = _storage_failed(self._outcomes)
            self._outcomes = []
        self._flushed_at = time.monotonic()
        self._flush_seconds = min(2 * self._flush_seconds, FLUSH_SECONDS)
        if not self._works():
            self._end_solitude()

    def _end_solitude(self) -> None:
        """Half of the time belongs to the others, however many suspects there are."""
        if self._alone:
            self._alone = False
            now = time.monotonic()
            self._suspects_after = now + (now - self._alone_since)

    def _flush_is_due(self) -> bool:
        since = time.monotonic() - self._flushed_at
        enough = len(self._outcomes) >= FLUSH_SIZE or not self._works()
        if enough or since >= self._flush_seconds:
            return True
        return since >= FIRST_FLUSH_SECONDS and self._ends_for_somebody()

    def _ends_for_somebody(self) -> bool:
        """Of some request nothing is left in hand here: its few images do not wait for others'."""
        going_on = {job.request_id for job in self._under_way()}
        return any(outcome.job.request_id not in going_on for outcome in self._outcomes)

    def _renew(self) -> None:
        """Keep what is in hand for long; most images end before their lease needs it."""
        now = time.monotonic()
        held = {job.lease_id for job in self._jobs()}
        self._leases = {lease: at for lease, at in self._leases.items() if lease in held}
        if due := [lease for lease, at in self._leases.items() if at <= now]:
            ProductImage.objects.renew(due, settings.LEASE_SECONDS)
            self._leases.update(dict.fromkeys(due, _next_renewal()))
        self._renew_after = min(self._leases.values(), default=_next_renewal())

    # --- Ending -----------------------------------------------------------------------------------
    def _finish(self) -> None:
        """Let what is in hand end for a while, give the rest back, and write everything down."""
        waiting = list(self._claimed)
        self._claimed.clear()
        self._patiently(lambda: _hand_back(waiting))
        self._patiently(_pass_on)
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
        self._outcomes += self._crew.finished(wait=0)
        rest = [*self._claimed, *self._crew.drop()]
        self._claimed.clear()
        self._patiently(self._flush)
        self._patiently(lambda: _hand_back(rest))

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
            self._abandon(in_codec.job, TOO_MUCH_MEMORY if self._alone else None)

    def _abandon(self, job: Job, fault: Fault | None) -> None:
        """End the process over an image, which fails, or is left for the black box to blame."""
        log.error("image ends its worker", extra={"image_id": str(job.image_id), "fault": fault})
        self._crew.in_hand.pop(job.image_id)
        if fault is not None:
            self._outcomes.append(Failed(job, fault, round(CODEC_SECONDS * 1000)))
        self._let_go()
        os._exit(os.EX_SOFTWARE)

    def _jobs(self) -> Iterator[Job]:
        """All that this pump holds a lease of."""
        yield from self._under_way()
        yield from (outcome.job for outcome in self._outcomes)

    def _under_way(self) -> Iterator[Job]:
        yield from self._claimed
        yield from (in_hand.job for in_hand in self._crew.in_hand.values())

    def _holds(self) -> bool:
        return self._works() or bool(self._outcomes)

    def _works(self) -> bool:
        return bool(self._claimed or self._crew.in_hand)


def _next_renewal() -> float:
    """By the monotonic clock: two of the three renewals within a lease may fail."""
    return time.monotonic() + settings.LEASE_SECONDS / 4


def _hand_back(jobs: Sequence[Job]) -> None:
    if jobs:
        ids = {job.image_id for job in jobs}
        ProductImage.objects.hand_back(ids, {job.lease_id for job in jobs})


def _pass_on() -> None:
    """The next pump is queued before this one waits for its last images."""
    if claim.has_due() or claim.has_suspects():
        queue.ensure_pumps()


def _storage_failed(outcomes: Sequence[Outcome]) -> bool:
    """Some results were refused by the storage, and none was taken."""
    faults = [outcome.fault.code for outcome in outcomes if isinstance(outcome, Failed)]
    taken = any(isinstance(outcome, Done) for outcome in outcomes)
    return STORAGE_FAILED.code in faults and not taken


def run(stop: Callable[[], bool], seconds: float = PUMP_SECONDS) -> int:
    """Run one pump; ``stop()`` tells that the worker is to end. Images recorded."""
    memory.limit()
    reset_queries()  # with DEBUG on, Django keeps the last 9,000 of a connection
    Patience(LAST_SECONDS - PUMP_SECONDS)(sweep.return_wrecked)
    return Pump(stop).run(seconds)
