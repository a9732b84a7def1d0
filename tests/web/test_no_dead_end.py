"""Whatever refuses a start leaves the file and its button on the page, and says what to change."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from imageproc.models import ProcessingRequest, Switch
from imageproc.requests import operations
from tests.support import build

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
CSV = b"S. No.,Product Name,Input Image Urls\nP1,Shoe,https://shop.example/1.jpg\n"
PRIVATE = {"webhook_url": "http://10.0.0.1/hook"}


@pytest.fixture
def olga(client: Client, settings: Settings) -> Client:
    settings.API_ANONYMOUS = False
    client.force_login(build.owner("olga"))
    return client


def send(client: Client, path: str, *, headers: dict[str, str] = HTMX, **fields: Any) -> Any:
    data = {"file": SimpleUploadedFile("shoes.csv", CSV), **fields}
    return client.post(path, data, headers=headers)


def pause() -> None:
    operations.pause(Switch.INTAKE)


def fill(settings: Settings) -> None:
    settings.MAX_OPEN_REQUESTS = 1
    build.request(1)


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("webhook", PRIVATE, "private or reserved network address"),
        ("field", {"quality": "500"}, "Ensure this value is less than or equal to 100."),
        ("pause", {}, "Uploads are paused by the operator."),
        ("quota", {}, "You have 1 open request, which is the limit."),
    ],
)
def test_a_refused_start_keeps_the_page(
    olga: Client, settings: Settings, kind: str, fields: dict[str, Any], words: str
) -> None:
    if kind == "pause":
        pause()
    if kind == "quota":
        fill(settings)
    before = ProcessingRequest.objects.count()

    answer = send(olga, "/", **fields)

    html = answer.content.decode()
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (200, "#start-error")
    assert words in html
    assert 'id="options" hx-swap-oob="true"' in html
    if fields:  # at its field, which says so to a screen reader too
        (name,) = fields
        assert f'id="id_{name}_error"' in html
        assert 'aria-invalid="true"' in html
        assert f'value="{fields[name]}"' in html
    assert ProcessingRequest.objects.count() == before

    whole = send(olga, "/", headers={}, **fields)
    assert whole.status_code == 400
    assert words in whole.content.decode()


@pytest.mark.parametrize("fields", [PRIVATE, {"quality": "500"}, {}])
def test_the_dry_run_judges_options_and_pauses_too(olga: Client, fields: dict[str, Any]) -> None:
    pause()
    html = send(olga, "/inspect/", **fields).content.decode()
    assert "shoes.csv looks good" in html
    assert "Start processing" in html
    assert "Uploads are paused by the operator." in html
    for name in fields:
        assert f'id="id_{name}_error"' in html


def test_a_pause_is_said_before_anybody_chooses_a_file(olga: Client) -> None:
    assert "Uploads are paused" not in olga.get("/").content.decode()
    pause()
    assert "Uploads are paused by the operator." in olga.get("/").content.decode()


def test_the_dry_run_of_the_api_names_what_blocks(olga: Client) -> None:
    file = {"file": SimpleUploadedFile("shoes.csv", CSV), "dryRun": "true"}
    assert "blockedBy" not in olga.post("/api/upload", file).json()
    pause()
    file["file"] = SimpleUploadedFile("shoes.csv", CSV)
    answer = olga.post("/api/upload", file).json()
    assert (answer["valid"], [one["code"] for one in answer["blockedBy"]]) == (
        True,
        ["intake_paused"],
    )
    refused = {"file": SimpleUploadedFile("shoes.csv", CSV), "dryRun": "true"}
    refused["webhookUrl"] = PRIVATE["webhook_url"]
    assert olga.post("/api/upload", refused).json()["code"] == "webhook_url_refused"


def test_keeping_the_size_shows_its_own_numbers(olga: Client) -> None:
    html = olga.get("/").content.decode()
    assert 'placeholder="800" data-catalog="800" data-half="as it is"' in html
    assert 'placeholder="30" data-catalog="30" data-half="50"' in html
    html = send(olga, "/", preset="half", quality="500").content.decode()
    assert 'placeholder="as it is"' in html
