"""What one process sees of image hosts: through how many connections each is asked, and whether the
image or its host is to blame for an outcome."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.conf import settings

from imageproc.faults import DNS_FAILED, HOST_BUSY, HostSign
from imageproc.images.outcome import Deferred, Done, Failed, Outcome
from imageproc.models import ClusterHeartbeat, Host

# Slow start: connections to a host that was just met; each answer allows one more.
FIRST_CONNECTIONS = 4
# This many failures in a row are blamed on the host.
FAILURES_IN_A_ROW = 5
# A host that gave PICTURES_BEFORE_DENIAL pictures is blamed for DENIALS_IN_A_ROW answers of 403.
# Images that get fewer are asked for again DENIALS_OF_AN_IMAGE times.
DENIALS_IN_A_ROW = 3
PICTURES_BEFORE_DENIAL = 20
DENIALS_OF_AN_IMAGE = 2
# When a host refuses for the first time, its answers of the last seconds show what it allows.
RATE_SECONDS = 10.0
# A process that has met more hosts than this forgets them all and begins anew.
MOST_HOSTS = 10_000


@dataclass(slots=True)
class _Acquaintance:
    """What this process has seen of a host. ``answers`` since it was met or last refused us;
    ``failures`` and ``denials`` in a row; ``failing``: the images of these failures; ``lately``:
    times of the last answers."""

    answers: int = 0
    pictures: int = 0
    failures: int = 0
    denials: int = 0
    failing: set[UUID] = field(default_factory=set)
    lately: deque[float] = field(default_factory=lambda: deque(maxlen=1024))

    def failed(self, image_id: UUID) -> None:
        """An image that fails again says nothing new about a host that gave others."""
        if not self.pictures or image_id not in self.failing:
            self.failures += 1
        self.failing.add(image_id)
        self.answers //= 2

    def answered(self, pictures: int) -> None:
        self.answers += 1
        self.pictures += pictures
        self.failures = self.denials = 0
        self.failing.clear()
        self.lately.append(time.monotonic())


_STRANGER = _Acquaintance()


class Watch:
    """Judges outcomes: is the image to blame or its host? ``rows``: the hosts with a row, by name,
    as of the last ``refresh``."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._hosts: dict[str, _Acquaintance] = {}
        self._workers = 1
        self.rows: dict[str, Host] = {}

    def count_workers(self) -> None:
        """How many share a host's connections. One query; a pump asks once."""
        alive = ClusterHeartbeat.objects.slots("images")
        self._workers = max(1, settings.WORKERS, alive)

    def refresh(self) -> None:
        """Read what all workers know. One query of a table that is empty for most."""
        self.rows = {row.name: row for row in Host.objects.with_clock()}

    def limited(self) -> set[str]:
        """Hosts whose images are claimed by slots only."""
        return {name for name, row in self.rows.items() if row.is_limited}

    def closed(self) -> set[str]:
        """Hosts that must not be asked for anything now."""
        return {name for name, row in self.rows.items() if row.is_closed(row.now)}

    def most_connections(self) -> int:
        """To one host, of this process: its part of MAX_PER_HOST."""
        return max(1, settings.MAX_PER_HOST // self._workers)

    def connections_to(self, host: str) -> int:
        """How many this host may have now: more with each answer, fewer with each failure."""
        met = self._hosts.get(host, _STRANGER)
        if met.failures:
            return max(1, FIRST_CONNECTIONS - met.failures)
        return min(self.most_connections(), FIRST_CONNECTIONS + met.answers)

    def take_rate(self, host: str) -> float:
        """Requests a second that this process was allowed lately; 0 until there are new answers.

        Many hosts let a second's worth pass at once before they keep to their rate: so what they
        gave within a time is taken for what they allow in a second more.
        """
        now, lately = time.monotonic(), self._of(host).lately
        times = [at for at in lately if at > now - RATE_SECONDS]
        lately.clear()
        return len(times) / (now - times[0] + 1) if times else 0.0

    def judge(self, outcome: Outcome) -> Outcome:
        """The outcome; as Deferred where the host is to blame."""
        job = outcome.job
        host = self._of(job.host)
        if isinstance(outcome, Done):
            host.answered(pictures=1)
            return outcome
        match outcome.fault.sign:
            case HostSign.SLOW_DOWN:
                # A host that gives the others and refuses this image again means the image.
                is_image = job.refusals > 0 and host.answers > 0 and not job.probe
                return outcome if is_image else self._refused(host, outcome)
            case HostSign.NO_ANSWER:
                host.failed(job.image_id)
                is_host = host.failures >= FAILURES_IN_A_ROW or job.probe
                return self._refused(host, outcome) if is_host else outcome
            case HostSign.DENIED if job.probe or host.pictures >= PICTURES_BEFORE_DENIAL:
                return self._denied(host, outcome)
        if outcome.fault.code == DNS_FAILED.code:
            return self._refused(host, outcome) if job.probe else outcome
        host.answered(pictures=0)
        return outcome

    def _of(self, name: str) -> _Acquaintance:
        if name not in self._hosts and len(self._hosts) >= MOST_HOSTS:
            self._hosts.clear()
        return self._hosts.setdefault(name, _Acquaintance())

    def _refused(self, host: _Acquaintance, failed: Failed) -> Deferred:
        # The image may be one that its host always refuses, so a refused probe counts against it.
        slow_probe = failed.job.probe and failed.fault.sign is HostSign.SLOW_DOWN
        picked_out, host.answers = host.answers > 0 or slow_probe, 0
        return Deferred(failed.job, failed.fault, failed.milliseconds, failed.asked_at, picked_out)

    def _denied(self, host: _Acquaintance, failed: Failed) -> Outcome:
        """A ban shows as 403 for every image; before that shows, the first few are kept."""
        host.denials += 1
        if host.denials >= DENIALS_IN_A_ROW or failed.job.probe:
            fault = HOST_BUSY.because(failed.fault.detail, retry_after=failed.fault.retry_after)
            return self._refused(host, replace(failed, fault=fault))
        if failed.job.attempt <= DENIALS_OF_AN_IMAGE:
            return replace(failed, fault=replace(failed.fault, permanent=False))
        return failed


watch = Watch()
