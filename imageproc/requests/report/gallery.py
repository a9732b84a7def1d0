"""Pages of completed images in file order, and stored originals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from imageproc.images import store
from imageproc.models import ImageStatus, ProductImage

GALLERY_SIZE = 24
# Formats that every browser shows; other originals (TIFF, HEIC) are only linked to.
DRAWN = frozenset({"jpeg", "jpg", "png", "webp", "gif", "avif", "bmp"})


@dataclass(frozen=True, slots=True)
class GalleryPage:
    """``before`` and ``after`` are the cursors of the neighbouring pages, None at an end."""

    images: list[ProductImage]
    before: UUID | None
    after: UUID | None


def gallery_page(
    request_id: UUID,
    *,
    after: UUID | None = None,
    before: UUID | None = None,
    limit: int = GALLERY_SIZE,
) -> GalleryPage:
    """The completed images after ``after``, or those before ``before``. One query."""
    done = ProductImage.objects.in_file_order(request_id).filter(status=ImageStatus.COMPLETED)
    done = done.select_related("product")
    if before is not None:
        rows = list(done.filter(id__lt=before).reverse()[: limit + 1])
        page = rows[:limit][::-1]
        return GalleryPage(page, _first(page, len(rows) > limit), _last(page, bool(page)))
    rows = list((done.filter(id__gt=after) if after else done)[: limit + 1])
    page = rows[:limit]
    return GalleryPage(page, _first(page, after is not None), _last(page, len(rows) > limit))


def _first(page: list[ProductImage], there_is: bool) -> UUID | None:
    return page[0].id if page and there_is else None


def _last(page: list[ProductImage], there_is: bool) -> UUID | None:
    return page[-1].id if page and there_is else None


def original_type(image: ProductImage) -> str | None:
    """The MIME type of a stored original, or None if browsers cannot show it or it was not
    stored."""
    suffix = image.original_key.rpartition(".")[2].lower()
    return f"image/{suffix.replace('jpg', 'jpeg')}" if suffix in DRAWN else None


def open_original(image: ProductImage) -> BinaryIO:
    """The stored original. Raises store.StoreError or FileNotFoundError."""
    return store.open_read(image.original_key)
