"""Who may see a page: signed-in users, or, on a laptop, anyone as the user "local"."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from imageproc import callers
from imageproc.api.access import read_as_operator, shared_request
from imageproc.api.auth import local_user
from imageproc.models import ProcessingRequest

P = ParamSpec("P")


class WebRequest(HttpRequest):
    htmx: HtmxDetails


def personal(
    view: Callable[Concatenate[WebRequest, int, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Pass the user's id to the view as second argument, or redirect to the sign-in."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        web_request = cast("WebRequest", request)
        owner_id = _owner_id(web_request)
        if owner_id is None:
            return _to_sign_in(web_request)
        return view(web_request, owner_id, *args, **kwargs)

    return cast("Callable[Concatenate[HttpRequest, P], HttpResponseBase]", never_cache(wrapped))


def own_request(request: WebRequest, owner_id: int, request_id: UUID) -> ProcessingRequest:
    """A request of this owner or their teams, or, to read, one that an operator opens. Raises
    Http404 if there is none."""
    found = shared_request(owner_id, request_id)
    found = found or read_as_operator(request, request.user, request_id)
    if found is None:
        raise Http404
    return found


def _owner_id(request: WebRequest) -> int | None:
    user: AbstractBaseUser = request.user  # type: ignore[assignment]
    if user.is_authenticated:
        return int(user.pk)
    return int(local_user().pk) if callers.may_be_anonymous(request) else None


def _to_sign_in(request: WebRequest) -> HttpResponseBase:
    """Redirect the whole page, also when htmx has requested only a part of it."""
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    back = request.htmx.current_url_abs_path or "/"
    there = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
    return HttpResponseClientRedirect(there)
