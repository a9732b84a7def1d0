"""One line of log a response: method, path without its query, status."""

from __future__ import annotations

import structlog
from django.http import HttpRequest
from django_structlog.middlewares import RequestMiddleware


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
