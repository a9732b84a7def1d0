"""Error pages in the service's own style."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views import defaults


class PlainErrors:
    """Replaces Django's technical 404 page, which lists all URL patterns while DEBUG is on, by the
    page that users see elsewhere."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        kind = response.headers.get("Content-Type", "")
        if settings.DEBUG and response.status_code == 404 and kind.startswith("text/html"):
            return defaults.page_not_found(request, Exception())
        return response
