"""E-mails that tell the owner of a request that it has ended."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models.functions import Now

from imageproc.models.delivery import (
    Delivery,
    DeliveryQuerySet,
    DeliveryStatus,
    delivery_constraints,
    delivery_indexes,
)
from imageproc.models.request import ProcessingRequest


class MailQuerySet(DeliveryQuerySet["MailDelivery"]):
    def hold_back(self, seconds: float) -> int:
        """Send none before ``seconds`` from now: the mail server is down, and each attempt would
        cost a worker its timeout. Returns how many were due earlier."""
        until = Now() + timedelta(seconds=seconds)
        waiting = self.filter(status=DeliveryStatus.PENDING, next_attempt_at__lt=until)
        return waiting.update(next_attempt_at=until)


class MailDelivery(Delivery):
    """One e-mail. ``id`` is in its Message-ID, the same for all attempts."""

    request = models.ForeignKey(ProcessingRequest, models.CASCADE, related_name="mails")
    address = models.EmailField(max_length=254)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    # What the mail server answered to the last attempt that failed.
    error = models.CharField(max_length=500, blank=True, default="")

    objects = MailQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "e-mail"
        constraints = delivery_constraints("mail")
        indexes = delivery_indexes("mail")
