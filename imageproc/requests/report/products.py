"""Pages of a request's products, with their images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import BigIntegerField, UUIDField

from imageproc.models import ProcessingRequest, ProductImage
from imageproc.models.request import OWNED_REQUEST
from imageproc.models.statement import Given, Question, Statement

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


class ListedImage(NamedTuple):
    """The columns of an image that a page tells: half of the time of its model instances."""

    id: UUID
    status: str
    input_url: str
    original_key: str
    output_key: str
    attempts: int
    input_size: int | None
    output_size: int | None
    width: int | None
    height: int | None
    content_type: str
    output_sha256: str
    error_code: str


class Listed(NamedTuple):
    """A product and its images, in their order."""

    serial_number: str
    product_name: str
    images: list[ListedImage]


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Products in file order; ``next_after`` is the cursor of the next page, None at the end."""

    products: list[Listed]
    next_after: int | None


def product_page(request_id: UUID, *, after: int = 0, limit: int = PAGE_SIZE) -> ProductPage:
    """Up to ``limit`` products behind row number ``after``, each with its images. One query."""
    last = _last(after, limit)
    return _page(_rows_of(request_id, after, last).rows(), last)


def owned_products(
    owner_id: int, request_id: UUID, *, after: int, limit: int
) -> tuple[ProcessingRequest, ProductPage] | None:
    """A request of this owner and a page of its products; None where they have no such request.
    One query: the page is read before it is known whose it is, and then not told."""
    last = _last(after, limit)
    own = OWNED_REQUEST.given(owner_id=owner_id, id=request_id)
    found, rows = own.with_rows_of(_rows_of(request_id, after, last))
    return (found[0], _page(rows, last)) if found else None


def _last(after: int, limit: int) -> int:
    """The last row number of a page."""
    return after + max(1, min(limit, MAX_PAGE_SIZE))


def _rows_of(request_id: UUID, after: int, last: int) -> Question[tuple[Any, ...]]:
    """Of the page, and of one product more."""
    return _ROWS.given(request_id=request_id, after=after, until=last + 1)


_PRODUCT = ("product__row_number", "product__serial_number", "product__product_name")
# A range of rows, not a LIMIT: the images of a product are as many as they are.
_ROWS: Statement[tuple[Any, ...]] = Statement(
    lambda: (
        ProductImage.objects.filter(
            product__request=Given("request_id", UUIDField()),
            product__row_number__gt=Given("after", BigIntegerField()),
            product__row_number__lte=Given("until", BigIntegerField()),
        )
        .order_by("product__row_number", "position")
        .values_list(*_PRODUCT, *ListedImage._fields)
    )
)


def _page(rows: list[tuple[Any, ...]], last: int) -> ProductPage:
    """Row numbers have no gaps, and every product has an image: the row behind the page is asked
    for only to see whether there is more."""
    more = bool(rows) and rows[-1][0] > last
    products = [_listed(list(of)) for number, of in groupby(rows, itemgetter(0)) if number <= last]
    return ProductPage(products, last if more else None)


def _listed(rows: list[tuple[Any, ...]]) -> Listed:
    """The rows of one product."""
    _, serial_number, product_name, *_ = rows[0]
    images = [ListedImage._make(row[len(_PRODUCT) :]) for row in rows]
    return Listed(serial_number, product_name, images)
