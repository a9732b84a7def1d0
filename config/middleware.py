"""What this service changes about every answer: its line of log, its limits, its policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django_structlog.middlewares import RequestMiddleware

from imageproc.api.problems import problem_response
from imageproc.client import may_be_anonymous


class RequestLog(RequestMiddleware):
    """django-structlog's, with two changes. Its id of the HTTP call is ``http_request_id``:
    ``request_id`` is a processing request in every other line. And no query is written: it may
    hold what is not to be kept."""

    def prepare(self, request: HttpRequest) -> None:
        super().prepare(request)
        given = structlog.contextvars.get_contextvars().get("request_id")
        structlog.contextvars.unbind_contextvars("request_id")
        structlog.contextvars.bind_contextvars(http_request_id=given)

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {request.path}"


class ContentSecurityPolicy(CSPMiddleware):
    """django-csp's, with a policy of their own for the pages that others wrote."""

    POLICIES = (
        ("/admin/", "ADMIN_CONTENT_SECURITY_POLICY"),
        ("/api/docs", "DOCS_CONTENT_SECURITY_POLICY"),
    )

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        for prefix, name in self.POLICIES:
            if not report_only and request.path_info.startswith(prefix):
                parts.config = getattr(settings, name)
        return parts


class BodyLimit:
    """How long a body may be, judged by its declared length before anything reads it.

    Django never reads beyond Content-Length, so what passes here cannot fill memory or disk. A body
    without a length (chunked) would be read as empty: it is refused as what it is.
    """

    # A form is a little longer than its file.
    FORM_BYTES = 100_000
    UPLOAD_PAGES = frozenset({"web:home", "web:inspect"})

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        declared = request.META.get("CONTENT_LENGTH") or ""
        if "HTTP_TRANSFER_ENCODING" in request.META and not declared:
            return refusal(request, 411, "length_required", "Send the body with a Content-Length.")
        limit = self._limit(request, view)
        if declared.isdigit() and int(declared) > limit:
            said = f"The body is longer than {limit:,} bytes."
            return refusal(request, 413, "upload_too_large", said)
        return None

    def _limit(self, request: HttpRequest, view: Any) -> int:
        if self._takes_upload(request, view):
            return int(settings.MAX_UPLOAD_BYTES) + self.FORM_BYTES
        return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    def _takes_upload(self, request: HttpRequest, view: Any) -> bool:
        """The API asks who calls before it reads a body; a page's form is read for its CSRF token
        before the page asks, so that it is the question here."""
        if "upload" in getattr(getattr(view, "cls", None), "scopes", {}).values():
            return True
        match = request.resolver_match
        return match is not None and match.view_name in self.UPLOAD_PAGES and may_use_pages(request)


def may_use_pages(request: HttpRequest) -> bool:
    return request.user.is_authenticated or may_be_anonymous(request)


def refusal(request: HttpRequest, status: int, code: str, said: str) -> HttpResponseBase:
    """For programs a problem (RFC 9457), for people a page."""
    match = request.resolver_match
    if match is not None and match.namespace == "web":
        return render(request, "refusal.html", {"status": status, "said": said}, status=status)
    return problem_response(status, code, said)
