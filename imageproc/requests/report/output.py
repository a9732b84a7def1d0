"""The same CSV with output URLs: the stored input read again, beside the images' rows.

Both come in file order, so the two streams are merged row by row: memory does not grow with the
request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import BinaryIO, NamedTuple
from uuid import UUID

from imageproc import sheet
from imageproc.faults import by_code
from imageproc.images import store
from imageproc.models import Change, ImageStatus, ProcessingRequest, ProductImage, RowError
from imageproc.requests.report.links import Address, image_addresses, output_url
from imageproc.requests.report.status import state_of
from imageproc.requests.stored_input import open_checked

# Image rows of one query, at the most.
PAGE = 2000
# The states of rows without images: they have none, or they were not accepted.
NO_IMAGE = "NO_IMAGE"
SKIPPED = "SKIPPED"


class _Image(NamedTuple):
    """What the output says of an image."""

    row_number: int
    position: int
    id: UUID
    status: str
    output_key: str
    error_code: str
    picture_id: UUID | None
    change: str


@dataclass(frozen=True, slots=True)
class Form:
    """``replace``: output URLs in the place of input URLs, which stay where there is none, instead
    of columns of their own. ``status``: the columns ``Status`` and ``Error``, which the first form
    always has. ``workbook``: the uploaded workbook with the results in it, not a CSV. Of a CSV:
    ``change``, the column ``Change``; ``changed_only``, without rows that are as they were."""

    replace: bool = False
    status: bool = False
    workbook: bool = False
    change: bool = False
    changed_only: bool = False


def form_of(request: ProcessingRequest) -> Form:
    """The form that was asked for with the upload, in the kind of file that was uploaded."""
    return Form(request.replace_urls, request.status_column, request.is_workbook)


def output_file(request: ProcessingRequest, form: Form | None = None) -> Iterator[bytes]:
    """The uploaded file with its results, in blocks; in the upload's own form, or another one.

    Partial while the request runs: images without a result have an empty place. Raises
    store.StoreError, or FileNotFoundError, before the first block.
    """
    if request.is_final and request.output_csv and form in (None, form_of(request)):
        return _blocks(store.open_read(request.output_csv))
    return output_file_at(request, image_addresses(request.base_url), form)


def output_file_at(
    request: ProcessingRequest, address: Address, form: Form | None = None
) -> Iterator[bytes]:
    """The same with addresses of the caller's choice: where the images were copied to."""
    stream, file = _open_input(request)
    form = form or form_of(request)
    rows = _completed(request, stream, file, address)
    if form.workbook:
        # Read apart from its rows, whose stream is closed behind the last one.
        book = open_checked(request)
        return sheet.write_workbook_output(
            book, file, rows, replace=form.replace, status=form.status
        )
    only = _CHANGED if form.changed_only else None
    return sheet.write_output(
        file,
        ((cells, result) for _, cells, result in rows if not only or result.change in only),
        replace=form.replace,
        status=form.status,
        change=form.change,
    )


def failed_csv(request: ProcessingRequest) -> Iterator[bytes]:
    """Only the rows with failed images, with only those images, and the rows that were skipped as
    they are: once these are mended, it can be uploaded."""
    stream, file = _open_input(request)
    return sheet.write_rows(file, _failed(request, stream, file))


def errors_csv(request: ProcessingRequest) -> Iterator[bytes]:
    """What is wrong with the rows that were skipped, as CSV."""
    errors = request.row_errors.order_by("line", "id").values_list(*sheet.ERROR_COLUMNS)
    return sheet.write_errors(errors.iterator(chunk_size=PAGE))


def input_csv(request: ProcessingRequest) -> Iterator[bytes]:
    """The file as it was uploaded, to the byte."""
    stream, _ = _open_input(request)
    return _blocks(stream)


def _open_input(request: ProcessingRequest) -> tuple[BinaryIO, sheet.SheetFormat]:
    return open_checked(request), sheet.SheetFormat.from_dict(request.sheet)


def _blocks(stream: BinaryIO) -> Iterator[bytes]:
    with stream:
        while block := stream.read(1 << 16):
            yield block


def _completed(
    request: ProcessingRequest, stream: BinaryIO, file: sheet.SheetFormat, address: Address
) -> Iterator[tuple[int, list[str], sheet.RowResult]]:
    """(line, cells, result) of every row."""
    skipped = _Skipped(request)
    products = _Products(_images(request))
    read_links = sheet.links_of(file) if len(file.images) > 1 else None
    only, places, number = file.images[0], None, 0
    with stream:
        for line, cells in sheet.cells(stream, file, skipped.lines):
            if line in skipped.lines:
                reason = skipped.reason(line)
                yield line, cells, sheet.RowResult((), SKIPPED, reason, skipped.places(file))
                continue
            number += 1
            urls: Sequence[str] = ()
            if read_links:
                urls, places = read_links(line, cells)
            images = products.images_of(number)
            if images:
                yield line, cells, _outcome(images, address, places)
                continue
            if read_links is None:
                urls = sheet.split_cell(cells[only], paths=file.paths)
            state = request.status if urls else NO_IMAGE
            yield line, cells, sheet.RowResult([""] * len(urls), state, "", places)


def _failed(
    request: ProcessingRequest, stream: BinaryIO, file: sheet.SheetFormat
) -> Iterator[tuple[list[str], list[list[str]] | None]]:
    skipped = _Skipped(request)
    products = _Products(_images(request, status=ImageStatus.FAILED))
    read_links = sheet.links_of(file)
    number = 0
    with stream:
        for line, cells in sheet.cells(stream, file, skipped.lines):
            if line in skipped.lines:
                yield cells, None
                continue
            number += 1
            images = products.images_of(number)
            if images:
                urls, places = read_links(line, cells)
                failed = {image.position - 1 for image in images}
                columns = places or [range(len(urls))]
                yield cells, [[urls[n] for n in column if n in failed] for column in columns]


class _Products:
    """The images of each product, asked for in the order of the rows."""

    def __init__(self, images: Iterator[_Image]) -> None:
        self._groups = groupby(images, key=attrgetter("row_number"))
        self._next = next(self._groups, None)

    def images_of(self, number: int) -> list[_Image]:
        """[] for rows that have none, or none in the database yet."""
        if self._next is None or self._next[0] != number:
            return []
        images = list(self._next[1])
        self._next = next(self._groups, None)
        return images


class _Skipped:
    """The rows that were not accepted, by their line, and why."""

    def __init__(self, request: ProcessingRequest) -> None:
        self.lines = RowError.objects.lines(request.id) if request.bad_rows else frozenset()
        errors = request.row_errors.order_by("line", "id").values_list("line", "column", "message")
        self._groups = groupby(
            errors.iterator(chunk_size=PAGE) if self.lines else (), itemgetter(0)
        )

    def reason(self, line: int) -> str:
        """Asked for in the order of the lines."""
        found = next((list(errors) for number, errors in self._groups if number == line), [])
        return " ".join(f"{column}: {text}" if column else text for _, column, text in found)

    @staticmethod
    def places(file: sheet.SheetFormat) -> list[list[int]] | None:
        return [[] for _ in file.images] if len(file.images) > 1 else None


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


_COLUMNS = ("product__row_number", *_Image._fields[1:])


def _outcome(
    images: list[_Image], address: Address, places: Sequence[Sequence[int]] | None
) -> sheet.RowResult:
    urls = [output_url(image, address) or "" for image in images]
    if all(urls):  # as nearly always: only what is completed has one
        return sheet.RowResult(urls, ImageStatus.COMPLETED.value, "", places, _change(images))
    state = state_of({image.status for image in images})
    return sheet.RowResult(urls, state, _errors(images), places, _change(images))


def _change(images: list[_Image]) -> str:
    """Of a row: that of all its completed images, or "changed" where they differ."""
    changes = {image.change for image in images if image.status == ImageStatus.COMPLETED}
    if len(changes) > 1:
        return Change.CHANGED.value
    return next(iter(changes), "")


_CHANGED = frozenset({Change.NEW.value, Change.CHANGED.value})


def _errors(images: list[_Image]) -> str:
    """One sentence an image that failed, with its place where the product has several."""
    failed = [image for image in images if image.status == ImageStatus.FAILED]
    if not failed or len(images) == 1:
        return "".join(by_code(image.error_code).sentence for image in failed)
    return " ".join(
        f"Image {image.position}: {by_code(image.error_code).sentence}" for image in failed
    )
