"""Saves a request's results to a folder: the file with its results and the images it names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imageproc.images import store
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage
from imageproc.requests.report.links import name_of
from imageproc.requests.report.output import output_file_at

PAGE = 500
IMAGES = "images"


def save(request: ProcessingRequest, folder: Path) -> Iterator[int]:
    """Copy missing images into ``folder``/images, then write ``output_path`` with relative paths.
    Yields the number of images of each page.

    A file gets its name only when it is whole, so a second run copies only what the first did not.
    Raises store.StoreError or FileNotFoundError.
    """
    (folder / IMAGES).mkdir(parents=True, exist_ok=True)
    images = ProductImage.objects.in_file_order(request.id)
    rows = images.filter(status=ImageStatus.COMPLETED).only("id", "output_key", "output_size")
    page = list(rows[:PAGE])
    while page:
        for image in page:
            _copy(image, folder / IMAGES / name_of(image.output_key))
        yield len(page)
        page = list(rows.filter(id__gt=page[-1].id)[:PAGE])
    with _whole(output_path(request, folder)) as file:
        for block in output_file_at(request, lambda _, key: f"{IMAGES}/{name_of(key)}"):
            file.write(block)


def output_path(request: ProcessingRequest, folder: Path) -> Path:
    """Where ``save`` writes the file with the results: of the kind that was uploaded."""
    return folder / f"output.{'xlsx' if request.is_workbook else 'csv'}"


def _copy(image: ProductImage, target: Path) -> None:
    if target.exists() and target.stat().st_size == image.output_size:
        return
    with store.open_read(image.output_key) as source, _whole(target) as file:
        shutil.copyfileobj(source, file)


@contextmanager
def _whole(target: Path) -> Iterator[BinaryIO]:
    """Opens a file that gets its name only if the block ends without an error."""
    partial = target.with_name(f".{target.name}.partial")
    with partial.open("wb") as file:
        yield file
    partial.replace(target)
