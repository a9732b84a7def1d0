"""Webhook deliveries with their attempts, and the secrets that sign them."""

from __future__ import annotations

import base64
import secrets
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from imageproc.models.ids import uuid7
from imageproc.models.request import ProcessingRequest

# After a rotation the old secret goes on signing for so long, beside the new one.
ROTATION_OVERLAP = timedelta(hours=24)


class DeliveryStatus(models.TextChoices):
    PENDING = "PENDING"
    SENDING = "SENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class SecretQuerySet(models.QuerySet["WebhookSecret"]):
    def usable(self, owner_id: int) -> SecretQuerySet:
        """The secrets to sign with, the newest first."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=Now()), owner_id=owner_id
        ).order_by("-id")

    def current(self, owner_id: int) -> WebhookSecret:
        """The owner's newest secret, created on first use."""
        return self.usable(owner_id).first() or self.rotate(owner_id)

    def rotate(self, owner_id: int) -> WebhookSecret:
        """Create a new secret. Earlier ones go on signing for ROTATION_OVERLAP."""
        with transaction.atomic():
            self.filter(owner_id=owner_id, expires_at=None).update(
                expires_at=Now() + ROTATION_OVERLAP
            )
            return self.create(owner_id=owner_id, secret=new_secret())


class WebhookSecret(models.Model):
    """Standard Webhooks 1.0: "whsec_" and 24 random bytes in base64."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhook_secrets"
    )
    secret = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = SecretQuerySet.as_manager()

    def __str__(self) -> str:
        return f"webhook secret {self.pk}"


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


class DeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def due(self) -> DeliveryQuerySet:
        """Deliveries to be sent now: waiting ones, and those whose sender died."""
        return self.filter(
            Q(status=DeliveryStatus.PENDING, next_attempt_at__lte=Now())
            | Q(status=DeliveryStatus.SENDING, lease_until__lt=Now())
        )

    def lease(self, delivery_id: UUID, lease_id: UUID, seconds: int) -> bool:
        """Lease a due delivery, counting the attempt before it is made."""
        due = self.due().filter(id=delivery_id)
        leased = due.update(
            status=DeliveryStatus.SENDING,
            lease_id=lease_id,
            lease_until=Now() + timedelta(seconds=seconds),
            attempts=F("attempts") + 1,
        )
        return leased == 1

    def delivered(self, delivery_id: UUID, lease_id: UUID) -> bool:
        return self._end(delivery_id, lease_id, DeliveryStatus.DELIVERED)

    def failed(self, delivery_id: UUID, lease_id: UUID) -> bool:
        return self._end(delivery_id, lease_id, DeliveryStatus.FAILED)

    def postpone(self, delivery_id: UUID, lease_id: UUID, seconds: float) -> bool:
        postponed = self._held(delivery_id, lease_id).update(
            status=DeliveryStatus.PENDING,
            lease_id=None,
            lease_until=None,
            next_attempt_at=Now() + timedelta(seconds=seconds),
        )
        return postponed == 1

    def redeliver(self, delivery_id: UUID) -> bool:
        """Make the delivery due at once, with the schedule from its start. False while it is being
        sent."""
        idle = self.filter(id=delivery_id).exclude(status=DeliveryStatus.SENDING)
        due = {"status": DeliveryStatus.PENDING, "attempts": 0, "next_attempt_at": Now()}
        return idle.update(**due, finished_at=None) == 1

    def _held(self, delivery_id: UUID, lease_id: UUID) -> DeliveryQuerySet:
        return self.filter(id=delivery_id, status=DeliveryStatus.SENDING, lease_id=lease_id)

    def _end(self, delivery_id: UUID, lease_id: UUID, status: DeliveryStatus) -> bool:
        held = self._held(delivery_id, lease_id)
        ended = held.update(status=status, lease_id=None, lease_until=None, finished_at=Now())
        return ended == 1


class WebhookDelivery(models.Model):
    """One event for one receiver, created in the transaction that made the event true."""

    # The "webhook-id" header is made of it, the same for all attempts.
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    request = models.ForeignKey(ProcessingRequest, models.CASCADE, related_name="deliveries")
    event = models.CharField(max_length=40)
    url = models.CharField(max_length=2048)
    # The exact body, so that every attempt sends and signs the same bytes.
    body = models.TextField()
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_id = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "webhook deliveries"
        constraints = (
            models.CheckConstraint(
                name="delivery_status_known", condition=Q(status__in=DeliveryStatus.values)
            ),
            models.CheckConstraint(
                name="delivery_lease_while_sending",
                condition=Q(status=DeliveryStatus.SENDING, lease_id__isnull=False)
                | (~Q(status=DeliveryStatus.SENDING) & Q(lease_id__isnull=True)),
            ),
        )
        indexes = (
            models.Index(
                name="delivery_due",
                fields=("next_attempt_at",),
                condition=Q(status__in=[DeliveryStatus.PENDING, DeliveryStatus.SENDING]),
            ),
            # Failed for good: counted by day, and listed.
            models.Index(
                name="delivery_failed",
                fields=("finished_at",),
                condition=Q(status=DeliveryStatus.FAILED),
            ),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

    @property
    def message_id(self) -> str:
        """The "webhook-id" header."""
        return f"msg_{self.id.hex}"


class WebhookAttempt(models.Model):
    """Created before the call; the outcome is added after it."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="log")
    number = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField(db_default=Now())
    # None if there was no response (yet).
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    milliseconds = models.PositiveIntegerField(null=True, blank=True)
    error_code = models.CharField(max_length=40, blank=True, default="")
    error_message = models.CharField(max_length=500, blank=True, default="")
    # The first 1,000 characters of the response.
    answer = models.CharField(max_length=1000, blank=True, default="")

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"
