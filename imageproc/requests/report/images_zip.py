"""All results of a request as one ZIP, made while it is sent.

Memory holds one image at a time, and of all images the names and the directory at the end of the
ZIP: 0.7 kB each (measured: 13 MB for 20,000 images), hence MAX_IMAGES.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain
from typing import Any

from zipstream import ZIP_STORED, ZipStream

from imageproc import sheet
from imageproc.images import store
from imageproc.images.patterns import Pattern, same_file_key
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage, RowError
from imageproc.requests.stored_input import open_checked
from imageproc.sheet.formula import neutralise

MAX_IMAGES = 100_000
# Rows of the file whose images are read with one query.
PAGE = 500
# The storage is taken to be down after this many failures in a row: the rest is not asked for.
MAX_OUTAGES = 3
MISSING = "missing.csv"
_FACTS = (
    *("position", "output_key", "output_size", "output_sha256"),
    *("product__row_number", "product__serial_number", "product__product_name"),
)
_GONE = "The image is no longer in the storage."
_DAMAGED = "The stored image is damaged: it does not have the size that it was stored with."
_OUTAGE = "The storage did not respond. Download the ZIP again later."


class ZipRefusedError(Exception):
    """There is no ZIP: ``code``, and a sentence for the caller."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def images_zip(request: ProcessingRequest, pattern: Pattern) -> Iterator[bytes]:
    """The completed images, in blocks. Images whose object cannot be read are listed in MISSING.

    Before the first block it raises ZipRefusedError where two images would get one name, or there
    are too many images or none; store.StoreError while the storage is down.
    """
    if request.completed_images > MAX_IMAGES:
        raise ZipRefusedError(
            "zip_too_large",
            f"A ZIP can hold {MAX_IMAGES:,} images, and this request has"
            f" {request.completed_images:,}. Use the links in the output file instead.",
        )
    names = _Names()
    for image, name in _named(request, pattern):
        if clash := names.add(name, image.product__row_number):
            raise ZipRefusedError("names_collide", clash)
    if not names:
        raise ZipRefusedError("no_images", "No image of this request is completed.")
    blocks = _blocks(request, pattern)
    return chain((next(blocks),), blocks)


class _Names:
    """The names so far, and which row has each."""

    def __init__(self) -> None:
        self._rows: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, name: str, row: int) -> str:
        """What is wrong with the name: "", or that another image has it."""
        key = blake2b(same_file_key(name).encode(), digest_size=16).digest()
        other = self._rows.get(key)
        if other is None:
            self._rows[key] = row
            return ""
        rows = f"Two images of row {row}" if other == row else f"Images of rows {other} and {row}"
        return (
            f'{rows} (not counting the header) would get the same file name, "{name}". Choose a'
            " pattern that tells them apart, such as names={serial}_{row}_{position}."
        )


def _blocks(request: ProcessingRequest, pattern: Pattern) -> Iterator[bytes]:
    archive, names, reader = ZipStream(compress_type=ZIP_STORED), _Names(), _Reader()
    missing: list[tuple[str | int, ...]] = []
    for image, name in _named(request, pattern):
        row, serial, content = image.product__row_number, image.product__serial_number, b""
        # Another one may have been completed since the names were checked.
        reason = names.add(name, row)
        if not reason:
            content, reason = reader.read(image)
        if reason:
            cells = (neutralise(cell) for cell in (serial, name, reason))
            missing.append((row, image.position, *cells))
            continue
        archive.add(content, name)
        yield from archive.all_files()
    if missing:
        archive.add(_missing_csv(missing), MISSING)
    yield from archive.finalize()


class _Reader:
    """Reads objects until the storage seems to be down. Raises store.StoreError only for the first:
    nothing is sent yet then."""

    def __init__(self) -> None:
        self._started = False
        self._outages = 0

    def read(self, image: Any) -> tuple[bytes, str]:
        """(content, ""), or (b"", why there is none)."""
        if self._outages == MAX_OUTAGES:
            return b"", _OUTAGE
        try:
            result = _read(image)
        except store.StoreError:
            if not self._started:
                raise
            self._outages += 1
            return b"", _OUTAGE
        self._started, self._outages = True, 0
        return result


def _read(image: Any) -> tuple[bytes, str]:
    """Read whole: an image whose storage fails halfway leaves no part of itself in the ZIP."""
    try:
        content = store.read_range(image.output_key, 0, image.output_size + 1)
    except FileNotFoundError:
        return b"", _GONE
    return (content, "") if len(content) == image.output_size else (b"", _DAMAGED)


def _missing_csv(rows: list[tuple[str | int, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("Row", "Position", "Serial Number", "File Name", "Reason"))
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def _named(request: ProcessingRequest, pattern: Pattern) -> Iterator[tuple[Any, str]]:
    """(image, name) of the completed images in file order."""
    columns = _Columns(request, needed="column" in pattern.fields)
    for image in _completed(request):
        row = image.product__row_number
        name = pattern.name(
            image.output_key.rpartition(".")[2],
            serial=image.product__serial_number,
            name=image.product__product_name,
            position=image.position,
            column=columns.of(row, image.position),
            sha256=image.output_sha256,
            row=row,
        )
        yield image, name


def _completed(request: ProcessingRequest) -> Iterator[Any]:
    images = ProductImage.objects.filter(product__request=request, status=ImageStatus.COMPLETED)
    images = images.order_by("product__row_number", "position")
    rows = images.values_list(*_FACTS, named=True)
    for start in range(1, request.total_products + 1, PAGE):
        yield from list(rows.filter(product__row_number__range=(start, start + PAGE - 1)))


class _Columns:
    """The header of the column that an image came from, asked for in the order of the rows."""

    def __init__(self, request: ProcessingRequest, *, needed: bool) -> None:
        self._only, self._row = "", 0
        self._columns: list[str] = []
        self._rows: Iterator[tuple[int, list[str]]] | None = None
        if needed:
            file = sheet.SheetFormat.from_dict(request.sheet)
            if len(file.images) == 1:
                self._only = file.header[file.images[0]]
            else:
                self._rows = _columns_of_rows(request, file)

    def of(self, row: int, position: int) -> str:
        if self._rows is None:
            return self._only
        while self._row < row:
            self._row, self._columns = next(self._rows)
        return self._columns[position - 1]


def _columns_of_rows(
    request: ProcessingRequest, file: sheet.SheetFormat
) -> Iterator[tuple[int, list[str]]]:
    """(row number, the header of each image's column) of every row that was accepted."""
    skipped = RowError.objects.lines(request.id) if request.bad_rows else frozenset()
    read_links, number = sheet.links_of(file), 0
    with open_checked(request) as stream:
        for line, cells in sheet.cells(stream, file, skipped):
            if line in skipped:
                continue
            number += 1
            urls, places = read_links(line, cells)
            yield number, file.columns_of(len(urls), places)
