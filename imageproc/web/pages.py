"""Pages that belong to nobody: errors in the service's own style."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views import defaults


class PlainErrors:
    """With DEBUG on, Django explains its URL table to whoever mistypes an address; a laptop's user
    sees the same page as everyone else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        kind = response.headers.get("Content-Type", "")
        if settings.DEBUG and response.status_code == 404 and kind.startswith("text/html"):
            return defaults.page_not_found(request, Exception())
        return response
