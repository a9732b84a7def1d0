"""All results of a request as one ZIP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import pytest
from django.test import Client

from imageproc.faults import STORAGE_FAILED
from imageproc.images import store
from imageproc.images.claim import claim
from imageproc.images.patterns import Pattern
from imageproc.images.record import record
from imageproc.models import ProcessingRequest
from imageproc.requests import completion, report
from tests.api.conftest import Checked, accepted
from tests.support import build

pytestmark = pytest.mark.django_db(transaction=True)
HEAD = "Handle,Title,Image Src,Variant Image\n"


def processed(api: Checked, rows: str, **options: str) -> ProcessingRequest:
    """Every image is 500 bytes that begin with its URL."""
    request = accepted(api, (HEAD + rows).encode(), **options)
    while jobs := claim():
        outcomes = [build.done(job) for job in jobs]
        for outcome in outcomes:
            store.put(outcome.output_key, outcome.job.url.encode().ljust(500), "image/jpeg")
        record(outcomes)
    completion.complete(request.id)
    request.refresh_from_db()
    return request


def unpacked(content: bytes) -> dict[str, str]:
    """File name → the URL that it was made of, or its text."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    assert {entry.compress_type for entry in archive.infolist()} <= {zipfile.ZIP_STORED}
    return {name: archive.read(name).decode("utf-8-sig").strip() for name in archive.namelist()}


U = "http://cdn.example"
ROWS = f"a,Red Shoe,{U}/1.jpg,{U}/2.jpg\nb,Blue Shoe,{U}/3.jpg,\n"


@pytest.mark.parametrize(
    ("names", "files"),
    [
        ("", ["a_1.jpg", "a_2.jpg", "b_1.jpg"]),
        ("?names=amazon", ["a.MAIN.jpg", "a.PT01.jpg", "b.MAIN.jpg"]),
        (
            "?names={name} {column}",
            ["Red Shoe Image Src.jpg", "Red Shoe Variant Image.jpg", "Blue Shoe Image Src.jpg"],
        ),
    ],
)
def test_names(api: Checked, names: str, files: list[str]) -> None:
    request = processed(api, ROWS)
    answer = api.get(f"/api/requests/{request.id}/images.zip{names}")
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"] == 'attachment; filename="images-products.zip"'
    urls = [f"{U}/{number}.jpg" for number in (1, 2, 3)]
    assert unpacked(answer.getvalue()) == dict(zip(files, urls, strict=True))


def test_the_pattern_of_the_upload_is_used(api: Checked) -> None:
    request = processed(api, ROWS, names="amazon")
    assert request.names == "{serial}.{variant}"
    answer = api.get(f"/api/requests/{request.id}/images.zip")
    assert list(unpacked(answer.getvalue())) == ["a.MAIN.jpg", "a.PT01.jpg", "b.MAIN.jpg"]


def test_what_cannot_be_read_is_told_inside(api: Checked) -> None:
    request = processed(api, ROWS)
    keys = list(request.images.order_by("product__row_number", "position"))
    store.delete_many([keys[0].output_key])
    store.put(keys[2].output_key, b"short", "image/jpeg")
    files = unpacked(api.get(f"/api/requests/{request.id}/images.zip").getvalue())
    assert list(files) == ["a_2.jpg", "missing.csv"]
    assert files["missing.csv"].splitlines() == [
        "Row,Position,Serial Number,File Name,Reason",
        "1,1,a,a_1.jpg,The image is no longer in the storage.",
        "2,1,b,b_1.jpg,The stored image is damaged: it does not have the size that it was stored"
        " with.",
    ]


@pytest.mark.parametrize(
    ("rows", "names", "status", "code", "words"),
    [
        (f"a,x,{U}/1.jpg,\nA,y,{U}/2.jpg,\n", "", 409, "names_collide", "rows 1 and 2"),
        (ROWS, "{serial}", 409, "names_collide", "Two images of row 1"),
        ("", "", 409, "no_images", "No image"),
        (ROWS, "{sku}", 400, "invalid_fields", ""),
    ],
)
def test_refused_before_anything_is_sent(
    api: Checked, rows: str, names: str, status: int, code: str, words: str
) -> None:
    request = processed(api, rows) if rows else accepted(api)
    query = f"?names={names}" if names else ""
    answer = api.get(f"/api/requests/{request.id}/images.zip{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]


def test_it_is_sent_while_it_is_read(api: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    """No object is opened before the one before it has been sent."""
    request = processed(api, ROWS)
    opened: list[str] = []
    real = store.read_range

    def watched(key: str, start: int, length: int) -> bytes:
        opened.append(key)
        return real(key, start, length)

    monkeypatch.setattr(store, "read_range", watched)
    blocks: Iterator[bytes] = report.images_zip(request, Pattern("{serial}_{position}"))
    seen = [(len(opened), block) for block in blocks]
    for number in (1, 2, 3):
        [(at, _)] = [one for one in seen if one[1].startswith(f"{U}/{number}.jpg".encode())]
        assert at == number


@pytest.mark.parametrize("working", [0, 1])
def test_an_outage(api: Checked, monkeypatch: pytest.MonkeyPatch, working: int) -> None:
    """503 while nothing is sent; after that, the ZIP is whole and lists what it lacks."""
    request = processed(api, ROWS)
    left = [store.read_range] * working

    def failing(key: str, start: int, length: int) -> bytes:
        if left:
            return left.pop()(key, start, length)
        raise store.StoreError(STORAGE_FAILED)

    monkeypatch.setattr(store, "read_range", failing)
    answer = api.get(f"/api/requests/{request.id}/images.zip")
    if not working:
        assert answer.status_code == 503
        return
    files = unpacked(answer.getvalue())
    assert list(files) == ["a_1.jpg", "missing.csv"]
    assert files["missing.csv"].count("The storage did not respond.") == 2


def test_the_page_offers_it(api: Checked, client: Client) -> None:
    request = processed(api, ROWS)
    client.force_login(request.owner)
    page = client.get(f"/requests/{request.id}/").content.decode()
    assert f'href="/api/requests/{request.id}/images.zip"' in page
