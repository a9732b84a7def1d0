"""The lease on a request: one control task (ingest, completion, closing, removal) works on it at a
time. ``requests.hold`` uses it."""

from __future__ import annotations

from datetime import timedelta
from typing import Self, TypeVar
from uuid import UUID, uuid4

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

Row = TypeVar("Row", bound=models.Model)


class LeaseQuerySet(models.QuerySet[Row]):
    """Each change is one conditional UPDATE; False or None means that nothing was written."""

    def free(self) -> Self:
        """Requests that no control task holds now."""
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))

    def begin(self, request_id: UUID, seconds: float) -> UUID | None:
        """Lease a request of this query set to one control task, counting the attempt before it is
        made. Returns the id of the lease, or None if another task holds the request."""
        return self._take(request_id, seconds, task_attempts=F("task_attempts") + 1)

    def hold(self, request_id: UUID, seconds: float) -> UUID | None:
        """Lease a request without counting an attempt, to keep control tasks away from it."""
        return self._take(request_id, seconds)

    def _take(self, request_id: UUID, seconds: float, **fields: Combinable) -> UUID | None:
        """A row that another transaction has locked counts as held, because a task that waited for
        it would keep other requests waiting too."""
        lease_id = uuid4()
        with transaction.atomic():
            free = self.free().filter(id=request_id)
            locked = free.select_for_update(skip_locked=True, no_key=True)
            taken = self.filter(id__in=locked.values("id")).update(
                lease_id=lease_id, lease_until=Now() + timedelta(seconds=seconds), **fields
            )
        return lease_id if taken else None

    def extend(self, request_id: UUID, lease_id: UUID, seconds: float) -> bool:
        """Extend the lease. False if it ran out and another task has the request now."""
        until = Now() + timedelta(seconds=seconds)
        return self.held(request_id, lease_id).update(lease_until=until) == 1

    def advance(self, request_id: UUID, lease_id: UUID, seconds: float) -> bool:
        """Extend the lease after a step that is done for good. Attempts are counted from here
        again, because the task makes progress."""
        until = Now() + timedelta(seconds=seconds)
        return self.held(request_id, lease_id).update(lease_until=until, task_attempts=1) == 1

    def postpone(self, request_id: UUID, lease_id: UUID, seconds: float) -> bool:
        """Release the lease and uncount the attempt, which failed for no fault of the request. The
        next attempt comes in ``seconds``."""
        held = self.held(request_id, lease_id).filter(task_attempts__gt=0)
        until = Now() + timedelta(seconds=seconds)
        attempts = F("task_attempts") - 1
        return held.update(lease_id=None, lease_until=until, task_attempts=attempts) == 1

    def release(self, request_id: UUID, lease_id: UUID) -> bool:
        """Release the lease at the end of the task."""
        held = self.held(request_id, lease_id)
        return held.update(lease_id=None, lease_until=None, task_attempts=0) == 1

    def held(self, request_id: UUID, lease_id: UUID) -> Self:
        """The fence: a task whose lease another has taken matches no row here."""
        return self.filter(id=request_id, lease_id=lease_id)
