"""Middleware: malformed requests, the log, the CSP, outages, and the size of bodies."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import structlog
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template import loader
from django_structlog.middlewares import RequestMiddleware

from imageproc.api.problems import OUTAGES, RETRY_AFTER, outage_response, problem_response
from imageproc.callers import may_be_anonymous

log = logging.getLogger(__name__)


class RefuseMalformed:
    """Refuses requests that no view could read, before anything else looks at them.

    Django would raise wherever such a request is first read, and answer 500 or with its debug page.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        refusal = _unusable_host(request) or _nul_byte(request)
        if refusal is None:
            return self.get_response(request)
        if request.path.startswith("/api/"):
            return problem_response(*refusal)
        return HttpResponse(refusal[2], status=refusal[0], content_type="text/plain")

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        if isinstance(exception, UnreadablePostError):
            return problem_response(408, "body_incomplete", "The rest of the body did not arrive.")
        return None


def _unusable_host(request: HttpRequest) -> tuple[int, str, str] | None:
    try:
        _, port = split_domain_port(request.get_host())
    except DisallowedHost:
        return 400, "host_unknown", "This service is not known under that host name."
    if port and int(port) > 65_535:
        return 400, "host_unknown", "The port of the Host header is not a port."
    return None


def _nul_byte(request: HttpRequest) -> tuple[int, str, str] | None:
    """PostgreSQL stores no text with a NUL."""
    if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return 400, "nul_byte", "The address holds a NUL byte."
    return None


class RequestLog(RequestMiddleware):
    """django-structlog's middleware with two changes. The id of the HTTP request is logged as
    ``http_request_id``, because ``request_id`` is a processing request in all other lines. And
    query strings are not logged, because they may hold secrets."""

    def prepare(self, request: HttpRequest) -> None:
        super().prepare(request)
        call_id = structlog.contextvars.get_contextvars().get("request_id")
        structlog.contextvars.unbind_contextvars("request_id")
        structlog.contextvars.bind_contextvars(http_request_id=call_id)

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        return f"{request.method} {request.path}"


class ContentSecurityPolicy(CSPMiddleware):
    """django-csp's middleware, with separate policies for pages that libraries render."""

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


class Outages:
    """Answers 503 with Retry-After while the database or the storage is down: a problem for
    programs, a page for people.

    Exceptions raised outside of a view, such as by the session, arrive through the signal
    ``got_request_exception``: Django turns them into a response before any outer layer sees them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        got_request_exception.connect(self._note)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        error = request.META.pop(self._NOTED, None)
        return response if error is None else self._answer(request, error)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponseBase | None:
        if not isinstance(error, OUTAGES):
            return None
        log.warning("outage", exc_info=error)
        return self._answer(request, error)

    _NOTED = "imageproc.outage"

    def _note(self, request: HttpRequest, **_: Any) -> None:
        error = sys.exception()
        if isinstance(error, OUTAGES):
            request.META[self._NOTED] = error

    def _answer(self, request: HttpRequest, error: Exception) -> HttpResponseBase:
        if not is_page(request):
            return outage_response(error)
        # Rendered without the request, whose user is in the database.
        page = loader.get_template("503.html").render()
        return HttpResponse(page, status=503, headers=RETRY_AFTER)


class BodyLimit:
    """Limits the length of bodies, judged by Content-Length before anything reads them.

    Django never reads beyond Content-Length, so a body that passes cannot fill memory or disk. A
    chunked body has no length; Django would read it as empty, so it is refused.
    """

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
        length = int(declared) if declared.isdigit() else 0
        limit = int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        if length > limit and self._takes_upload(request, view):
            limit += int(settings.MAX_UPLOAD_BYTES)  # the file beside the fields of its form
        if length > limit:
            message = f"The body is longer than {limit:,} bytes."
            return refusal(request, 413, "upload_too_large", message)
        return None

    def _takes_upload(self, request: HttpRequest, view: Any) -> bool:
        """Whether the view accepts uploads. The API authenticates before it reads a body. A page's
        form is read before its view runs, for the CSRF token, so the user is checked here."""
        if "upload" in getattr(getattr(view, "cls", None), "scopes", {}).values():
            return True
        match = request.resolver_match
        return match is not None and match.view_name in self.UPLOAD_PAGES and may_use_pages(request)


def may_use_pages(request: HttpRequest) -> bool:
    return request.user.is_authenticated or may_be_anonymous(request)


def is_page(request: HttpRequest) -> bool:
    """Whether the response is a page for people."""
    match = request.resolver_match
    return match is not None and match.namespace in ("web", "admin")


def refusal(request: HttpRequest, status: int, code: str, message: str) -> HttpResponseBase:
    """An error response: a problem (RFC 9457) for programs, a page for people."""
    if is_page(request):
        values = {"status": status, "message": message}
        return render(request, "refusal.html", values, status=status)
    return problem_response(status, code, message)
