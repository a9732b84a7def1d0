"""Processed images, for everyone; stored inputs, for their owner."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from imageproc.api.access import own_image, public_image
from imageproc.api.openapi import problems
from imageproc.models import ProductImage
from imageproc.requests import report

FOREVER = "public, max-age=31536000, immutable"
# The address without the content's name: what is there changes when the image is processed again.
SHORTLY = "public, max-age=3600"
PICTURE: dict[Any, Any] = {
    (200, "image/*"): OpenApiTypes.BINARY,
    304: None,
}


class ImageView(APIView):
    """A processed image.

    Public: its id cannot be guessed. With the `name` of the output URL the answer may be kept for
    ever. `ETag` and `If-None-Match` work as RFC 9110 has it.
    """

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    @extend_schema(
        operation_id="image",
        auth=[],
        responses=PICTURE | problems(404, 503),
    )
    def get(self, request: Request, image_id: UUID, **named: Any) -> HttpResponseBase:
        image = public_image(image_id)
        if named.get("request_id", image.request_id) != image.request_id:
            raise Http404
        answer = _answer(request, image)
        exact = named.get("name") == report.name_of(image.output_key)
        answer["Cache-Control"] = FOREVER if exact else SHORTLY
        answer["ETag"] = _etag(image)
        answer["Content-Disposition"] = f'inline; filename="{report.name_of(image.output_key)}"'
        return answer


class OriginalView(APIView):
    """The stored input of an image (`storeOriginals`); for its owner only."""

    @extend_schema(
        operation_id="original",
        responses={(200, "image/*"): OpenApiTypes.BINARY} | problems(401, 404, 503),
    )
    def get(self, request: Request, image_id: UUID) -> HttpResponseBase:
        """Bytes from a stranger's host: a browser saves them and never shows them here."""
        image = own_image(request, image_id)
        if not image.original_key:
            raise Http404
        answer = FileResponse(
            report.open_original(image),
            as_attachment=True,
            filename=report.name_of(image.original_key),
            content_type=report.original_type(image) or "application/octet-stream",
        )
        answer["Cache-Control"] = "private, no-cache"
        answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return answer


def _etag(image: ProductImage) -> str:
    return f'"{image.output_sha256}"'


def _answer(request: Request, image: ProductImage) -> HttpResponseBase:
    whole = HttpResponse(content_type=image.content_type)
    unchanged = get_conditional_response(request, etag=_etag(image), response=whole)
    if unchanged is not None and unchanged is not whole:
        return unchanged
    size = image.output_size or 0
    whole["Content-Length"] = str(size)
    return whole if request.method == "HEAD" else _whole(image, size)


def _whole(image: ProductImage, size: int) -> FileResponse:
    stream, cached = report.open_image(image)
    answer = FileResponse(stream, content_type=image.content_type)
    answer["Content-Length"] = str(size)
    # RFC 9211.
    answer["Cache-Status"] = f"imageproc; {'hit' if cached else 'fwd=miss'}"
    return answer
