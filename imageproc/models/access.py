"""What image hosts want to see before they give anything: header fields, encrypted at rest."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import ClassVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import models
from django.db.models import Q


class HostAccess(models.Model):
    """Header fields for one host, for one owner's images or, without an owner, for everybody's."""

    # Lower case, as in ProductImage.host.
    host = models.CharField(max_length=255)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Only for this user's images. Empty: for everybody's.",
    )
    # A Fernet token of the fields as JSON.
    sealed = models.TextField()
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("host", "id")
        verbose_name_plural = "host access"
        constraints: ClassVar = [
            models.UniqueConstraint(name="host_access_of_owner", fields=("host", "owner")),
            models.UniqueConstraint(
                name="host_access_of_all", fields=("host",), condition=Q(owner=None)
            ),
        ]

    def __str__(self) -> str:
        return self.host

    def seal(self, headers: Mapping[str, str]) -> None:
        """Set the fields, encrypted; the row is not saved yet."""
        self.sealed = _fernet().encrypt(json.dumps(dict(headers)).encode()).decode()

    def headers(self) -> dict[str, str] | None:
        """The fields; None if they were sealed under a SECRET_KEY that is no longer known."""
        try:
            text = _fernet().decrypt(self.sealed)
        except InvalidToken:
            return None
        return dict(json.loads(text))


def _fernet() -> MultiFernet:
    """Keys derived from SECRET_KEY, with which is encrypted, and from SECRET_KEY_FALLBACKS."""
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return MultiFernet([Fernet(_key(secret)) for secret in secrets])


def _key(secret: str) -> bytes:
    """RFC 5869."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"imageproc host access")
    return base64.urlsafe_b64encode(derived.derive(secret.encode()))
