"""What a pump claims, and when it asks again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from uuid import UUID

from django.conf import settings

from imageproc.images import claim, storing
from imageproc.images.claim import Job, Skip
from imageproc.images.crew import Crew

# Claim more when no more than this wait for the crew.
LOW_WATER = 8
# Delay before the next claim when nothing was due.
IDLE_SECONDS = 0.5
# Delay before repeating a claim that found work only on saturated hosts: it had to read all of
# theirs, a third of a second for a million rows. Sooner when other hosts are saturated, or when
# another request has come.
SATURATED_SECONDS = 5.0


class Supply:
    """Claimed images that wait for the crew. ``is_idle``: whether the pump holds nothing at all."""

    def __init__(self, crew: Crew, is_idle: Callable[[], bool]) -> None:
        self.waiting: deque[Job] = deque()
        # The one image in hand is a suspect: nothing is claimed beside it.
        self.alone = False
        self._crew = crew
        self._is_idle = is_idle
        self._claim_after = self._look_after = 0.0
        self._saturated: set[str] = set()
        self._newest: tuple[UUID, bool] | None = None
        self._alone_since = self._suspects_after = 0.0

    def top_up(self, locked_requests: frozenset[UUID]) -> list[Job]:
        """Claim when it is time to. The new jobs, which wait here now."""
        if self.alone or len(self.waiting) > LOW_WATER or not self._is_time():
            return []
        if storing.unavailable.is_set():
            jobs = self._claim_one_as_probe()
        elif time.monotonic() >= self._suspects_after and claim.has_suspects():
            jobs = self._claim_suspect()
        else:
            jobs = self._claim_many(Skip(self._crew.busy_hosts(), locked_requests))
        self.waiting.extend(jobs)
        return jobs

    def end_solitude(self) -> None:
        """The suspect has ended. Half of the time belongs to the other images, however many
        suspects there are."""
        if self.alone:
            now = time.monotonic()
            self.alone = False
            self._suspects_after = now + (now - self._alone_since)

    def _is_time(self) -> bool:
        now = time.monotonic()
        if now >= self._claim_after or self._crew.busy_hosts() != self._saturated:
            return True
        if not self._saturated or now < self._look_after:
            return False
        self._look_after = now + IDLE_SECONDS
        return claim.newest_request() != self._newest

    def _claim_one_as_probe(self) -> list[Job]:
        """The storage is away. Whether it is back shows when it takes a result, and one result is
        enough to see that: the hosts are not asked for images that cannot be stored."""
        return self._claim_many(Skip(), limit=1) if self._is_idle() else []

    def _claim_suspect(self) -> list[Job]:
        if not self._is_idle():
            return []  # first let the others end
        jobs, now = claim.claim_suspect(), time.monotonic()
        self.alone, self._alone_since = bool(jobs), now
        self._claim_after = 0.0 if jobs else now + IDLE_SECONDS
        return jobs

    def _claim_many(self, skip: Skip, limit: int = claim.CHUNK) -> list[Job]:
        self._newest = claim.newest_request() if skip.hosts else None
        jobs = claim.claim(limit, skip=skip, workers=settings.WORKERS)
        self._saturated = set(skip.hosts)
        delay = SATURATED_SECONDS if skip.hosts else IDLE_SECONDS
        self._claim_after = 0.0 if jobs else time.monotonic() + delay
        return jobs
