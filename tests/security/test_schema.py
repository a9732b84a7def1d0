"""Every operation of the OpenAPI document, called with generated input (Schemathesis)."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from pytest_django import Settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from imageproc.models import ApiKey
from tests.support import build

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


SOME = hypothesis_settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def document(transactional_db: None, settings: Settings) -> Any:
    settings.API_ANONYMOUS = False
    for name in ("CALLS_PER_MINUTE_ADDRESS", "CALLS_PER_MINUTE_KEY", "UPLOADS_PER_MINUTE_KEY"):
        setattr(settings, name, 0)
    return schemathesis.openapi.from_wsgi("/api/schema?format=json", get_wsgi_application())


@pytest.fixture
def key() -> str:
    _, secret = ApiKey.objects.issue(owner_id=build.owner().pk, name="schemathesis")
    return secret


def test_no_operation_breaks_or_answers_what_it_does_not_document(document: Any, key: str) -> None:
    """All failures at once. (Schemathesis' own pytest plugin does not know pytest 9.2.)"""
    wrong: list[str] = []
    seen: set[int] = set()
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) >= 15
    for operation in operations:

        @SOME
        @given(case=operation.as_strategy())
        def call(case: schemathesis.Case[Any]) -> None:
            answer = case.call(headers={"Authorization": f"Bearer {key}"})
            seen.add(answer.status_code)
            case.validate_response(answer, checks=CHECKS)

        try:
            call()
        except (Exception, BaseExceptionGroup) as failure:  # noqa: BLE001 -- all kinds are findings
            wrong.append(f"{operation.label}: {failure}")
    assert not wrong, "\n\n".join(wrong)
    assert {200, 201, 400, 404} <= seen
