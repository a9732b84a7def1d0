"""The same CSV with output URLs: the stored input read again, beside the images' rows.

Both come in file order (ids are made in file order), so the two streams are merged row by row:
memory does not grow with the request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import BinaryIO, NamedTuple
from uuid import UUID

from imageproc import sheet
from imageproc.faults import by_code
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage
from imageproc.pipeline import store
from imageproc.report.links import image_url
from imageproc.report.status import state_of

# (image id, storage key) → where the image is.
Address = Callable[[UUID, str], str]
# Image rows of one query.
PAGE = 5000


class _Image(NamedTuple):
    """What the output says of an image."""

    id: UUID
    row_number: int
    position: int
    status: str
    input_url: str
    output_key: str
    error_code: str


def output_csv(request: ProcessingRequest) -> Iterator[bytes]:
    """The uploaded CSV with ``Output Image Urls``, ``Status`` and ``Error``, in blocks.

    Partial while the request runs: images without a result have an empty place. Raises
    store.StoreError, or FileNotFoundError, before the first block.
    """
    if request.is_final and request.output_csv:
        return _blocks(store.open_read(request.output_csv))
    stream, form = _open_input(request)
    return sheet.write_output(form, _completed(request, stream, form, _address_of(request)))


def output_csv_at(request: ProcessingRequest, address: Address) -> Iterator[bytes]:
    """The same with addresses of the caller's choice: where the images were copied to."""
    stream, form = _open_input(request)
    return sheet.write_output(form, _completed(request, stream, form, address))


def failed_csv(request: ProcessingRequest) -> Iterator[bytes]:
    """Only the rows with failed images, with only those images: it can be uploaded as it is."""
    stream, form = _open_input(request)
    return sheet.write_rows(form, _failed(request, stream, form))


def input_csv(request: ProcessingRequest) -> Iterator[bytes]:
    """The CSV as it was uploaded, to the byte."""
    stream, _ = _open_input(request)
    return _blocks(stream)


def _open_input(request: ProcessingRequest) -> tuple[BinaryIO, sheet.SheetFormat]:
    return store.open_read(request.input_csv), sheet.SheetFormat.from_dict(request.sheet)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while block := stream.read(1 << 16):
            yield block


def _address_of(request: ProcessingRequest) -> Address:
    return lambda image_id, key: image_url(request.base_url, image_id, key)


def _completed(
    request: ProcessingRequest, stream: BinaryIO, form: sheet.SheetFormat, address: Address
) -> Iterator[tuple[list[str], sheet.Outcome]]:
    for row, images in _merged(request, stream, form):
        yield row.cells, _outcome(request, row, images, address)


def _failed(
    request: ProcessingRequest, stream: BinaryIO, form: sheet.SheetFormat
) -> Iterator[tuple[list[str], list[str]]]:
    for row, images in _merged(request, stream, form):
        urls = [image.input_url for image in images if image.status == ImageStatus.FAILED]
        if urls:
            yield row.cells, urls


def _merged(
    request: ProcessingRequest, stream: BinaryIO, form: sheet.SheetFormat
) -> Iterator[tuple[sheet.Row, list[_Image]]]:
    """Each row of the input with its images; [] for rows that are not in the database yet."""
    products = groupby(_images(request.id), key=attrgetter("row_number"))
    upcoming = next(products, None)
    with stream:
        for number, row in enumerate(sheet.rows(stream, form), 1):
            if upcoming is None or upcoming[0] != number:
                yield row, []
                continue
            yield row, list(upcoming[1])
            upcoming = next(products, None)


def _images(request_id: UUID) -> Iterator[_Image]:
    """All images of a request in file order, a page a query."""
    images = ProductImage.objects.filter(request_id=request_id).order_by("id")
    after: UUID | None = None
    while True:
        page = images.filter(id__gt=after) if after else images
        rows = page.values_list(
            "id",
            "product__row_number",
            "position",
            "status",
            "input_url",
            "output_key",
            "error_code",
        )[:PAGE]
        found = [_Image(*row) for row in rows]
        yield from found
        if len(found) < PAGE:
            return
        after = found[-1].id


def _outcome(
    request: ProcessingRequest, row: sheet.Row, images: list[_Image], address: Address
) -> sheet.Outcome:
    if not images:
        return sheet.Outcome([""] * len(row.urls), request.status)
    urls = [
        address(image.id, image.output_key) if image.status == ImageStatus.COMPLETED else ""
        for image in images
    ]
    return sheet.Outcome(urls, state_of({image.status for image in images}), _errors(images))


def _errors(images: list[_Image]) -> str:
    """One sentence an image that failed, with its place where the product has several."""
    failed = [image for image in images if image.status == ImageStatus.FAILED]
    if len(images) == 1:
        return "".join(by_code(image.error_code).sentence for image in failed)
    return " ".join(
        f"Image {image.position}: {by_code(image.error_code).sentence}" for image in failed
    )
