"""The pictures that are done, a page at a time in file order."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from imageproc.models import ImageStatus, ProductImage

GALLERY_SIZE = 24
# What every browser draws; other originals (TIFF, HEIC) can only be linked to.
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
    """The completed images behind ``after``, or those ahead of ``before``. One query."""
    done = ProductImage.objects.filter(request_id=request_id, status=ImageStatus.COMPLETED)
    done = done.select_related("product")
    if before is not None:
        rows = list(done.filter(id__lt=before).order_by("-id")[: limit + 1])
        page = rows[:limit][::-1]
        return GalleryPage(page, _first(page, len(rows) > limit), _last(page, bool(page)))
    rows = list((done.filter(id__gt=after) if after else done).order_by("id")[: limit + 1])
    page = rows[:limit]
    return GalleryPage(page, _first(page, after is not None), _last(page, len(rows) > limit))


def _first(page: list[ProductImage], there_is: bool) -> UUID | None:
    return page[0].id if page and there_is else None


def _last(page: list[ProductImage], there_is: bool) -> UUID | None:
    return page[-1].id if page and there_is else None


def comparable(image: ProductImage) -> bool:
    """Whether a browser can show the stored original beside the result."""
    return image.original_key.rpartition(".")[2].lower() in DRAWN
