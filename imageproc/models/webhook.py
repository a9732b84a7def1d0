"""Webhook deliveries with their attempts, and the secrets that sign them."""

from __future__ import annotations

import base64
import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from imageproc.models.delivery import (
    Delivery,
    DeliveryQuerySet,
    delivery_constraints,
    delivery_indexes,
)
from imageproc.models.request import ProcessingRequest

# After a rotation the old secret goes on signing for so long, beside the new one.
ROTATION_OVERLAP = timedelta(hours=24)


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


class WebhookQuerySet(DeliveryQuerySet["WebhookDelivery"]):
    pass


class WebhookDelivery(Delivery):
    """One event for one receiver. The "webhook-id" header is made of ``id``, the same for all
    attempts."""

    request = models.ForeignKey(ProcessingRequest, models.CASCADE, related_name="deliveries")
    url = models.CharField(max_length=2048)
    # The exact body, so that every attempt sends and signs the same bytes.
    body = models.TextField()

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "webhook deliveries"
        constraints = delivery_constraints("delivery")
        indexes = delivery_indexes("delivery")

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
