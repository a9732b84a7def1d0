"""Every error answer is problem+json (RFC 9457) with a stable ``code``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import set_rollback

from imageproc.intake import Refused
from imageproc.report import StoreError


class ProblemRenderer(JSONRenderer):
    """JSON under the media type that RFC 9457 registers."""

    media_type = "application/problem+json"
    format = "problem"


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """``members`` are extension members (RFC 9457, 3.2), such as ``errors``."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **members,
    }
    return Response(body, status=status, headers=headers, content_type="application/problem+json")


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's hook; None leaves the error to Django (a 500)."""
    set_rollback()
    match error:
        case Refused():
            return _refused(error)
        case StoreError():
            return problem(
                503,
                "storage_failed",
                "The storage does not answer. Try again later.",
                headers={"Retry-After": "30"},
            )
        case Http404() | FileNotFoundError() | exceptions.NotFound():
            return problem(404, "not_found", "There is nothing at this address.")
        case PermissionDenied():
            return problem(403, "permission_denied", "You may not do this.")
        case exceptions.ValidationError():
            errors = list(_field_errors(error.detail))
            return problem(
                400, "invalid_fields", "Some fields have values we cannot use.", errors=errors
            )
        case exceptions.APIException():
            return problem(
                error.status_code, _code(error), str(error.detail), headers=_headers(error)
            )
    return None


def _refused(error: Refused) -> Response:
    members = {"errors": error.errors, "errorCount": error.error_count} if error.errors else {}
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
