"""Forbidden addresses at the door: each is refused with its line, and nothing is stored."""

from __future__ import annotations

import csv
import io

import pytest
from django.test import Client

from imageproc.models import ProcessingRequest
from imageproc.sheet.urls import Url, check_url
from tests.images.fetch.hostile import FORBIDDEN, PUBLIC

pytestmark = pytest.mark.django_db
# What a CSV cannot hold, or is no URL at all.
NO_TEXT = {"", "http://public.example/\ud800"}
# Written out plainly when they are read: what is stored, judged and fetched is the plain form.
PLAIN = {
    "http://ⓟublic.example/": "http://public.example/",
    "http://public.example:00080/": "http://public.example:80/",
}
EACH = [
    pytest.param(url, id=f"{group} {number}")
    for group, urls in FORBIDDEN.items()
    for number, url in enumerate(urls)
    if url not in NO_TEXT
]


def upload(urls: list[str], **options: str) -> tuple[int, dict[str, object]]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["S. No.", "Product Name", "Input Image Urls"])
    writer.writerows([number, "Shoe", url] for number, url in enumerate(urls, 1))
    query = "&".join(f"{name}={value}" for name, value in options.items())
    answer = Client().post(f"/api/upload?{query}", text.getvalue().encode(), "text/csv")
    return answer.status_code, answer.json()


@pytest.mark.parametrize("url", EACH)
def test_refused_with_its_line(url: str) -> None:
    status, body = upload(["http://8.8.8.8/good.jpg", url])
    assert status == 400
    errors = body["errors"]
    assert isinstance(errors, list)
    assert {error["line"] for error in errors} == {3}
    assert ProcessingRequest.objects.count() == 0


def test_public_addresses_are_taken() -> None:
    status, body = upload(PUBLIC)
    assert (status, body["totalImages"]) == (202, len(PUBLIC))


@pytest.mark.parametrize(("url", "plain"), PLAIN.items())
def test_an_odd_spelling_is_judged_as_what_it_means(url: str, plain: str) -> None:
    found = check_url(url)
    assert isinstance(found, Url)
    assert found.text == plain


@pytest.mark.parametrize("group", sorted(FORBIDDEN))
def test_refused_as_a_webhook(group: str) -> None:
    for url in FORBIDDEN[group]:
        if url in NO_TEXT or url.endswith("\u2028"):  # white space that forms strip
            continue
        text = b"S. No.,Product Name,Input Image Urls\n1,Shoe,http://8.8.8.8/a.jpg\n"
        form = {"file": io.BytesIO(text), "webhookUrl": url}
        answer = Client().post("/api/upload", form)
        assert answer.status_code == 400, (url, answer.content)
        assert answer.json()["code"] in {"webhook_url_refused", "invalid_fields"}
    assert ProcessingRequest.objects.count() == 0
