"""The output CSV: the input's rows beside the images' rows, whatever the order of the latter."""

from __future__ import annotations

import itertools
import re
import tracemalloc
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F

from imageproc.faults import NOT_FOUND
from imageproc.images import store
from imageproc.intake import ingest as ingestion
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage
from imageproc.requests import report
from imageproc.requests.report import output
from tests.support import build

pytestmark = pytest.mark.django_db
HEADER = "S. No.,Product Name,Input Image Urls"
HOST = "http://shop.example"


@pytest.fixture
def ingested() -> ProcessingRequest:
    """Three products with 2, 1 and 3 images; a blank line in between."""
    rows = [HEADER, f"1,Hat,{HOST}/a.jpg {HOST}/b.jpg", ",,", f"2,Pen,{HOST}/c.jpg"]
    rows.append(f'3,"Shoe, red",{HOST}/d.jpg|{HOST}/e.jpg|{HOST}/d.jpg')
    request = build.accepted("\n".join([*rows, ""]).encode())
    assert ingestion.ingest(request.id) == 3
    request.refresh_from_db()
    return request


def settle(request: ProcessingRequest, *failed: tuple[int, int]) -> None:
    """All images done, but for the (row, position) that failed."""
    for image in request.images.select_related("product"):
        facts: dict[str, Any] = {"output_key": f"{request.id}/{image.position}-{image.id.hex}.jpg"}
        facts |= {"output_size": 5, "width": 5, "height": 5, "output_sha256": "ab"}
        facts["status"] = ImageStatus.COMPLETED
        if (image.product.row_number, image.position) in failed:
            facts = {"status": ImageStatus.FAILED, "error_code": NOT_FOUND.code}
        ProductImage.objects.filter(id=image.id).update(**facts)


def addresses(request: ProcessingRequest, row: int) -> list[str]:
    """Where the images of a row are, in the order of its cell."""
    images = request.images.filter(product__row_number=row).order_by("position")
    return [report.image_url("http://testserver", one) for one in images]


def text(blocks: Any) -> list[str]:
    return b"".join(blocks).decode().splitlines()


# The pages end between products and within them; one has room for all.
@pytest.mark.parametrize("page", [1, 2, 3, 4, 100])
def test_every_row_has_its_images(
    ingested: ProcessingRequest, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(output, "PAGE", page)
    settle(ingested)
    hat, pen, shoe = (addresses(ingested, row) for row in (1, 2, 3))
    assert text(report.output_file(ingested)) == [
        f"{HEADER},Output Image Urls,Status,Error",
        f"1,Hat,{HOST}/a.jpg {HOST}/b.jpg,{' '.join(hat)},COMPLETED,",
        f"2,Pen,{HOST}/c.jpg,{pen[0]},COMPLETED,",
        f'3,"Shoe, red",{HOST}/d.jpg|{HOST}/e.jpg|{HOST}/d.jpg,{"|".join(shoe)},COMPLETED,',
    ]


def test_ids_that_do_not_follow_the_file_change_nothing(ingested: ProcessingRequest) -> None:
    """Another worker went on with the ingest, and its clock was behind."""
    settle(ingested)
    expected = text(report.output_file(ingested))
    backwards = itertools.count(100, -1)
    for image in ingested.images.order_by("id"):
        ProductImage.objects.filter(id=image.id).update(id=UUID(int=next(backwards)))
    ids = ingested.images.order_by("product__row_number", "position").values_list("id", flat=True)
    assert list(ids) == sorted(ids, reverse=True)
    assert len(expected) == 4
    names = [re.findall(r"[^/]+\.jpg", line) for line in expected]
    assert [re.findall(r"[^/]+\.jpg", line) for line in text(report.output_file(ingested))] == names


def test_what_failed_is_named_and_can_be_uploaded_again(ingested: ProcessingRequest) -> None:
    settle(ingested, (2, 1), (3, 2), (3, 3))
    lines = text(report.output_file(ingested))
    shoe = addresses(ingested, 3)[0]
    said = NOT_FOUND.sentence
    assert [line.rsplit(",", 3)[1:] for line in lines[2:]] == [
        ["", "FAILED", said],
        [f"{shoe}||", "PARTIAL", f"Image 2: {said} Image 3: {said}"],
    ]
    assert text(report.failed_csv(ingested)) == [
        HEADER,
        f"2,Pen,{HOST}/c.jpg",
        f'3,"Shoe, red",{HOST}/e.jpg|{HOST}/d.jpg',
    ]


def test_rows_not_ingested_yet_have_the_state_of_the_request(
    ingested: ProcessingRequest,
) -> None:
    ingested.images.filter(product__row_number__gt=1).delete()
    ProcessingRequest.objects.update(ingested_products=1)
    assert text(report.output_file(ingested)) == [
        f"{HEADER},Output Image Urls,Status,Error",
        f'1,Hat,{HOST}/a.jpg {HOST}/b.jpg,",",PENDING,',
        f"2,Pen,{HOST}/c.jpg,,PROCESSING,",
        f'3,"Shoe, red",{HOST}/d.jpg|{HOST}/e.jpg|{HOST}/d.jpg,||,PROCESSING,',
    ]


def test_addresses_are_the_cdns_where_there_is_one(
    ingested: ProcessingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(ingested)
    ingested.images.update(output_key=F("id"))
    monkeypatch.setattr(store, "public_url", lambda key: f"https://cdn.example/{key}")
    first = ingested.images.order_by("id")[0]
    line = text(report.output_file(ingested))[1]
    assert f",https://cdn.example/{first.output_key} https://cdn.example/" in line


def test_memory_does_not_grow_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "PAGE", 100)
    peaks = []
    for count in (300, 3000):
        rows = "".join(f"{n},Pen,{HOST}/{n}.jpg\n" for n in range(count))
        request = build.accepted(f"{HEADER}\n{rows}".encode())
        ingestion.ingest(request.id)
        tracemalloc.start()
        assert sum(block.count(b"\n") for block in report.output_file(request)) == count + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Two blocks of the output; the images of all rows would be 2 MB.
    assert peaks[1] - peaks[0] < 500_000
