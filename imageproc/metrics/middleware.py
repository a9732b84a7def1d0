"""Times every HTTP request. Its label is the route (the URL's pattern), never the URL itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from imageproc.metrics import HTTP_SECONDS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestTimer:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self._get_response(request)
        method = request.method if request.method in METHODS else "other"
        HTTP_SECONDS.labels(method, _route(request), str(response.status_code)).observe(
            time.perf_counter() - began
        )
        return response


def _route(request: HttpRequest) -> str:
    """All pages of the admin count as one route: each model has a dozen."""
    match = request.resolver_match
    if match is None:
        return "none"
    return "admin" if match.app_names == ["admin"] else match.route
