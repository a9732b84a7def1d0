"""Serves processed images to everyone and stored originals to their owner."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from imageproc.api.access import own_image, public_image
from imageproc.api.openapi import problems
from imageproc.models import ProductImage
from imageproc.requests import report

FOREVER = "public, max-age=31536000, immutable"
# For the address without a name, whose content changes when the image is processed again.
SHORTLY = "public, max-age=3600"
PICTURE: dict[Any, Any] = {
    (200, "image/*"): OpenApiTypes.BINARY,
    304: None,
}


class ImageView(APIView):
    """A processed image.

    Public, because the id cannot be guessed. An address with the `name` of the output URL never
    changes its content and may be cached for ever. `ETag` and `If-None-Match` follow RFC 9110.
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
        answer = _conditional_answer(request, image)
        name = report.name_of(image.output_key)
        # A name from a pattern has no digits of the content: by the image's own id it may be that
        # of another picture one day.
        changes = bool(image.name) and image_id != image.picture_id
        exact = named.get("name") == name and not changes
        answer["Cache-Control"] = FOREVER if exact else SHORTLY
        answer["ETag"] = _etag(image)
        answer["Content-Disposition"] = content_disposition_header(False, name) or "inline"
        return answer


class OriginalView(APIView):
    """The stored input of an image (`storeOriginals`); for its owner only."""

    @extend_schema(
        operation_id="original",
        responses={(200, "image/*"): OpenApiTypes.BINARY} | problems(401, 404, 503),
    )
    def get(self, request: Request, image_id: UUID) -> HttpResponseBase:
        """The stored original of an image. A download, never shown in the browser here, because the
        bytes are from another site."""
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


def _conditional_answer(request: Request, image: ProductImage) -> HttpResponseBase:
    """304 or 412 where the request's conditions say so, the headers alone for HEAD, else the image.

    The storage is read only in the last case.
    """
    head = HttpResponse(content_type=image.content_type)
    conditional = get_conditional_response(request, etag=_etag(image), response=head)
    if conditional is not None and conditional is not head:
        return conditional
    size = str(image.output_size or 0)
    if request.method == "HEAD":
        head["Content-Length"] = size
        return head
    stream, cached = report.open_image(image)
    answer = FileResponse(stream, content_type=image.content_type)
    answer["Content-Length"] = size
    answer["Cache-Status"] = f"imageproc; {'hit' if cached else 'fwd=miss'}"  # RFC 9211
    return answer
