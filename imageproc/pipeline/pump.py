"""The loop of one worker: claim, hand to the crew, record; the only room that knows the order.

A pump is a task of limited time. It may be lost or doubled at any moment: what it holds is leased,
and a lease that is not renewed runs out.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from imageproc import queue
from imageproc.faults import TOO_SLOW
from imageproc.models import ProductImage
from imageproc.pipeline import claim, record
from imageproc.pipeline.claim import Job
from imageproc.pipeline.crew import Crew, Step
from imageproc.pipeline.record import Failed, Outcome
from imageproc.pipeline.work import work

log = logging.getLogger(__name__)

PUMP_SECONDS = 60.0
# At the end of its time a pump waits this long for what is in hand; when the worker is to stop,
# settings.DRAIN_SECONDS less a margin to record in.
LAST_WAIT = 3.0
# Outcomes are written together: a commit for one would cost more than the image's share.
FLUSH_SECONDS = 1.0
FLUSH_SIZE = 50
# Jobs claimed ahead of the crew.
LOW_WATER = 8
# Nothing was due: ask again after.
IDLE_SECONDS = 0.5
# A decode that lasts longer cannot be stopped but with its process.
COMPRESS_SECONDS = 30.0
# The database may be away for this long before the pump gives up.
DATABASE_PATIENCE = 90.0


class Pump:
    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop = stop
        self._crew = Crew(work)
        self._claimed: deque[Job] = deque()
        self._outcomes: list[Outcome] = []
        self._leases: set[UUID] = set()
        self._recorded = 0
        self._suspect = False
        self._claim_after = self._flush_after = self._renew_after = 0.0

    def run(self, seconds: float) -> int:
        """Work for about ``seconds`` or until nothing is due. Images recorded."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._stop():
            self._patiently(self._claim)
            if not self._holds():
                break
            self._turn()
        self._finish()
        return self._recorded

    def _turn(self) -> None:
        for _ in range(min(self._crew.room(), len(self._claimed))):
            self._crew.start(self._claimed.popleft())
        self._outcomes += self._crew.finished(wait=0.05)
        if self._flush_is_due():
            self._patiently(self._flush)
        if time.monotonic() >= self._renew_after:
            self._patiently(self._renew)
        self._end_overdue()

    def _claim(self) -> None:
        """Top up; but alone with an image that a worker died of."""
        now = time.monotonic()
        if self._suspect or len(self._claimed) > LOW_WATER or now < self._claim_after:
            return
        if claim.has_suspects():
            if self._holds():
                return
            jobs, self._suspect = claim.claim_suspect(), True
        else:
            jobs = claim.claim(skip_hosts=self._crew.busy_hosts())
        self._claimed.extend(jobs)
        self._leases.update(job.lease_id for job in jobs)
        self._claim_after = 0.0 if jobs else now + IDLE_SECONDS
        self._suspect = self._suspect and bool(jobs)

    def _flush(self) -> None:
        """Record what ended; outcomes stay in hand until the commit has succeeded."""
        if self._outcomes:
            self._recorded += record.record(self._outcomes)
            self._outcomes = []
        self._flush_after = time.monotonic() + FLUSH_SECONDS
        if not self._works():
            self._suspect = False
            self._leases.clear()

    def _flush_is_due(self) -> bool:
        enough = len(self._outcomes) >= FLUSH_SIZE or not self._works()
        return enough or time.monotonic() >= self._flush_after

    def _renew(self) -> None:
        if self._leases:
            ProductImage.objects.renew(self._leases, settings.LEASE_SECONDS)
        self._renew_after = time.monotonic() + settings.LEASE_SECONDS / 4

    def _finish(self) -> None:
        """Let what is in hand end for a while, give the rest back, and write everything down."""
        waiting = list(self._claimed)
        self._claimed.clear()
        self._patiently(lambda: self._hand_back(waiting))
        self._patiently(self._pass_on)
        ends = time.monotonic() + (settings.DRAIN_SECONDS - 5 if self._stop() else LAST_WAIT)
        while self._crew.in_hand and time.monotonic() < ends:
            self._turn()
        unfinished = self._crew.drop()
        self._crew.dismiss()
        self._patiently(self._flush)
        self._patiently(lambda: self._hand_back(unfinished))

    def _pass_on(self) -> None:
        """The next pump is queued before this one waits for its last images."""
        if claim.has_due() or claim.has_suspects():
            queue.ensure_pumps()

    def _hand_back(self, jobs: list[Job]) -> None:
        if jobs:
            ids = {job.image_id for job in jobs}
            ProductImage.objects.hand_back(ids, {job.lease_id for job in jobs})

    def _end_overdue(self) -> None:
        """An image that the codec cannot finish fails, and takes the process with it: a thread
        in C code cannot be ended. The cluster starts another worker."""
        for in_hand in list(self._crew.in_hand.values()):
            if in_hand.lasts(Step.COMPRESS, COMPRESS_SECONDS):
                self._abandon(in_hand.job)

    def _abandon(self, overdue: Job) -> None:
        log.error("image overdue", extra={"image_id": str(overdue.image_id)})
        self._crew.in_hand.pop(overdue.image_id)
        self._outcomes.append(Failed(overdue, TOO_SLOW, round(COMPRESS_SECONDS * 1000)))
        rest = [*self._claimed, *self._crew.drop()]
        self._patiently(self._flush)
        self._patiently(lambda: self._hand_back(rest))
        os._exit(os.EX_SOFTWARE)

    def _patiently(self, step: Callable[[], None]) -> None:
        """Do a step on the database, again and again while the database is away."""
        gives_up = time.monotonic() + DATABASE_PATIENCE
        while True:
            try:
                return step()
            except (DatabaseError, InterfaceError):
                connection.close()
                if time.monotonic() > gives_up:
                    raise
                log.warning("the database is away", exc_info=True)
                time.sleep(1)

    def _holds(self) -> bool:
        return self._works() or bool(self._outcomes)

    def _works(self) -> bool:
        return bool(self._claimed or self._crew.in_hand)


def run(stop: Callable[[], bool], seconds: float = PUMP_SECONDS) -> int:
    """Run one pump; ``stop()`` tells that the worker is to end. Images recorded."""
    return Pump(stop).run(seconds)
