"""API keys: shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

SCOPES = ("upload", "read", "operate")
PREFIX_LENGTH = 12


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> ApiKeyQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()), revoked_at=None)

    def issue(
        self,
        *,
        owner_id: int,
        name: str,
        scopes: tuple[str, ...] = SCOPES,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key. Returns it with its secret, which is not stored and cannot be shown
        again."""
        secret = "ip_" + secrets.token_urlsafe(32)
        key = self.create(
            owner_id=owner_id,
            name=name,
            prefix=secret[:PREFIX_LENGTH],
            digest=digest_of(secret),
            scopes=list(scopes),
            expires_at=expires_at,
        )
        return key, secret

    def find(self, secret: str) -> ApiKey | None:
        """The usable key with this secret. A look-up by hash leaks nothing through its timing."""
        of_secret = self.usable().filter(digest=digest_of(secret))
        return of_secret.select_related("owner").order_by().first()

    def revoke(self, key_id: int) -> bool:
        return self.filter(id=key_id, revoked_at=None).update(revoked_at=Now()) == 1


class ApiKey(models.Model):
    """The secret is 32 random bytes, too many to guess, so plain SHA-256 is enough for the
    digest."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=PREFIX_LENGTH)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
