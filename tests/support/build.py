"""Rows to begin a test with."""

from __future__ import annotations

import io
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth import get_user_model

from imageproc import intake
from imageproc.images.job import Job
from imageproc.images.outcome import Done
from imageproc.images.sources import Source, source_id
from imageproc.models import (
    ImageStatus,
    ProcessingRequest,
    Product,
    ProductImage,
    RequestStatus,
)


def owner(name: str = "olga") -> Any:
    return get_user_model().objects.get_or_create(username=name)[0]


def accepted(csv: bytes) -> ProcessingRequest:
    """An uploaded CSV of which no row is written yet."""
    upload = intake.Upload(
        owner_id=owner().pk,
        file=io.BytesIO(csv),
        file_name="products.csv",
        base_url="http://testserver",
        options=intake.Options(),
    )
    return intake.accept(upload)


def request(images: int = 1, **fields: Any) -> ProcessingRequest:
    """A running request whose products have one image each, all due."""
    fields = {
        "owner": owner(),
        "file_name": "products.csv",
        "input_csv": "key",
        "base_url": "http://testserver",
        "status": RequestStatus.PROCESSING,
        "total_products": images,
        "ingested_products": images,
        "total_images": images,
        "recipe": {"preset": "catalog"},
    } | fields
    made = ProcessingRequest.objects.create(**fields)
    for number in range(1, images + 1):
        image(made, number)
    return made


def image(
    of: ProcessingRequest, number: int = 1, host: str = "shop.example", **fields: Any
) -> ProductImage:
    product = Product.objects.create(
        request=of, row_number=number, serial_number=f"P{number:03}", product_name="Red Shoe"
    )
    fields = {"position": 1, "input_url": f"http://{host}/{number}.jpg", "host": host} | fields
    return ProductImage.objects.create(request=of, product=product, **fields)


def done(job: Job, size: int = 500) -> Done:
    return Done(
        job=job,
        output_key=f"{job.stem}-abcd.jpg",
        output_size=size,
        output_sha256="ab" * 32,
        content_type="image/jpeg",
        width=800,
        height=600,
        input_size=4 * size,
        source_sha256="cd" * 32,
        fetch_ms=5,
        compress_ms=30,
        store_ms=3,
    )


def job_of(row: ProductImage, lease_id: UUID | None = None) -> Job:
    return Job(
        owner_id=row.request.owner_id,
        image_id=row.id,
        request_id=row.request_id,
        lease_id=lease_id or row.lease_id or uuid4(),
        url=row.input_url,
        host=row.host,
        attempt=row.attempts,
        stem=f"{row.request_id}/{row.id.hex}",
        recipe={},
        store_original=False,
        source=Source(source_id(row.request.owner_id, row.input_url), "recipe"),
    )


def statuses(of: ProcessingRequest) -> list[str]:
    return list(of.images.order_by("id").values_list("status", flat=True))


PENDING, PROCESSING = ImageStatus.PENDING.value, ImageStatus.PROCESSING.value
COMPLETED, FAILED = ImageStatus.COMPLETED.value, ImageStatus.FAILED.value
