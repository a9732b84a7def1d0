"""The same CSV with output URLs: the stored input read again, beside the images' rows.

Both come in file order, so the two streams are merged row by row: memory does not grow with the
request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import BinaryIO, NamedTuple, TypeVar
from uuid import UUID

from imageproc import sheet
from imageproc.faults import by_code
from imageproc.images import store
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage
from imageproc.requests.report.links import Address, image_addresses, output_url
from imageproc.requests.report.status import state_of
from imageproc.requests.stored_input import open_checked

Row = TypeVar("Row")
# Image rows of one query, at the most.
PAGE = 2000


class _Image(NamedTuple):
    """What the output says of an image."""

    row_number: int
    position: int
    id: UUID
    status: str
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
    address = image_addresses(request.base_url)
    return sheet.write_output(form, _completed(request, stream, form, address))


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
    return open_checked(request), sheet.SheetFormat.from_dict(request.sheet)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while block := stream.read(1 << 16):
            yield block


def _completed(
    request: ProcessingRequest, stream: BinaryIO, form: sheet.SheetFormat, address: Address
) -> Iterator[tuple[list[str], sheet.Outcome]]:
    with stream:
        for cells, images in _merged(request, sheet.cells(stream, form)):
            if images:
                yield cells, _outcome(images, address)
            else:
                places = [""] * len(sheet.split_cell(cells[form.urls]))
                yield cells, sheet.Outcome(places, request.status)


def _failed(
    request: ProcessingRequest, stream: BinaryIO, form: sheet.SheetFormat
) -> Iterator[tuple[list[str], list[str]]]:
    with stream:
        for row, images in _merged(request, sheet.rows(stream, form), status=ImageStatus.FAILED):
            if images:
                yield row.cells, [row.urls[image.position - 1] for image in images]


def _merged(
    request: ProcessingRequest, rows: Iterable[Row], **only: str
) -> Iterator[tuple[Row, list[_Image]]]:
    """Each row of the input with its images; [] for rows that are not in the database yet."""
    products = groupby(_images(request, **only), key=attrgetter("row_number"))
    upcoming = next(products, None)
    for number, row in enumerate(rows, 1):
        if upcoming is None or upcoming[0] != number:
            yield row, []
            continue
        yield row, list(upcoming[1])
        upcoming = next(products, None)


def _images(request: ProcessingRequest, **only: str) -> Iterator[_Image]:
    """The images of a request in file order, a page a query.

    Not in the order of their ids: these follow the clock, and clocks jump. A page ends after PAGE
    rows or PAGE images, whichever is less, and the next one begins within a product if need be.
    """
    images = ProductImage.objects.filter(product__request=request, **only)
    images = images.order_by("product__row_number", "position")
    row, position = 1, 0
    while row <= request.total_products:
        page = images.filter(product__row_number__range=(row, row + PAGE - 1))
        page = page.exclude(product__row_number=row, position__lte=position)
        found = list(map(_Image._make, page.values_list(*_COLUMNS)[:PAGE]))
        yield from found
        row, position = found[-1][:2] if len(found) == PAGE else (row + PAGE, 0)


_COLUMNS = ("product__row_number", "position", "id", "status", "output_key", "error_code")


def _outcome(images: list[_Image], address: Address) -> sheet.Outcome:
    urls = [output_url(image, address) or "" for image in images]
    if all(urls):  # as nearly always: only what is completed has one
        return sheet.Outcome(urls, ImageStatus.COMPLETED.value)
    return sheet.Outcome(urls, state_of({image.status for image in images}), _errors(images))


def _errors(images: list[_Image]) -> str:
    """One sentence an image that failed, with its place where the product has several."""
    failed = [image for image in images if image.status == ImageStatus.FAILED]
    if not failed or len(images) == 1:
        return "".join(by_code(image.error_code).sentence for image in failed)
    return " ".join(
        f"Image {image.position}: {by_code(image.error_code).sentence}" for image in failed
    )
