"""The states of a request: which requests are in one, and every change from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from imageproc.models.lease import LeaseQuerySet, Row


class RequestStatus(models.TextChoices):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


# A control task that killed its worker so often without progress is not tried again.
MAX_TASK_ATTEMPTS = 5
# Longer than a worker can have an image in hand.
REMAINS_SECONDS = 600
FINAL = (RequestStatus.COMPLETED, RequestStatus.FAILED, RequestStatus.CANCELLED)
_ENDED = Q(completed_at__isnull=False)
# Images in a final state.
_DONE = F("completed_images") + F("failed_images") + F("cancelled_images")


def _idle_until_now() -> models.Case:
    """``idle`` with the time since the request ended, for an update that opens it again."""
    since_the_end = models.ExpressionWrapper(
        F("idle") + (Now() - F("completed_at")), output_field=models.DurationField()
    )
    return models.Case(models.When(_ENDED, then=since_the_end), default=F("idle"))


class RequestStateQuerySet(LeaseQuerySet[Row]):
    """Queries of requests, and all changes of their state. Each change is one conditional UPDATE;
    False or 0 means that the row was not in the state required, and nothing was written."""

    def kept(self) -> Self:
        """Requests that were not removed."""
        return self.filter(removed_at=None)

    def owned_by(self, owner_id: int) -> Self:
        """The requests of an owner. Removed ones disappear at once, their rows later."""
        return self.kept().filter(owner_id=owner_id)

    def of_teams(self, user_id: int) -> Self:
        """The requests of the teams that a user is in now, their own among them."""
        return self.kept().filter(team__user=user_id)

    def seen_by(self, user_id: int) -> Self:
        """The requests that a user sees: their own, and those of their teams. One query for the
        teams' ids, so that the indexes by owner and by team serve the rest."""
        teams = list(Group.objects.filter(user=user_id).values_list("id", flat=True))
        if not teams:
            return self.owned_by(user_id)
        return self.kept().filter(Q(owner_id=user_id) | Q(team_id__in=teams))

    def open(self) -> Self:
        """Requests that are not in a final state."""
        return self.filter(status__in=[RequestStatus.PENDING, RequestStatus.PROCESSING])

    def in_hand(self, owner_id: int) -> tuple[int, int]:
        """(open requests, their images that are not final) of an owner, including removed requests
        that are still open."""
        found = (
            self.open()
            .filter(owner_id=owner_id)
            .aggregate(requests=models.Count("id"), images=models.Sum(F("total_images") - _DONE))
        )
        return found["requests"], found["images"] or 0

    def settled(self) -> Self:
        """Requests in PROCESSING whose images are all final: ready for the output CSV."""
        return self.filter(
            status=RequestStatus.PROCESSING,
            total_images=_DONE,
        )

    def to_ingest(self) -> Self:
        """Requests of which some rows are still missing."""
        return self.open().filter(ingested_at=None)

    def to_close(self) -> Self:
        """Requests that ended while some of their images were still open."""
        return self.kept().filter(status__in=FINAL, total_images__gt=_DONE)

    def to_erase(self) -> Self:
        """Removed requests whose objects or rows remain. A request's own row goes last,
        REMAINS_SECONDS later: a worker that had an image in hand may have stored it after the
        objects were deleted."""
        due = Q(removed_at__lt=Now() - timedelta(seconds=REMAINS_SECONDS))
        return self.filter(
            due | Q(erased_at=None),
            removed_at__isnull=False,
            task_attempts__lte=MAX_TASK_ATTEMPTS,
        )

    def lock(self, ids: Iterable[UUID]) -> set[UUID]:
        """Lock rows in the order of their ids, inside a transaction, and return their ids. Rows
        that another session has locked are skipped."""
        rows = self.filter(id__in=list(ids)).order_by("id")
        locked = rows.select_for_update(skip_locked=True, no_key=True)
        return set(locked.values_list("id", flat=True))

    def start(self, request_id: UUID) -> bool:
        """PENDING → PROCESSING, so that images may be claimed as they are written."""
        changed = self.filter(id=request_id, status=RequestStatus.PENDING).update(
            status=RequestStatus.PROCESSING, started_at=Now()
        )
        return changed == 1

    def advance_ingest(
        self, request_id: UUID, lease_id: UUID, *, old: int, new: int, seconds: float
    ) -> bool:
        """Move the cursor of the ingest and ``advance``. False if the lease was lost, the cursor
        has moved, or the request has ended."""
        held = self.held(request_id, lease_id)
        here = held.filter(status=RequestStatus.PROCESSING, ingested_products=old)
        until = Now() + timedelta(seconds=seconds)
        return here.update(ingested_products=new, lease_until=until, task_attempts=1) == 1

    def finish_ingest(self, request_id: UUID, lease_id: UUID) -> bool:
        """Record that every row is written. False if some are missing."""
        held = self.held(request_id, lease_id)
        whole = held.filter(ingested_at=None, ingested_products=F("total_products"))
        ended = whole.update(ingested_at=Now(), lease_id=None, lease_until=None, task_attempts=0)
        return ended == 1

    def count_cancelled(self, request_id: UUID, message: str = "") -> bool:
        """Count every image that is neither completed nor failed as cancelled, whether its row was
        written or not. ``message`` explains rows that still look open."""
        cancelled = F("total_images") - F("completed_images") - F("failed_images")
        fields: dict[str, Any] = {"error_message": message} if message else {}
        closing = self.to_close().filter(id=request_id)
        return closing.update(cancelled_images=cancelled, **fields) == 1

    def settle(self, request_id: UUID, *, output_csv: str, reopened: int) -> bool:
        """PROCESSING → COMPLETED, or FAILED if no image succeeded. Only a settled request changes.

        ``reopened`` as it was before the output CSV was written: images that were tried again
        meanwhile are not in it.
        """
        changed = (
            self.settled()
            .filter(id=request_id, reopened=reopened)
            .update(
                status=models.Case(
                    models.When(completed_images__gt=0, then=models.Value(RequestStatus.COMPLETED)),
                    default=models.Value(RequestStatus.FAILED),
                ),
                error_message=models.Case(
                    models.When(completed_images__gt=0, then=models.Value("")),
                    default=models.Value("None of the images could be processed."),
                ),
                output_csv=output_csv,
                completed_at=Now(),
            )
        )
        return changed == 1

    def fail(self, request_id: UUID, message: str) -> bool:
        """End a request that cannot continue at all, such as one whose stored CSV is gone."""
        changed = (
            self.open()
            .filter(id=request_id)
            .update(status=RequestStatus.FAILED, error_message=message, completed_at=Now())
        )
        return changed == 1

    def cancel(self, request_id: UUID) -> bool:
        """PENDING or PROCESSING → CANCELLED. The images follow in batches."""
        changed = (
            self.open()
            .filter(id=request_id)
            .update(
                status=RequestStatus.CANCELLED,
                error_message="The request was cancelled.",
                completed_at=Now(),
            )
        )
        return changed == 1

    def continuable(self) -> Self:
        """Requests that were cancelled, or that ended before all cancelled images were put back,
        once no open image is left for the closing to cancel."""
        return (
            self.kept()
            .filter(cancelled_images__gt=0)
            .exclude(status__in=FINAL, total_images__gt=_DONE)
        )

    def continue_cancelled(self, request_id: UUID, images: int) -> bool:
        """Open a cancelled request again, with ``images`` fewer cancelled images."""
        changed = (
            self.continuable()
            .filter(id=request_id, cancelled_images__gte=images)
            .update(
                # A request that never started is started by its ingest.
                status=models.Case(
                    models.When(
                        started_at=None,
                        ingested_products=0,
                        then=models.Value(RequestStatus.PENDING),
                    ),
                    default=models.Value(RequestStatus.PROCESSING),
                ),
                reopened=F("reopened") + 1,
                cancelled_images=F("cancelled_images") - images,
                idle=_idle_until_now(),
                retried_images=None,
                error_message="",
                completed_at=None,
            )
        )
        return changed == 1

    def reopenable(self) -> Self:
        """Requests whose images may be retried: not cancelled, and every row was written."""
        ended = [RequestStatus.COMPLETED, RequestStatus.FAILED]
        whole = Q(status__in=ended, ingested_products=F("total_products"))
        return self.kept().filter(Q(status=RequestStatus.PROCESSING) | whole)

    def reopen(
        self,
        request_id: UUID,
        *,
        failed: int = 0,
        completed: int = 0,
        bytes_in: int = 0,
        bytes_out: int = 0,
        changes: Mapping[str, int] | None = None,
    ) -> bool:
        """PROCESSING, COMPLETED or FAILED → PROCESSING; subtracts the retried images from the
        counters. ``changes``: of the completed ones, by models.Change."""
        counted = changes or {}
        changed = (
            self.reopenable()
            .filter(id=request_id, failed_images__gte=failed, completed_images__gte=completed)
            .update(
                status=RequestStatus.PROCESSING,
                reopened=F("reopened") + 1,
                failed_images=F("failed_images") - failed,
                completed_images=F("completed_images") - completed,
                bytes_in=F("bytes_in") - bytes_in,
                bytes_out=F("bytes_out") - bytes_out,
                idle=_idle_until_now(),
                # A retry of an ended request starts a new count; further ones add to it.
                retried_images=models.Case(
                    models.When(_ENDED, then=models.Value(failed + completed)),
                    default=F("retried_images") + failed + completed,
                    output_field=models.IntegerField(),
                ),
                completed_before_retry=models.Case(
                    models.When(_ENDED, then=F("completed_images") - completed),
                    default=F("completed_before_retry"),
                    output_field=models.IntegerField(),
                ),
                new_images=F("new_images") - counted.get("new", 0),
                changed_images=F("changed_images") - counted.get("changed", 0),
                unchanged_images=F("unchanged_images") - counted.get("unchanged", 0),
                error_message="",
                completed_at=None,
            )
        )
        return changed == 1

    def set_priority(self, request_id: UUID, priority: str) -> bool:
        """Set the priority for images that are not claimed yet. False if the request has ended."""
        return self.open().kept().filter(id=request_id).update(priority=priority) == 1

    def remove(self, request_id: UUID) -> bool:
        """Make the request invisible and free its idempotency key. Objects and rows follow
        later."""
        changed = (
            self.kept()
            .filter(id=request_id)
            .update(removed_at=Now(), idempotency_key=None, webhook_url="", notify_email="")
        )
        return changed == 1
