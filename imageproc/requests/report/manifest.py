"""What every completed image of a request was made of, as JSON that is streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from imageproc.models import Change, ImageStatus, ProcessingRequest, ProductImage
from imageproc.requests.report.links import image_addresses, output_url

PAGE = 1000
_FACTS = (
    *("id", "status", "picture_id", "input_url", "output_key", "source_sha256", "input_size"),
    *("output_sha256", "output_size", "width", "height", "content_type", "change", "finished_at"),
    "picture__made_at",
)


def manifest(request: ProcessingRequest) -> Iterator[bytes]:
    """``{"requestId": …, "images": [{…}, …]}``, an image a line; memory does not grow with it."""
    address = image_addresses(request.base_url)
    yield f'{{"requestId": "{request.id}", "images": ['.encode()
    images = ProductImage.objects.in_file_order(request.id).filter(status=ImageStatus.COMPLETED)
    rows = images.values_list(*_FACTS, named=True)
    page, separator = list(rows[:PAGE]), b"\n"
    while page:
        yield separator + b",\n".join(
            json.dumps(_entry(image, output_url(image, address))).encode() for image in page
        )
        page, separator = list(rows.filter(id__gt=page[-1].id)[:PAGE]), b",\n"
    yield b"\n]}\n"


def _entry(image: Any, url: str | None) -> dict[str, Any]:
    made_at = image.picture__made_at or image.finished_at
    return {
        "inputUrl": image.input_url,
        "sourceSha256": image.source_sha256 or None,
        "sourceSize": image.input_size,
        "outputUrl": url,
        "sha256": image.output_sha256,
        "size": image.output_size,
        "width": image.width,
        "height": image.height,
        "contentType": image.content_type,
        "madeAt": made_at.isoformat(),
        "change": image.change or None,
        "reused": image.change == Change.UNCHANGED,
    }
