"""A client that holds every answer against the OpenAPI document."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from imageproc.faults import NOT_FOUND
from imageproc.images import store
from imageproc.images.claim import claim
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.intake import ingest
from imageproc.models import ProcessingRequest
from imageproc.requests import completion
from tests.support import build

CSV = (
    b"S. No.,Product Name,Input Image Urls\n"
    b"1,Red Shoe,http://shop.example/1.jpg\n"
    b'2,Hat,"http://shop.example/2.jpg, http://cdn.example/3.jpg"\n'
)
# Addresses that the document leaves out on purpose.
UNTOLD = re.compile(r"api/(schema|docs|images/<uuid:image_id>)?$")


@cache
def document() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return made


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    whole = {**schema, "components": document()["components"]}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)


class Checked(Client):
    """Fails where an answer is not what the document promises."""

    checked = 0

    def request(self, **extra: Any) -> Any:
        answer = super().request(**extra)
        path = extra["PATH_INFO"]
        route = resolve(path).route
        if path.startswith("/api/") and not UNTOLD.search(route):
            self._check(route, extra["REQUEST_METHOD"].lower(), answer)
        return answer

    def _check(self, route: str, method: str, answer: Any) -> None:
        if method in ("head", "options"):
            return
        path = "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)
        responses = document()["paths"][path][method]["responses"]
        assert str(answer.status_code) in responses, (path, method, answer.status_code)
        content = responses[str(answer.status_code)].get("content")
        if not content:
            assert not answer.content
            return
        kind = answer["Content-Type"].partition(";")[0]
        promised = content.get(kind) or content[kind.partition("/")[0] + "/*"]
        if kind.endswith("json") and not answer.streaming:
            validator(promised["schema"]).validate(answer.json())
            self.checked += 1


@pytest.fixture
def api() -> Checked:
    return Checked()


def upload(api: Client, body: bytes = CSV, **options: Any) -> Any:
    headers = options.pop("headers", None)
    file = SimpleUploadedFile("products.csv", body, "text/csv")
    return api.post("/api/upload", {"file": file, **options}, headers=headers)


def accepted(api: Client, body: bytes = CSV, **options: Any) -> ProcessingRequest:
    """An upload, ingested."""
    answer = upload(api, body, **options)
    assert answer.status_code == 202, answer.content
    request = ProcessingRequest.objects.get(id=answer.json()["requestId"])
    ingest.ingest(request.id)
    return request


def finish(request: ProcessingRequest, failing: str = "no such URL") -> ProcessingRequest:
    """Process what is due; URLs that contain ``failing`` fail. 500 bytes an image."""
    outcomes: list[Any] = []
    for job in claim():
        if failing in job.url:
            outcomes.append(Failed(job, NOT_FOUND))
            continue
        done = build.done(job)
        store.put(done.output_key, bytes(range(250)) * 2, "image/jpeg")
        outcomes.append(done)
    record(outcomes)
    completion.complete(request.id)
    request.refresh_from_db()
    return request
