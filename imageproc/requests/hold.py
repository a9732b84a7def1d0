"""The lease that lets one control task at a time work on a request.

Ingest, completion, closing and erasing hold the request's row under a lease. An attempt is counted
before it is made, and uncounted if the storage or the database was down. After MAX_TASK_ATTEMPTS
deaths of a worker without progress, the task ends with a reason instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import UUID

from imageproc.images import store
from imageproc.images.database import DB_UNAVAILABLE, DatabaseRetry
from imageproc.models import ProcessingRequest
from imageproc.models.request import RequestQuerySet

log = logging.getLogger(__name__)
Item = TypeVar("Item")
# Delay before the next attempt after the storage or the database was down.
RETRY_SECONDS = 10
# How long a task waits for a database that is down, in order to uncount its attempt.
OUTAGE_SECONDS = 220


class HoldLostError(Exception):
    """The lease ran out, and another task has the request now."""


class Hold:
    """The lease of one control task on one request. It lasts ``seconds`` unless it is extended.
    ``extend``, ``advance`` and ``extending`` raise HoldLostError if the lease was lost."""

    def __init__(self, request_id: UUID, lease_id: UUID, seconds: float) -> None:
        self.request_id, self.lease_id, self.seconds = request_id, lease_id, seconds

    @classmethod
    def begin(cls, due: RequestQuerySet, request_id: UUID, seconds: float) -> Hold | None:
        """Begin an attempt at the task that the requests in ``due`` wait for. None if this request
        is not among them, or if another task holds it."""
        lease_id = due.begin(request_id, seconds)
        return None if lease_id is None else cls(request_id, lease_id, seconds)

    def extend(self) -> None:
        _check(ProcessingRequest.objects.extend(self.request_id, self.lease_id, self.seconds))

    def advance(self) -> None:
        """Extend after a step that is done for good; attempts are counted from here again."""
        _check(ProcessingRequest.objects.advance(self.request_id, self.lease_id, self.seconds))

    def extending(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield ``items`` unchanged, extending the lease while they are consumed."""
        extend_after = time.monotonic() + self.seconds / 3
        for item in items:
            if time.monotonic() > extend_after:
                self.extend()
                extend_after = time.monotonic() + self.seconds / 3
            yield item

    def postpone(self, seconds: float = RETRY_SECONDS) -> None:
        """End the attempt without counting it; the next one comes in ``seconds``."""
        ProcessingRequest.objects.postpone(self.request_id, self.lease_id, seconds)

    def release(self) -> None:
        ProcessingRequest.objects.release(self.request_id, self.lease_id)

    @contextmanager
    def waiting_out_outages(self) -> Iterator[None]:
        """Postpone the task if the storage or the database goes down within the block, and end
        quietly if the lease is lost."""
        try:
            yield
        except HoldLostError:
            log.warning("another task took over", extra={"request_id": str(self.request_id)})
        except (store.StoreError, *DB_UNAVAILABLE) as error:
            log.warning("postponed: %s", error, extra={"request_id": str(self.request_id)})
            DatabaseRetry(OUTAGE_SECONDS)(self.postpone)


def _check(held: bool) -> None:
    if not held:
        raise HoldLostError
