"""What the API says: options by name, how to send a key, one and many, and its own document."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from imageproc.models import ImageStatus, ProcessingRequest
from tests.support import build

pytestmark = pytest.mark.django_db
CSV = b"S. No.,Product Name,Input Image Urls\nP1,Shoe,https://shop.example/1.jpg\n"


@pytest.fixture
def olga(client: Client, settings: Settings) -> Client:
    settings.API_ANONYMOUS = False
    client.force_login(build.owner("olga"))
    return client


def upload(client: Client, path: str = "/api/upload", **fields: str) -> Any:
    return client.post(path, {"file": SimpleUploadedFile("shoes.csv", CSV), **fields})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("maxwidth", " Did you mean maxWidth?"),
        ("max_width", " Did you mean maxWidth?"),
        ("qualty", " Did you mean quality?"),
        ("webhook-url", " Did you mean webhookUrl?"),
        ("zebra", ""),
    ],
)
def test_an_unknown_option_is_refused_by_name(olga: Client, name: str, hint: str) -> None:
    answer = upload(olga, **{name: "1"})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["field"], error["message"]) == (name, f"There is no option {name}.{hint}")
    assert upload(olga, f"/api/upload?{name}=1").status_code == 400
    assert not ProcessingRequest.objects.exists()
    assert upload(olga, "/upload", **{name: "1"}).status_code == 202  # of an earlier system


def test_a_misspelt_filter_retries_nothing(olga: Client) -> None:
    made = build.request(2)
    made.images.update(status=ImageStatus.FAILED, error_code="not_found")
    ProcessingRequest.objects.filter(id=made.id).update(failed_images=2)
    path = f"/api/requests/{made.id}/retry"
    answer = olga.post(path, {"codes": "not_found"}, content_type="application/json")
    assert answer.status_code == 400
    assert "Did you mean code?" in answer.json()["errors"][0]["message"]
    assert build.statuses(made) == [build.FAILED, build.FAILED]


def test_a_401_says_how(client: Client, settings: Settings) -> None:
    settings.API_ANONYMOUS = False
    answer = client.get("/api/requests")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")
    assert "Authorization: Bearer ip_…" in answer.json()["detail"]
    assert "/keys/" in answer.json()["detail"]


def test_one_image_is_no_plural(olga: Client) -> None:
    assert upload(olga).json()["message"] == "Accepted: 1 image of 1 product."


def test_the_document_has_summaries_and_a_binary_file(client: Client) -> None:
    schema = client.get("/api/schema?format=json").json()
    operations = [one for path in schema["paths"].values() for one in path.values()]
    summaries = [one["summary"] for one in operations]
    assert all(re.fullmatch(r"[A-Z].{10,}[^.]", text) for text in summaries)
    assert len(set(summaries)) == len(summaries)
    body = schema["paths"]["/api/upload"]["post"]["requestBody"]["content"]
    form = schema["components"]["schemas"][body["multipart/form-data"]["schema"]["$ref"][21:]]
    assert form["properties"]["file"]["format"] == "binary"


def test_replacing_the_webhook_secret_asks_first(olga: Client) -> None:
    assert 'name="rotate"' not in olga.get("/keys/").content.decode()
    asked = olga.get("/keys/webhook-secret/replace/").content.decode()
    assert "Replace the webhook secret?" in asked
    assert 'name="rotate" value="yes"' in asked
