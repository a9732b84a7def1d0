"""Authenticates callers: by API key, by session, or, on a laptop, anyone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from imageproc import callers
from imageproc.api.throttles import refuse_guessing
from imageproc.models import ApiKey

if TYPE_CHECKING:  # the views import this module through the settings
    from rest_framework.views import APIView

LOCAL_USER = "local"
# A key's last use is written at most once in so many seconds, so that reads do not all write.
USE_SECONDS = 60


class KeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer ip_…`` (RFC 6750, 2.1)."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = ApiKey.objects.find(secret.strip())
        if key is None or not key.owner.is_active:
            refuse_guessing(request)
            raise AuthenticationFailed("This API key is unknown, expired or revoked.")
        _note_use(key)
        return key.owner, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="imageproc"'


class LocalAuthentication(BaseAuthentication):
    """With API_ANONYMOUS, every caller on this very machine is the user "local".

    No secret is sent, so a page of any other site in the same browser could make changes here.
    Calls from other sites are therefore refused, except from CORS_ALLOWED_ORIGINS.
    """

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        if not callers.may_be_anonymous(request):
            return None
        if request.method not in SAFE_METHODS and _is_cross_site(request):
            raise CrossSite
        return local_user(), None


class CrossSite(PermissionDenied):
    default_detail = "Pages of other sites may not change anything here."
    default_code = "cross_site"


def _is_cross_site(request: Request) -> bool:
    """Judged by headers that browsers send and pages cannot forge; other clients send neither.

    https://www.w3.org/TR/fetch-metadata/ and RFC 6454, 7.
    """
    origin = request.headers.get("Origin")
    if origin in settings.CORS_ALLOWED_ORIGINS:
        return False
    if origin is not None:
        return origin != f"{request.scheme}://{request.get_host()}"
    return request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")


class HasScope(BasePermission):
    """A key needs the scope in the view's ``scopes[method]``; a signed-in user needs none."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        needed = getattr(view, "scopes", {}).get(request.method, "read")
        return not isinstance(request.auth, ApiKey) or needed in request.auth.scopes


def local_user() -> Any:
    """The user "local", which owns everything where nobody signs in. It has no password."""
    users = get_user_model().objects
    user, created = users.get_or_create(username=LOCAL_USER)
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user


def _note_use(key: ApiKey) -> None:
    stale = timezone.now() - timedelta(seconds=USE_SECONDS)
    if key.last_used_at is None or key.last_used_at < stale:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=stale)
        ApiKey.objects.filter(unnoted, id=key.id).update(last_used_at=Now())
