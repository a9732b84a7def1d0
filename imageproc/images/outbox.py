"""Outcomes on their way to their rows: written together, because a commit for each would cost more
than the image's share of everything else."""

from __future__ import annotations

import time
from collections.abc import Collection
from uuid import UUID

from imageproc.images import record
from imageproc.images.claim import Job
from imageproc.images.outcome import Outcome

# A pump writes its first outcomes after the shorter time, so that a request soon shows that it is
# at work, then less and less often. What ends its part of a request never waits longer than that.
FIRST_FLUSH_SECONDS = 0.5
FLUSH_SECONDS = 5.0
FLUSH_SIZE = 100


class Outbox:
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.recorded = 0
        # Requests whose outcomes could not be written: another session has locked their rows.
        self.locked: frozenset[UUID] = frozenset()
        self._flushed_at = 0.0
        self._seconds = FIRST_FLUSH_SECONDS

    def is_due(self, under_way: Collection[Job]) -> bool:
        """Whether to write now, while these images are still being worked on."""
        since = time.monotonic() - self._flushed_at
        if self.locked and since < FIRST_FLUSH_SECONDS:
            return False
        if len(self.outcomes) >= FLUSH_SIZE or not under_way or since >= self._seconds:
            return True
        return since >= FIRST_FLUSH_SECONDS and self._ends_a_request(under_way)

    def _ends_a_request(self, under_way: Collection[Job]) -> bool:
        """Nothing more of some request is in hand: its few images do not wait for others'."""
        going_on = {job.request_id for job in under_way}
        return any(outcome.job.request_id not in going_on for outcome in self.outcomes)

    def flush(self) -> None:
        """Write what can be written; outcomes stay here until their commit has succeeded."""
        if self.outcomes:
            recorded = record.record(self.outcomes)
            self.recorded += recorded.written
            self.outcomes = recorded.locked
        self.locked = frozenset(outcome.job.request_id for outcome in self.outcomes)
        self._flushed_at = time.monotonic()
        self._seconds = min(2 * self._seconds, FLUSH_SECONDS)

    def take_all(self) -> list[Job]:
        """Give up what could not be written. Its jobs."""
        jobs = [outcome.job for outcome in self.outcomes]
        self.outcomes = []
        return jobs
