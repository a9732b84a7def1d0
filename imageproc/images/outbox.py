"""Outcomes on their way to their rows: written together, because a commit for each would cost more
than the image's share of everything else."""

from __future__ import annotations

import time
from collections.abc import Collection
from uuid import UUID

from imageproc.images import hosts, record
from imageproc.images.job import Job
from imageproc.images.outcome import Deferred, Outcome

# A pump writes its first outcomes after the shorter time, so that a request soon shows that it is
# at work, then less and less often. What ends its part of a request never waits longer than that.
FIRST_FLUSH_SECONDS = 0.5
FLUSH_SECONDS = 5.0
FLUSH_SIZE = 100
# Outcomes whose rows another session has locked are tried again soon, because an ingest locks its
# request for a tenth of a second at a time. A lock of LOCKED_SECONDS is of another kind.
LOCK_RETRY_SECONDS = 0.1
LOCKED_SECONDS = 2.0


class Outbox:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.recorded = 0
        self._locked_since: dict[UUID, float] = {}  # requests that could not be written
        self._flushed_at = 0.0
        self._seconds = FIRST_FLUSH_SECONDS

    def locked_requests(self) -> frozenset[UUID]:
        """Requests whose outcomes have waited for long: those of more images would wait, too."""
        since = time.monotonic() - LOCKED_SECONDS
        return frozenset(id_ for id_, at in self._locked_since.items() if at <= since)

    def is_due(self, under_way: Collection[Job]) -> bool:
        """Whether to write now, while these images are still being worked on."""
        since = time.monotonic() - self._flushed_at
        if self._locked_since:
            pause = FIRST_FLUSH_SECONDS if self.locked_requests() else LOCK_RETRY_SECONDS
            return since >= pause
        if len(self.outcomes) >= FLUSH_SIZE or not under_way or since >= self._seconds:
            return True
        if any(isinstance(x, Deferred) or x.job.probe for x in self.outcomes):
            return True  # the other workers are to hear it
        return since >= FIRST_FLUSH_SECONDS and self._ends_a_request(under_way)

    def _ends_a_request(self, under_way: Collection[Job]) -> bool:
        """Nothing more of some request is in hand: its few images do not wait for others'."""
        going_on = {job.request_id for job in under_way}
        return any(outcome.job.request_id not in going_on for outcome in self.outcomes)

    def flush(self) -> None:
        """Write what can be written; outcomes stay here until their commit has succeeded."""
        if self.outcomes:
            given_up = hosts.heed(self.outcomes)
            recorded = record.record(self.outcomes)
            self.recorded += recorded.written
            self.outcomes = recorded.locked
            hosts.give_up(given_up)
        self._flushed_at = now = time.monotonic()
        waiting = {outcome.job.request_id for outcome in self.outcomes}
        self._locked_since = {id_: self._locked_since.get(id_, now) for id_ in waiting}
        self._seconds = min(2 * self._seconds, FLUSH_SECONDS)

    def take_all(self) -> list[Job]:
        """Give up what could not be written. Its jobs."""
        jobs = [outcome.job for outcome in self.outcomes]
        self.outcomes = []
        return jobs
