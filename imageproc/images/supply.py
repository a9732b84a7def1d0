"""What a pump claims, and when it asks again."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from django.conf import settings

from imageproc.images import claim, storing
from imageproc.images.claim import Skip
from imageproc.images.crew import Crew
from imageproc.images.job import Job
from imageproc.images.watch import watch
from imageproc.models import ProductImage

# Claim more when no more than this wait for the crew.
LOW_WATER = 8
# A claim takes what the last one says is done in this time, between the two numbers of images: what
# is unchanged takes a tenth of the time of a picture, and a claim's own queries as much as always.
CLAIM_SECONDS = 0.5
MOST_IMAGES = 400
# Delay before the next claim when nothing was due.
IDLE_SECONDS = 0.5
# A claim that passes over some hosts reads all of their images where it finds nothing else, a third
# of a second for a million rows. It is repeated after so many times what it took, within 5 seconds;
# sooner when it would pass over other hosts, or when another request has come.
TIMES_AS_LONG = 15
LONGEST_DELAY = 5.0
# Pauses between two claims of slots, and before the next claim from a host without due images.
SLOTS_SECONDS = 0.3
NO_IMAGES_SECONDS = 2.0
# Hosts whose slots are claimed in one go: each costs a transaction.
MOST_HOSTS = 20
# A pump that has nothing else to do goes on if a host opens within this time.
WORTH_WAITING = timedelta(seconds=15)
# No more slots of a host are claimed while this many of its images are late for theirs, or as many
# as its pace allows in MOST_LATE_SECONDS.
MOST_LATE = 4
MOST_LATE_SECONDS = 0.5


class Supply:
    """Claimed images that wait for the crew. ``is_idle``: whether the pump holds nothing at all."""

    def __init__(self, crew: Crew, is_idle: Callable[[], bool]) -> None:
        self.waiting: deque[Job] = deque()
        # The one image in hand is a suspect: nothing is claimed beside it.
        self.alone = False
        self._crew = crew
        self._is_idle = is_idle
        self._claim_after = self._look_after = 0.0
        self._passed_over: set[str] = set()
        self._newest: tuple[UUID, bool] | None = None
        self._claimed = 0
        self._claimed_at = 0.0
        self._alone_since = self._suspects_after = 0.0
        self._slots_after = 0.0
        self._no_images: dict[str, float] = {}  # host → when to look again
        self._turns: dict[str, float] = {}  # host → when it was looked at
        self._knows_workers = False

    def top_up(self, locked_requests: frozenset[UUID]) -> list[Job]:
        """Claim when it is time to. The new jobs, which wait here now."""
        if self.alone:
            return []
        if not self._knows_workers:
            watch.count_workers()
            self._knows_workers = True
        jobs = self._claim_slots(locked_requests)
        self.waiting.extend(jobs)
        return jobs + self._claim_any(locked_requests)

    def take(self, most: int) -> list[Job]:
        """Up to ``most`` jobs that may start now: their slot has come, and their host has a
        connection to spare."""
        now, connections = time.monotonic(), self._crew.connections()
        taken: list[Job] = []
        left: deque[Job] = deque()
        for job in self.waiting:
            ready = len(taken) < most and job.starts_at <= now
            if ready and connections[job.host] < watch.connections_to(job.host):
                connections[job.host] += 1
                taken.append(job)
            else:
                left.append(job)
        self.waiting = left
        return taken

    def take_known(self) -> list[Job]:
        """The jobs whose hosts need not be asked."""
        known = [job for job in self.waiting if job.is_fresh and not job.probe]
        if known:
            ids = {job.image_id for job in known}
            self.waiting = deque(job for job in self.waiting if job.image_id not in ids)
        return known

    def seconds_to_slot(self) -> float:
        """Until the next slot of a waiting job; infinite where none has one ahead."""
        now = time.monotonic()
        ahead = (job.starts_at - now for job in self.waiting if job.starts_at > now)
        return min(ahead, default=float("inf"))

    def expects_slots(self) -> bool:
        """Whether some host's images may be claimed soon although none can be now."""
        rows = (row for name, row in watch.rows.items() if name not in self._no_images)
        return any(
            row.is_limited and not row.held and row.closed_until < row.now + WORTH_WAITING
            for row in rows
        )

    def look_at_hosts(self) -> None:
        """A host has shown a limit: give back what must no longer be asked of it."""
        limited = {name: watch.rows[name] for name in watch.limited()}
        back = [
            job
            for job in self.waiting
            if (row := limited.get(job.host))
            and not job.probe
            and (not job.starts_at or row.is_closed(row.now))
        ]
        if back:
            ids = {id_ for job in back for id_ in job.image_ids}
            leases = {job.lease_id for job in back}
            self.waiting = deque(job for job in self.waiting if job.image_id not in ids)
            ProductImage.objects.hand_back(ids, leases)

    def _claim_slots(self, locked_requests: frozenset[UUID]) -> list[Job]:
        """A little of what the hosts with a pace may be asked for soon. Costs nothing while there
        is no such host."""
        now = time.monotonic()
        if not watch.rows or now < self._slots_after or storing.unavailable.is_set():
            return []
        self._slots_after = now + SLOTS_SECONDS
        self._refresh()
        self._no_images = {host: at for host, at in self._no_images.items() if at > now}
        late = Counter(job.host for job in self.waiting if 0 < job.starts_at < now)
        jobs: list[Job] = []
        for host in self._hosts_to_look_at():
            row = watch.rows[host]
            most_late = max(MOST_LATE, MOST_LATE_SECONDS * (row.current_pace or 0.0))
            if late[host] >= most_late or not row.slots(row.now, 0):
                continue
            found = claim.claim_slots(host, Skip(requests=locked_requests))
            if found is None:
                self._no_images[host] = now + NO_IMAGES_SECONDS
            jobs += found or []
        return jobs

    def _hosts_to_look_at(self) -> list[str]:
        """Not all at once where there are hundreds: the others come next time."""
        hosts = sorted(watch.limited() - set(self._no_images), key=self._turn_of)[:MOST_HOSTS]
        self._turns = {**self._turns, **dict.fromkeys(hosts, time.monotonic())}
        return hosts

    def _turn_of(self, host: str) -> tuple[float, str]:
        return self._turns.get(host, 0.0), host

    def _refresh(self) -> None:
        watch.refresh()
        self.look_at_hosts()

    def _claim_any(self, locked_requests: frozenset[UUID]) -> list[Job]:
        unslotted = sum(not job.starts_at for job in self.waiting)
        if unslotted > LOW_WATER or not self._is_time():
            return []
        if storing.unavailable.is_set():
            jobs = self._claim_one_as_probe()
        elif time.monotonic() >= self._suspects_after and claim.has_suspects(watch.closed()):
            jobs = self._claim_suspect()
        else:
            self._refresh()
            busy = self._crew.busy_hosts() | watch.limited()
            jobs = self._claim_many(Skip(busy, locked_requests), self._worth_claiming())
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
        skipped = self._crew.busy_hosts() | watch.limited()
        if now >= self._claim_after or skipped != self._passed_over:
            return True
        if not self._passed_over or now < self._look_after:
            return False
        self._look_after = now + IDLE_SECONDS
        return claim.newest_request() != self._newest

    def _claim_one_as_probe(self) -> list[Job]:
        """The storage is away. Whether it is back shows when it takes a result, and one result is
        enough to see that: the hosts are not asked for images that cannot be stored."""
        return self._claim_many(Skip(watch.limited()), limit=1) if self._is_idle() else []

    def _claim_suspect(self) -> list[Job]:
        if not self._is_idle():
            return []  # first let the others end
        jobs, now = claim.claim_suspect(watch.closed()), time.monotonic()
        self.alone, self._alone_since = bool(jobs), now
        self._claim_after = 0.0 if jobs else now + IDLE_SECONDS
        return jobs

    def _worth_claiming(self) -> int:
        """How many images: most of the last claim's are done by now."""
        rate = self._claimed / (time.monotonic() - self._claimed_at)
        return min(MOST_IMAGES, max(claim.CHUNK, round(rate * CLAIM_SECONDS)))

    def _claim_many(self, skip: Skip, limit: int) -> list[Job]:
        self._newest = claim.newest_request() if skip.hosts else None
        self._claimed_at = started = time.monotonic()
        jobs = claim.claim(limit, skip=skip, workers=settings.WORKERS)
        self._claimed = len(jobs)
        now = time.monotonic()
        delay = min(LONGEST_DELAY, max(IDLE_SECONDS, TIMES_AS_LONG * (now - started)))
        self._claim_after = 0.0 if jobs else now + delay
        self._passed_over = set(skip.hosts)
        return jobs
