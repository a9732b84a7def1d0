"""Every list over its page's border, also while rows of the page before it disappear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from imageproc.models import ProcessingRequest, ProductImage, WebhookAttempt, WebhookDelivery
from imageproc.requests import report
from tests.support import build

pytestmark = pytest.mark.django_db
DONE: dict[str, Any] = {
    "status": "COMPLETED",
    "output_key": "k",
    "output_sha256": "ab",
    "output_size": 1,
    "width": 1,
    "height": 1,
}
FAILED: dict[str, Any] = {"status": "FAILED", "error_code": "not_found"}
Page = tuple[list[Any], Any]


def requests_page(of: Any, cursor: Any, limit: int) -> Page:
    page = report.request_page(of, before=cursor, limit=limit)
    return page.requests, page.next_before


def failures_page(of: Any, cursor: Any, limit: int) -> Page:
    return report.failed_images(of, "not_found", after=cursor, limit=limit)


def some_requests(count: int) -> tuple[Any, list[Any]]:
    made = [build.request(0, total_products=1, total_images=1) for _ in range(count)]
    build.request(0, owner=build.owner("paul"), total_products=1, total_images=1)
    return build.owner().pk, made[::-1]


def images_with(facts: dict[str, Any]) -> Callable[[int], tuple[Any, list[Any]]]:
    def make(count: int) -> tuple[Any, list[Any]]:
        of, other = build.request(0, total_products=50, total_images=50), build.request(2)
        made = [build.image(of, number + 1, **facts) for number in range(count)]
        # Nothing of these belongs to the list.
        build.image(of, 40, **(FAILED | {"error_code": "too_large"}))
        build.image(of, 41)
        other.images.update(**facts)
        return of.id, made

    return make


LISTS: dict[str, tuple[Callable[[int], tuple[Any, list[Any]]], Any]] = {
    "requests": (some_requests, requests_page),
    "failures": (images_with(FAILED), failures_page),
}
EACH = pytest.mark.parametrize("name", LISTS)


def walk(of: Any, turn: Any, limit: int) -> list[list[Any]]:
    pages, cursor = [], None
    while True:
        rows, cursor = turn(of, cursor, limit)
        pages.append(rows)
        if cursor is None:
            return pages


@EACH
@pytest.mark.parametrize(
    ("count", "sizes"), [(0, [0]), (1, [1]), (2, [2]), (3, [3]), (4, [3, 1]), (6, [3, 3])]
)
def test_the_border_of_a_page(name: str, count: int, sizes: list[int]) -> None:
    make, turn = LISTS[name]
    of, made = make(count)
    pages = walk(of, turn, 3)
    assert [len(page) for page in pages] == sizes
    assert [row for page in pages for row in page] == made


@EACH
def test_a_row_that_disappears_shifts_nothing(name: str) -> None:
    """Also the row that the cursor names."""
    make, turn = LISTS[name]
    of, made = make(7)
    first, cursor = turn(of, None, 3)
    assert first == made[:3]
    for gone in (made[0], made[2], made[3]):
        gone.delete()
    second, cursor = turn(of, cursor, 3)
    assert (second, cursor) == (made[4:7], None)


def test_the_gallery_by_number_and_by_filter() -> None:
    of_id, made = images_with(DONE)(8)
    of = ProcessingRequest.objects.get(id=of_id)
    of.completed_images = 8
    for number, images in {1: made[:3], 2: made[3:6], 3: made[6:], 99: made[6:]}.items():
        page = report.gallery_page(of, number=number, limit=3)
        assert (page.images, page.pages, page.total) == (images, 3, 8)
        assert page.number == min(number, 3)
    made[2].product.product_name = "Green hat"
    made[2].product.save()
    for wanted, images in [
        (report.GalleryFilter(search="p003"), [made[2]]),
        (report.GalleryFilter(search="GREEN"), [made[2]]),
        (report.GalleryFilter(search="/4.jpg"), [made[3]]),
        (report.GalleryFilter(host="other.example"), []),
        (report.GalleryFilter(code="too_large"), list(of.images.filter(status="FAILED"))),
        (report.GalleryFilter(state="PENDING"), list(of.images.filter(status="PENDING"))),
    ]:
        page = report.gallery_page(of, wanted)
        assert (page.images, page.total) == (images, len(images)), wanted
    assert report.gallery_page(of, report.GalleryFilter(state="")).total == 10


def test_the_neighbours_of_a_picture() -> None:
    _, made = images_with(DONE)(3)
    assert report.neighbours(made[0]) == (None, made[1].id)
    assert report.neighbours(made[1]) == (made[0].id, made[2].id)
    assert report.neighbours(made[2]) == (made[1].id, None)


@pytest.mark.parametrize(
    ("after", "limit", "found", "cursor"),
    [
        (0, 1, [1], 1),
        (0, 4, [1, 2, 3, 4], 4),
        (0, 5, [1, 2, 3, 4, 5], None),
        (0, 6, [1, 2, 3, 4, 5], None),
        (3, 1, [4], 4),
        (3, 2, [4, 5], None),
        (4, 1, [5], None),
        (5, 1, [], None),
        (0, 0, [1], 1),
    ],
)
def test_pages_of_products(after: int, limit: int, found: list[int], cursor: int | None) -> None:
    of = build.request(5)
    build.request(7)
    for number in (2, 3):
        product = of.products.get(row_number=number)
        for position in (3, 2):
            ProductImage.objects.create(
                request=of,
                product=product,
                position=position,
                input_url=f"http://h/{number}-{position}",
                host="h",
            )
    page = report.product_page(of.id, after=after, limit=limit)
    assert [p.serial_number for p in page.products] == [f"P{n:03}" for n in found]
    assert page.next_after == cursor
    for product_, number in zip(page.products, found, strict=True):
        first = f"http://shop.example/{number}.jpg"
        more = [f"http://h/{number}-2", f"http://h/{number}-3"] if number in (2, 3) else []
        assert [image.input_url for image in product_.images] == [first, *more]


def test_at_most_five_hundred_products() -> None:
    assert (report.PAGE_SIZE, report.MAX_PAGE_SIZE, report.GALLERY_SIZE) == (50, 500, 24)
    of = build.request(52)
    page = report.product_page(of.id)
    assert (len(page.products), page.next_after) == (50, 50)
    assert len(report.product_page(of.id, limit=10_000).products) == 52


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["c.csv", "B.csv", "a.csv"]),
        ({"status": "FAILED"}, ["B.csv"]),
        ({"name": "b"}, ["B.csv"]),
        ({"name": ".CSV", "status": "PROCESSING"}, ["c.csv", "a.csv"]),
        ({"name": "x"}, []),
    ],
)
def test_the_list_of_requests_filtered(asked: dict[str, Any], found: list[str]) -> None:
    for name, status in (("a.csv", "PROCESSING"), ("B.csv", "FAILED"), ("c.csv", "PROCESSING")):
        of = build.request(0, file_name=name, total_products=1, total_images=1)
        if status == "FAILED":
            ProcessingRequest.objects.fail(of.id, "why")
    gone = build.request(0, file_name="b gone.csv", total_products=1, total_images=1)
    ProcessingRequest.objects.remove(gone.id)
    page = report.request_page(build.owner().pk, **asked)
    assert [of.file_name for of in page.requests] == found


@pytest.mark.parametrize(("count", "shown"), [(9, 9), (10, 10), (12, 10)])
def test_the_newest_ten_deliveries(count: int, shown: int) -> None:
    of = build.request(0, webhook_url="http://r/", total_products=1, total_images=1)
    made = [
        WebhookDelivery.objects.create(request=of, event="e", url="http://r/", body="{}")
        for _ in range(count)
    ]
    for number in (1, 2, 3):
        WebhookAttempt.objects.create(delivery=made[-1], number=number)
    found = report.deliveries_of(of)
    assert found == made[::-1][:shown]
    assert [attempt.number for attempt in found[0].log.all()] == [1, 2, 3]
