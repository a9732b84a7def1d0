"""What is known of an image host that has shown a limit: its pace, and until when it is closed.

A host that has shown none has no row. The rules are methods of the row that take the time as an
argument; ``images.hosts`` applies them in a transaction that has locked the row.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Least, Now

from imageproc.models.request import ProcessingRequest

# Requests a second.
SLOWEST_PACE = 0.2
FASTEST_PACE = 1000.0
# Slots are reserved this far ahead. A worker that stood still sends no more than these at once.
HORIZON_SECONDS = 1.0
# A row goes after this long without a sign.
QUIET = timedelta(hours=1)
# Seconds that a host without Retry-After stays closed: doubled each time, up to the longest.
FIRST_PAUSE = 1.0
LONGEST_PAUSE_BUSY = 60.0
LONGEST_PAUSE_DOWN = 20.0
# A host is given up only after so many refusals in a row: it may have been asked just once in all
# its time, because the worker that held the probe was paused or had to wait for the storage.
LEAST_CLOSINGS = 5
# A host that nobody asked for this long after it could be asked is met afresh.
FORGOTTEN = timedelta(minutes=5)
# A refusal leaves at the least so much of what the host gave while it was open, at the most so much
# of its pace.
LEAST_KEPT, MOST_KEPT = 0.5, 0.95
# The pace is back where it was refused after so many seconds if that was a guess, and beyond it by
# this part; each time that the limit proves to be there doubles the time, up to SUREST times.
SEARCH_SECONDS = 1.0
BEYOND = 0.1
SUREST = 6
# So often counts as confirmed what was measured once.
MEASURED = 3
# A first pace from so many requests a second on rests on enough answers to be no mere guess.
SURE_RATE = 20.0
# Two paces that differ by no more than this part are the same limit.
ALIKE = 0.15


class HostReason(models.TextChoices):
    BUSY = "busy", "It asked us to slow down"
    DOWN = "down", "It does not answer"


class HostQuerySet(models.QuerySet["Host"]):
    def lock(self, names: Iterable[str]) -> list[Host]:
        """The rows of these hosts, locked in the order of their names, with the database's clock
        as ``now``. Inside a transaction."""
        rows = self.filter(name__in=list(names)).order_by("name").with_clock()
        return list(rows.select_for_update(no_key=True))

    def lock_unless_locked(self, name: str) -> Host | None:
        """One row, locked; None where it is missing or another session has locked it."""
        rows = self.filter(name=name).with_clock()
        return rows.select_for_update(no_key=True, skip_locked=True).first()

    def with_clock(self) -> HostQuerySet:
        """With the database's clock as ``now``."""
        return self.annotate(clock=Now())

    def forget_quiet(self) -> int:
        """Remove hosts without a sign for an hour, but not what an operator has set, nor an
        upload's pace while such an upload goes on."""
        quiet = self.filter(signed_at__lt=Now() - QUIET, closed_until__lt=Now())
        if ProcessingRequest.objects.open().exclude(host_pace=None).exists():
            quiet = quiet.filter(upload_pace=None)
        return quiet.filter(held=False, fixed_pace=None).delete()[0]

    def keep_to(self, names: Collection[str], pace: float) -> None:
        """An upload allows its hosts so many requests a second at the most; the least counts."""
        with transaction.atomic():
            self.bulk_create([Host(name=name) for name in sorted(names)], ignore_conflicts=True)
            known = [row.name for row in self.lock(names)]
            least = Least(Coalesce(F("upload_pace"), Value(pace)), Value(pace))
            self.filter(name__in=known).update(upload_pace=least, signed_at=Now())


class Host(models.Model):
    # Lower case, as in ProductImage.host.
    name = models.CharField(max_length=255, primary_key=True)
    reason = models.CharField(max_length=10, choices=HostReason, default=HostReason.BUSY)
    # Requests a second of all workers together. None: no limit is known.
    pace = models.FloatField(null=True, blank=True)
    # The pace at which it last refused, the pace that it had kept up with until then, and how often
    # in a row one of the two was about the same.
    limit = models.FloatField(null=True, blank=True)
    found_pace = models.FloatField(null=True, blank=True)
    confirmed = models.PositiveSmallIntegerField(default=0)
    # Slots given since it was last closed: what it kept up with.
    slots_given = models.PositiveIntegerField(default=0)
    # GCRA: the next request's time, unless that has passed.
    next_slot_at = models.DateTimeField(db_default=Now())
    closed_until = models.DateTimeField(db_default=Now())
    # Seconds that it was closed for when it last refused.
    pause = models.FloatField(default=1.0)
    # One image at a time is to show whether the host answers again.
    probing = models.BooleanField(default=False)
    # Closings since its last proper answer; when the first and the last of them were.
    closings = models.PositiveIntegerField(default=0)
    silent_since = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    signed_at = models.DateTimeField(db_default=Now())
    opened_at = models.DateTimeField(null=True, blank=True)
    # Set by operators: a pace that no answer of the host changes; closed until they open it.
    fixed_pace = models.FloatField(null=True, blank=True)
    held = models.BooleanField(default=False)
    # The most that an upload allowed: the least of those that named the host and still go on.
    upload_pace = models.FloatField(null=True, blank=True)

    objects = HostQuerySet.as_manager()

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                name="host_pace_above_zero",
                condition=(Q(pace=None) | Q(pace__gt=0))
                & (Q(fixed_pace=None) | Q(fixed_pace__gt=0))
                & (Q(upload_pace=None) | Q(upload_pace__gt=0)),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def now(self) -> datetime:
        """The database's time when the row was read ``with_clock``."""
        clock: datetime = self.clock  # type: ignore[attr-defined]
        return clock

    @property
    def current_pace(self) -> float | None:
        """Requests a second; None: as fast as it answers."""
        paces = [pace for pace in (self.pace, self.upload_pace) if pace]
        return self.fixed_pace or min(paces, default=None)

    @property
    def is_limited(self) -> bool:
        """Whether its images are claimed by slots only."""
        return self.held or self.probing or self.current_pace is not None

    def is_closed(self, now: datetime) -> bool:
        return self.held or self.closed_until > now

    # --- Slots ------------------------------------------------------------------------------------
    def slots(self, now: datetime, seconds: float) -> list[datetime]:
        """The free slots of the next so many ``seconds``, one at the least, as far as they are
        within the horizon; nothing is reserved yet.

        The generic cell rate algorithm (ITU-T I.371) without tolerance: what was not used before
        now is lost, so that no burst follows a pause.
        """
        if self.is_closed(now):
            return []
        pace = self.current_pace or FASTEST_PACE
        first, step = self.next_slot(now), timedelta(seconds=1 / pace)
        most = 1 if self.probing else 1 + int(seconds * pace)
        times = (first + step * n for n in range(most))
        return [at for at in times if at <= now + timedelta(seconds=HORIZON_SECONDS)]

    def next_slot(self, now: datetime) -> datetime:
        """The first free slot of an open host, however far ahead."""
        return max(self.next_slot_at, now)

    def reserve(self, used: list[datetime], now: datetime, probe_seconds: float) -> None:
        """``used``: the first of ``slots``. A probe keeps the host closed for ``probe_seconds``, or
        until its outcome is heard."""
        if not used:
            return
        self.next_slot_at = used[-1] + timedelta(seconds=1 / (self.current_pace or FASTEST_PACE))
        self.slots_given += len(used)
        if self.upload_pace:
            self.signed_at = now  # the row stays for an hour from here
        if self.probing:
            self.closed_until = now + timedelta(seconds=probe_seconds)
        else:
            self.raise_pace(now)

    # --- What the host lets us hear ---------------------------------------------------------------
    def slow_down(
        self,
        now: datetime,
        asked_at: datetime,
        retry_after: float | None,
        rate: float,
        *,
        probe: bool = False,
    ) -> None:
        """It refused a request of ``asked_at``: it is closed for ``retry_after`` seconds or longer,
        and its pace falls.

        ``rate``: requests a second that it let this worker make, for a host without a pace. A
        ``probe`` that is refused says nothing about the pace.
        """
        if self._is_echo(asked_at, probe):
            self._stay_closed(now, retry_after)
            if self.pace and self.opened_at is None:  # the first pace is what all workers made
                self.limit = self.found_pace = self.pace = self.pace + rate
            return
        if not probe or self.current_pace is None:
            self._find_pace(asked_at, rate)
        self._close(now, HostReason.BUSY, retry_after)

    def no_answer(self, now: datetime, asked_at: datetime, *, probe: bool = False) -> None:
        """It failed several times in a row, or failed the probe."""
        if not self._is_echo(asked_at, probe):
            self._close(now, HostReason.DOWN, None)

    def answered(self, now: datetime, asked_at: datetime, *, probe: bool = False) -> None:
        """It sent a picture, or said in good order why not."""
        self.silent_since = None
        if self._is_echo(asked_at, probe):
            return
        if self.probing:
            self.probing, self.closed_until = False, now
            self.opened_at = now
            self.next_slot_at = now + timedelta(seconds=1 / (self.current_pace or FASTEST_PACE))
        self.closings = 0

    def raise_pace(self, now: datetime) -> None:
        """Soon to near the pace at which it last refused, gently past that, ever faster beyond: the
        surer the limit and the longer a refusal closes the host, the more slowly (after CUBIC, RFC
        9438)."""
        if self.found_pace is None or self.limit is None or self.opened_at is None:
            return
        scale = SEARCH_SECONDS * 2**self.confirmed
        if self.confirmed:  # otherwise it is a guess from few answers
            scale *= max(1.0, self.pause)
        x = (now - self.opened_at).total_seconds() / scale
        below = (self.limit - self.found_pace) * max(0.0, 1 - x) ** 3
        self.pace = min(FASTEST_PACE, self.limit - below + BEYOND * self.limit * x**3)

    def lost_patience(self, now: datetime, seconds: float) -> bool:
        """Whether it has given no proper answer for so long, although it was asked often enough."""
        since = self.silent_since
        if since is None or self.closings < LEAST_CLOSINGS:
            return False
        return now - since >= timedelta(seconds=seconds)

    def meet_afresh(self, now: datetime) -> None:
        """The next image is a probe, whatever happened before."""
        self.closed_until, self.closings, self.silent_since = now, 0, None
        self.held, self.probing = False, True

    def _is_echo(self, asked_at: datetime, probe: bool) -> bool:
        """Whether the answer belongs to the sign that closed the host: it was asked before that, or
        by a worker that did not know it yet."""
        if self.probing and not probe:
            return True
        return self.closed_at is not None and asked_at <= self.closed_at

    def _find_pace(self, asked_at: datetime, rate: float) -> None:
        """What the host kept up with since it last refused is its limit, to the request, if it
        counts with a bucket of tokens."""
        if (pace := self.current_pace) is None:
            pace = found = max(SLOWEST_PACE, rate)
            self.confirmed = MEASURED - 1 if rate >= SURE_RATE else 0
        else:
            found = max(SLOWEST_PACE, min(MOST_KEPT * pace, self._kept_up_with(asked_at)))
            alike = _alike(found, self.found_pace) or _alike(pace, self.limit)
            self.confirmed = min(SUREST, self.confirmed + 1) if alike else MEASURED
        self.limit, self.found_pace, self.pace = pace, found, found

    def _kept_up_with(self, asked_at: datetime) -> float:
        """Requests a second between the last refusal and this one, the pause included; but no less
        than half of those while it was open: a long pause may have filled the bucket and more."""
        if self.closed_at is None or self.opened_at is None:
            return LEAST_KEPT * (self.current_pace or 0.0)
        ahead = max(0.0, (self.next_slot_at - asked_at).total_seconds())
        given = max(0.0, self.slots_given - ahead * (self.current_pace or 0.0))
        since, opened = (
            max(0.001, (asked_at - then).total_seconds())
            for then in (self.closed_at, max(self.opened_at, self.closed_at))
        )
        return max(given / since, LEAST_KEPT * given / opened)

    def _close(self, now: datetime, reason: HostReason, retry_after: float | None) -> None:
        if self.closed_until + FORGOTTEN < now:
            self.closings, self.silent_since = 0, None
        longest = LONGEST_PAUSE_BUSY if reason == HostReason.BUSY else LONGEST_PAUSE_DOWN
        pause = min(longest, FIRST_PAUSE * 2 ** min(self.closings, 16))
        pause *= random.uniform(0.8, 1.0)  # noqa: S311
        if retry_after:
            # A host that refuses the probe although it was asked after that is asked less often.
            pause = max(retry_after, pause / 2 if self.closings else 0.0)
        self.reason, self.probing, self.closings = reason, True, self.closings + 1
        self.closed_at = self.signed_at = now
        self.closed_until = now + timedelta(seconds=pause)
        self.silent_since = self.silent_since or now
        self.slots_given, self.pause = 0, pause

    def _stay_closed(self, now: datetime, retry_after: float | None) -> None:
        self.signed_at = now
        if retry_after and self.probing:
            self.closed_until = max(self.closed_until, now + timedelta(seconds=retry_after))


def _alike(one: float, other: float | None) -> bool:
    return other is not None and abs(one - other) <= ALIKE * other
