"""Error responses: problem+json (RFC 9457) with a stable ``code``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from imageproc.intake import Refused
from imageproc.requests.report import StoreError

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """``members`` are extension members (RFC 9457, 3.2), such as ``errors``."""
    body = _body(status, code, detail, **members)
    return Response(body, status=status, headers=headers, content_type=MEDIA_TYPE)


def _body(status: int, code: str, detail: str, **members: Any) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **members,
    }


HOW_TO_SIGN_IN = (
    "Send an API key in the header: Authorization: Bearer ip_… Create one on the page /keys/, or "
    "with `manage.py apikey create NAME`."
)


class Conflict(exceptions.APIException):
    """The state of the request or message does not allow the call."""

    status_code = HTTPStatus.CONFLICT

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """REST framework's hook: turns whatever a view raises into a problem."""
    set_rollback()
    match error:
        case Refused():
            return _refused(error)
        case exceptions.ValidationError():
            errors = list(_field_errors(error.detail))
            return problem(400, "invalid_fields", "Some fields have invalid values.", errors=errors)
        case exceptions.NotAuthenticated():
            return problem(401, "not_authenticated", HOW_TO_SIGN_IN, headers=_headers(error))
        case exceptions.APIException():
            return problem(
                error.status_code, _code(error), str(error.detail), headers=_headers(error)
            )
    for kinds, (status, code, detail) in _MEANINGS.items():
        if isinstance(error, kinds):
            return problem(status, code, detail, headers=_retry_after(error))
    log.error("unexpected error", exc_info=error, extra={"path": context["request"].path})
    return problem(*_UNEXPECTED)


def _retry_after(error: Exception) -> dict[str, str]:
    if not isinstance(error, OUTAGES):
        return {}
    log.warning("outage", exc_info=error)
    return RETRY_AFTER


# Raised while the database or the storage is down; clients should try again later.
DATABASE_OUTAGES = (OperationalError, InterfaceError)
OUTAGES = (*DATABASE_OUTAGES, StoreError)
RETRY_AFTER = {"Retry-After": "30"}
_UNEXPECTED = (500, "internal_error", "Something went wrong on our side.")
# The first match counts: the exceptions for form limits are SuspiciousOperations too.
_MEANINGS: dict[Any, tuple[int, str, str]] = {
    DATABASE_OUTAGES: (
        *(503, "database_unavailable", "The database is not responding. Try again in a moment."),
    ),
    StoreError: (503, "storage_failed", "The storage is not responding. Try again in a moment."),
    (Http404, FileNotFoundError): (404, "not_found", "There is nothing at this address."),
    PermissionDenied: (403, "permission_denied", "You do not have permission to do this."),
    (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent): (
        *(413, "form_too_large", "The form has too many fields, or a field is too long."),
    ),
    UnreadablePostError: (408, "body_incomplete", "The rest of the body did not arrive."),
    (SuspiciousOperation, MultiPartParserError): (
        *(400, "malformed_request", "The request cannot be read."),
    ),
}


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's ``handler500``, for errors outside of the API's views."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    return problem_response(*_UNEXPECTED)


def outage_response(error: Exception) -> JsonResponse:
    """The response to one of OUTAGES, for code outside of the API's views."""
    [meaning] = (_MEANINGS[kinds] for kinds in _MEANINGS if isinstance(error, kinds))
    return problem_response(*meaning, headers=RETRY_AFTER)


def problem_response(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> JsonResponse:
    """A problem from code outside of the API's views, such as middleware."""
    body = _body(status, code, detail)
    return JsonResponse(body, status=status, headers=headers, content_type=MEDIA_TYPE)


def _refused(error: Refused) -> Response:
    members: dict[str, Any] = {}
    if error.errors:
        members = {
            "errors": error.errors,
            "errorCount": error.error_count,
            "errorKinds": error.kinds,
        }
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after else None
    return problem(error.status, error.code, error.message, headers=headers, **members)


def _code(error: exceptions.APIException) -> str:
    codes = error.get_codes()
    return codes if isinstance(codes, str) else error.default_code


def _headers(error: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def _field_errors(detail: Any, field: str = "") -> Iterable[dict[str, str]]:
    """DRF's nested errors as a flat list of {field, code, message}."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _field_errors(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _field_errors(inner, field)
    else:
        yield {"field": field, "code": str(detail.code), "message": str(detail)}
