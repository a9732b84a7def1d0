"""What every message that is owed at the end of a request has: a state, a lease, a next attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Self, TypeVar
from uuid import UUID

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from imageproc.models.ids import uuid7

Row = TypeVar("Row", bound=models.Model)


class DeliveryStatus(models.TextChoices):
    PENDING = "PENDING"
    SENDING = "SENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class DeliveryQuerySet(models.QuerySet[Row]):
    """Each change is one conditional UPDATE; False means that nothing was written. ``facts``: other
    fields that it writes."""

    def due(self) -> Self:
        """Deliveries to be sent now: waiting ones, and those whose sender died."""
        return self.filter(
            Q(status=DeliveryStatus.PENDING, next_attempt_at__lte=Now())
            | Q(status=DeliveryStatus.SENDING, lease_until__lt=Now())
        )

    def lease(self, delivery_id: UUID, lease_id: UUID, seconds: int) -> bool:
        """Lease a due delivery, counting the attempt before it is made."""
        due = self.due().filter(pk=delivery_id)
        leased = due.update(
            status=DeliveryStatus.SENDING,
            lease_id=lease_id,
            lease_until=Now() + timedelta(seconds=seconds),
            attempts=F("attempts") + 1,
        )
        return leased == 1

    def delivered(self, delivery_id: UUID, lease_id: UUID) -> bool:
        return self._end(delivery_id, lease_id, DeliveryStatus.DELIVERED)

    def failed(self, delivery_id: UUID, lease_id: UUID, **facts: str) -> bool:
        return self._end(delivery_id, lease_id, DeliveryStatus.FAILED, **facts)

    def postpone(self, delivery_id: UUID, lease_id: UUID, seconds: float, **facts: str) -> bool:
        postponed = self._held(delivery_id, lease_id).update(
            status=DeliveryStatus.PENDING,
            lease_id=None,
            lease_until=None,
            next_attempt_at=Now() + timedelta(seconds=seconds),
            **facts,
        )
        return postponed == 1

    def redeliver(self, delivery_id: UUID) -> bool:
        """Make the delivery due at once, with the schedule from its start. False while it is being
        sent."""
        idle = self.filter(pk=delivery_id).exclude(status=DeliveryStatus.SENDING)
        due = {"status": DeliveryStatus.PENDING, "attempts": 0, "next_attempt_at": Now()}
        return idle.update(**due, finished_at=None) == 1

    def _held(self, delivery_id: UUID, lease_id: UUID) -> Self:
        """The fence: a sender whose lease another has taken matches no row here."""
        return self.filter(pk=delivery_id, status=DeliveryStatus.SENDING, lease_id=lease_id)

    def _end(self, delivery_id: UUID, lease_id: UUID, status: DeliveryStatus, **facts: str) -> bool:
        ended = self._held(delivery_id, lease_id).update(
            status=status, lease_id=None, lease_until=None, finished_at=Now(), **facts
        )
        return ended == 1


class Delivery(models.Model):
    """One message about one end of a request, created in the transaction that ends it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    event = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_id = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

    @property
    def waiting(self) -> bool:
        return self.status in (DeliveryStatus.PENDING, DeliveryStatus.SENDING)

    @property
    def failing(self) -> bool:
        """Whether an attempt failed, and none has succeeded since."""
        tried = self.status in (DeliveryStatus.PENDING, DeliveryStatus.FAILED)
        return self.attempts > 0 and tried


def delivery_constraints(name: str) -> tuple[models.CheckConstraint, ...]:
    """``name``: what the names of the constraints begin with."""
    return (
        models.CheckConstraint(
            name=f"{name}_status_known", condition=Q(status__in=DeliveryStatus.values)
        ),
        models.CheckConstraint(
            name=f"{name}_lease_while_sending",
            condition=Q(status=DeliveryStatus.SENDING, lease_id__isnull=False)
            | (~Q(status=DeliveryStatus.SENDING) & Q(lease_id__isnull=True)),
        ),
    )


def delivery_indexes(name: str) -> tuple[models.Index, ...]:
    """``name``: what the names of the indexes begin with."""
    return (
        models.Index(
            name=f"{name}_due",
            fields=("next_attempt_at",),
            condition=Q(status__in=[DeliveryStatus.PENDING, DeliveryStatus.SENDING]),
        ),
        # Failed for good: counted by day, and listed.
        models.Index(
            name=f"{name}_failed",
            fields=("finished_at",),
            condition=Q(status=DeliveryStatus.FAILED),
        ),
    )
