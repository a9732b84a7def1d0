"""The page with the user's API keys and webhook secret."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from imageproc.models import ApiKey, WebhookSecret
from imageproc.web.access import WebRequest, personal
from imageproc.web.forms import KeyForm


@require_http_methods(["GET", "POST"])
@personal
def keys(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """GET lists the keys; POST creates one and shows its secret, which is never shown again."""
    if request.method == "GET":
        return render(request, "web/keys.html", {"form": KeyForm(), **_keys(owner_id)})
    form = KeyForm(request.POST)
    if not form.is_valid():
        return render(request, "web/keys.html", {"form": form, **_keys(owner_id)}, status=400)
    return _issued(request, owner_id, form)


@require_http_methods(["GET", "POST"])
@personal
def revoke(request: WebRequest, owner_id: int, key_id: int) -> HttpResponseBase:
    """GET asks for confirmation, POST revokes the key."""
    key = get_object_or_404(ApiKey, owner_id=owner_id, id=key_id, revoked_at=None)
    if request.method == "GET":
        name = "web/parts/revoke.html" if request.htmx else "web/revoke.html"
        return render(request, name, {"key": key})
    ApiKey.objects.filter(owner_id=owner_id).revoke(key.id)
    messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("web:keys")


@require_GET
@personal
def password_changed(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """After a change of the password: say so, on the first page."""
    messages.success(request, "Your password is changed.")
    return redirect("web:home")


@require_GET
@personal
def replace_secret(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """Ask before the secret is replaced."""
    name = "web/parts/replace_secret.html" if request.htmx else "web/replace_secret.html"
    return render(request, name)


@require_POST
@personal
@sensitive_variables()
def webhook_secret(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """Show the secret that signs webhooks; with ``rotate``, create a new one first."""
    secrets = WebhookSecret.objects
    rotated = "rotate" in request.POST
    secret = secrets.rotate(owner_id) if rotated else secrets.current(owner_id)
    context = {"form": KeyForm(), "webhook_secret": secret.secret, "rotated": rotated}
    return render(request, "web/keys.html", {**context, **_keys(owner_id)})


@sensitive_variables()
def _issued(request: WebRequest, owner_id: int, form: KeyForm) -> HttpResponseBase:
    data = form.cleaned_data
    key, secret = ApiKey.objects.issue(
        owner_id=owner_id, name=data["name"], scopes=tuple(data["scopes"])
    )
    context = {"form": KeyForm(), "issued": key, "secret": secret}
    return render(request, "web/keys.html", {**context, **_keys(owner_id)})


def _keys(owner_id: int) -> dict[str, Any]:
    return {"keys": ApiKey.objects.filter(owner_id=owner_id, revoked_at=None)}
