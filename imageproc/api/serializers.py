"""What comes in and goes out as JSON, in camelCase."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from imageproc import report
from imageproc.faults import by_code
from imageproc.intake import Options
from imageproc.models import Priority, ProcessingRequest, Product, ProductImage
from imageproc.report.status import StatusReport, state_of

MAX_SIDE = 16_383


class UploadSerializer(serializers.Serializer[Options]):
    """The options of an upload; form fields, or the query where the CSV is the body."""

    webhookUrl = serializers.URLField(max_length=2048, required=False, default="")  # noqa: N815
    priority = serializers.ChoiceField(choices=Priority.choices, default=Priority.NORMAL.value)
    preset = serializers.ChoiceField(choices=["catalog", "half"], default="catalog")
    maxWidth = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, required=False)  # noqa: N815
    maxHeight = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, required=False)  # noqa: N815
    quality = serializers.IntegerField(min_value=1, max_value=100, required=False)
    format = serializers.ChoiceField(choices=["jpeg", "webp", "avif", "png"], required=False)
    background = serializers.RegexField(r"^#[0-9a-fA-F]{6}$", required=False)
    storeOriginals = serializers.BooleanField(default=False)  # noqa: N815

    def options(self) -> Options:
        given = self.validated_data
        return Options(
            preset=given["preset"],
            max_width=given.get("maxWidth"),
            max_height=given.get("maxHeight"),
            quality=given.get("quality"),
            format=given.get("format"),
            background=given.get("background"),
            store_originals=given["storeOriginals"],
            priority=given["priority"],
            webhook_url=given["webhookUrl"],
        )


class PageSerializer(serializers.Serializer[dict[str, int]]):
    """``cursor``: the nextCursor of the page before; "" starts at the top."""

    cursor = serializers.IntegerField(min_value=0, default=0)
    limit = serializers.IntegerField(
        min_value=1, max_value=report.MAX_PAGE_SIZE, default=report.PAGE_SIZE
    )


def accepted(request: ProcessingRequest) -> dict[str, Any]:
    return {
        "requestId": str(request.id),
        "status": request.status,
        "message": f"Accepted: {request.total_images} images of {request.total_products} products.",
        "totalProducts": request.total_products,
        "totalImages": request.total_images,
        "links": report.links_of(request),
    }


def status(told: StatusReport, page: report.ProductPage) -> dict[str, Any]:
    request = told.request
    return {
        "requestId": str(request.id),
        "status": request.status,
        "fileName": request.file_name,
        "message": request.error_message,
        "progress": told.progress,
        "totalProducts": request.total_products,
        "totalImages": request.total_images,
        "processedImages": request.processed_images,
        "completedImages": request.completed_images,
        "failedImages": request.failed_images,
        "cancelledImages": request.cancelled_images,
        "bytesIn": request.bytes_in,
        "bytesOut": request.bytes_out,
        "imagesPerSecond": told.images_per_second,
        "etaSeconds": told.eta_seconds,
        "errors": [
            {
                "code": reason.code,
                "message": reason.message,
                "remedy": reason.remedy,
                "images": reason.images,
            }
            for reason in told.reasons
        ],
        "createdAt": request.created_at,
        "startedAt": request.started_at,
        "completedAt": request.completed_at,
        "links": report.links_of(request),
        "products": [product(p, request) for p in page.products],
        "nextCursor": None if page.next_after is None else str(page.next_after),
    }


def product(item: Product, request: ProcessingRequest) -> dict[str, Any]:
    images = list(item.images.all())
    return {
        "serialNumber": item.serial_number,
        "productName": item.product_name,
        "status": state_of({image.status for image in images}),
        "inputImageUrls": [image.input_url for image in images],
        "outputImageUrls": [_output_url(image, request) for image in images],
        "images": [image_entry(image, request) for image in images],
    }


def image_entry(image: ProductImage, request: ProcessingRequest) -> dict[str, Any]:
    fault = by_code(image.error_code) if image.error_code else None
    return {
        "imageId": str(image.id),
        "status": image.status,
        "inputUrl": image.input_url,
        "outputUrl": _output_url(image, request),
        "attempts": image.attempts,
        "inputSize": image.input_size,
        "outputSize": image.output_size,
        "compressionRatio": image.compression_ratio,
        "width": image.width,
        "height": image.height,
        "sha256": image.output_sha256 or None,
        "error": (
            {"code": fault.code, "message": fault.message, "remedy": fault.remedy}
            if fault
            else None
        ),
    }


def _output_url(image: ProductImage, request: ProcessingRequest) -> str | None:
    if not image.output_key:
        return None
    return report.image_url(request.base_url, image.id, image.output_key)
