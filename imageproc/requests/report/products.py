"""Pages of a request's products, with their images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from imageproc.models import Product

PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


class ListedImage(NamedTuple):
    """The columns of an image that a page shows, in half of the time that model instances take."""

    id: UUID
    picture_id: UUID | None
    change: str
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
    """Up to ``limit`` products after row number ``after``, each with its images. One query."""
    last = after + max(1, min(limit, MAX_PAGE_SIZE))
    # A range of row numbers, not a LIMIT, because a product has any number of images. One row more
    # than the page tells whether there is another page: row numbers have no gaps.
    rows = list(
        Product.objects.filter(request=request_id, row_number__gt=after, row_number__lte=last + 1)
        .order_by("row_number", "images__position")
        .values_list(*_PRODUCT, *(f"images__{name}" for name in ListedImage._fields))
    )
    more = bool(rows) and rows[-1][0] > last
    products = [_listed(list(of)) for number, of in groupby(rows, itemgetter(0)) if number <= last]
    return ProductPage(products, last if more else None)


_PRODUCT = ("row_number", "serial_number", "product_name")


def _listed(rows: list[tuple[Any, ...]]) -> Listed:
    """The rows of one product."""
    _, serial_number, product_name, *_ = rows[0]
    images = [ListedImage._make(row[len(_PRODUCT) :]) for row in rows]
    if images[0].id is None:  # the outer join's line for a product without images
        images = []
    return Listed(serial_number, product_name, images)
