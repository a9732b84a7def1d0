"""Pages of a request's images in file order, filtered; and stored originals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from django.db.models import Q, Sum

from imageproc.images import store
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage
from imageproc.models.image import ImageQuerySet

GALLERY_SIZE = 24
# Requests from which the size of originals is guessed.
LATEST = 20
# Formats that every browser shows; other originals (TIFF, HEIC) are only linked to.
DRAWN = frozenset({"jpeg", "jpg", "png", "webp", "gif", "avif", "bmp"})


@dataclass(frozen=True, slots=True)
class GalleryFilter:
    """Which images of a request are shown; "" is no condition. ``search``: part of the serial
    number, the product's name or the link."""

    state: str = ImageStatus.COMPLETED.value
    search: str = ""
    code: str = ""
    host: str = ""

    @property
    def is_default(self) -> bool:
        return self == EVERY_RESULT


EVERY_RESULT = GalleryFilter()


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """One page of ``total`` images; ``number`` is between 1 and ``pages``."""

    images: list[ProductImage]
    number: int
    pages: int
    total: int


def gallery_page(
    request: ProcessingRequest,
    wanted: GalleryFilter = EVERY_RESULT,
    *,
    number: int = 1,
    limit: int = GALLERY_SIZE,
) -> GalleryPage:
    """A page of images in file order; the last one where ``number`` is beyond it. Two queries, and
    one more to count where there is a filter."""
    found = _matching(request, wanted)
    total = request.completed_images if wanted.is_default else found.count()
    pages = max(1, -(-total // limit))
    number = max(1, min(number, pages))
    first = (number - 1) * limit
    # Only ids are skipped over, in the index: a join of 100,000 rows would take a while.
    ids = list(found.values_list("id", flat=True)[first : first + limit])
    images = ProductImage.objects.filter(id__in=ids).select_related("product").order_by("id")
    return GalleryPage(list(images), number, pages, total)


def neighbours(image: ProductImage) -> tuple[UUID | None, UUID | None]:
    """The ids of the completed images before and after one, in file order. Two queries."""
    images = ProductImage.objects.in_file_order(image.request_id)
    done = images.filter(status=ImageStatus.COMPLETED).values_list("id", flat=True)
    before = done.filter(id__lt=image.id).reverse().first()
    return before, done.filter(id__gt=image.id).first()


def _matching(request: ProcessingRequest, wanted: GalleryFilter) -> ImageQuerySet:
    found = ProductImage.objects.in_file_order(request.id)
    if wanted.code:
        found = found.filter(status=ImageStatus.FAILED, error_code=wanted.code)
    elif wanted.state:
        found = found.filter(status=wanted.state)
    if wanted.host:
        found = found.filter(host=wanted.host)
    if term := wanted.search.strip():
        found = found.filter(
            Q(product__serial_number__icontains=term)
            | Q(product__product_name__icontains=term)
            | Q(input_url__icontains=term)
        )
    return found


def originals_size(owner_id: int, images: int) -> int | None:
    """About how many bytes the originals of so many images take, by the average of the owner's
    latest requests; None before there is one. One query."""
    done = ProcessingRequest.objects.owned_by(owner_id).filter(completed_images__gt=0)
    latest = done.order_by("-id")[:LATEST].aggregate(
        size=Sum("bytes_in"), images=Sum("completed_images")
    )
    return round(latest["size"] / latest["images"] * images) if latest["size"] else None


def original_type(image: ProductImage) -> str | None:
    """The MIME type of a stored original, or None if browsers cannot show it or it was not
    stored."""
    suffix = image.original_key.rpartition(".")[2].lower()
    return f"image/{suffix.replace('jpg', 'jpeg')}" if suffix in DRAWN else None


def open_original(image: ProductImage) -> BinaryIO:
    """The stored original. Raises store.StoreError or FileNotFoundError."""
    return store.open_read(image.original_key)
